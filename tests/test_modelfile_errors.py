"""Model files that are damaged, forged or no model files: nothing in them runs, and no number comes of them."""

import copy
import json
import pickle
import struct

import jax.numpy as jnp
import numpy as np
import pytest
from refusing import COUNTS, EVENTS, FRAME, REFUSED, X, fit, glm, refused

import jglm
from jglm.keeping import io, modelfile


@pytest.fixture(scope="module")
def by_formula():
    return glm("y ~ x + C(g)")


@pytest.fixture
def saved(by_formula, tmp_path):
    path = tmp_path / "fit.jglm"
    by_formula.save(path)
    return path


def facts_of(path):
    """The header of a safetensors file, the model's facts in it, and what follows."""
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])
    return header, json.loads(header["__metadata__"]["jglm"]), data[8 + size :]


def edit_by_hand(path, change):
    """Edit the facts of a model file as text."""
    header, facts, rest = facts_of(path)
    change(facts)
    header["__metadata__"]["jglm"] = json.dumps(facts)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + rest)


def forge(path, fit, change):
    """Write a model file whose facts were changed by someone who knows the format."""
    arrays, facts = modelfile.state(fit)
    change(facts, arrays)
    io.write(path, arrays, facts)


def test_files_keep_a_fit(saved, by_formula):
    again = jglm.load(saved)
    np.testing.assert_array_equal(again.params, by_formula.params)
    np.testing.assert_array_equal(again.predict(FRAME), by_formula.predict(FRAME))
    np.testing.assert_array_equal(again.cov_params(), by_formula.cov_params())
    assert again.names == by_formula.names
    assert str(again.summary()) == str(by_formula.summary())
    assert (again.aic, again.null_deviance, again.status) == (
        by_formula.aic,
        by_formula.null_deviance,
        by_formula.status,
    )
    with refused("which was not there at the fit"):
        again.predict(FRAME.assign(g="zz"))
    with refused("needs the data of the fit"):
        again.residuals()
    assert [p.name for p in saved.parent.iterdir()] == [saved.name]


@pytest.mark.parametrize(
    "options",
    [
        {"family": jglm.families.negative_binomial(2.0)},
        {"link": jglm.links.power(1 / 3), "y": COUNTS + 1, "family": "gamma"},
        {"penalty": jglm.penalties.ridge(2.0)},
        {"y": ["a", "a", "b", "b", "c", "c"] * 2, "family": "categorical"},
        {"y": np.where(EVENTS == 1, "yes", "no"), "family": "bernoulli"},
        {"weights": COUNTS, "weight_kind": "frequency", "names": ["ä", "b c"]},
        {"covariance": None},
    ],
    ids=["family params", "link params", "penalty", "classes", "labels", "weights", "no covariance"],
)
def test_files_keep_every_fit(tmp_path, options):
    fitted = fit(**options)
    fitted.save(tmp_path / "m")
    again = jglm.load(tmp_path / "m")
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))
    assert str(again.summary()) == str(fitted.summary())
    assert again.levels == fitted.levels
    assert again.family_params == fitted.family_params


def test_files_keep_the_states_of_transforms(tmp_path):
    for formula in ("y ~ scale(x)", "y ~ poly(x, 3)", "y ~ C(g, contr.sum)"):
        fitted = glm(formula)
        fitted.save(tmp_path / "m")
        np.testing.assert_array_equal(jglm.load(tmp_path / "m").predict(FRAME[2:5]), fitted.predict(FRAME)[2:5])


def test_no_file(tmp_path):
    with refused("there is no model file", FileNotFoundError):
        jglm.load(tmp_path / "none.jglm")
    with refused("no model file|is a folder", (FileNotFoundError, IsADirectoryError)):
        jglm.load(tmp_path)
    with refused("none", FileNotFoundError):
        fit().save(tmp_path / "none" / "fit.jglm")


@pytest.mark.parametrize(
    "content",
    [b"", b"y,x\n1,2\n", b"{}", b"PK\x03\x04" + bytes(100), pickle.dumps({"a": 1}), bytes(1000), b"\xff" * 1000],
    ids=["empty", "csv", "json", "zip", "pickle", "zeros", "ones"],
)
def test_not_a_model_file(tmp_path, content):
    path = tmp_path / "other.bin"
    path.write_bytes(content)
    with refused("^other.bin is not a jglm model file"):
        jglm.load(path)


def test_a_pickle_is_not_run(tmp_path):
    class Attack:
        def __reduce__(self):
            return (open, (str(tmp_path / "trace"), "w"))

    (tmp_path / "fit.jglm").write_bytes(pickle.dumps(Attack()))
    with refused("not a jglm model file"):
        jglm.load(tmp_path / "fit.jglm")
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("cut", [1, 8, 200, 1000])
def test_truncated(saved, cut):
    saved.write_bytes(saved.read_bytes()[:-cut])
    with refused("^fit.jglm is not a jglm model file, or was damaged"):
        jglm.load(saved)


def test_flipped_bytes(saved):
    """Wherever a bit changes, no other model comes out."""
    data = saved.read_bytes()
    for i in range(0, len(data), 41):
        damaged = bytearray(data)
        damaged[i] ^= 0x10
        saved.write_bytes(damaged)
        with refused("damaged|not a jglm model file|version"):
            jglm.load(saved)


def set_(*keys, value):
    def change(facts):
        for k in keys[:-1]:
            facts = facts[k]
        facts[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        lambda facts: facts["names"].pop(),
        set_("names", value=["Intercept", "z", "C(g)[T.b]", "C(g)[T.c]"]),
        set_("family", "name", value="gamma"),
        set_("link", "name", value="identity"),
        set_("nobs", value="many"),
        set_("nobs", value=1e9),
        set_("deviance", value=None),
        set_("columns", value={"offset": "z"}),
        set_("formula", "text", value="y ~ z + C(g)"),
        set_("formula", "levels", value={"dict": [["C(g)", {"list": ["c", "b", "a"]}]]}),
        lambda facts: facts.pop("status"),
    ],
    ids=["fewer names", "other names", "family", "link", "text for a number", "number", "none for a number", "columns",
         "formula", "levels", "missing"],
)  # fmt: skip
def test_edited_by_hand(saved, change):
    edit_by_hand(saved, change)
    with refused("damaged|tampered|changed"):
        jglm.load(saved)


def test_newer_version(by_formula, tmp_path, monkeypatch):
    monkeypatch.setattr(io, "VERSION", io.VERSION + 1)
    by_formula.save(tmp_path / "fit.jglm")
    monkeypatch.undo()
    with refused(f"has format version {io.VERSION + 1}; this jglm reads up to {io.VERSION}"):
        jglm.load(tmp_path / "fit.jglm")


@pytest.mark.parametrize(
    "text",
    [
        "y ~ x + I(__import__('os').system('x'))",
        "y ~ x + C(g, '`', __import__('os').system('x'), '`')",
        "I(__import__('os').system('x').y()) ~ x",
        "y ~ x + eval('1')",
    ],
)
def test_forged_formulas_run_nothing(by_formula, tmp_path, evaluated, text):
    forge(tmp_path / "m", by_formula, lambda facts, _: facts["formula"].update(text=text))
    with refused(REFUSED):
        jglm.load(tmp_path / "m")
    assert evaluated == []


@pytest.mark.parametrize(
    "change",
    [
        lambda facts, arrays: facts["names"].pop(),
        lambda facts, arrays: facts.update(names=["x"] * 4),
        lambda facts, arrays: facts.update(names=[1, 2, 3, 4]),
        lambda facts, arrays: facts["formula"].update(text="y ~ z + C(g)"),
        lambda facts, arrays: facts["formula"].update(text="y ~ x"),
        lambda facts, arrays: facts["family"].update(name="gama"),
        lambda facts, arrays: facts["family"].update(name="categorical", dim=3),
        lambda facts, arrays: facts["link"].update(name="reference(0)"),
        lambda facts, arrays: facts["link"].update(name="power(1/0)"),
        lambda facts, arrays: facts.update(status=99),
        lambda facts, arrays: facts.update(nobs="many"),
        lambda facts, arrays: facts.update(levels={}),
        lambda facts, arrays: facts.update(columns=[1]),
        lambda facts, arrays: facts.update(penalty="os.system"),
        lambda facts, arrays: facts.update(covariance="HC9"),
        lambda facts, arrays: arrays.update(params=arrays["params"][:3]),
        lambda facts, arrays: arrays.update(params=np.full(4, np.nan)),
        lambda facts, arrays: arrays.update(unscaled=np.eye(2)),
        lambda facts, arrays: arrays.pop("kept"),
    ],
    ids=["fewer names", "equal names", "numbers as names", "other columns", "fewer columns", "unknown family",
         "another kind of family", "another kind of link", "no link", "status", "nobs", "levels", "columns", "penalty",
         "covariance", "fewer params", "NaN params", "covariance of another shape", "missing"],
)  # fmt: skip
def test_forged_files_give_no_number(by_formula, tmp_path, change):
    forge(tmp_path / "m", by_formula, change)
    with refused("model|formula|damaged|column|link|family"):
        jglm.load(tmp_path / "m").predict(FRAME)


class TestOwnPartsAreGivenAgain:
    family = jglm.Family("mine", a=lambda eta: jnp.exp(eta))
    scaled = jglm.Family("scaled", a=lambda eta, s: jnp.exp(s * eta) / s, params={"s": 1.0})
    link = jglm.Link("my link", lambda lin: jnp.exp(lin))

    def save(self, path, **options):
        fitted = fit(**options)
        fitted.save(path)
        return fitted

    def test_family(self, tmp_path):
        fitted = self.save(tmp_path / "m", family=self.family)
        with refused(r"family 'mine' is one of your own; give it again: load\(path, family=...\)"):
            jglm.load(tmp_path / "m")
        with refused("the model file is of family 'mine'; you gave 'poisson'"):
            jglm.load(tmp_path / "m", family="poisson")
        np.testing.assert_array_equal(jglm.load(tmp_path / "m", family=self.family).predict(X), fitted.predict(X))

    def test_family_with_parameters(self, tmp_path):
        fitted = self.save(tmp_path / "m", family=self.scaled)
        again = jglm.load(tmp_path / "m", family=self.scaled)
        np.testing.assert_array_equal(again.predict(X), fitted.predict(X))
        assert again.family_params == {"s": 1.0}

    def test_family_that_is_called_like_another(self, tmp_path):
        self.save(tmp_path / "m", family=jglm.Family("gaussian", a=jnp.exp))
        with refused("family 'gaussian' is one of your own"):
            jglm.load(tmp_path / "m")

    def test_link(self, tmp_path):
        fitted = self.save(tmp_path / "m", link=self.link)
        with refused(r"link 'my link' is one of your own; give it again: load\(path, link=...\)"):
            jglm.load(tmp_path / "m")
        with refused("the model file is of link 'my link'; you gave 'sqrt'"):
            jglm.load(tmp_path / "m", link="sqrt")
        np.testing.assert_array_equal(jglm.load(tmp_path / "m", link=self.link).predict(X), fitted.predict(X))

    def test_link_that_is_called_like_another(self, tmp_path):
        self.save(tmp_path / "m", link=jglm.Link("log", lambda lin: jnp.exp(lin / 2)))
        with refused("link 'log' is one of your own"):
            jglm.load(tmp_path / "m")

    def test_functions(self, tmp_path):
        fitted = glm("y ~ double(x)", functions={"double": lambda v: 2 * v})
        fitted.save(tmp_path / "m")
        with refused("uses your function 'double'; give it again"):
            jglm.load(tmp_path / "m")
        again = jglm.load(tmp_path / "m", functions={"double": lambda v: 2 * v})
        np.testing.assert_array_equal(again.predict(FRAME), fitted.predict(FRAME))

    def test_functions_that_are_not_used_are_not_asked_for(self, tmp_path):
        glm("y ~ x", functions={"double": lambda v: 2 * v}).save(tmp_path / "m")
        assert jglm.load(tmp_path / "m").names == ["Intercept", "x"]


def test_pickle_and_copy(by_formula):
    for again in (pickle.loads(pickle.dumps(by_formula)), copy.deepcopy(by_formula)):
        np.testing.assert_array_equal(again.predict(FRAME), by_formula.predict(FRAME))
        np.testing.assert_array_equal(again.bse, by_formula.bse)
