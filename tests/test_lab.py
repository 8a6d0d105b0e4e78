"""The lab: what its experiments compute against closed forms and other libraries, and the lines that they show."""


import numpy as np
import pytest
from scipy import optimize, special, stats

from jglm.lab.experiments import PAGES, answer

MODELS = {"boundary": {"model": "softmax"}}


# --------------------------------------------------------------------------- what the experiments compute
def test_a_text_gives_mean_variance_link_and_density():
    coin = answer("partition", {"text": "log(1 + exp(eta))", "eta": 0.5})
    mean, got = special.expit(0.5), [coin[name] for name in ("a", "mean", "variance")]
    np.testing.assert_allclose(got, [np.log1p(np.exp(0.5)), mean, mean - mean**2])
    np.testing.assert_allclose(coin["curves"]["mean"], special.expit(coin["curves"]["eta"]), rtol=1e-12)
    found = answer("density", {"text": "log(1 + exp(eta))", "eta": 0.5})
    assert (found["support"], found["discrete"], found["y"].tolist()) == ("y = 0 or 1", True, [0.0, 1.0])
    np.testing.assert_allclose(found["p"], [1 - mean, mean], rtol=1e-12)
    np.testing.assert_allclose(found["link"], 0.5)


def test_a_domain_moves_the_axis_and_the_density_is_continuous():
    shown = answer("partition", {"text": "-log(-eta)", "high": 0, "eta": -0.5})
    np.testing.assert_allclose(shown["mean"], 2.0)
    assert shown["high"] < 0
    found = answer("density", {"text": "-log(-eta)", "high": 0, "eta": -0.5})
    inner = found["y"] > 0
    np.testing.assert_allclose(found["p"][inner], stats.expon(scale=2).pdf(found["y"][inner]), rtol=1e-8)
    assert not found["discrete"]


def test_what_is_no_log_partition_is_said_so():
    assert "a variance cannot be negative" in answer("partition", {"text": "-eta**2"})["trouble"]
    assert "not finite at η = -4" in answer("partition", {"text": "log(eta)"})["trouble"]
    with pytest.raises(ValueError, match="variance cannot"):
        answer("density", {"text": "-eta**2"})
    assert "an approximation" in answer("density", {"text": "eta**4 + eta**2"})["trouble"]
    verdict = answer("verdict", {"text": "-eta**2"})
    assert not verdict["ok"]
    assert [f["what"] for f in verdict["findings"] if f["level"] == "wrong"] == ["convexity"]


def test_moving_eta_compiles_nothing_and_a_new_text_one_program(compilations):
    answer("partition", {"text": "exp(eta) + eta**2", "eta": 0.1})
    before = compilations()
    answer("partition", {"text": "exp(eta) + eta**2", "eta": 1.1})
    assert compilations() == before
    answer("partition", {"text": "exp(eta) + 2 * eta**2", "eta": 1.1})
    assert compilations() == before + 1


def test_three_families_share_eta():
    eta, odds = 0.7, np.exp(0.7)
    faces = answer("faces", {"eta": eta})
    np.testing.assert_allclose(faces["bernoulli"]["p"], [1 / (1 + odds), odds / (1 + odds)])
    np.testing.assert_allclose(faces["poisson"]["p"], stats.poisson(odds).pmf(faces["poisson"]["y"]), rtol=1e-10)
    np.testing.assert_allclose(faces["gaussian"]["p"], stats.norm(eta).pdf(faces["gaussian"]["y"]), rtol=1e-10)
    thirds = [faces[name]["third"] for name in ("bernoulli", "poisson", "gaussian")]
    np.testing.assert_allclose(thirds, [odds, np.exp(-odds), stats.norm.cdf(eta)], rtol=1e-10)
    assert [faces[name]["natural"] for name in ("bernoulli", "poisson", "gaussian")] == pytest.approx([eta] * 3)
    np.testing.assert_allclose(answer("faces", {"of": "poisson", "mean": 5.0})["eta"], np.log(5))


def test_log_odds_and_sigmoid_are_inverse():
    found = answer("logodds", {"probability": 0.8})
    np.testing.assert_allclose([found["odds"], found["eta"], found["back"]], [4.0, np.log(4), 0.8])
    np.testing.assert_allclose(found["logit"]["eta"], special.logit(found["logit"]["probability"]), atol=1e-14)
    np.testing.assert_allclose(found["sigmoid"]["probit"], special.ndtr(found["sigmoid"]["eta"]), rtol=1e-10)
    assert found["gap"] < 1e-15


@pytest.mark.parametrize(("family", "mean", "eta", "variance"), [
    ("gaussian", lambda lin: lin, lambda mu: mu, lambda mu: 1.0),
    ("bernoulli", special.expit, special.logit, lambda mu: mu * (1 - mu)),
    ("poisson", np.exp, np.log, lambda mu: mu),
    ("gamma", np.exp, lambda mu: -1 / mu, lambda mu: mu**2 / 4),
])  # fmt: skip
def test_the_assembly_line(family, mean, eta, variance):
    found = answer("assembly", {"family": family, "x": 1.2, "intercept": -0.2, "slope": 0.5})
    mu = mean(0.4)
    got = [found[name] for name in ("lin", "mean", "eta", "variance")]
    np.testing.assert_allclose(got, [0.4, mu, eta(mu), variance(mu)], rtol=1e-10)
    shown = found["density"]
    mass = shown["p"] if shown["discrete"] else shown["p"] * (shown["y"][1] - shown["y"][0])
    inner = np.isfinite(mass)
    assert 0.98 < mass[inner].sum() < 1.01
    assert np.abs(mass[inner] @ shown["y"][inner] - mu) < 0.03


def test_counts_by_a_line_and_by_a_poisson():
    import statsmodels.api as sm

    points = [[1.0, 0], [2.0, 2], [3.0, 1], [5.0, 6], [8.0, 20]]
    found = answer("counts", {"points": points})
    x, y = np.array(points).T
    line = np.polyfit(x, y, 1)[::-1]
    curve = sm.GLM(y, sm.add_constant(x), family=sm.families.Poisson()).fit().params
    np.testing.assert_allclose(found["line_params"], line, rtol=1e-10)
    np.testing.assert_allclose(found["curve_params"], curve, rtol=1e-7)
    np.testing.assert_allclose(found["zero"], -line[0] / line[1])
    np.testing.assert_allclose([found["line_left"], found["curve_left"]], [line[0], np.exp(curve[0])], rtol=1e-7)
    assert found["line_left"] < 0 < found["curve_left"]


@pytest.mark.parametrize(("points", "message"), [
    ([[1, 0], [2, 0]], "all counts are 0"), ([[1, 3], [1, 4]], "the same x"), ([[1, 0.5], [2, 1]], "whole numbers"),
    ([[1, 2]], "2 to 40"), ([[1, 2], [1]], "2 coordinates"), ([[1, 2], [3, True]], "must be a number"),
    ([[1, 2], [3, 1e9]], "between 0 and 30"), ([[1, 2], [3, float("nan")]], "between"), ("points", "a list"),
])  # fmt: skip
def test_points_that_cannot_be_fitted(points, message):
    with pytest.raises(ValueError, match=message):
        answer("counts", {"points": points})


@pytest.mark.parametrize("model", ["logistic", "softmax"])
def test_boundaries_are_those_of_scikit_learn(model):
    from sklearn.linear_model import LogisticRegression

    found = answer("boundary", {"model": model, "log_strength": 0.0, "at": [0.5, 1.0]})
    X, y = np.array(found["points"])[:, :2], np.array(found["points"])[:, 2]
    other = LogisticRegression(C=1.0, tol=1e-10, max_iter=1000).fit(X, y)
    np.testing.assert_allclose(found["chances"], other.predict_proba([[0.5, 1.0]])[0], atol=1e-6)
    grid = np.linspace(-4, 4, found["side"])
    corner = other.predict_proba([[grid[-1], grid[0]]])[0]  # x1 runs fastest
    np.testing.assert_allclose(found["grid"][:, found["side"] - 1], corner, atol=1e-6)
    scores = X @ other.coef_.T + other.intercept_
    if model == "logistic":
        np.testing.assert_allclose(found["margins"], (2 * y - 1) * scores[:, 0], atol=1e-5)
    own = other.predict(X) == y
    assert found["wrong"] == np.sum(~own)
    np.testing.assert_array_equal(found["margins"] > 0, own)


def test_a_class_without_points_is_refused():
    with pytest.raises(ValueError, match="every class needs a point"):
        answer("boundary", {"points": [[0, 0, 0], [1, 1, 0]]})


@pytest.mark.parametrize("y", [-1.0, 1.0])
def test_the_loss_depends_on_the_margin(y):
    found = answer("margins", {"score": 0.6, "y": f"{y:g}"})
    margin = 0.6 * y
    mean, chance = np.tanh(0.6), special.expit(2 * margin)
    want = [np.log1p(np.exp(-2 * margin)), mean, mean - y, chance, special.expit(1.2)]
    np.testing.assert_allclose([found[k] for k in ("loss", "mean", "slope", "chance", "twice")], want, rtol=1e-10)
    np.testing.assert_allclose(found["closed"], found["loss"])
    np.testing.assert_allclose(found["curve"]["loss"], np.log1p(np.exp(-2 * found["curve"]["margin"])), rtol=1e-10)


def test_squares_have_a_second_valley_and_the_likelihood_has_not():
    found, near = answer("squares", {}), answer("squares", {"start": [0.5, 1.0], "eta": 2.0})
    x, y = found["x"], found["y"]

    def squares(theta):
        return np.sum((y - special.expit(theta[0] + theta[1] * x)) ** 2) / 2

    deep = optimize.minimize(squares, [0.0, 0.1], tol=1e-10)
    trapped = optimize.minimize(squares, found["ends"]["squares"]["theta"], tol=1e-10)
    assert trapped.fun > deep.fun + 0.3  # a minimum of its own
    np.testing.assert_allclose(found["ends"]["squares"]["loss"], trapped.fun, atol=0.01)
    np.testing.assert_allclose(near["ends"]["squares"]["theta"], deep.x, atol=1e-3)
    np.testing.assert_allclose(
        found["ends"]["likelihood"]["theta"], near["ends"]["likelihood"]["theta"], atol=1e-3
    )  # from both starts
    h = special.expit(2.0)
    one = near["one"]
    slopes = [one[name]["slope"] for name in ("squares", "likelihood")]
    np.testing.assert_allclose(slopes, [-((1 - h) ** 2) * h, h - 1], rtol=1e-10)
    middle = len(found["grid"]) ** 2 // 2  # theta = 0
    np.testing.assert_allclose(found["surfaces"]["squares"][middle], 1.0)
    np.testing.assert_allclose(found["surfaces"]["likelihood"][middle], 8 * np.log(2))


def test_the_gaussian_in_disguise():
    found = answer("gaussian", {"mu": -0.8, "y": 1.5})
    np.testing.assert_allclose([found["eta"], found["a"]], [-0.8, 0.32])
    np.testing.assert_allclose(found["sum"], found["square"])
    np.testing.assert_allclose(found["curves"]["bell"], stats.norm(-0.8).pdf(found["curves"]["y"]), rtol=1e-12)
    np.testing.assert_allclose(found["curves"]["base"], stats.norm.pdf(found["curves"]["y"]), rtol=1e-12)
    assert found["gap"] < 1e-15


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_soft_labels(smoothing):
    scores = np.array([1.0, 0.5, -1.0, 0.0])
    found = answer("smoothing", {"scores": scores.tolist(), "label": 2, "smoothing": smoothing})
    h, y = special.softmax(scores), np.full(4, smoothing / 4) + (1 - smoothing) * np.eye(4)[2]
    np.testing.assert_allclose(found["h"], h)
    np.testing.assert_allclose(found["loss"], -y @ np.log(h))
    np.testing.assert_allclose(found["gradient"], h - y, atol=1e-15)
    np.testing.assert_allclose(found["hard"], -np.log(h[2]))
    np.testing.assert_allclose(found["entropy"], stats.entropy(y), atol=1e-15)
    if smoothing:
        curve = found["curve"]
        np.testing.assert_allclose(curve["lead"][np.argmin(curve["soft"])], found["best"], atol=0.06)
    else:
        assert found["best"] is None


@pytest.mark.parametrize(("family", "mean"), [
    ("gaussian", lambda eta: eta), ("bernoulli", special.expit), ("poisson", np.exp),
    ("exponential", lambda eta: -1 / eta),
])  # fmt: skip
def test_a_step_adds_the_error_times_the_feature(family, mean):
    theta = [-1.0, 0.3]
    found = answer("steps", {"family": family, "theta": theta, "log_alpha": -2})
    X = np.column_stack([np.ones_like(found["x"]), found["x"]])
    gradient = X.T @ (found["y"] - mean(X @ theta))
    np.testing.assert_allclose(found["automatic"], gradient, rtol=1e-12)
    np.testing.assert_allclose(found["closed"], gradient, rtol=1e-12)
    np.testing.assert_allclose(found["after"], theta + 0.01 * gradient, rtol=1e-12)
    best = X.T @ (found["y"] - mean(X @ found["best"]))
    np.testing.assert_allclose(best, 0, atol=1e-8)
    assert found["most"] > found["loglik"]


def test_a_step_out_of_the_domain_is_announced():
    found = answer("steps", {"family": "exponential", "log_alpha": 1})
    assert answer("steps", {"family": "exponential"})["trouble"] is None
    assert "take a smaller α" in found["trouble"]
    with pytest.raises(ValueError, match="leaves the domain"):
        answer("steps", {"family": "exponential", "theta": [1.0, 0.0]})


# --------------------------------------------------------------------------- the lines of Python that are shown
SAYS = {  # name in the code: where it is in the answer
    "partition": {"mean": "mean", "variance": "variance", "link": "eta"},
    "faces": {"bernoulli": "bernoulli.mean", "poisson": "poisson.mean", "gaussian": "gaussian.mean", "back": "eta"},
    "logodds": {"eta": "eta", "back": "back"},
    "assembly": {"mean": "mean", "eta": "eta", "y": "y"},
    "counts": {"line_left": "line_left", "curve_left": "curve_left"},
    "boundary": {"scores": "scores", "chances": "chances"},
    "margins": {"loss": "loss", "mean": "mean", "chance": "twice"},
    "squares": {"slopes": "slopes"},
    "gaussian": {"eta": "eta", "base": "at.base", "bell": "at.bell"},
    "smoothing": {"h": "h", "loss": "loss", "gradient": "gradient"},
    "steps": {"automatic": "automatic", "closed": "closed", "theta": "after"},
}


@pytest.mark.parametrize("name", PAGES)
def test_the_code_shown_computes_what_is_shown(name):
    found = answer(name, MODELS.get(name, {}))
    space = {}
    exec(f"{found.get('data', '')}\n{found['code']}", space)
    for said, path in SAYS[name].items():
        want = found
        for key in path.split("."):
            want = want[key]
        np.testing.assert_allclose(np.squeeze(space[said]), np.squeeze(want), rtol=1e-9, atol=1e-12, err_msg=said)


def test_the_code_of_a_logistic_boundary():
    found, space = answer("boundary", {}), {}
    exec(f"{found['data']}\n{found['code']}", space)
    np.testing.assert_allclose([space["score"][0], space["chance"][0]], [found["scores"][1], found["chances"][1]])
