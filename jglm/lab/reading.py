"""What a page asks is checked here: each function returns one field of a request, or raises ValueError."""


def number(request, name, default, low, high):
    """A finite number between `low` and `high`."""
    return _number(request.get(name, default), name, low, high)


def whole(request, name, default, low, high):
    """A whole number between `low` and `high`."""
    value = _number(request.get(name, default), name, low, high)
    if value % 1:
        raise ValueError(f"{name} is {value:g}; it must be a whole number")
    return int(value)


def end(request, name, otherwise):
    """An end of an interval: a number, or None for `otherwise`, which is infinite."""
    value = request.get(name)
    return otherwise if value is None else _number(value, name, -1e6, 1e6)


def numbers(request, name, default, count, low, high):
    """A list of `count` numbers between `low` and `high`."""
    values = request.get(name, default)
    if not isinstance(values, (list, tuple)) or len(values) != count:
        raise ValueError(f"{name} must be a list of {count} numbers")
    return [_number(value, f"{name}[{i}]", low, high) for i, value in enumerate(values)]


def points(request, name, default, most, *ranges):
    """2 to `most` points, each a list of coordinates within `ranges`, pairs (low, high)."""
    values = request.get(name, default)
    if not isinstance(values, (list, tuple)) or not 2 <= len(values) <= most:
        raise ValueError(f"{name} must be a list of 2 to {most} points")
    read = []
    for i, point in enumerate(values):
        if not isinstance(point, (list, tuple)) or len(point) != len(ranges):
            raise ValueError(f"{name}[{i}] must have {len(ranges)} coordinates")
        read.append([_number(v, f"{name}[{i}]", *within) for v, within in zip(point, ranges, strict=True)])
    return read


def choice(request, name, default, options):
    """One of the texts of `options`."""
    value = request.get(name, default)
    if not isinstance(value, str) or value not in options:
        raise ValueError(f"{name} must be one of {', '.join(options)}")
    return value


def text(request, name, default, most):
    """A text of at most `most` characters that is not empty."""
    value = request.get(name, default)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} is empty; write something such as {default}")
    if len(value) > most:
        raise ValueError(f"{name} has {len(value)} characters; at most {most} are read here")
    return value.strip()


def _number(value, name, low, high):
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{name} must be a number")
    if not low <= value <= high:  # also of NaN
        raise ValueError(f"{name} must be between {low:g} and {high:g}")
    return float(value)
