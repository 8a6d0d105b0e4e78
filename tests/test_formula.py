"""Formulas and frames: the columns R and formulaic would make, offsets, missing rows, levels, and new data."""

import json

import numpy as np
import pandas
import polars
import pyarrow
import pytest

import jglm
from jglm.inputs import frames
from jglm.inputs.formula import Formula

RNG = np.random.default_rng(5)
N = 150
FRAME = pandas.DataFrame({
    "x": RNG.normal(size=N), "z": RNG.uniform(1, 3, N), "plan": RNG.choice(["basic", "gold", "plus"], N),
    "size": pandas.Categorical(RNG.choice(["s", "m", "l"], N), categories=["s", "m", "l", "never"]),
    "years": RNG.uniform(0.5, 2, N), "w": RNG.integers(1, 4, N).astype(float), "a b": RNG.normal(size=N),
})  # fmt: skip
FRAME["y"] = RNG.poisson(FRAME.years * np.exp(0.3 * FRAME.x + 0.2 * (FRAME.plan == "gold"))).astype(float)
FRAME["class_"] = RNG.choice(["a", "b", "c"], N)


@pytest.fixture(scope="module")
def fit():
    return jglm.glm("y ~ x + plan + size", FRAME, family="poisson", exposure="years")


def test_names_and_values_are_those_of_the_design(fit):
    assert fit.names == ["Intercept", "x", "plan[T.gold]", "plan[T.plus]", "size[T.m]", "size[T.l]"]
    X = np.column_stack(
        [FRAME.x, FRAME.plan == "gold", FRAME.plan == "plus", FRAME["size"] == "m", FRAME["size"] == "l"]
    )
    by_arrays = jglm.fit(X.astype(float), FRAME.y, family="poisson", exposure=FRAME.years)
    np.testing.assert_allclose(fit.params, by_arrays.params, rtol=1e-10)
    assert fit.has_constant
    assert np.isclose(fit.null_deviance, by_arrays.null_deviance)


def test_any_frame_gives_the_same_fit(fit):
    plain = FRAME.assign(size=FRAME["size"].cat.remove_unused_categories())
    enum = polars.from_pandas(plain.assign(size=plain["size"].astype(str))).with_columns(
        polars.col("size").cast(polars.Enum(["s", "m", "l"])))  # fmt: skip
    for same in (
        enum,
        pyarrow.Table.from_pandas(plain),
        {c: FRAME[c].to_numpy() if c != "size" else FRAME[c] for c in FRAME},
    ):
        other = jglm.glm("y ~ x + plan + size", same, family="poisson", exposure="years")
        assert other.names == fit.names
        np.testing.assert_allclose(other.params, fit.params, rtol=1e-10)
        np.testing.assert_allclose(other.predict(same), fit.predict(FRAME), rtol=1e-10)


def test_offset_in_the_formula_and_by_name(fit):
    one = jglm.glm("y ~ x + plan + size + offset(log(years))", FRAME, family="poisson")
    two = jglm.glm("y ~ x + plan + size", FRAME.assign(o=np.log(FRAME.years)), family="poisson", offset="o")
    for other in (one, two):
        assert other.names == fit.names
        np.testing.assert_allclose(other.params, fit.params, rtol=1e-9)
        np.testing.assert_allclose(other.predict(FRAME.assign(o=np.log(FRAME.years))), fit.predict(FRAME), rtol=1e-9)
    np.testing.assert_allclose(fit.predict(FRAME), fit.predict(), rtol=1e-12)
    np.testing.assert_allclose(fit.predict(FRAME, exposure=np.ones(N)) * FRAME.years, fit.predict(), rtol=1e-10)


def test_interactions_transforms_and_own_functions():
    text = "y ~ x * plan + np.log(z) + I(x**2) + poly(z, 2) + center(x):size + `a b` + bs(x, df=4) + half(z)"
    fit = jglm.glm(text, FRAME, family="poisson", weights="w", functions={"half": lambda v: v / 2 + v**3})
    assert "x:plan[T.gold]" in fit.names
    np.testing.assert_allclose(fit.predict(FRAME), fit.predict(), rtol=1e-9)
    np.testing.assert_allclose(
        fit.predict(FRAME.iloc[:7]), fit.predict()[:7], rtol=1e-9
    )  # centre and knots of the fit, not of these rows


def test_response_expressions_and_labels():
    both = jglm.glm("w + y ~ x", FRAME, family="binomial")
    np.testing.assert_allclose(
        both.params, jglm.fit(FRAME[["x"]], FRAME[["w", "y"]], family="binomial").params, rtol=1e-10
    )
    logged = jglm.glm("log(z) ~ x", FRAME, family="gaussian")
    np.testing.assert_allclose(
        logged.params, np.linalg.lstsq(np.column_stack([np.ones(N), FRAME.x]), np.log(FRAME.z))[0]
    )
    classes = jglm.glm("class_ ~ x", FRAME, family="categorical")
    assert classes.levels == ["a", "b", "c"]
    assert set(classes.predict(FRAME, kind="class")) <= {"a", "b", "c"}
    reordered = FRAME.assign(class_=pandas.Categorical(FRAME.class_, categories=["c", "a", "b"]))
    assert jglm.glm("class_ ~ x", reordered, family="categorical").levels == ["c", "a", "b"]
    no_constant = jglm.glm("y ~ x - 1", FRAME, family="poisson")
    assert no_constant.names == ["x"]
    assert not no_constant.has_constant
    assert jglm.glm("y ~ 1", FRAME, family="poisson").names == ["Intercept"]


def test_missing_rows_are_dropped_and_counted():
    holes = FRAME.copy()
    holes.loc[[3, 7], "x"] = np.nan
    holes.loc[9, "plan"] = None
    holes.loc[11, "a b"] = np.nan  # not in the model
    fit = jglm.glm(
        "y ~ x + plan", holes, family="poisson", weights="w", offset=np.where(np.arange(N) == 20, np.nan, 0.1)
    )
    assert fit.n_dropped == 4
    kept = FRAME.drop(index=[3, 7, 9, 20])
    np.testing.assert_allclose(
        fit.params, jglm.glm("y ~ x + plan", kept, family="poisson", weights="w", offset=np.full(len(kept), 0.1)).params
    )
    assert "4 rows with missing values were dropped" in str(fit.summary())
    assert len(fit.residuals()) == N - 4
    there = fit.predict(holes.iloc[:12], offset=np.zeros(12))
    assert np.flatnonzero(np.isnan(there)).tolist() == [3, 7, 9]


def test_levels_and_transforms_survive_a_model_file(tmp_path):
    path = tmp_path / "model.jglm"
    text = "y ~ center(x) + C(plan) + size + bs(z, df=4) + x:plan + offset(log(years)) + poly(z, 2)"
    fit = jglm.glm(text, FRAME, family="poisson")
    fit.save(path)
    back = jglm.load(path)
    np.testing.assert_allclose(back.predict(FRAME), fit.predict(FRAME), rtol=1e-12)
    np.testing.assert_allclose(back.predict(FRAME.iloc[[5]]), fit.predict(FRAME.iloc[[5]]), rtol=1e-12)
    assert back.names == fit.names
    assert str(back.summary()) == str(fit.summary())
    with pytest.raises(ValueError, match="'platinum'"):
        back.predict(FRAME.assign(plan="platinum"))
    back.save(path)
    np.testing.assert_allclose(jglm.load(path).predict(FRAME), fit.predict(FRAME), rtol=1e-12)


def test_exposure_and_functions_travel_by_name(tmp_path):
    path = tmp_path / "model.jglm"
    own = {"half": lambda v: v / 2}
    fit = jglm.glm("y ~ half(x) + plan", FRAME, family="poisson", exposure="years", functions=own)
    fit.save(path)
    with pytest.raises(ValueError, match="'half'; give it again"):
        jglm.load(path)
    np.testing.assert_allclose(jglm.load(path, functions=own).predict(FRAME), fit.predict(FRAME), rtol=1e-12)


def test_contrasts_survive_a_model_file(tmp_path):
    path = tmp_path / "model.jglm"
    fit = jglm.glm('y ~ C(plan, contr.sum) + C(size, contr.treatment(base="m"))', FRAME, family="poisson")
    fit.save(path)
    np.testing.assert_allclose(jglm.load(path).predict(FRAME), fit.predict(FRAME), rtol=1e-12)


def test_defaults_that_differ_from_those_of_r(fit):
    y = FRAME.y.to_numpy()
    np.testing.assert_array_equal(fit.residuals(), y - fit.predict())
    np.testing.assert_array_equal(fit.predict(), fit.predict(FRAME, kind="mean"))
    mixed = jglm.glm("y ~ u", FRAME.assign(u=np.resize(["b", "B", "a", "A"], N)), family="poisson")
    assert mixed.names == ["Intercept", "u[T.B]", "u[T.a]", "u[T.b]"]


# --------------------------------------------------------------------------- transforms and contrasts as R has them
SMALL = {"x": [1.0, 2, 4, 7, 11], "g": ["a", "b", "c", "a", "b"], "z": [3.0, 1, 4, 1, 5]}
NEW = {"x": [3.0, 8.0], "g": ["c", "a"], "z": [2.0, 2.0]}  # other levels and another mean than those of the fit
LOOKS = {
    "pandas": pandas.DataFrame, "polars": polars.DataFrame, "arrow": pyarrow.table,
    "categorical": lambda d: pandas.DataFrame(d).astype({"g": "category"}),
    "enum": lambda d: polars.DataFrame(d).with_columns(polars.col("g").cast(polars.Enum(["a", "b", "c"]))),
    "dictionary": lambda d: pyarrow.table(d).set_column(1, "g", pyarrow.array(d["g"]).dictionary_encode()),
}  # fmt: skip
OF_R = {  # of R 4.2: predict(poly(x, 2), NEW), bs(x, df = 5), scale; and rows c and a of the contrasts
    "poly(x, 2)": [[-0.24618298195866545, -0.22918388365077616], [0.369274472937998, -0.44955300254575326]],
    "bs(x, df=5)": [[0.324, 0.5808, 0.09504, 0.00016, 0.0], [0.0, 0.0648, 0.37584, 0.49536, 0.064]],
    "bs(x, knots=[3, 6], lower_bound=1, upper_bound=11)": [[0.36, 0.56, 0.08, 0, 0],
                                                           [0, 0.0675, 0.388125, 0.480375, 0.064]],
    "scale(x)": [[-0.4923659639173309], [0.7385489458759964]],
    "center(x)": [[-2.0], [3.0]],
    "C(g)": [[0, 1], [0, 0]],
    "C(g, contr.sum)": [[-1, -1], [1, 0]],
    "C(g, contr.helmert)": [[0, 2], [-1, -1]],
    "C(g, contr.poly)": [[0.7071067811865475, 0.4082482904638631], [-0.7071067811865475, 0.4082482904638631]],
    "C(g, contr.treatment(base='b'))": [[0, 1], [1, 0]],
    "C(g, contr.SAS)": [[0, 0], [1, 0]],
    "g + z + g:z": [[0, 1, 2, 0, 2], [0, 0, 2, 0, 0]],
    "g:z": [[0, 0, 2], [2, 0, 0]],
}  # fmt: skip


@pytest.mark.parametrize("text", OF_R)
def test_new_rows_meet_the_state_of_the_fit_in_every_frame_and_after_a_model_file(text):
    fitted = Formula(f"~ {text}", one_sided=True)
    fitted.fit(pandas.DataFrame(SMALL))
    kept = Formula.restore(json.loads(json.dumps(fitted.state())))
    expected = np.column_stack([np.ones(2), OF_R[text]])
    for name, look in LOOKS.items():
        frame = frames.to_pandas(look(NEW), fitted.right_variables)
        for formula in (fitted, kept):
            X, _ = formula.transform(frame)
            np.testing.assert_allclose(X, expected, rtol=1e-12, atol=1e-15, err_msg=name)
        assert kept.names == fitted.names


@pytest.mark.parametrize("look", LOOKS)
def test_a_fit_of_any_frame_has_the_same_design(look):
    text = "~ poly(x, 2) + C(g, contr.helmert):center(z) + bs(x, df=4) + cr(z, df=3)"
    first, other = Formula(text, one_sided=True), Formula(text, one_sided=True)
    X, _ = first.fit(pandas.DataFrame(SMALL))
    Z, _ = other.fit(frames.to_pandas(LOOKS[look](SMALL), other.right_variables))
    assert first.names == other.names
    np.testing.assert_array_equal(X, Z)


def test_the_linear_predictor_of_a_polynomial_is_that_of_r():
    fit = jglm.glm("y ~ poly(x, 2) + z", SMALL | {"y": [2, 4, 3, 6, 9]}, family="poisson")
    assert fit.predict(NEW, kind="link") == pytest.approx([1.1895872938169627, 1.905478796616404], rel=1e-9)


def test_truth_values_are_numbers_also_where_some_are_missing():
    flags = [True, None, False, True, False]
    for look in (pandas.DataFrame, polars.DataFrame, pyarrow.table):
        frame = look({"y": [1.0, 2, 3, 5, 4], "on": flags})
        fit = jglm.glm("y ~ on", frame, family="gaussian")
        assert fit.names == ["Intercept", "on"]
        assert np.flatnonzero(np.isnan(fit.predict(frame))).tolist() == [1]
        assert jglm.glm("y ~ C(on)", frame, family="gaussian").names == ["Intercept", "C(on)[T.True]"]
