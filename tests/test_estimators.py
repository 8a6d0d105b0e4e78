"""The estimators are scikit-learn's in manners, and give its linear models' answers where those have the model."""

import pickle

import jax
import jax.numpy as jnp
import joblib
import numpy as np
import pandas
import polars
import pytest
import scipy.sparse
from sklearn import config_context, linear_model
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import d2_tweedie_score
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import jglm
from jglm import GLMClassifier, GLMClassifierCV, GLMRegressor, GLMRegressorCV
from jglm.fitting import padding
from jglm.regularization import pathwise

RNG = np.random.default_rng(8)
N, P = 400, 4
X = RNG.normal(size=(N, P))
LIN = X @ [0.6, -0.4, 0.2, 0.0] + 0.3
W = RNG.uniform(0.2, 2.0, N)
Y = {
    "gaussian": LIN + RNG.normal(size=N),
    "poisson": RNG.poisson(np.exp(LIN)).astype(float),
    "gamma": RNG.gamma(2.0, np.exp(LIN) / 2),
    "inverse_gaussian": RNG.wald(np.exp(LIN), 2.0),
}
TWO = np.where(RNG.random(N) < 1 / (1 + np.exp(-LIN)), "yes", "no")
THREE = np.array(["a", "b", "c"])[RNG.integers(0, 3, N) // np.where(LIN > 1, 3, 1)]
SMALL = {"tol": 1e-9}


@pytest.fixture
def one_size(monkeypatch):
    """The many small data sets of scikit-learn's checks are padded to one number of rows: less to compile."""
    monkeypatch.setattr(padding, "LEAST", 320)


@pytest.mark.parametrize("estimator", [GLMRegressor(), GLMRegressor("poisson"), GLMClassifier()], ids=str)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("one_size")
def test_scikit_learn_accepts_them(estimator):
    check_estimator(estimator, on_skip=None)


@pytest.mark.parametrize(
    "estimator", [GLMRegressorCV(alphas=3, cv=2, eps=0.1), GLMClassifierCV(alphas=3, cv=2, eps=0.1)], ids=str
)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("one_size")
def test_scikit_learn_accepts_those_that_choose(estimator, monkeypatch):
    monkeypatch.setattr(pathwise, "SMALL", 0)  # on the host, where each of the many sizes compiles less
    check_estimator(estimator, on_skip=None)


# --------------------------------------------------------------------------- the drop-in table
def tweedie(power):
    return jglm.families.tweedie(power=power)


DROP_IN = {
    "LinearRegression": (linear_model.LinearRegression(), GLMRegressor(**SMALL), "gaussian"),
    "Ridge": (linear_model.Ridge(alpha=3.0), GLMRegressor(alpha=3.0 / W.sum(), **SMALL), "gaussian"),
    "Lasso": (linear_model.Lasso(0.05, tol=1e-12), GLMRegressor(alpha=0.05, l1_ratio=1, **SMALL), "gaussian"),
    "ElasticNet": (linear_model.ElasticNet(0.05, l1_ratio=0.3, tol=1e-12),
                   GLMRegressor(alpha=0.05, l1_ratio=0.3, **SMALL), "gaussian"),
    "PoissonRegressor": (linear_model.PoissonRegressor(alpha=0.1, tol=1e-10, solver="newton-cholesky"),
                         GLMRegressor("poisson", alpha=0.1, **SMALL), "poisson"),
    "GammaRegressor": (linear_model.GammaRegressor(alpha=0.1, tol=1e-10, solver="newton-cholesky"),
                       GLMRegressor("gamma", alpha=0.1, **SMALL), "gamma"),
    "TweedieRegressor 1.5": (linear_model.TweedieRegressor(power=1.5, alpha=0.1, tol=1e-10, solver="newton-cholesky"),
                             GLMRegressor(tweedie(1.5), alpha=0.1, **SMALL), "gamma"),
    "TweedieRegressor 3": (linear_model.TweedieRegressor(power=3, alpha=0.1, tol=1e-8, max_iter=10_000),
                           GLMRegressor("inverse_gaussian", alpha=0.1, **SMALL), "inverse_gaussian"),
}  # fmt: skip


@pytest.mark.parametrize("name", DROP_IN)
def test_regressors_give_its_answers(name):
    theirs, ours, y = DROP_IN[name]
    theirs, ours = (clone(e).fit(X, Y[y], sample_weight=W) for e in (theirs, ours))
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-6)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, atol=1e-6)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-5)
    assert ours.score(X, Y[y], W) == pytest.approx(theirs.score(X, Y[y], W), abs=1e-6)


@pytest.mark.parametrize("labels", [TWO, THREE], ids=["two", "three"])
@pytest.mark.parametrize("C", [np.inf, 0.7])
def test_classifiers_give_its_answers(labels, C):
    theirs = linear_model.LogisticRegression(C=C, tol=1e-10, solver="newton-cg", max_iter=1000)
    theirs = theirs.fit(X, labels, sample_weight=W)
    ours = GLMClassifier(alpha=1 / (C * W.sum()), **SMALL).fit(X, labels, sample_weight=W)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-6)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, atol=1e-6)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-6)
    np.testing.assert_allclose(ours.decision_function(X), theirs.decision_function(X), atol=1e-5)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    np.testing.assert_allclose(np.exp(ours.predict_log_proba(X)), ours.predict_proba(X), rtol=1e-10)


def test_balanced_classes_as_there():
    theirs = linear_model.LogisticRegression(class_weight="balanced", tol=1e-10, solver="newton-cholesky").fit(X, TWO)
    ours = GLMClassifier(class_weight="balanced", alpha=1 / N, **SMALL).fit(X, TWO)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-6)


# --------------------------------------------------------------------------- laws of scikit-learn's own tests
# linear_model/_glm/tests/test_glm.py of scikit-learn has them for its solvers.
@pytest.mark.parametrize("alpha", [0.0, 0.3])
def test_a_weight_repeats_its_row_and_scales_away(alpha):
    count = RNG.integers(0, 4, N)
    fit = lambda x, y, w: GLMRegressor("poisson", alpha=alpha, **SMALL).fit(x, y, sample_weight=w)
    weighted, repeated = fit(X, Y["poisson"], count), fit(np.repeat(X, count, 0), np.repeat(Y["poisson"], count), None)
    scaled, present = fit(X, Y["poisson"], 7.0 * count), fit(X[count > 0], Y["poisson"][count > 0], count[count > 0])
    for other in (repeated, scaled, present):
        np.testing.assert_allclose(weighted.coef_, other.coef_, rtol=1e-7)
        np.testing.assert_allclose(weighted.intercept_, other.intercept_, rtol=1e-7)
    ones, none = fit(X, Y["poisson"], np.ones(N)), fit(X, Y["poisson"], None)
    np.testing.assert_allclose(ones.coef_, none.coef_, rtol=1e-12)


@pytest.mark.parametrize("alpha", [0.0, 0.3])
def test_columns_that_are_moved_change_the_intercept_alone(alpha):
    fit = lambda x: GLMRegressor("poisson", alpha=alpha, **SMALL).fit(x, Y["poisson"])
    plain, moved = fit(X), fit(X - X.mean(axis=0) + [3.0, 0.0, -2.0, 10.0])
    np.testing.assert_allclose(moved.coef_, plain.coef_, rtol=1e-7)
    np.testing.assert_allclose(moved.predict(X - X.mean(axis=0) + [3.0, 0.0, -2.0, 10.0]), plain.predict(X), rtol=1e-7)


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_columns_twice_and_rows_twice(fit_intercept):
    """[X, X] / 2 with half of alpha has the coefficients of X twice; rows twice change nothing, as the loss is a mean.
    X may have more columns than rows."""
    wide, few = X.reshape(N // 8, -1)[:6, :8], Y["poisson"][:6]
    for x, y in ((X, Y["poisson"]), (wide, few)):
        model = GLMRegressor("poisson", alpha=0.5, fit_intercept=fit_intercept, **SMALL).fit(x, y)
        columns = clone(model).set_params(alpha=0.25).fit(np.hstack([x, x]) / 2, y)
        np.testing.assert_allclose(columns.coef_, np.tile(model.coef_, 2), rtol=1e-6, atol=1e-9)
        rows = clone(model).fit(np.vstack([x, x]), np.append(y, y))
        np.testing.assert_allclose(rows.coef_, model.coef_, rtol=1e-6, atol=1e-9)
        for other in (columns, rows):
            assert other.intercept_ == pytest.approx(model.intercept_, rel=1e-6, abs=1e-12)


def test_columns_that_are_one_another_s_leave_predictions_as_they_are():
    plain = GLMRegressor("poisson", **SMALL).fit(X, Y["poisson"])
    twice = GLMRegressor("poisson", **SMALL).fit(np.hstack([X, 2 * X[:, :1] - X[:, 1:2]]), Y["poisson"])
    assert twice.coef_[4] == 0.0
    np.testing.assert_allclose(twice.coef_[:4], plain.coef_, rtol=1e-8)


def test_all_solvers_agree():
    fits = [GLMRegressor("poisson", alpha=0.2, solver=s, tol=1e-10).fit(X, Y["poisson"]) for s in ("irls", "newton")]
    fits.append(GLMRegressor("poisson", alpha=0.2, solver=jglm.solvers.Gradient(0.001, 5000)).fit(X, Y["poisson"]))
    for other in fits[1:]:
        np.testing.assert_allclose(other.coef_, fits[0].coef_, atol=1e-8)


def test_glmnet_s_example():
    """scikit-learn's test_poisson_glmnet: glmnet(alpha=0, standardize=F, thresh=1e-10) at lambda 1."""
    model = GLMRegressor("poisson", alpha=1.0, **SMALL).fit([[-2, 0], [-1, 0], [1, 1], [2, 1]], [0, 1, 1, 2])
    np.testing.assert_allclose(model.intercept_, -0.12889386979, rtol=1e-5)
    np.testing.assert_allclose(model.coef_, [0.29019207995, 0.03741173122], rtol=1e-5)


@pytest.mark.parametrize(("family", "power"), [("gaussian", 0), ("poisson", 1), ("gamma", 2), ("inverse_gaussian", 3)])
def test_the_score_is_the_share_of_the_deviance(family, power):
    model = GLMRegressor(family, alpha=0.1).fit(X, Y[family], sample_weight=W)
    for weight in (None, W):
        want = d2_tweedie_score(Y[family], model.predict(X), sample_weight=weight, power=power)
        assert model.score(X, Y[family], weight) == pytest.approx(want, abs=1e-12)
    assert model.__sklearn_tags__().target_tags.positive_only is (family != "gaussian")


def test_a_column_of_ones_is_the_intercept():
    with_it = GLMRegressor("poisson", **SMALL).fit(X, Y["poisson"])
    by_hand = GLMRegressor("poisson", fit_intercept=False, **SMALL).fit(np.column_stack([X, np.ones(N)]), Y["poisson"])
    np.testing.assert_allclose(np.append(with_it.coef_, with_it.intercept_), by_hand.coef_, rtol=1e-8)
    assert by_hand.intercept_ == 0.0


def test_a_warm_start_is_there_at_once():
    model = GLMRegressor("poisson", warm_start=True).fit(X, Y["poisson"])
    passes, coef = model.n_iter_, model.coef_
    model.fit(X, Y["poisson"])
    assert model.n_iter_ < passes
    np.testing.assert_allclose(model.coef_, coef, rtol=1e-6)


def test_what_does_not_converge_warns_in_its_class_and_can_go_on():
    model = GLMRegressor("poisson", warm_start=True, max_iter=1, **SMALL)
    with pytest.warns(ConvergenceWarning, match="after 1 passes") as seen:
        model.fit(X, Y["poisson"])
    assert len(seen) == 1
    want = GLMRegressor("poisson", **SMALL).fit(X, Y["poisson"])
    assert model.score(X, Y["poisson"]) < want.score(X, Y["poisson"])
    model.set_params(max_iter=None).fit(X, Y["poisson"])
    np.testing.assert_allclose(model.coef_, want.coef_, rtol=1e-8)


# --------------------------------------------------------------------------- in scikit-learn's company
def test_pipelines_searches_and_frames():
    frame = pandas.DataFrame(X[:, :2], columns=["age", "size"]).assign(kind=THREE)
    columns = ColumnTransformer(
        [("n", StandardScaler(), ["age", "size"]), ("c", OneHotEncoder(drop="first"), ["kind"])]
    )
    columns.set_output(transform="default")
    search = GridSearchCV(
        make_pipeline(columns, GLMRegressor("poisson")), {"glmregressor__alpha": [1e-3, 1e-2, 10.0]}, cv=3
    ).fit(frame, Y["poisson"])
    assert search.best_params_["glmregressor__alpha"] < 10
    scores = cross_val_score(GLMRegressor("poisson"), X, Y["poisson"], cv=3)
    assert np.all(scores > 0.1)
    named = GLMRegressor("poisson", covariance="model").fit(frame[["age", "size"]], Y["poisson"])
    assert list(named.feature_names_in_) == ["age", "size"]
    assert named.fit_.names == ["Intercept", "age", "size"]
    want = jglm.fit(frame[["age", "size"]], Y["poisson"], family="poisson")
    np.testing.assert_allclose(named.fit_.bse, want.bse, rtol=1e-5)


def test_exposure_is_routed():
    e = RNG.uniform(0.5, 2.0, N)
    counts = RNG.poisson(e * np.exp(LIN)).astype(float)
    direct = GLMRegressor("poisson").fit(X, counts, exposure=e)
    np.testing.assert_allclose(direct.predict(X, exposure=e), e * direct.predict(X, exposure=np.ones(N)), rtol=1e-12)
    null = jglm.fit(np.ones((N, 1)), counts, family="poisson", exposure=e, intercept=False)
    explained = 1 - jglm.fit(X, counts, family="poisson", exposure=e).deviance / null.deviance
    assert direct.score(X, counts, exposure=e) == pytest.approx(explained, abs=1e-9)
    with config_context(enable_metadata_routing=True):
        routed = GLMRegressor("poisson").set_fit_request(exposure=True).set_score_request(exposure=True)
        scores = cross_val_score(routed, X, counts, params={"exposure": e}, cv=KFold(4))
    train = np.ones(N, bool)
    train[: N // 4] = False
    first = GLMRegressor("poisson").fit(X[train], counts[train], exposure=e[train])
    assert scores[0] == pytest.approx(first.score(X[~train], counts[~train], exposure=e[~train]), abs=1e-9)


def test_offsets_and_exposures_reach_the_last_step_of_a_pipeline():
    e, offset = RNG.uniform(0.5, 2.0, N), RNG.normal(size=N) / 5
    counts = RNG.poisson(e * np.exp(LIN + offset)).astype(float)
    given = {"exposure": e, "offset": offset}
    with config_context(enable_metadata_routing=True):
        asked = dict.fromkeys(given, True)
        last = GLMRegressor("poisson").set_fit_request(**asked).set_score_request(**asked).set_predict_request(**asked)
        pipe = make_pipeline(StandardScaler(), last).fit(X, counts, **given)
        search = GridSearchCV(make_pipeline(StandardScaler(), last), {"glmregressor__alpha": [0.0, 100.0]}, cv=KFold(3))
        search.fit(X, counts, **given)
        found = cross_validate(pipe, X, counts, params=given, cv=KFold(3), return_estimator=True)
        predicted = pipe.predict(X, **given)
        with pytest.raises(TypeError, match="unexpected argument"):
            make_pipeline(StandardScaler(), GLMRegressor("poisson")).fit(X, counts, time=e)
    want = jglm.fit(X, counts, family="poisson", exposure=e, offset=offset)
    np.testing.assert_allclose(predicted, want.predict(), rtol=1e-6)
    assert search.best_params_ == {"glmregressor__alpha": 0.0}
    assert search.cv_results_["mean_test_score"][0] == pytest.approx(found["test_score"].mean())
    assert len(found["estimator"]) == 3


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_names_of_columns_go_in_and_are_held_to(library):
    frame = pandas.DataFrame(X[:, :2], columns=["age", "size"]).assign(kind=THREE)
    frame = frame if library == "pandas" else polars.from_pandas(frame)
    encode = OneHotEncoder(drop="first", sparse_output=False)
    columns = ColumnTransformer([("n", StandardScaler(), ["age", "size"]), ("c", encode, ["kind"])])
    pipe = make_pipeline(columns.set_output(transform=library), GLMRegressor("poisson")).fit(frame, Y["poisson"])
    names = ["n__age", "n__size", "c__kind_b", "c__kind_c"]
    assert list(pipe[-1].feature_names_in_) == names
    assert pipe[-1].fit_.names == ["Intercept", *names]
    np.testing.assert_allclose(pipe.predict(frame[:5]), pipe.predict(frame)[:5])
    plain = GLMRegressor("poisson").fit(frame[["age", "size"]], Y["poisson"])
    with pytest.raises(ValueError, match="feature names"):
        plain.predict(frame[["size", "age"]])
    with pytest.raises(ValueError, match="feature names"):
        plain.predict(frame[["age"]])


def test_threads_and_joblib(tmp_path):
    search = GridSearchCV(GLMRegressor("poisson"), {"alpha": [0.0, 0.1, 1.0]}, cv=3, n_jobs=2)
    with joblib.parallel_config("threading"):
        together = search.fit(X, Y["poisson"]).cv_results_["mean_test_score"]
    alone = clone(search).set_params(n_jobs=1).fit(X, Y["poisson"]).cv_results_["mean_test_score"]
    np.testing.assert_allclose(together, alone, rtol=1e-12)
    joblib.dump(search.best_estimator_, tmp_path / "model.joblib")
    again = joblib.load(tmp_path / "model.joblib")
    np.testing.assert_array_equal(again.predict(X), search.predict(X))
    fresh = clone(again)
    assert not hasattr(fresh, "coef_")
    assert fresh.get_params() == again.get_params()


def test_jax_arrays_are_used_where_they_lie(monkeypatch):
    """X is not copied, in either type; y and weights may be JAX's too; what is predicted is NumPy's float64."""
    seen, fit = [], jglm.api.fit

    def spy(*args, **options):
        seen.append(fit(*args, **options))
        return seen[-1]

    monkeypatch.setattr(jglm.api, "fit", spy)
    want = GLMRegressor("poisson").fit(X, Y["poisson"], sample_weight=W)
    labels = (Y["poisson"] > 1).astype(float)
    probable = GLMClassifier().fit(X, labels)
    for dtype, rtol in ((jnp.float64, 1e-6), (jnp.float32, 1e-4)):
        x, y, w = jnp.asarray(X, dtype), jnp.asarray(Y["poisson"], dtype), jnp.asarray(W, dtype)
        model = GLMRegressor("poisson").fit(x, y, sample_weight=w)
        held = [leaf for leaf in jax.tree.leaves(seen[-1]._prepared.design) if np.shape(leaf) == X.shape]
        assert [leaf.__array_interface__["data"][0] for leaf in map(np.asarray, held)] == [x.unsafe_buffer_pointer()]
        np.testing.assert_allclose(model.coef_, want.coef_, rtol=rtol, atol=rtol)
        predicted = model.predict(x)
        assert (type(predicted), predicted.dtype) == (np.ndarray, np.float64)
        np.testing.assert_allclose(predicted, want.predict(X), rtol=rtol)
        assert model.score(x, y) == pytest.approx(want.score(X, Y["poisson"]), abs=1e-5)
        classifier = GLMClassifier().fit(x, jnp.asarray(labels))
        np.testing.assert_allclose(classifier.predict_proba(x), probable.predict_proba(X), rtol=10 * rtol)
        assert type(classifier.decision_function(x)) is np.ndarray


def test_every_kind_of_matrix_gives_one_answer():
    want = GLMRegressor("poisson").fit(X, Y["poisson"])
    with jax.enable_x64(True):
        on_device = jnp.asarray(X)
    for other in (scipy.sparse.csr_array(X), on_device, pandas.DataFrame(X)):
        model = GLMRegressor("poisson").fit(other, Y["poisson"])
        np.testing.assert_allclose(model.coef_, want.coef_, rtol=1e-7)
        np.testing.assert_allclose(model.predict(other), want.predict(X), rtol=1e-6)
    with pytest.raises(ValueError, match="expecting 4 features"):
        want.predict(on_device[:, :2])


@pytest.mark.parametrize("model", [GLMRegressor("poisson"), GLMRegressor("poisson", covariance="HC1")], ids=str)
def test_pickles_hold_no_data_and_predict_the_same(model):
    model = clone(model).fit(X, Y["poisson"])
    assert model.fit_._prepared is None
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    if model.covariance:
        want = jglm.fit(X, Y["poisson"], family="poisson", covariance="HC1")
        np.testing.assert_allclose(again.fit_.bse, want.bse, rtol=1e-5)


# --------------------------------------------------------------------------- the strength by cross-validation
def test_the_strength_is_that_of_cross_validate():
    fold = RNG.integers(0, 4, N)
    found = jglm.cross_validate(X, Y["poisson"], family="poisson", folds=fold, strengths=12, weights=W)
    splits = [(np.flatnonzero(fold != f), np.flatnonzero(fold == f)) for f in range(4)]
    model = GLMRegressorCV("poisson", alphas=12, cv=splits).fit(X, Y["poisson"], sample_weight=W)
    assert model.alpha_ == pytest.approx(found.best_strength / W.sum())
    np.testing.assert_allclose(model.coef_, found.fit().params[1:], rtol=1e-8)
    same = GLMRegressor("poisson", alpha=model.alpha_, l1_ratio=1.0, **SMALL).fit(X, Y["poisson"], sample_weight=W)
    np.testing.assert_allclose(model.coef_, same.coef_, atol=1e-5)
    sparser = GLMRegressorCV("poisson", alphas=12, cv=splits, rule="one_se").fit(X, Y["poisson"], sample_weight=W)
    assert sparser.alpha_ >= model.alpha_


def test_splitters_must_be_partitions():
    overlapping = [(np.arange(N // 2), np.arange(N // 2, N)), (np.arange(N // 2), np.arange(N // 2, N))]
    with pytest.raises(ValueError, match="twice"):
        GLMRegressorCV(cv=overlapping).fit(X, Y["gaussian"])
    with pytest.raises(ValueError, match="never holds"):
        GLMRegressorCV(cv=overlapping[:1]).fit(X, Y["gaussian"])


def test_one_class_is_refused():
    with pytest.raises(ValueError, match="one class only"):
        GLMClassifier().fit(X, np.zeros(N, int))
