"""Records: frozen dataclasses that are pytrees, and functions that compare by what they do."""

import dataclasses
import functools
import types
from collections.abc import Callable
from typing import TypeVar, dataclass_transform, overload

import jax
import numpy as np

T = TypeVar("T")


@overload
@dataclass_transform(frozen_default=True, eq_default=False)
def record(cls: type[T]) -> type[T]: ...
@overload
@dataclass_transform(frozen_default=True, eq_default=False)
def record(*, static: tuple[str, ...]) -> Callable[[type[T]], type[T]]: ...
def record(cls=None, *, static=()):
    """Make `cls` a frozen dataclass and a pytree: `static` fields are part of its type, all others are leaves.

    Numbers belong in leaves, so that a new value does not recompile; functions, names and sizes are static.
    Records compare by identity, since == of arrays is no truth value.
    """
    if cls is None:
        return functools.partial(record, static=static)
    cls = dataclasses.dataclass(frozen=True, eq=False)(cls)
    names = [f.name for f in dataclasses.fields(cls)]
    leaves = tuple(n for n in names if n not in static)
    keys = tuple(jax.tree_util.GetAttrKey(n) for n in leaves)

    def flatten(x):
        return tuple(getattr(x, n) for n in leaves), tuple(getattr(x, n) for n in static)

    def flatten_with_keys(x):
        children, aux = flatten(x)
        return tuple(zip(keys, children, strict=True)), aux

    def unflatten(aux, children):
        # Not through __init__: under a transformation the leaves may be any object.
        x = object.__new__(cls)
        x.__dict__.update(zip(leaves, children, strict=True))
        x.__dict__.update(zip(static, aux, strict=True))
        return x

    jax.tree_util.register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)
    return cls


def strong(value):
    """A number as a strongly typed array: r=3 and r=3.0 are one trace."""
    return value if isinstance(value, jax.Array) else np.asarray(value, dtype=float)


class Fn:
    """A function whose == and hash go by code, defaults, closure and the globals it names.

    A family written twice with the same lambda is then one key of the compilation cache.
    """

    def __init__(self, f):
        self.f = f.f if isinstance(f, Fn) else f
        self.key = _key(self.f, ())
        self._hash = hash(self.key)

    def __call__(self, *args, **kwargs):
        return self.f(*args, **kwargs)

    def __eq__(self, other):
        return isinstance(other, Fn) and self.key == other.key

    def __hash__(self):
        return self._hash

    def __reduce__(self):
        return Fn, (self.f,)

    def __repr__(self):
        return getattr(self.f, "__name__", repr(self.f))


def fn(f):
    """`f` as an Fn, None as None."""
    return None if f is None else Fn(f)


def _key(v, seen):
    """A hashable value equal for things that compute the same; anything unknown counts by identity."""
    if isinstance(v, Fn):
        return v.key
    if isinstance(v, functools.partial):
        return ("partial", _key(v.func, seen), _keys(v.args, seen), _keys(sorted(v.keywords.items()), seen))
    if isinstance(v, types.FunctionType):
        if any(v is s for s in seen):  # a function that calls itself
            return ("recursion", v.__code__.co_name)
        seen = (*seen, v)
        cells = [c.cell_contents for c in v.__closure__ or () if not _empty(c)]
        named = {n: v.__globals__[n] for n in sorted(_names(v.__code__)) if n in v.__globals__}
        return (
            "function", _code(v.__code__), _keys(v.__defaults__ or (), seen),
            _keys(sorted((v.__kwdefaults__ or {}).items()), seen), _keys(cells, seen), _keys(named.items(), seen),
        )  # fmt: skip
    if isinstance(v, types.ModuleType):
        return ("module", v.__name__)
    if isinstance(v, np.ndarray) and v.dtype != object:
        return ("array", v.shape, v.dtype.str, v.tobytes())
    if isinstance(v, (tuple, list)):
        return (type(v).__name__, _keys(v, seen))
    if v is None or isinstance(v, (bool, int, float, complex, str, bytes)):
        return (type(v).__name__, v)
    return ("object", _Same(v))


def _keys(values, seen):
    return tuple(_key(v, seen) for v in values)


class _Same:
    """Identity as a value; holds the object, so that its id is not given to another."""

    def __init__(self, v):
        self.v = v

    def __eq__(self, other):
        return isinstance(other, _Same) and self.v is other.v

    def __hash__(self):
        return id(self.v)


def _empty(cell):
    try:
        return cell.cell_contents is cell  # only to look: an empty cell raises
    except ValueError:
        return True


def _code(c):
    consts = tuple(_code(k) if isinstance(k, types.CodeType) else (type(k).__name__, k) for k in c.co_consts)
    return (c.co_code, consts, c.co_names, c.co_varnames, c.co_freevars, c.co_argcount, c.co_kwonlyargcount, c.co_flags)


def _names(c):
    """The global names that a code object and the functions inside it mention."""
    inner = (_names(k) for k in c.co_consts if isinstance(k, types.CodeType))
    return set(c.co_names).union(*inner)
