"""Transforms of a formula that learn from all rows, such as center and scale."""


def refuse(formula):
    """ValueError for a formula with a transform whose state the first pass cannot find."""
    states = [k for k, v in formula.spec.transform_state.items() if v] if formula.spec is not None else []
    if states:
        raise ValueError(f"formula {formula.text!r}: {states[0]} learns from all rows, which a stream does not keep; "
                         "write its result into a column")  # fmt: skip
