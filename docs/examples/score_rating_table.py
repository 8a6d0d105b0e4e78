"""Scores rows with what `fit.export("rates.json")` wrote; needs Python and nothing else.

    python score_rating_table.py rates.json '{"region": "north", "age": 41, "years": 0.5}'
"""

import json
import math
import sys

MEANS = {
    "log": math.exp, "logit": lambda v: math.exp(min(v, 0)) / (1 + math.exp(-abs(v))),
    "probit": lambda v: math.erfc(-v / math.sqrt(2)) / 2, "cauchit": lambda v: math.atan2(1, -v) / math.pi,
    "cloglog": lambda v: -math.expm1(-math.exp(v)), "loglog": lambda v: math.exp(-math.exp(-v)),
}  # fmt: skip


def score(table, row):
    """The mean of a row {column: value}: the sum of the coefficients of the lines that it meets, through the link."""
    total, met = 0.0, set()
    for line in table["lines"]:
        parts = [worth(part, row[part["variable"]]) for part in line["parts"]]
        if None not in parts:
            total += line["coefficient"] * math.prod(parts)
            met.add(line["term"])
    if len(met) < len(table["terms"]):
        raise LookupError(f"the row has no line in {sorted(set(table['terms']) - met)}")
    return total ** (1 / table["q"]) if "q" in table else MEANS[table["link"]](total)


def worth(part, value):
    """1 where the value is the part's level, a power where the part is of numbers; None where it is not met."""
    if "level" in part:
        return 1.0 if ("(missing)" if value is None else value) == part["level"] else None
    x = getattr(math, part["function"])(value) if part["function"] else value
    inside = part.get("low", -math.inf) <= x < part.get("high", math.inf)
    return ((x - part["origin"]) / part["unit"]) ** part["power"] if inside else None


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        print(score(json.load(file), json.loads(sys.argv[2])))
