"""Fits whose rows are spread over devices and processes equal those of all rows in one memory."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import shares

import jglm
from jglm.model import GRADIENT, HESSIAN, Model, Query, Unknowns
from jglm.sharing import shards, spread

ROOT = Path(__file__).parent.parent
# Programs are compiled quickly rather than well.
FLAGS = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"


def start(*arguments):
    flags = FLAGS + (" --xla_force_host_platform_device_count=8" if arguments[0] == "devices" else "")
    environment = {**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "false", "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, shares.__file__, *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def told(process):
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err[-3000:]
    return json.loads(out.strip().splitlines()[-1])


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def whole():
    """What the fits of all rows in one memory tell."""
    return json.loads(json.dumps({name: shares.told(fit) for name, fit in shares.cases(names=shares.TOLD).items()}))


def assert_same(found, expected):
    for name, fit in found.items():
        for key, value in fit.items():
            if key in ("names", "levels"):
                assert value == expected[name][key], (name, key)
                continue
            mine, theirs = (np.array(v, float) for v in (value, expected[name][key]))
            np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-9, err_msg=f"{name}: {key}")


def test_over_eight_devices(whole):
    found = told(start("devices"))
    assert set(found) == set(shares.DEVICES)
    assert_same(found, whole)


@pytest.mark.parametrize("count", [2, 4])
def test_over_processes(whole, count, tmp_path, monkeypatch):
    shares.write(tmp_path)
    monkeypatch.setenv("SHARES_FOLDER", str(tmp_path))
    where = f"127.0.0.1:{free_port()}"
    processes = [start(where, count, i) for i in range(count)]
    found = [told(p) for p in processes]
    assert all(other == found[0] for other in found), "processes differ in some bit"
    assert_same(found[0], whole | {"stream": whole["factors"]})


DYING = """
import os, signal, sys
import jglm
from jglm.streams import streamed

where, process, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
jglm.distributed.initialize(where, 2, process, timeout=60)
fold, calls = streamed.Streamed.fold, [0]

def dying(self, *given, **more):
    calls[0] += 1
    if process == 1 and calls[0] == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return fold(self, *given, **more)

streamed.Streamed.fold = dying
try:
    jglm.glm("y ~ x1 + g", jglm.open_parquet(folder), family="poisson", devices="all", progress=False)
except ConnectionError as error:
    print(error, flush=True)
    os._exit(3)  # the usual way out would wait for the other
"""


def test_a_process_that_dies_ends_the_others_with_an_error(tmp_path):
    shares.data().to_parquet(tmp_path / "rows.parquet", row_group_size=50)
    environment = {**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "false", "XLA_FLAGS": FLAGS, "JAX_PLATFORMS": "cpu"}
    where = f"127.0.0.1:{free_port()}"
    command = lambda i: [sys.executable, "-c", DYING, where, str(i), str(tmp_path)]
    other = subprocess.Popen(command(1), cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    first = subprocess.run(command(0), cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert other.wait(timeout=60) == -9
    assert first.returncode == 3, first.stderr[-2000:]
    assert "another process ended" in first.stdout


def test_a_process_that_never_arrives_ends_in_an_error():
    code = (f"import jglm\ntry:\n    jglm.distributed.initialize('127.0.0.1:{free_port()}', 2, 1, timeout=1)\n"
            "except RuntimeError as error:\n    print(error)")  # fmt: skip
    out = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True
    )
    assert "could not be reached within 1 seconds" in out.stdout


def test_launchers_are_known_by_their_variables(monkeypatch):
    told = lambda **variables: _told(monkeypatch, variables)
    assert told(PMI_RANK="3", PMI_SIZE="8", MASTER_ADDR="node1") == ("node1:29400", 8, 3)
    ours = dict(JGLM_COORDINATOR="127.0.0.1:5", JGLM_PROCESSES="2", JGLM_PROCESS="1")
    assert told(**ours) == ("127.0.0.1:5", 2, 1)
    mpi = dict(OMPI_COMM_WORLD_RANK="0", OMPI_COMM_WORLD_SIZE="4")
    assert told(**mpi) == ("127.0.0.1:29400", 4, 0)
    assert told(**mpi, OMPI_MCA_orte_hnp_uri="1.0;tcp://10.0.0.1:1") == (None, None, None)  # JAX finds these
    assert told(PMI_RANK="3", PMI_SIZE="8", SLURM_JOB_ID="7") == (None, None, None)


def _told(monkeypatch, variables):
    with monkeypatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        return jglm.distributed._given(None, None, None)


def test_bad_addresses_are_refused():
    with pytest.raises(ValueError, match="host:port"):
        jglm.distributed.initialize("localhost", 2, 0)
    with pytest.raises(ValueError, match="must be 0 to 1"):
        jglm.distributed.initialize("localhost:1", 2, 2)
    with pytest.raises(ValueError, match="processes="):
        jglm.distributed.initialize("localhost:1")


def test_bad_devices_are_refused():
    X, y = np.ones((3, 1)), [1, 2, 3]
    with pytest.raises(ValueError, match="'all' or a list"):
        jglm.fit(X, y, family="poisson", intercept=False, devices="gpu")
    with pytest.raises(TypeError, match="list of JAX devices"):
        jglm.fit(X, y, family="poisson", intercept=False, devices=[0])
    with pytest.raises(ValueError, match="stands twice"):
        jglm.fit(X, y, family="poisson", intercept=False, devices=jax.devices()[:1] * 2)
    with pytest.raises(ValueError, match="runs on the host alone"):
        jglm.fit(X, y, family="poisson", intercept=False, devices="all", solver="irls")


def test_a_family_of_ones_own_on_devices():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(200, 2))
    y = rng.poisson(np.exp(0.3 * X[:, 0]))
    own = jglm.Family("own", a=jnp.exp)
    found = jglm.fit(X, y, family=own, link="canonical", devices=jax.devices()[:1], tol=1e-10)
    expected = jglm.fit(X, y, family="poisson", tol=1e-10)
    np.testing.assert_allclose(found.params, expected.params, atol=1e-10)
    np.testing.assert_allclose(found.bse, expected.bse, rtol=1e-9)
    assert found.residuals().shape == (200,), "on one machine the rows stay with the fit"


def numbers_that_travel(asks, p):
    """How many numbers the all-reduces of one pass carry, by the compiled program."""
    from jglm import families, links
    from jglm.inputs import data

    with jax.enable_x64(True):
        X, y = np.random.default_rng(0).normal(size=(64, p)), np.arange(64) % 3
        link = links.default(families.poisson)
        prepared, family = data.prepare(X, y, families.poisson, link, weights=None, weight_kind="prior", offset=None,
                                        exposure=None, trials=None, intercept=False, names=None)  # fmt: skip
        mesh = shards.mesh_of("all")
        problem = spread.Spread(Model(family, link, None), prepared, np.ones(p, bool), mesh)
        query = Query(Unknowns(np.zeros(p), {}))
        text = shards.lowered(spread.answer, mesh, problem.shared, (problem.model, query), asks)
    shapes = re.findall(r'"?stablehlo\.all_reduce"?.*?-> \(?tensor<([^>]*)>', text, flags=re.S)
    return sum(int(np.prod([int(d) for d in shape.split("x")[:-1]] or [1])) for shape in shapes)


def test_a_gradient_pass_carries_as_many_numbers_as_there_are_coefficients():
    for p in (3, 40):
        assert p <= numbers_that_travel(GRADIENT, p) <= p + 5
    assert numbers_that_travel(HESSIAN, 40) >= 40 * 40


def test_sparse_shares_are_alike():
    import scipy.sparse

    from jglm.designs import Sparse, place

    parts = [Sparse.of(scipy.sparse.csr_array(np.array(rows))) for rows in ([[1.0, 2.0]], [[0.0, 3.0]])]
    alike = Sparse.alike(parts)
    assert len({part.data.shape for part in alike}) == 1
    with jax.enable_x64(True):
        for part, own in zip(parts, map(place, alike), strict=True):
            np.testing.assert_array_equal(np.asarray(own.matvec(jnp.array([1.0, 10.0]))), part.dense() @ [1.0, 10.0])
            np.testing.assert_array_equal(np.asarray(own.gram(jnp.ones(1))), part.dense().T @ part.dense())


def test_command_line_over_processes(tmp_path):
    table = tmp_path / "rows.csv"
    shares.data().to_csv(table, index=False)
    arguments = ["fit", str(table), "y ~ x1 + g", "--family", "poisson", "--weights", "w", "--json", "--quiet"]
    environment = {**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "false", "XLA_FLAGS": FLAGS, "JAX_PLATFORMS": "cpu"}

    def run(*more):
        command = [sys.executable, "-m", "jglm", *arguments, *more]
        made = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=True
        )
        return json.loads(made.stdout.strip().splitlines()[-1])

    alone, spread_out = run(), run("--processes", "2")
    assert spread_out["names"] == alone["names"]
    for key in ("params", "bse", "deviance", "llf", "nobs"):
        np.testing.assert_allclose(spread_out[key], alone[key], rtol=1e-8, atol=1e-9)
