"""A statistician: does cost sharing lower the number of doctor visits, and is the model that says so tenable?

The RAND Health Insurance Experiment (public domain) drew by lot which share of their bills families paid themselves.
"""

import jglm
from jglm.demo import load

frame = load()
formula = "visits ~ log_coinsurance + physical_limit + chronic + health"
poisson = jglm.glm(formula, frame, family="poisson")
counts = jglm.glm(formula, frame, family="negative_binomial")
robust = poisson.with_covariance("HC1")

print("log_coinsurance          coef    95% interval")
for name, fit in {"Poisson": poisson, "Poisson, robust": robust, "negative binomial": counts}.items():
    j = fit.names.index("log_coinsurance")
    low, high = fit.conf_int()[j]
    print(f"{name:20s} {fit.params[j]:8.4f}    [{low:.4f}, {high:.4f}]")
print(f"\nPearson chi2 / df: Poisson {poisson.pearson_chi2 / poisson.df_resid:.2f}, "
      f"negative binomial {counts.pearson_chi2 / counts.df_resid:.2f}")
print(f"AIC: Poisson {poisson.aic:,.0f}, negative binomial {counts.aic:,.0f}")
print(counts.wald_test("health[T.good] = 0, health[T.fair] = 0, health[T.poor] = 0"))
