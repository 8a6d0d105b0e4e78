"""A geneticist: a case-control association in three strata. Blood group O and peptic ulcer (Woolf 1955, Annals of Human
Genetics 19, 251-253): patients and controls of group O and A in three cities.
"""

import numpy as np
import pandas

import jglm

counts = [("London", 911, 579, 4578, 4219), ("Manchester", 361, 246, 4532, 3775), ("Newcastle", 396, 219, 6598, 5261)]
rows = [(city, group, cases, cases + controls) for city, o, a, free_o, free_a in counts
        for group, cases, controls in (("A", a, free_a), ("O", o, free_o))]  # fmt: skip
data = pandas.DataFrame(rows, columns=["city", "blood", "ulcer", "n"])

one = jglm.glm("ulcer ~ C(city) + C(blood)", data, family="binomial", trials="n")
each = jglm.glm("ulcer ~ C(city) * C(blood)", data, family="binomial", trials="n")
j = one.names.index("C(blood)[T.O]")
low, high = np.exp(one.conf_int(method="profile")[j])
print(f"odds ratio of an ulcer, O to A: {np.exp(one.params[j]):.3f} [{low:.3f}, {high:.3f}], p = {one.pvalues[j]:.1e}")
for city, *_ in counts:
    at = data[data["city"] == city].sort_values("blood")
    log_odds = each.predict(at, kind="link")
    print(f"  {city:10s} {np.exp(log_odds[1] - log_odds[0]):.3f}")
print("the same in all cities?", jglm.lr_test(one, each))
