"""Rows shared out over the devices of a mesh: every share an ordinary `Data`, as long as every other.

Arrays are stacked share by share, (devices, ...), the last rows of a share being of weight 0 where rows run out; so any
design may be shared out whose arrays say what its rows are. `everywhere` calls a function on each share, whose result
is the same everywhere, made of sums over the mesh (`model.evaluate` takes them where `Data.axis` is set; XLA makes them
an all-reduce: NCCL between GPUs, Gloo between processes on CPUs).
"""

import functools

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jglm import distributed
from jglm.designs import Sparse
from jglm.model import Data

AXIS = "rows"


def mesh_of(devices):
    """A mesh over devices: "all" (those of all processes), or a list of them."""
    if isinstance(devices, str) and devices != "all":
        raise ValueError(f"devices is {devices!r}; it must be 'all' or a list of JAX devices")
    chosen = jax.devices() if isinstance(devices, str) else list(devices)
    if not chosen or not all(isinstance(d, jax.Device) for d in chosen):
        raise TypeError("devices must be 'all' or a list of JAX devices, such as jax.devices()[:2]")
    if len(set(chosen)) < len(chosen):
        raise ValueError("a device stands twice in devices")
    here = {d.process_index for d in chosen}
    if jax.process_index() not in here or (len(here) > 1 and len(here) < jax.process_count()):
        raise ValueError("devices must be some of this process, or some of every process")
    return Mesh(np.array(chosen), (AXIS,), axis_types=(AxisType.Auto,))


def own_devices(mesh):
    """Those of this process."""
    return [d for d in mesh.devices.flat if d.process_index == jax.process_index()]


def processes_of(mesh):
    """How many processes hold rows."""
    return len({d.process_index for d in mesh.devices.flat})


def gather(mesh, value):
    """The value of every process that holds rows."""
    return distributed.gather(value) if processes_of(mesh) > 1 else [value]


def share_out(mesh, prepared, design):
    """(Data, power) of all rows, stacked share by share: this process's rows are `prepared`, with `design`."""
    devices, n = own_devices(mesh), len(prepared.y)
    size = max(gather(mesh, -(-n // len(devices))))
    like = int(np.argmax(prepared.weight > 0))
    parts = [_part(prepared, design, i * size, size, like) for i in range(len(devices))]
    parts = _alike(parts, functools.partial(gather, mesh))
    sharding = NamedSharding(mesh, PartitionSpec(AXIS))

    def stacked(*leaves):
        own = [jax.device_put(np.asarray(v)[None], d) for v, d in zip(leaves, devices, strict=True)]
        shape = (mesh.size, *own[0].shape[1:])
        return jax.make_array_from_single_device_arrays(shape, sharding, own)

    return jax.tree.map(stacked, *parts)


def _part(prepared, design, first, size, like):
    """(Data, power) of `size` rows from `first`, with rows of weight 0 behind."""
    rows = np.arange(first, first + size)
    inside = rows < len(prepared.y)
    rows = np.where(inside, rows, like)
    p = prepared
    weight = np.where(inside, p.weight[rows], 0.0)
    designs = {name: Z[rows] for name, Z in p.designs.items()}
    X = design if len(rows) == len(p.y) and np.all(inside) else design.take(rows)
    return Data(X, p.y[rows], weight, p.offset[rows], p.size[rows], designs, AXIS), np.where(inside, p.power[rows], 0.0)


def _alike(parts, gather):
    """The same with sparse matrices that hold equally many values; ValueError where processes' designs differ."""
    leaf = lambda v: isinstance(v, Sparse)
    flat = [jax.tree.flatten(part, is_leaf=leaf) for part in parts]
    columns = [Sparse.alike(v, gather) if leaf(v[0]) else v for v in zip(*(leaves for leaves, _ in flat), strict=True)]
    parts = [jax.tree.unflatten(flat[0][1], leaves) for leaves in zip(*columns, strict=True)]
    seen = str([(v.shape, str(v.dtype)) for v in map(np.asarray, jax.tree.leaves(parts[0]))])
    if any(other != seen for other in gather(seen)):
        raise ValueError("the processes' designs differ in columns, levels or types; they must agree in all but rows")
    return parts


def everywhere(function, mesh, shared, given, *static):
    """function(share, *given, *static) on each device, `given` the same for all; returns what all agree on."""
    return _everywhere(function, mesh, static, shared, jax.tree.map(np.asarray, given))


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _everywhere(function, mesh, static, shared, given):
    own = lambda shared, given: function(jax.tree.map(lambda v: v[0], shared), *given, *static)
    specs = (PartitionSpec(AXIS), PartitionSpec())
    # The loops of solvers carry sums, which are the same everywhere; JAX cannot see that through a while_loop.
    return jax.shard_map(own, mesh=mesh, in_specs=specs, out_specs=PartitionSpec(), check_vma=False)(shared, given)


def lowered(function, mesh, shared, given, *static):
    """The program of `everywhere` as text, to see what travels between devices."""
    return _everywhere.lower(function, mesh, static, shared, jax.tree.map(np.asarray, given)).as_text()
