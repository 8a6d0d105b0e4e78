"""What actuaries ask: reference levels, fixed relativities, one-way and rating tables, balance, levels in groups."""

import itertools
import os
import re
from pathlib import Path

import numpy as np
import pandas
import pytest
from scipy import stats

import jglm
from jglm.rating.merging import Merging

EFFECTS = {"a": 0.0, "b": 0.0, "c": 0.5, "d": 0.5, "e": -0.4, "f": 0.0}
SHARES = [0.2, 0.34, 0.15, 0.15, 0.15, 0.01]
FORMULA = "claims ~ zone + C(band) + age"


def policies(n=6000, seed=1):
    rng = np.random.default_rng(seed)
    frame = pandas.DataFrame({
        "zone": rng.choice(list(EFFECTS), n, p=SHARES), "band": rng.integers(1, 6, n),
        "age": rng.uniform(18, 80, n).round(), "years": rng.uniform(0.1, 1.0, n),
    })  # fmt: skip
    rate = np.exp(-0.5 + frame.zone.map(EFFECTS) + 0.6 * (frame.band > 3) + 0.01 * (frame.age - 50))
    return frame.assign(claims=rng.poisson(frame.years * rate))


@pytest.fixture(scope="module")
def frame():
    return policies()


@pytest.fixture(scope="module")
def fit(frame):
    return jglm.glm(FORMULA, frame, family="poisson", exposure="years", tol=1e-11)


# --------------------------------------------------------------------------- reference levels
def test_the_most_exposed_level_is_the_reference(frame, fit):
    frame = frame.assign(years=np.where(frame.zone == "f", 100.0, frame.years))  # few rows, most exposure
    most = {c: frame.groupby(c).years.sum().idxmax() for c in ("zone", "band")}
    found = jglm.glm(FORMULA, frame, family="poisson", exposure="years", reference="most_exposed")
    assert most["zone"] == "f"
    for column, level in most.items():
        head = "zone" if column == "zone" else "C(band)"
        assert f"{head}[T.{level}]" not in found.names
        others = sorted(set(frame[column]) - {level})
        assert [n for n in found.names if n.startswith(head)] == [f"{head}[T.{v}]" for v in others]
    plain = jglm.glm(FORMULA, frame, family="poisson", exposure="years")
    np.testing.assert_allclose(found.predict(frame[::7]), plain.predict(frame[::7]), rtol=1e-8)
    chosen = jglm.glm(FORMULA, frame, family="poisson", exposure="years", reference={"zone": "e"})
    assert {"zone[T.a]", "zone[T.f]", "C(band)[T.2]"} <= set(chosen.names)
    assert "zone[T.e]" not in chosen.names


def test_relevel_is_the_reference_of_every_door(frame, fit):
    changed = jglm.relevel(frame, ["zone", "band"], weights="years")
    assert changed.zone.cat.categories[0] == frame.groupby("zone").years.sum().idxmax()
    assert changed.band.cat.categories[0] == frame.groupby("band").years.sum().idxmax()
    direct = jglm.glm(FORMULA, frame, family="poisson", exposure="years", reference="most_exposed", tol=1e-11)
    assert jglm.glm(FORMULA, changed, family="poisson", exposure="years").names == direct.names
    assert list(jglm.relevel(frame, {"zone": "d"}).zone.cat.categories) == list("dabcef")


def test_references_that_cannot_be(frame):
    fit = lambda formula, reference: jglm.glm(formula, frame, family="poisson", reference=reference)
    with pytest.raises(ValueError, match="no level 'z'"):
        fit("claims ~ zone", {"zone": "z"})
    with pytest.raises(ValueError, match=r"no plain factor.*Its factors: zone"):
        fit("claims ~ zone + age", {"age": 50})
    with pytest.raises(ValueError, match="no plain factor"):
        fit("claims ~ C(zone, contr.sum)", {"zone": "b"})
    with pytest.raises(ValueError, match="most_exposed"):
        fit("claims ~ zone", "largest")
    with pytest.raises(TypeError, match="list"):
        fit("claims ~ zone", ["zone"])
    with pytest.raises(ValueError, match="column of reference"):
        jglm.relevel(frame, ["town"])


def test_a_column_that_is_a_number_as_well_keeps_its_order(frame):
    found = jglm.glm("claims ~ C(band) + band + zone", frame, family="poisson", reference="most_exposed")
    assert "C(band)[T.1]" not in found.names
    assert "zone[T.b]" not in found.names  # which is the most exposed one


# --------------------------------------------------------------------------- relativities
def test_another_base_is_another_fit_without_fitting(frame, fit):
    moved = jglm.glm(FORMULA, frame, family="poisson", exposure="years", reference={"zone": "d", "band": 4}, tol=1e-11)
    found, same = (v.relativities(base={"zone": "d", "band": 4}).table() for v in (fit, moved))
    pandas.testing.assert_frame_equal(found.sort_index(), same.sort_index(), rtol=1e-7)
    np.testing.assert_allclose(found.loc["zone: c", "relativity"], np.exp(moved.params[moved.names.index("zone[T.c]")]))
    first = fit.relativities(base="first").table()
    np.testing.assert_allclose(first.loc["zone: c", ["low", "high"]].astype(float),
                               np.exp(fit.conf_int()[fit.names.index("zone[T.c]")]))  # fmt: skip
    most = fit.relativities().table().relativity
    assert most["zone: b"] == 1.0
    assert most[f"band: {frame.groupby('band').years.sum().idxmax()}"] == 1.0


def test_a_model_file_knows_the_most_exposed_levels(tmp_path, frame, fit):
    fit.save(tmp_path / "m.jglm")
    loaded = jglm.load(tmp_path / "m.jglm")
    assert loaded.typical["zone"] == "b"
    np.testing.assert_allclose(loaded.typical["age"], np.average(frame.age, weights=frame.years))
    pandas.testing.assert_frame_equal(loaded.relativities().table(), fit.relativities().table())
    table = fit.rating_table(values={"age": [20, 40]})
    pandas.testing.assert_frame_equal(loaded.rating_table(values={"age": [20, 40]}), table.drop(columns="exposure"))
    with pytest.raises(ValueError, match="values="):
        loaded.rating_table()


def test_a_rating_table_multiplies_to_the_mean(frame):
    fit = jglm.glm("claims ~ zone + C(band) + age + I(age**2)", frame, family="poisson", exposure="years")
    table = fit.rating_table(base={"age": 40.0}, values={"age": [20, 40, 70]})
    assert table.loc[("age", "40"), "relativity"] == 1.0
    for zone, band, age in itertools.product("ace", (1, 5), (20, 70)):
        product = table.relativity["base rate", ""]
        for key in (("zone", zone), ("band", str(band)), ("age", str(age))):
            product *= table.relativity[key]
        row = pandas.DataFrame({"zone": [zone], "band": [band], "age": [age], "years": [1.0]})
        np.testing.assert_allclose(product, fit.predict(row)[0], rtol=1e-12)
    np.testing.assert_allclose(table.exposure["zone", "c"], frame.years[frame.zone == "c"].sum())
    band = frame.groupby("band").years.sum().idxmax()
    base = pandas.DataFrame({"zone": ["b"], "band": [band], "age": [40.0], "years": [1.0]})
    interval = fit.predict(base, interval="mean")
    np.testing.assert_allclose(table.loc["base rate", ["relativity", "low", "high"]].to_numpy(float)[0], interval[0])


def test_rating_tables_that_cannot_be(frame):
    with pytest.raises(ValueError, match="joins age and zone"):
        jglm.glm("claims ~ zone * age", frame, family="poisson").rating_table()
    with pytest.raises(ValueError, match="no product of relativities"):
        jglm.glm("claims ~ zone", frame, family="gaussian").rating_table()
    with pytest.raises(TypeError, match="formula"):
        jglm.fit(frame[["age"]], frame.claims, family="poisson").rating_table()


# --------------------------------------------------------------------------- relativities held fixed
FIXED = {"zone": {"a": 1.0, "b": 1.0, "c": 1.6, "d": 1.6, "e": 0.7, "f": 1.0}, "band": dict.fromkeys(range(1, 6), 1.2)}


def test_fixed_relativities_are_an_offset(tmp_path, frame):
    found = jglm.glm("claims ~ age", frame, family="poisson", exposure="years", fixed=FIXED)
    product = frame.zone.map(FIXED["zone"]) * frame.band.map(FIXED["band"])
    other = jglm.glm("claims ~ age", frame, family="poisson", offset=np.log(frame.years * product))
    np.testing.assert_allclose(found.params, other.params, rtol=1e-10)
    np.testing.assert_allclose(found.deviance, other.deviance, rtol=1e-12)
    part = frame[3:9]
    mean = np.exp(found.params[0] + found.params[1] * part.age) * part.years * product[3:9]
    np.testing.assert_allclose(found.predict(part), mean, rtol=1e-12)
    found.save(tmp_path / "m.jglm")
    loaded = jglm.load(tmp_path / "m.jglm")
    assert loaded.fixed == FIXED
    np.testing.assert_allclose(loaded.predict(part), mean, rtol=1e-12)
    table = found.relativities().table()
    assert table.loc["zone: c", ["relativity", "low", "high"]].tolist() == pytest.approx([1.6] * 3, rel=1e-12)
    assert table.loc["zone: c", "std_err"] == 0
    assert "zone, band are held fixed" in str(found.summary())
    again = found.actual_expected("zone", frame).expected
    np.testing.assert_allclose(again.sum(), frame.claims.sum(), rtol=1e-8)


def test_fixed_relativities_that_cannot_be(frame):
    fit = lambda fixed, formula="claims ~ age", **more: jglm.glm(formula, frame, family="poisson", fixed=fixed, **more)
    with pytest.raises(ValueError, match="level 'f', to which fixed= gives no relativity"):
        fit({"zone": dict.fromkeys("abcde", 1.0)})
    with pytest.raises(ValueError, match="stands in the formula"):
        fit(FIXED, "claims ~ zone")
    with pytest.raises(ValueError, match="it must be > 0"):
        fit({"zone": dict.fromkeys("abcdef", 0.0)})
    with pytest.raises(ValueError, match="use offset="):
        fit(FIXED, link="identity")
    with pytest.raises(TypeError, match="dict"):
        fit({"zone": 1.2})
    found = fit({"zone": FIXED["zone"]})
    with pytest.raises(ValueError, match="level 'x'"):
        found.predict(pandas.DataFrame({"zone": ["x"], "age": [20.0]}))
    with pytest.raises(ValueError, match="no column 'zone'"):
        found.predict(pandas.DataFrame({"age": [20.0]}))


# --------------------------------------------------------------------------- one-way tables
def test_one_way_tables_are_sums(frame):
    found = jglm.one_way(frame, ["zone", "age"], "claims", exposure="years", bins=5)
    by = frame.groupby("zone")
    zone = found.loc["zone"]
    np.testing.assert_allclose(zone.exposure, by.years.sum())
    np.testing.assert_allclose(zone.total, by.claims.sum())
    np.testing.assert_allclose(zone["mean"], by.claims.sum() / by.years.sum())
    np.testing.assert_allclose(zone.share, by.years.sum() / frame.years.sum())
    assert zone.rows.tolist() == by.size().tolist()
    assert zone.relativity["b"] == 1.0
    np.testing.assert_allclose(zone.relativity, zone["mean"] / zone["mean"]["b"])
    assert len(found.loc["age"]) == 5
    np.testing.assert_allclose(found.loc["age"].share, 0.2, atol=0.02)
    saturated = jglm.glm("claims ~ zone", frame, family="poisson", exposure="years").relativities().table()
    np.testing.assert_allclose(zone.relativity, saturated.relativity, rtol=1e-7)


def test_one_way_tables_of_means_take_weights(frame):
    cost = frame.assign(count=frame.claims, cost=100.0 + frame.age)[frame.claims > 0]
    found = jglm.one_way(cost, "zone", "cost", weights="count", base="mean").loc["zone"]
    by = cost.assign(sum=cost["count"] * cost.cost).groupby("zone")
    np.testing.assert_allclose(found["mean"], by["sum"].sum() / by["count"].sum())
    np.testing.assert_allclose(np.average(found.relativity, weights=found.exposure), 1.0)
    other = jglm.one_way(cost, "zone", "cost", weights="count", base={"zone": "e"}).loc["zone"]
    np.testing.assert_allclose(other.relativity, found["mean"] / found["mean"]["e"])


def test_one_way_tables_that_cannot_be(frame):
    with pytest.raises(ValueError, match="no column 'town'"):
        jglm.one_way(frame, "town", "claims")
    with pytest.raises(ValueError, match="negative"):
        jglm.one_way(frame.assign(years=-1.0), "zone", "claims", exposure="years")
    with pytest.raises(ValueError, match="level of base"):
        jglm.one_way(frame, "zone", "claims", base={"zone": "z"})
    with pytest.raises(ValueError, match="base"):
        jglm.one_way(frame, "zone", "claims", base="largest")


# --------------------------------------------------------------------------- balance
def test_a_canonical_fit_is_balanced_in_every_level(frame, fit):
    found = fit.balance()
    assert found.index.get_level_values("column").unique().tolist() == ["all", "zone", "band"]
    assert np.abs(found.difference).max() < 1e-6
    np.testing.assert_allclose(found.ratio, 1.0, rtol=1e-9)
    assert found.actual["all", ""] == frame.claims.sum()
    assert fit.rebalanced().shift == 0.0
    new = policies(500, seed=9)
    assert np.abs(fit.balance([], new).difference.iloc[0]) > 1.0  # of other rows it need not be


@pytest.mark.parametrize(("family", "link"), [("gamma", "log"), ("geometric", "sqrt")])
def test_rebalanced_fits_have_the_total(family, link):
    rng = np.random.default_rng(4)
    x, w = rng.uniform(0.5, 2.0, 300), rng.uniform(0.5, 2.0, 300)
    y = rng.gamma(2.0, 0.5 + x**2) if family == "gamma" else rng.poisson(0.5 + x**2)
    fit = jglm.glm("y ~ x", {"x": x**2.5, "y": y}, family=family, link=link, weights=w)  # a wrong model
    moved = fit.rebalanced()
    before, after = (np.sum(w * v.predict()) - np.sum(w * y) for v in (fit, moved))
    assert abs(before) > 1e-3
    assert abs(after) < 1e-9 * np.sum(w * y)
    assert moved.params[1] == fit.params[1]
    np.testing.assert_allclose(moved.params[0] - fit.params[0], moved.shift)
    if link == "log":
        np.testing.assert_allclose(moved.shift, np.log(np.sum(w * y) / np.sum(w * fit.predict())))
    assert moved.deviance > fit.deviance
    assert "Rebalanced" in str(moved.summary())
    assert np.isfinite(moved.bse).all()
    assert moved.llf < fit.llf
    with pytest.raises(ValueError, match="rebalanced"):
        moved.wald_test("x")
    with pytest.raises(ValueError, match="rebalanced"):
        moved.conf_int(method="profile")


@pytest.mark.parametrize("factor", [0.6, 30.0])
def test_a_mean_that_falls_with_the_constant_is_rebalanced(factor):
    x = np.linspace(0.5, 2.0, 60)
    fit = jglm.glm("y ~ x", {"x": x, "y": 1 / (0.3 + 0.5 * x)}, family="gamma", link="inverse")
    moved = fit.rebalanced({"x": x, "y": factor / (0.3 + 0.5 * x)})
    np.testing.assert_allclose(moved.predict().sum(), factor * fit.predict().sum(), rtol=1e-10)
    assert np.sign(moved.shift) == np.sign(1 - factor)


def test_rebalancing_to_other_rows_and_back(tmp_path, frame, fit):
    new = policies(700, seed=5)
    moved = fit.rebalanced(new)
    np.testing.assert_allclose(moved.predict(new).sum(), new.claims.sum(), rtol=1e-12)
    np.testing.assert_allclose(moved.rebalanced().params, fit.params, atol=1e-9)
    np.testing.assert_allclose(moved.rebalanced().deviance, fit.deviance, rtol=1e-12)
    moved.save(tmp_path / "m.jglm")
    assert jglm.load(tmp_path / "m.jglm").shift == moved.shift
    with pytest.raises(ValueError, match="no constant gives"):
        fit.rebalanced(new.assign(claims=0))
    with pytest.raises(ValueError, match="needs the data"):
        moved.detach().rebalanced()
    with pytest.raises(ValueError, match="intercept"):
        jglm.glm("claims ~ zone - 1", frame, family="poisson").rebalanced()


# --------------------------------------------------------------------------- levels in groups
def test_known_groups_are_found(frame, fit):
    found = jglm.group_levels(fit, "zone", min_share=0.02)
    assert sorted(map(sorted, found.groups.values())) in ([["a", "b"], ["c", "d"], ["e"], ["f"]],
                                                          [["a", "b", "f"], ["c", "d"], ["e"]])  # fmt: skip
    bands = jglm.group_levels(fit, "band")
    assert bands.groups == {"1 to 3": [1, 2, 3], "4 to 5": [4, 5]}
    for groups in (found, bands):
        again = jglm.glm(FORMULA, groups.apply(frame), family="poisson", exposure="years", tol=1e-11)
        np.testing.assert_allclose(groups.cost, again.deviance - fit.deviance, atol=1e-6)
        np.testing.assert_allclose(groups.fit.predict(groups.apply(frame)), again.predict(), rtol=1e-7)
        assert groups.df == len(fit.names) - len(again.names)


def test_wald_statistics_of_a_path_add_up_to_the_joint_one(fit):
    found = jglm.group_levels(fit, "zone", stop=None)
    assert found.groups == {v: [v] for v in "abcdef"}
    found = jglm.group_levels(fit, "zone", stop=1e-6)
    done = found.steps[found.steps.merged]
    equal = [f"zone[T.{m}] = zone[T.{g[0]}]" if "a" not in (m, g[0]) else f"zone[T.{max(m, g[0])}] = 0"
             for g in found.groups.values() for m in g[1:]]  # fmt: skip
    np.testing.assert_allclose(done.total.iloc[-1], fit.wald_test(equal).statistic, rtol=1e-8)


def test_likelihood_ratios_are_those_of_refits(frame, fit):
    found = jglm.group_levels(fit, "zone", test="lr", stop=1e-3)
    made = found.steps[found.steps.merged]
    np.testing.assert_allclose(made.statistic.sum(), found.cost, rtol=1e-8)
    np.testing.assert_allclose(found.steps.p, stats.chi2.sf(found.steps.statistic, 1), rtol=1e-10)
    wald = jglm.group_levels(fit, "zone", stop=1e-3)
    np.testing.assert_allclose(wald.steps.statistic, found.steps.statistic, rtol=0.15, atol=0.05)


def test_ordered_levels_merge_with_neighbours_alone():
    effect, cov = np.array([0.0, 1.0, 0.02, 1.01]), np.eye(4) * 0.01
    start = Merging([["a"], ["b"], ["c"], ["d"]], np.ones(4), True, effect, cov)
    assert [a + b for (a, b), _, _ in start.path()] == [["b", "c"], ["b", "c", "d"], ["a", "b", "c", "d"]]
    free = Merging([["a"], ["b"], ["c"], ["d"]], np.ones(4), False, effect, cov)
    assert [sorted(a + b) for (a, b), _, _ in free.path()[:2]] == [["b", "d"], ["a", "c"]]
    rare = Merging([["a"], ["b"], ["c"], ["d"]], np.array([5.0, 1.0, 5.0, 5.0]), True, effect, cov).without_rare(2.0)
    assert rare.groups == [["a"], ["b", "c"], ["d"]]  # the neighbour that differs less


def test_rare_levels_of_a_frame(frame):
    found = jglm.group_levels(frame, "zone", min_share=0.16, exposure="years", other="rest")
    assert found.groups == {"a": ["a"], "b": ["b"], "rest": ["c", "d", "e", "f"]}
    assert found.fit is None
    np.testing.assert_allclose(found.exposure["a"], frame.years[frame.zone == "a"].sum())
    new = pandas.DataFrame({"zone": ["f", None, "b", "x"]})
    with pytest.raises(ValueError, match="level 'x', which is in no group"):
        found.apply(new)
    assert found.apply(new, unseen="rest").zone.astype(object).fillna("-").tolist() == ["rest", "-", "b", "rest"]
    bands = jglm.group_levels(frame, "band", min_exposure=frame.years[frame.band == 3].sum() + 1, exposure="years")
    assert all(v == sorted(v) and v[-1] - v[0] == len(v) - 1 for v in bands.groups.values())
    ordered = jglm.group_levels(frame, "zone", min_share=0.1, exposure="years", ordered=list("fabcde"))
    assert ordered.groups["f to a"] == ["f", "a"]


def test_missing_values_are_a_level_where_the_fit_has_it(frame):
    frame = frame.assign(zone=frame.zone.where(frame.index % 9 > 0))
    fit = jglm.glm("claims ~ zone", frame, family="poisson", exposure="years", missing="as_missing")
    table = jglm.one_way(frame, "zone", "claims", exposure="years").loc["zone"]
    np.testing.assert_allclose(fit.relativities(X=frame).value, table.relativity, rtol=1e-6)
    found = jglm.group_levels(fit, "zone", min_share=0.02)
    assert "(missing)" in found.mapping
    grouped = found.apply(frame)
    assert not grouped.zone.isna().any()
    np.testing.assert_allclose(found.fit.predict(grouped), found.fit.predict(), rtol=1e-12)


def test_coded_designs_and_streams_are_alike(tmp_path, monkeypatch, frame, fit):
    frame.to_parquet(tmp_path / "f.parquet")
    stream = jglm.open_parquet(tmp_path / "f.parquet")
    given = jglm.glm("claims ~ age", frame, family="poisson", exposure="years", fixed=FIXED)
    np.testing.assert_allclose(given.predict(stream), given.predict(frame), rtol=1e-12)
    for option in ({"reference": "most_exposed"}, {"fixed": FIXED}):
        with pytest.raises(ValueError, match="data in memory"):
            jglm.glm("claims ~ zone", stream, family="poisson", **option)
    found = jglm.group_levels(fit, "zone", min_share=0.02)
    monkeypatch.setattr("jglm.inputs.coding.ELEMENTS", 0)
    coded = jglm.glm(FORMULA, frame, family="poisson", exposure="years", reference="most_exposed", tol=1e-11)
    assert type(coded._prepared.design).__name__ == "Categorical"
    np.testing.assert_allclose(coded.rating_table().sort_index(), fit.rating_table().sort_index(), rtol=1e-6)
    other = jglm.group_levels(coded, "zone", min_share=0.02)
    assert sorted(map(sorted, other.groups.values())) == sorted(map(sorted, found.groups.values()))
    np.testing.assert_allclose(other.cost, found.cost, atol=1e-6)


def test_groups_that_cannot_be(frame, fit):
    with pytest.raises(ValueError, match="several effects"):
        jglm.group_levels(jglm.glm("claims ~ zone * age", frame, family="poisson"), "zone")
    with pytest.raises(ValueError, match="penalty"):
        jglm.group_levels(jglm.glm("claims ~ zone", frame, family="poisson", penalty=jglm.penalties.ridge(1.0)), "zone")
    with pytest.raises(ValueError, match="column"):
        jglm.group_levels(fit, "age")
    with pytest.raises(ValueError, match="stop"):
        jglm.group_levels(fit, "zone", stop="aic")
    with pytest.raises(ValueError, match="each level once"):
        jglm.group_levels(fit, "zone", ordered=list("abc"))
    with pytest.raises(ValueError, match="min_share"):
        jglm.group_levels(fit, "zone", min_share=-1.0)
    with pytest.raises(ValueError, match="has its data"):
        jglm.group_levels(fit.detach(), "zone")


def test_groups_of_an_estimated_family(frame):
    fit = jglm.glm("claims ~ zone", frame, family="negative_binomial", exposure="years")
    found = jglm.group_levels(fit, "zone", min_share=0.02)
    again = jglm.glm("claims ~ zone", found.apply(frame), family="negative_binomial", exposure="years")
    np.testing.assert_allclose(found.cost, 2 * (fit.llf - again.llf), atol=1e-5)
    np.testing.assert_allclose(found.fit.family_params["r"], again.family_params["r"], rtol=1e-5)
    assert found.fit.params.shape == again.params.shape


def test_groups_show_themselves_with_names_escaped():
    frame = {"car": ["<script>"] * 3 + ["b"] * 5, "y": [1.0] * 8}
    found = jglm.group_levels(frame, "car", min_exposure=4)
    assert "<script>" not in found._repr_html_()
    assert "&lt;script&gt;" in found._repr_html_()
    assert repr(found).startswith("car: 2 levels in 2 groups")


# --------------------------------------------------------------------------- the page
PAGE = Path(__file__).parents[1] / "docs" / "actuaries.md"


def like_fremtpl2(folder, n=5000):
    """Files of the columns of freMTPL2 with policies that were drawn."""
    rng = np.random.default_rng(3)
    regions = dict.fromkeys(("R11", "R24", "R53", "R82"), 0.0) | dict.fromkeys(("R31", "R52", "R93"), 0.6)
    frame = pandas.DataFrame({
        "IDpol": np.arange(n), "Exposure": rng.uniform(0.2, 1.1, n), "VehPower": rng.integers(4, 12, n),
        "VehAge": rng.integers(0, 20, n), "DrivAge": rng.integers(18, 90, n), "BonusMalus": rng.integers(50, 151, n),
        "VehGas": rng.choice(["Diesel", "Regular"], n), "Region": rng.choice(list(regions), n),
    })  # fmt: skip
    frame["ClaimNb"] = rng.poisson(frame.Exposure * 0.3 * frame.BonusMalus / 100 * np.exp(frame.Region.map(regions)))
    who = frame.IDpol.repeat(frame.ClaimNb)
    claims = pandas.DataFrame({"IDpol": who, "ClaimAmount": rng.gamma(1.0, 2000.0, len(who))})
    frame.to_parquet(folder / "freMTPL2freq.parquet")
    claims.to_parquet(folder / "freMTPL2sev.parquet")


def test_the_page_for_actuaries_runs(tmp_path, monkeypatch, capsys):
    made = "FREMTPL2" not in os.environ
    if made:
        like_fremtpl2(tmp_path)
        monkeypatch.setenv("FREMTPL2", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    said, page = {}, {}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.S):
        exec(compile(block, str(PAGE), "exec"), page)
        said[len(said)] = capsys.readouterr().out
    train, frequency, balanced = page["train"], page["frequency"], page["balanced"]
    np.testing.assert_allclose(frequency.predict(train).sum(), train.claims.sum(), rtol=1e-6)
    hurt = page["hurt"]
    np.testing.assert_allclose(np.sum(balanced.predict(hurt) * hurt.claims), hurt.paid.sum(), rtol=1e-9)
    assert 0.7 < page["test"].paid.sum() / page["premium"].sum() < 1.4
    assert "True" in said[len(said) - 1]
    assert len(pandas.read_csv("tariff.csv")) == len(page["tariff"])
    assert r"\label{tab:frequency}" in Path("tariff.tex").read_text()
    groups = page["region"].groups
    if made:
        assert sorted(map(sorted, groups.values())) == [["R11", "R24", "R53", "R82"], ["R31", "R52", "R93"]]
    else:  # what the page shows is what it prints
        for text in said.values():
            for line in filter(None, map(str.strip, text.splitlines())):
                assert line in PAGE.read_text()
