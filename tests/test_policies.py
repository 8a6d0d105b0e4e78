"""What becomes of missing values and of levels that were not there at the fit: what the user said, everywhere."""

import numpy as np
import pandas
import polars
import pyarrow
import pytest

import jglm
from jglm import prediction
from jglm.inputs import coding, frames, policies
from jglm.inputs.formula import Formula
from jglm.sharing import agreement

RNG = np.random.default_rng(8)
N = 150
FRAME = pandas.DataFrame({
    "g": RNG.choice(["a", "b", "c"], N), "k": RNG.integers(1, 4, N).astype(float), "x": RNG.normal(size=N),
    "c": pandas.Categorical(RNG.choice(["s", "l"], N), categories=["s", "l", "never"]),
})  # fmt: skip
FRAME["y"] = RNG.poisson(np.exp(0.3 * FRAME.x + 0.4 * (FRAME.g == "b"))).astype(float)
HOLES = FRAME.copy()
HOLES.loc[[3, 8, 20, 21], "g"] = None
HOLES.loc[[5, 8, 30], "k"] = np.nan
HOLES.loc[[2, 9, 40], "c"] = np.nan
HOLES.loc[[11, 12], "x"] = np.nan
TEXT = "y ~ g + C(k) + c + x"
NAMED = HOLES.assign(  # what missing="as_missing" should mean, written out
    g=pandas.Categorical(HOLES.g.fillna("(missing)"), categories=["a", "b", "c", "(missing)"]),
    k=pandas.Categorical(HOLES.k.astype(object).fillna("(missing)"), categories=[1.0, 2.0, 3.0, "(missing)"]),
    c=pandas.Categorical(HOLES.c.astype(object).fillna("(missing)"), categories=["s", "l", "(missing)"]),
)
FRAMES = {
    "pandas": lambda f: f, "polars": polars.from_pandas, "arrow": pyarrow.Table.from_pandas,
    "text": lambda f: f.astype({"c": "str"}).where(f.notna(), None), "dict": lambda f: {c: f[c] for c in f},
}  # fmt: skip


def glm(text=TEXT, data=HOLES, **options):
    return jglm.glm(text, data, **({"family": "poisson"} | options))


@pytest.fixture(scope="module")
def fit():
    return glm(missing="as_missing")


@pytest.fixture(scope="module")
def dropped():
    return glm()


# --------------------------------------------------------------------------- missing values
def test_missing_values_of_a_factor_are_its_last_level(fit):
    written = glm(data=NAMED)
    assert fit.names == written.names
    assert [n for n in fit.names if "(missing)" in n] == ["g[T.(missing)]", "C(k)[T.(missing)]", "c[T.(missing)]"]
    np.testing.assert_allclose(fit.params, written.params, rtol=1e-12)
    assert fit.n_dropped == 2  # of a number: it has no level to be
    there = fit.predict(HOLES)
    assert np.flatnonzero(np.isnan(there)).tolist() == [11, 12]
    np.testing.assert_array_equal(np.delete(there, [11, 12]), fit.predict())


def test_the_level_is_what_glum_makes_of_missing_values(fit):
    glum = pytest.importorskip("glum")
    theirs = glum.GeneralizedLinearRegressor(
        family="poisson", alpha=0, formula="g + k + c + x", drop_first=True, cat_missing_method="convert",
        cat_missing_name="(missing)", gradient_tol=1e-10,
    )  # fmt: skip
    whole = HOLES.dropna(subset=["x"])
    whole = whole.assign(k=whole.k.astype("category"), c=whole.c.cat.remove_unused_categories())
    theirs.fit(whole.drop(columns="y"), whole.y)
    np.testing.assert_allclose(fit.predict(), theirs.predict(whole), rtol=1e-6)


@pytest.mark.parametrize("look", FRAMES)
def test_every_frame_gives_the_same_fit(fit, look):
    data = FRAMES[look](HOLES if look != "text" else HOLES.assign(c=HOLES.c.astype(object)))
    other = glm(data=data, missing="as_missing")
    assert [n.replace("c[T.s]", "c[T.l]") for n in other.names] == fit.names  # text is sorted, and l stands before s
    np.testing.assert_allclose(other.predict(data), fit.predict(HOLES), rtol=1e-9)


def test_dropped_is_the_default_and_error_names_column_and_row(dropped):
    assert dropped.n_dropped == HOLES.isna().any(axis=1).sum()
    assert glm(missing="drop").n_dropped == dropped.n_dropped
    with pytest.raises(ValueError, match=r"^column 'c' has 3 missing values \(first: row 2\); fill them"):
        glm(missing="error")
    with pytest.raises(ValueError, match=r"^offset has 1 missing value \(first: row 7\)"):
        glm(data=FRAME, missing="error", offset=np.where(np.arange(N) == 7, np.nan, 0.0))
    whole = glm(data=FRAME, missing="error")
    assert np.isfinite(whole.predict(FRAME)).all()
    for data, words in ((HOLES, "'c' has 3 missing"), (HOLES[["g", "k", "c", "x"]].iloc[5:7], "'k' has 1 missing")):
        with pytest.raises(ValueError, match=words):
            whole.predict(data)


def test_a_column_that_is_a_number_too_has_no_level_for_missing_values():
    fit = glm("y ~ k + C(k)", missing="as_missing")
    assert fit.n_dropped == HOLES.k.isna().sum()
    assert not any("(missing)" in name for name in fit.names)


def test_a_level_of_that_name_is_refused():
    with pytest.raises(ValueError, match=r"column 'g' has a level '\(missing\)' already.*rename"):
        glm(data=HOLES.assign(g=HOLES.g.fillna("(missing)")), missing="as_missing")
    assert "g[T.a]" in glm("y ~ g", HOLES.assign(g=HOLES.g.fillna("(missing)"))).names  # a text as others, elsewhere


@pytest.mark.parametrize("unknown", [dict(missing="omit"), dict(unseen="ignore")])
def test_unknown_policies_are_refused(unknown):
    (name, value), *_ = unknown.items()
    with pytest.raises(ValueError, match=f"^{name} is '{value}'.*It must be one of"):
        glm(data=FRAME, **unknown)
    with pytest.raises(ValueError, match=f"^{name} is '{value}'"):
        glm("y ~ x", FRAME).predict(FRAME, **unknown)
    with pytest.raises(ValueError, match="for fits of a formula"):
        jglm.fit(FRAME[["x"]], FRAME.y, family="poisson").predict(FRAME[["x"]], **unknown)


# --------------------------------------------------------------------------- unseen levels
NEW = HOLES.iloc[:6].assign(g=["zz", "a", "yy", None, "b", "zz"], k=[1.0, 9.0, 2.0, 3.0, 1.0, 2.0])


def test_unseen_levels_are_refused_with_levels_and_rows(dropped):
    words = r"^column 'g' has the levels 'zz', 'yy', which were not there at the fit \(levels: 'a', 'b', 'c'\), "
    with pytest.raises(ValueError, match=words + r"in 3 rows \(first: row 0\)"):
        dropped.predict(NEW.assign(c="s"))
    gone = NEW.assign(c="s").set_axis(range(6))
    gone.loc[0, "x"] = np.nan  # a row that is dropped is not looked at, and rows keep their numbers
    with pytest.raises(ValueError, match=r"in 2 rows \(first: row 2\)"):
        dropped.predict(gone)


def test_baseline_is_the_reference_level(dropped, fit):
    based = NEW.assign(g=NEW.g.replace({"zz": "a", "yy": "a"}), k=NEW.k.replace({9.0: 1.0}))
    for which in (dropped, fit):
        np.testing.assert_array_equal(which.predict(NEW, unseen="baseline"), which.predict(based))
    kept = glm(unseen="baseline")
    np.testing.assert_array_equal(kept.predict(NEW), dropped.predict(based))
    with pytest.raises(ValueError, match="not there at the fit"):
        kept.predict(NEW, unseen="error")


def test_baseline_is_the_base_that_the_contrasts_name(dropped):
    named = glm("y ~ C(g, contr.treatment(base='b')) + x", FRAME)
    new = FRAME[:4].assign(g="new")
    np.testing.assert_array_equal(named.predict(new, unseen="baseline"), named.predict(new.assign(g="b")))
    relevelled = glm("y ~ g + x", FRAME, reference={"g": "c"})
    np.testing.assert_array_equal(relevelled.predict(new, unseen="baseline"), relevelled.predict(new.assign(g="c")))
    for contrasts in ("contr.sum", "contr.helmert", "contr.poly"):
        other = glm(f"y ~ C(g, {contrasts}) + x", FRAME)
        with pytest.raises(ValueError, match=r"'new'.*has no one reference level that it could count as"):
            other.predict(new, unseen="baseline")
    both = glm("y ~ g:x + C(g, contr.treatment(base='b'))", FRAME)
    with pytest.raises(ValueError, match="no one reference level"):
        both.predict(new, unseen="baseline")


def test_as_missing_is_the_missing_level(fit, dropped):
    missing = NEW.assign(g=NEW.g.replace({"zz": None, "yy": None}), k=NEW.k.replace({9.0: np.nan}))
    np.testing.assert_array_equal(fit.predict(NEW, unseen="as_missing"), fit.predict(missing))
    with pytest.raises(ValueError, match=r"the fit has no level '\(missing\)'"):
        dropped.predict(NEW, unseen="as_missing")
    some = glm(data=FRAME.assign(g=HOLES.g), missing="as_missing")  # k had no missing value at this fit
    with pytest.raises(ValueError, match=r"column 'k' has the level '\(missing\)', which was not there at the fit"):
        some.predict(HOLES)
    np.testing.assert_array_equal(
        some.predict(HOLES, unseen="baseline"), some.predict(HOLES.assign(k=HOLES.k.fillna(1.0), c=HOLES.c.fillna("s")))
    )


def test_a_column_that_is_a_number_too_has_no_baseline():
    fit = glm("y ~ k + C(k)", FRAME)
    with pytest.raises(ValueError, match=r"column 'k' has the level 9.0.*number too; copy it"):
        fit.predict(FRAME[:3].assign(k=9.0), unseen="baseline")


@pytest.mark.parametrize(
    ("expr", "base"),
    [("g", "a"), ("C(g)", "a"), ("C(`g`, contr.treatment)", "a"), ("C(g, contr.SAS)", "c"),
     ("C(g, contr.treatment('b'))", "b"), ("C(g, Treatment(base='c'))", "c"), ("C(g, contrasts=contr.sum)", None),
     ("C(g, levels=['a', 'b', 'c'])", "a")],
)  # fmt: skip
def test_the_reference_level_of_a_factor(expr, base):
    assert policies.base_of(expr, ["a", "b", "c"]) == base


# --------------------------------------------------------------------------- wherever a formula goes
def test_policies_travel_in_a_model_file(fit, tmp_path):
    glm(missing="as_missing", unseen="as_missing").save(tmp_path / "m.jglm")
    back = jglm.load(tmp_path / "m.jglm")
    np.testing.assert_array_equal(back.predict(NEW), fit.predict(NEW, unseen="as_missing"))
    np.testing.assert_array_equal(back.predict(NEW, unseen="baseline"), fit.predict(NEW, unseen="baseline"))
    for look in FRAMES.values():
        np.testing.assert_array_equal(back.predict(look(HOLES)), fit.predict(HOLES))


def test_codes_know_the_policies_too(fit, monkeypatch):
    monkeypatch.setattr(coding, "ELEMENTS", 10)
    coded = glm(TEXT, missing="as_missing")
    assert coded._prepared.design.shape == fit._prepared.design.shape
    assert type(coded._prepared.design).__name__ == "Categorical"
    np.testing.assert_allclose(coded.params, fit.params, rtol=1e-9)
    for unseen in ("baseline", "as_missing"):
        there = coded.predict(NEW, unseen=unseen)
        monkeypatch.undo()
        np.testing.assert_allclose(there, fit.predict(NEW, unseen=unseen), rtol=1e-9)
        monkeypatch.setattr(coding, "ELEMENTS", 10)


def test_streams_know_the_policies_too(fit, tmp_path):
    for i in range(3):
        HOLES.iloc[i * 50 : (i + 1) * 50].to_parquet(tmp_path / f"{i}.parquet")
    for cache in (None, tmp_path / "cache", tmp_path / "cache"):
        stream = jglm.open_parquet(tmp_path / "*.parquet", cache=cache)
        there = glm(TEXT, stream, missing="as_missing", unseen="baseline", progress=False)
        assert there.names == fit.names
        assert there.n_dropped == 2
        np.testing.assert_allclose(there.params, fit.params, atol=1e-7)
    np.testing.assert_allclose(there.predict(stream), fit.predict(HOLES), rtol=1e-7)
    np.testing.assert_allclose(there.predict(NEW), fit.predict(NEW, unseen="baseline"), rtol=1e-7)
    with pytest.raises(ValueError, match=r"column '[gkcx]' has missing values in .*missing='drop'"):
        glm(TEXT, stream, missing="error", progress=False)
    HOLES.assign(g=HOLES.g.fillna("(missing)")).to_parquet(tmp_path / "2.parquet")
    with pytest.raises(ValueError, match=r"column 'g' has a level '\(missing\)' already"):
        glm(TEXT, jglm.open_parquet(tmp_path / "*.parquet"), missing="as_missing", progress=False)


def test_the_second_formula_has_the_same_policy():
    share = HOLES.assign(share=np.clip(0.2 + 0.1 * np.nan_to_num(HOLES.x) + 0.1 * (HOLES.k == 2), 0.05, 0.95))
    fit = jglm.glm("share ~ g", share, family="beta", precision="~ C(k)", missing="as_missing", unseen="as_missing")
    assert fit.precision_names == ["Intercept", "C(k)[T.2.0]", "C(k)[T.3.0]", "C(k)[T.(missing)]"]
    assert fit.n_dropped == 0
    Z = prediction.precision_designs(fit, NEW.assign(k=[1.0, 9.0, 2.0, np.nan, 1.0, 2.0]), 6)[fit.family.regressed]
    assert Z[:, 1:].tolist() == [[0, 0, 0], [0, 0, 1], [1, 0, 0], [0, 0, 1], [0, 0, 0], [1, 0, 0]]


def test_effects_take_rows_with_missing_values(fit):
    means = fit.marginal_means("g").table()
    assert "(missing)" in means.to_string()
    effects = fit.marginal_effects(X=HOLES).table()
    assert np.isfinite(effects.select_dtypes("number").to_numpy()).all()


def test_a_path_takes_the_policies():
    path = jglm.path(TEXT, HOLES, family="poisson", strengths=3, missing="as_missing", unseen="baseline")
    assert "g[T.(missing)]" in path.names


def test_processes_agree_on_the_missing_level():
    formula = Formula("y ~ g + c", policy=policies.Policy("as_missing"))
    shares = [frame[["g", "c", "y"]].reset_index(drop=True) for frame in (HOLES[:10], FRAME[10:30])]
    parts = [frames.drop_missing(policies.with_missing_level(s, ["g", "c"], fitting=True), {})[0] for s in shares]
    told: dict = {}

    def gather_for(index):
        def gather(value):
            told.setdefault(value[0], {})[index] = value
            return [told[value[0]].get(i, value) for i in (0, 1)]

        return gather

    for _ in range(2):  # the second time each knows what the other said
        made = [agreement.with_all_levels(part, formula, None, gather_for(i)) for i, part in enumerate(parts)]
    for column, levels in (("g", ["a", "b", "c", "(missing)"]), ("c", ["s", "l", "(missing)"])):
        assert [list(m[column].cat.categories) for m in made] == [levels, levels]
