"""Several processes, on one machine or many: each holds some of the rows, and only sums of them travel.

>>> import jglm
>>> jglm.distributed.processes()  # one, until initialize() has joined them
1
"""

import contextlib
import functools
import os
import pickle

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

TIMEOUT = 300  # seconds
LEAVING = 20  # that the first to end waits for the others
# (rank, size, what tells JAX itself) of MPICH and Intel MPI, and of Open MPI from 5 on
LAUNCHERS = (
    ("PMI_RANK", "PMI_SIZE", ("SLURM_JOB_ID",)),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", ("OMPI_MCA_orte_hnp_uri", "SLURM_JOB_ID")),
)
VARIABLES = ("JGLM_COORDINATOR", "JGLM_PROCESSES", "JGLM_PROCESS")  # set by `jglm fit --processes`


def initialize(coordinator=None, processes=None, process=None, *, timeout=TIMEOUT):
    """Join the processes of a job; call it first in each of them, before anything runs on a device.

    Args:
        coordinator: "host:port" of the first process; None where a launcher tells: SLURM, Open MPI or Kubernetes (found
            by `jax.distributed`), MPICH, Intel MPI and Open MPI 5 by their variables (with MASTER_ADDR), or
            `jglm fit --processes`.
        processes: how many there are; process: which of them this is, from 0.
        timeout: seconds to wait for the others.

    Collectives are NCCL's between GPUs, Gloo's between CPUs. Joining twice does nothing. Raises RuntimeError where the
    processes do not meet in time, or nothing tells where they are; ValueError for numbers that cannot be.
    """
    if jax.distributed.is_initialized():
        return
    coordinator, processes, process = _given(coordinator, processes, process)
    if process is not None and processes is not None and not 0 <= process < processes:
        raise ValueError(f"process is {process}; with {processes} processes it must be 0 to {processes - 1}")
    if not timeout > 0:
        raise ValueError(f"timeout is {timeout}; it must be a positive number of seconds")
    if processes == 1:
        return
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        _join(coordinator, processes, process, int(np.ceil(timeout)))
    except ValueError as error:
        raise RuntimeError(f"no launcher tells where the processes are ({error}); give coordinator='host:port', "
                           "processes= and process=") from error  # fmt: skip


def _join(coordinator, processes, process, timeout):
    """jax.distributed.initialize, in bounded time, with an error where processes are missing."""
    if coordinator is not None and process not in (None, 0):
        _reach(coordinator, timeout)
    try:
        jax.distributed.initialize(
            coordinator, processes, process, initialization_timeout=timeout, shutdown_timeout_seconds=LEAVING
        )
    except RuntimeError as error:
        raise RuntimeError(f"the processes did not meet within {timeout} seconds: {str(error).splitlines()[0]}; look "
                           "whether all of them run and can reach the coordinator") from error  # fmt: skip


def _reach(coordinator, timeout):
    """Wait for the coordinator to listen: JAX's own client would end the process where it does not."""
    import socket
    import time

    host, _, port = coordinator.rpartition(":")
    end = time.monotonic() + timeout
    while True:
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=max(end - time.monotonic(), 0.1)).close()
            return
        except OSError as error:
            if time.monotonic() > end:
                raise RuntimeError(f"the coordinator {coordinator} could not be reached within {timeout} seconds "
                                   f"({error}); is process 0 running, and the port open?") from error  # fmt: skip
            time.sleep(0.1)


def _given(coordinator, processes, process):
    """The arguments, with what jglm's own launcher or MPI's say where they say nothing."""
    if coordinator is not None:
        if ":" not in coordinator:
            raise ValueError(f"coordinator is {coordinator!r}; it must be 'host:port'")
        if processes is None or process is None:
            raise ValueError("with coordinator= give processes= (how many) and process= (which one this is)")
        return coordinator, int(processes), int(process)
    if VARIABLES[0] in os.environ:
        return os.environ[VARIABLES[0]], int(os.environ[VARIABLES[1]]), int(os.environ[VARIABLES[2]])
    for rank, size, found in LAUNCHERS:
        if rank in os.environ and size in os.environ and not any(name in os.environ for name in found):
            where = f"{os.environ.get('MASTER_ADDR', '127.0.0.1')}:{os.environ.get('MASTER_PORT', '29400')}"
            return where, int(os.environ[size]), int(os.environ[rank])
    return coordinator, processes, process


def processes():
    """How many processes there are."""
    return jax.process_count()


def process():
    """Which of them this is, from 0."""
    return jax.process_index()


class Stopped(ValueError):
    """Another process stopped with an error."""


class Lost(ConnectionError):
    """Another process ended without a word, or cannot be reached any more."""


def gather(value):
    """[value of process 0, of process 1, …], the same in all of them: of small plain values. Raises Stopped where one
    of them did not come so far."""
    if jax.process_count() == 1:
        return [value]
    told = _exchange((None, value))
    for i, (error, _) in enumerate(told):
        if error is not None:
            raise Stopped(f"process {i} stopped: {error}")
    return [value for _, value in told]


@contextlib.contextmanager
def _met():
    """What XLA says where a process is missing, in plain words."""
    try:
        yield
    except (jax.errors.JaxRuntimeError, ValueError) as error:
        raise Lost(f"another process ended, or cannot be reached any more ({str(error).splitlines()[0][:200]}); start "
                   "all of them again, with resume=True where the fit had a checkpoint") from error  # fmt: skip


def _exchange(value):
    from jax.experimental import multihost_utils

    # Pickled, since it comes from processes of the same job and no further.
    told = np.frombuffer(pickle.dumps(value), np.uint8)
    with _met():
        sizes = np.ravel(multihost_utils.process_allgather(np.array([len(told)], np.int32)))
        room = np.zeros(int(sizes.max()), np.uint8)
        room[: len(told)] = told
        found = np.asarray(multihost_utils.process_allgather(room))
    return [pickle.loads(bytes(row[:size])) for row, size in zip(found, sizes, strict=True)]


def together(function):
    """function() in every process; where one of them raises, all do, so that none waits for another."""
    try:
        found = function()
    except (Stopped, Lost):
        raise
    except Exception as error:
        if jax.process_count() > 1:
            _exchange((f"{type(error).__name__}: {error}", None))
        raise
    gather(None)
    return found


class Together:
    """All processes, for sums of what each made of its own rows: what a `Stream` asks of them."""

    def __init__(self):
        self.index, self.count = process(), processes()

    def gather(self, value):
        """The value of every process, in order."""
        return gather(value)

    def sum(self, tree):
        """The sum over processes of a tree of arrays, as NumPy: one vector travels. None is that of no rows."""
        sizes = gather(None if tree is None else sum(np.size(v) for v in jax.tree.leaves(tree)))
        if None in sizes:  # a process without rows takes the shape of the others'
            other = next((t for t in gather(tree) if t is not None), None)
            tree = jax.tree.map(lambda v: np.zeros_like(np.asarray(v)), other) if tree is None else tree
        if len({size for size in sizes if size is not None}) > 1:
            raise ValueError(f"the processes' sums differ in size ({sizes}); their data must agree")
        leaves, shape = jax.tree.flatten(tree)
        leaves = [np.asarray(v) for v in leaves]
        if not leaves:
            return tree
        flat = np.concatenate([np.ravel(v).astype(np.float64) for v in leaves])
        with jax.enable_x64(True):
            total, parts, at = _total(flat), [], 0
        for v in leaves:
            parts.append(total[at : at + v.size].reshape(v.shape).astype(v.dtype))
            at += v.size
        return jax.tree.unflatten(shape, parts)


def _total(flat):
    """The sum of one vector of every process."""
    if jax.process_count() == 1:
        return flat
    mesh = _mesh()
    rows = jax.make_array_from_process_local_data(NamedSharding(mesh, PartitionSpec("process")), flat[None])
    with _met():
        return np.asarray(_sum_compiled(mesh)(rows))


@functools.cache
def _mesh():
    """A device of each process."""
    first = {d.process_index: d for d in reversed(jax.devices())}
    return Mesh(np.array([first[i] for i in sorted(first)]), ("process",), axis_types=(AxisType.Auto,))


@functools.cache
def _sum_compiled(mesh):
    return jax.jit(lambda rows: jnp.sum(rows, axis=0), out_shardings=NamedSharding(mesh, PartitionSpec()))


def part(n):
    """The slice of n rows that is this process's, where all of them read the same table."""
    ends = np.linspace(0, n, processes() + 1).astype(int)
    return slice(int(ends[process()]), int(ends[process() + 1]))
