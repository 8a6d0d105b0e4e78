"""Streams: fits of files are those of the same rows in memory; faults end in clear errors, from which a fit goes on."""

import errno
import os
import subprocess
import sys
import threading

import jax
import numpy as np
import pandas as pd
import pytest

import jglm
from jglm.fitting import minibatches
from jglm.regularization.streampaths import StreamSource
from jglm.solvers import Minibatch, Status
from jglm.streams import checkpoint, columns, groups, scan, store, stream, streamed

pq, feather = pytest.importorskip("pyarrow.parquet"), pytest.importorskip("pyarrow.feather")
QUIET = dict(progress=False)
FORMULA = "y ~ x + z + C(g) + h"


def frame_of(n=6000):
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"x": rng.normal(size=n), "z": rng.normal(size=n).astype(np.float32)})
    frame["i"], frame["g"] = rng.integers(1, 5, n).astype(np.int16), rng.choice(["c", "a", "b"], n)
    frame["w"], frame["e"] = rng.integers(0, 3, n).astype(float), rng.uniform(0.5, 2, n)
    frame["h"] = pd.Categorical(rng.choice(["lo", "mid", "hi"], n), ["lo", "mid", "hi", "never"])
    frame["y"] = rng.poisson(np.exp(0.3 * frame.x - 0.2 * frame.z + 0.5 * (frame.g == "a")) * frame.e)
    frame["label"] = np.where(rng.random(n) < 1 / (1 + np.exp(-frame.x)), "yes", "no")
    frame["kind"] = rng.choice(["u", "v", "w"], n)
    frame.loc[::500, "x"] = np.nan
    frame.loc[7::900, "g"] = None
    return frame


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder, frame = tmp_path_factory.mktemp("tables"), frame_of()
    for j in range(4):
        frame.iloc[j * 1500 : (j + 1) * 1500].to_parquet(folder / f"part-{j}.parquet", row_group_size=700)
    return folder


@pytest.fixture(scope="module")
def frame(folder):
    return pd.read_parquet(folder)


def close(a, b, tol=1e-9):
    assert a.names == b.names
    assert np.allclose(a.params, b.params, rtol=tol, atol=tol, equal_nan=True)
    assert a.nobs == b.nobs
    for name in ("deviance", "null_deviance", "llf", "scale"):
        assert getattr(a, name) == pytest.approx(getattr(b, name), rel=1e-8)


# --------------------------------------------------------------------------- the same fits
@pytest.mark.parametrize(
    ("formula", "options"),
    [
        (FORMULA, dict(family="poisson")),
        ("y ~ x*z + C(i):h + g", dict(family="poisson", weights="w", exposure="e")),
        ("label ~ x + h", dict(family="bernoulli")),
        ("kind ~ x + h", dict(family="categorical")),
        ("e ~ center(x) + np.exp(z) + bs(x, knots=[0.5]) + offset(e / 9)", dict(family="gaussian", weights="w")),
    ],
)
def test_a_stream_is_fitted_as_its_rows_in_memory(folder, frame, formula, options):
    here, there = jglm.glm(formula, frame, **options), jglm.glm(formula, jglm.open_parquet(folder), **options, **QUIET)
    close(here, there)
    assert there.n_dropped == here.n_dropped > 0
    assert np.allclose(here.bse, there.bse, rtol=1e-7, equal_nan=True)
    assert there.n_iter <= 6


def test_penalties(folder, frame):
    stream = jglm.open_parquet(folder)
    for penalty in (jglm.penalties.ridge(5.0), jglm.penalties.lasso(20.0, scale="sum")):
        here = jglm.glm(FORMULA, frame, family="poisson", penalty=penalty)
        there = jglm.glm(FORMULA, stream, family="poisson", penalty=penalty, **QUIET)
        assert np.allclose(here.params, there.params, atol=1e-9)
        assert np.array_equal(here.params == 0, there.params == 0)


def test_free_parameters(folder, frame):
    here = jglm.glm(FORMULA, frame, family="negative_binomial")
    there = jglm.glm(FORMULA, jglm.open_parquet(folder), family="negative_binomial", **QUIET)
    close(here, there, 1e-7)
    assert there.family_params["r"] == pytest.approx(here.family_params["r"], rel=1e-5)
    assert there.family_params_se["r"] == pytest.approx(here.family_params_se["r"], rel=1e-4)


def test_own_family_and_arrays(folder, frame):
    import jax.numpy as jnp

    own = jglm.Family("own", a=jnp.exp)
    columns = ["z", "i", "e", "y", "w"]
    here = jglm.fit(frame[["z", "i", "e"]], frame.y, family=own, weights=frame.w)
    there = jglm.fit(jglm.open_parquet(folder, columns=columns), "y", family=own, weights="w", **QUIET)
    assert np.allclose(here.params, there.params, atol=1e-9)
    assert np.allclose(here.bse, there.bse, rtol=1e-7)
    with pytest.raises(TypeError, match="'g'"):
        jglm.fit(jglm.open_parquet(folder), "y", family=own, **QUIET)


def test_gradient_passes_about_the_hessian_of_a_sample(folder, frame, monkeypatch):
    monkeypatch.setattr(scan, "SAMPLE", 2500)
    here = jglm.glm(FORMULA, frame, family="poisson")
    there = jglm.glm(FORMULA, jglm.open_parquet(folder), family="poisson", **QUIET)
    close(here, there)
    assert there.solver == "sketched"
    assert there.n_iter <= 8


def test_levels_that_the_sample_lacks(tmp_path, monkeypatch):
    rng, n = np.random.default_rng(0), 4000
    frame = pd.DataFrame({"x": rng.normal(size=n), "g": rng.choice(["a", "b"], n)})
    frame.loc[[17, 1717, 3003], "g"] = "rare"
    frame["y"] = rng.poisson(np.exp(0.3 * frame.x))
    frame.to_parquet(tmp_path / "a.parquet")
    monkeypatch.setattr(scan, "SAMPLE", 600)
    here = jglm.glm("y ~ x + g", frame, family="poisson")
    there = jglm.glm("y ~ x + g", jglm.open_parquet(tmp_path), family="poisson", **QUIET)
    close(here, there, 1e-8)
    frame["twice"] = 2 * frame.x
    frame.to_parquet(tmp_path / "a.parquet")
    there = jglm.glm("y ~ x + g + twice", jglm.open_parquet(tmp_path), family="poisson", **QUIET)
    assert there.aliased == ["twice"]
    assert np.allclose(there.params[:4], here.params, atol=1e-8)


def test_csv_and_arrow_files(tmp_path, frame):
    frame.to_csv(tmp_path / "a.csv", index=False)
    feather.write_feather(frame, tmp_path / "a.feather", compression="uncompressed", chunksize=900)
    here = jglm.glm("y ~ x + z + C(g)", frame, family="poisson")
    close(here, jglm.glm("y ~ x + z + C(g)", jglm.open_csv(tmp_path / "a.csv"), family="poisson", **QUIET), 1e-6)
    close(here, jglm.glm("y ~ x + z + C(g)", jglm.open_arrow(tmp_path / "a.feather"), family="poisson", **QUIET))


def test_shares_of_processes_make_one_fit(folder, frame):
    wait, told = threading.Barrier(2), [{}, {}]

    class Together:
        def __init__(self, index):
            self.index, self.count = index, 2

        def gather(self, value):
            told[self.index]["value"] = value
            wait.wait(60)
            both = [part["value"] for part in told]
            wait.wait(60)
            return both

        def sum(self, tree):
            first, second = self.gather(tree)
            return streamed.add(first, second)

    found = [None, None]

    def run(index):
        share = jglm.open_parquet(folder).share(index, 2, Together(index))
        found[index] = jglm.glm(FORMULA, share, family="poisson", **QUIET)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(2)]
    [t.start() for t in threads]
    [t.join(120) for t in threads]
    here = jglm.glm(FORMULA, frame, family="poisson")
    for there in found:
        assert np.allclose(here.params, there.params, atol=1e-9)
        assert np.allclose(here.bse, there.bse, rtol=1e-7)
        assert (there.nobs, there.deviance) == (here.nobs, pytest.approx(here.deviance))


# --------------------------------------------------------------------------- predictions
def test_predictions_of_a_stream(folder, frame, tmp_path):
    stream, out = jglm.open_parquet(folder), tmp_path / "p.parquet"
    fit = jglm.glm(FORMULA, stream, family="poisson", exposure="e", **QUIET)
    expected = fit.predict(frame)
    assert np.array_equal(fit.predict(stream), expected, equal_nan=True)
    assert fit.predict(stream, out=out, interval="mean") == out
    table = pd.read_parquet(out)
    assert list(table) == ["mean", "low", "high"]
    assert np.allclose(table["mean"], expected, equal_nan=True)
    other = folder.parent / "other"
    other.mkdir(exist_ok=True)
    frame.assign(g="new").to_parquet(other / "a.parquet")
    with pytest.raises(ValueError, match="'new'"):
        fit.predict(jglm.open_parquet(other), out=tmp_path / "q.parquet")
    assert [p.name for p in tmp_path.iterdir()] == ["p.parquet"]
    with pytest.raises(ValueError, match="stay on disk"):
        fit.residuals()


# --------------------------------------------------------------------------- the cache
def test_a_cache_is_read_in_place_of_the_files(folder, tmp_path, monkeypatch):
    fit = lambda: jglm.glm(FORMULA, jglm.open_parquet(folder, cache=tmp_path), family="poisson", **QUIET)
    first = fit()
    read = lambda *args: pytest.fail("the files were read again")
    with monkeypatch.context() as patch:
        patch.setattr(stream.sources.ParquetSource, "_batches", read)
        second = fit()
    assert np.allclose(first.params, second.params, rtol=0, atol=1e-14)
    assert first.deviance == pytest.approx(second.deviance, rel=1e-14)
    piece = next(tmp_path.rglob("piece-000001.arrow"))
    piece.write_bytes(piece.read_bytes()[:-100])  # cut short: written again
    assert np.allclose(fit().params, first.params, rtol=0, atol=1e-14)


def test_a_full_disk_is_said_and_leaves_nothing(folder, tmp_path, monkeypatch):
    def full(self, arrays):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store.Writer, "_write", full)
    with pytest.raises(OSError, match="disk is full"):
        jglm.glm(FORMULA, jglm.open_parquet(folder, cache=tmp_path), family="poisson", **QUIET)
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_more_levels_than_the_first_blocks_tell(tmp_path):
    n = 3000
    frame = pd.DataFrame({"g": np.arange(n) // 10, "x": np.arange(n) % 7.0, "y": np.arange(n) % 5})
    frame["g"] = "l" + frame.g.astype(str)
    frame.to_parquet(tmp_path / "a.parquet", row_group_size=500)
    blocks = stream.Stream(stream.sources.ParquetSource([str(tmp_path / "a.parquet")]), cache=tmp_path / "c", rows=512)
    penalty = jglm.penalties.ridge(1.0)
    there = jglm.glm("y ~ x + g", blocks, family="poisson", penalty=penalty, **QUIET)
    here = jglm.glm("y ~ x + g", frame, family="poisson", penalty=penalty)
    assert np.allclose(here.params, there.params, atol=1e-8)


# --------------------------------------------------------------------------- faults
def copied(folder, tmp_path):
    for file in folder.glob("*.parquet"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def test_damaged_files_are_named(folder, tmp_path):
    files = copied(folder, tmp_path)
    opened, victim = jglm.open_parquet(files), files / "part-2.parquet"
    whole = victim.read_bytes()
    victim.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"part-2.parquet is no Parquet file, or was cut short"):
        jglm.open_parquet(files)
    with pytest.raises(ValueError, match=r"part-2.parquet was changed while"):
        jglm.glm(FORMULA, opened, family="poisson", **QUIET)
    damaged = bytearray(whole)
    damaged[4:200] = bytes(196)
    victim.write_bytes(damaged)
    with pytest.raises(ValueError, match=r"part-2.parquet \(row group 0.*cannot be read"):
        jglm.glm(FORMULA, jglm.open_parquet(files), family="poisson", **QUIET)


def test_other_columns_are_refused(folder, frame, tmp_path):
    files = copied(folder, tmp_path)
    frame.assign(x=frame.x.astype(str)).to_parquet(files / "part-9.parquet")
    with pytest.raises(ValueError, match=r"column 'x' is .*part-9.parquet"):
        jglm.open_parquet(files)
    frame.drop(columns="x").to_parquet(files / "part-9.parquet")
    with pytest.raises(ValueError, match="has no column 'x'"):
        jglm.open_parquet(files)
    with pytest.raises(FileNotFoundError, match="no parquet file"):
        jglm.open_parquet(tmp_path / "nowhere" / "*.parquet")


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("y ~ poly(x, 2)", "learns more from all rows"),
        ("y ~ bs(x, df=6)", "give knots="),
        ("y ~ nope", "no column 'nope'"),
        ("y ~ i + C(i)", "another name"),
        ("g ~ x", "'g' of text"),
    ],
)
def test_what_a_stream_cannot_do_is_said(folder, formula, message):
    with pytest.raises((ValueError, TypeError), match=message):
        jglm.glm(formula, jglm.open_parquet(folder), family="poisson", **QUIET)


def test_values_that_cannot_be_are_refused(folder, frame, tmp_path):
    frame.assign(y=-frame.y).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"a.parquet .*: y has \d+ negative"):
        jglm.glm(FORMULA, jglm.open_parquet(tmp_path), family="poisson", **QUIET)
    with pytest.raises(TypeError, match="name of a column"):
        jglm.glm(FORMULA, jglm.open_parquet(tmp_path), family="poisson", weights=frame.w, **QUIET)
    with pytest.raises(ValueError, match="for streams"):
        jglm.glm(FORMULA, frame, family="poisson", checkpoint=tmp_path / "c")


# --------------------------------------------------------------------------- checkpoints
FIT = """
import os, signal, sys, numpy, jglm
from jglm.streams import checkpoint
folder, keep, out, last = sys.argv[1:4] + [int(sys.argv[4])]
write, left = checkpoint.Checkpoint.write, [last]
def killed(self, *args):
    write(self, *args)
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
checkpoint.Checkpoint.write = killed
fit = jglm.glm("y ~ x + z + C(g) + h", jglm.open_parquet(folder), family="poisson", checkpoint=keep, resume=True,
               progress=False)
numpy.save(out, fit.params)
"""


@pytest.mark.skipif(os.name == "nt", reason="kill -9")
def test_a_killed_process_goes_on_where_it_was(folder, frame, tmp_path):
    command = [sys.executable, "-c", FIT, str(folder), str(tmp_path / "keep"), str(tmp_path / "out.npy")]
    codes = [subprocess.run([*command, str(last)]).returncode for last in (2, 2, 0)]
    assert codes == [-9, -9, 0]
    whole = jglm.glm(FORMULA, jglm.open_parquet(folder), family="poisson", **QUIET)
    # Levels have the numbers under which some thread first met them: sums may differ in their last bit.
    assert np.allclose(np.load(tmp_path / "out.npy"), whole.params, rtol=0, atol=1e-14)


def test_an_interrupted_pass_keeps_its_sums(folder, tmp_path, monkeypatch):
    opened, whole = jglm.open_parquet(folder), None
    fit = lambda **more: jglm.glm(FORMULA, opened, family="poisson", **more, **QUIET)
    whole, combine, calls = fit(), streamed.add, [0]

    def interrupting(a, b):
        calls[0] += 1
        if calls[0] == 2:
            raise KeyboardInterrupt
        return combine(a, b)

    monkeypatch.setattr(stream, "ROWS", 1 << 16)
    for _ in range(3):
        calls[0] = 0
        with monkeypatch.context() as patch:
            patch.setattr(streamed, "add", interrupting)
            with pytest.raises(KeyboardInterrupt):
                fit(checkpoint=tmp_path, resume=True)
    assert (tmp_path / "partial.checkpoint").exists()
    assert np.allclose(fit(checkpoint=tmp_path, resume=True).params, whole.params, rtol=0, atol=1e-14)


def test_a_checkpoint_of_another_fit_is_refused(folder, tmp_path):
    opened = jglm.open_parquet(folder)
    jglm.glm(FORMULA, opened, family="poisson", checkpoint=tmp_path, **QUIET)
    with pytest.raises(ValueError, match="of another fit: formula changed"):
        jglm.glm("y ~ x", opened, family="poisson", checkpoint=tmp_path, resume=True, **QUIET)
    (tmp_path / "newton.checkpoint").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="not a jglm model file"):
        jglm.glm(FORMULA, opened, family="poisson", checkpoint=tmp_path, resume=True, **QUIET)
    with pytest.raises(ValueError, match="checkpoint="):
        jglm.glm(FORMULA, opened, family="poisson", resume=True, **QUIET)


def test_trees_survive_a_checkpoint(tmp_path):
    tree = {"a": [np.arange(3.0), None], "b": (np.array(2), {"c": np.ones((2, 2))})}
    kept = checkpoint.Checkpoint(tmp_path)
    kept.write("tree", *checkpoint.packed(tree))
    again = checkpoint.unpacked(*kept.read("tree"))
    assert again["a"][1] is None
    assert isinstance(again["b"], tuple)
    assert np.array_equal(again["b"][1]["c"], np.ones((2, 2)))


# --------------------------------------------------------------------------- progress
def test_progress_tells_rows_and_passes(folder, capsys):
    jglm.glm(FORMULA, jglm.open_parquet(folder), family="poisson", progress=True)
    said = capsys.readouterr().err
    assert "first pass" in said
    assert "row/s" in said
    assert "from the optimum" in said


# --------------------------------------------------------------------------- paths, docs
def test_a_path_of_a_stream(folder, frame):
    options = dict(family="poisson", strengths=6, tol=1e-8, progress=False)
    here = jglm.path(FORMULA, frame, **options)
    there = jglm.path(FORMULA, jglm.open_parquet(folder), **options)
    assert here.names == there.names
    assert np.allclose(here.strengths, there.strengths, rtol=1e-9)
    assert np.allclose(here.params, there.params, atol=1e-8)
    assert np.array_equal(here.params == 0, there.params == 0)
    assert np.allclose(here.deviance, there.deviance, rtol=1e-9)
    assert there.null_deviance == pytest.approx(here.null_deviance)
    fit = there.fit_at(there.strengths[2])
    assert fit.deviance == pytest.approx(there.deviance[2])
    with pytest.raises(ValueError, match="scale"):
        jglm.path(FORMULA, jglm.open_parquet(folder), standardize=True, **options)


def test_robust_covariances(folder, frame):
    stream, whole = jglm.open_parquet(folder), frame.dropna()
    models = (FORMULA, dict(family="poisson", weights="w")), ("kind ~ x + g", dict(family="categorical"))
    for formula, options in models:
        for column in ("label", "i"):  # text, numbers
            here = jglm.glm(formula, whole, covariance="cluster", groups=column, **options)
            there = jglm.glm(formula, stream, covariance="cluster", groups=column, **options, **QUIET)
            np.testing.assert_allclose(there.bse, here.bse, rtol=1e-8)
        for kind in ("HC1", "HC3", "CR0") if formula == FORMULA else ("HC1", "CR0"):
            groups = {} if kind.startswith("HC") else {"groups": whole["i"]}
            np.testing.assert_allclose(
                there.with_covariance(kind).bse, here.with_covariance(kind, **groups).bse, rtol=1e-8
            )
    assert "4 groups" in str(there.summary())
    assert np.allclose(there.detach().bse, here.bse)
    with pytest.raises(ValueError, match="needs groups="):
        jglm.glm("y ~ z", stream, family="poisson", covariance="cluster", **QUIET)
    with pytest.raises(ValueError, match="all rows at once"):
        there.with_covariance("HAC")
    with pytest.raises(ValueError, match="named at the fit"):
        there.with_covariance("CR1", groups=np.arange(3))
    with pytest.raises(TypeError, match="name of a column"):
        jglm.glm("y ~ z", stream, family="poisson", covariance="cluster", groups=whole.i, **QUIET)


def test_cross_validation_of_a_stream(folder, frame):
    options = dict(family="poisson", strengths=[100.0, 10.0], weights="w", exposure="e", tol=1e-8)
    whole, stream = frame.dropna(), jglm.open_parquet(folder)
    for column in ("kind", "i"):  # text, numbers
        here = jglm.cross_validate(FORMULA, whole, folds=whole[column], **options)
        there = jglm.cross_validate(FORMULA, stream, folds=column, **options, **QUIET)
        assert np.allclose(here.fold_weight, there.fold_weight)
        assert np.allclose(here.fold_deviance, there.fold_deviance, rtol=1e-8)
        assert there.fold_kkt.max() < 1e-7
        assert np.allclose(here.fit().params, there.fit().params, atol=1e-8)
    for wrong, error in ((1, "at least 2"), (whole.kind, "name of a column")):
        with pytest.raises((ValueError, TypeError), match=error):
            jglm.cross_validate(FORMULA, stream, folds=wrong, **options)
    with pytest.raises(ValueError, match="more than 1000 distinct"):
        jglm.cross_validate("y ~ x", stream, folds="e", family="poisson")


def test_folds_drawn_by_where_a_row_stands():
    drawn, block = groups.Drawn(5, 7), lambda rows: columns.Block(rows, {}, {})
    whole = drawn.of(3, 0, block(1000))
    assert np.array_equal(whole, np.concatenate([drawn.of(3, 0, block(300)), drawn.of(3, 300, block(700))]))
    counts = np.bincount(np.concatenate([drawn.of(piece, 0, block(10_000)) for piece in range(10)]))
    assert len(counts) == 5
    assert np.sum((counts - 20_000) ** 2 / 20_000) < 18.5  # chi2 of 4 degrees, one in a thousand
    assert np.mean(whole == groups.Drawn(5, 8).of(3, 0, block(1000))) < 0.3
    assert np.mean(whole == drawn.of(4, 0, block(1000))) < 0.3


def test_minibatches_of_a_stream(folder, tmp_path, monkeypatch):
    opened, best = jglm.open_parquet(folder), jglm.glm(FORMULA, jglm.open_parquet(folder), family="poisson", **QUIET)
    solver = Minibatch(batch=100, epochs=3, seed=2)
    monkeypatch.setattr(minibatches, "CHUNK", 1000)
    fit = lambda **more: jglm.glm(FORMULA, opened, family="poisson", solver=solver, **more, **QUIET)
    whole = fit()
    assert whole.status == Status.ENDED
    assert whole.nobs == best.nobs
    assert np.max(np.abs(whole.params - best.params) / best.bse) < 0.3
    assert whole.deviance - best.deviance < 1e-3 * (best.null_deviance - best.deviance)
    assert np.allclose(fit().params, whole.params, rtol=0, atol=1e-12)  # the seed decides
    # Ctrl-C in the second epoch: the first is kept.
    calls, stacked = [0], minibatches.stacked

    def interrupting(*args):
        calls[0] += 1
        if calls[0] == 9:
            raise KeyboardInterrupt
        return stacked(*args)

    with monkeypatch.context() as patch:
        patch.setattr(minibatches, "stacked", interrupting)
        with pytest.raises(KeyboardInterrupt, match="resume"):
            fit(checkpoint=tmp_path)
    calls[0] = 100
    monkeypatch.setattr(minibatches, "stacked", interrupting)
    assert np.allclose(fit(checkpoint=tmp_path, resume=True).params, whole.params, rtol=0, atol=1e-12)
    assert calls[0] < 100 + 18  # two epochs of six calls and a bit, not three
    with pytest.raises(ValueError, match="kinks"):
        fit(penalty=jglm.penalties.lasso(1.0))


def test_a_fit_without_a_fold(folder, frame):
    lasso = jglm.penalties.lasso(1.0)
    source = StreamSource(FORMULA, jglm.open_parquet(folder), "poisson", None, lasso, False, {}, "kind")
    with jax.enable_x64(True):
        found = source.finish(np.asarray(20.0), np.zeros(len(source.kept)), 1e-8, left_out=1)
    whole = frame.dropna(subset=["x", "g"])
    here = jglm.glm(FORMULA, whole[whole.kind != "v"], family="poisson", penalty=jglm.penalties.lasso(20.0))
    assert np.allclose(found.flat, here.params, atol=1e-8)
