"""An econometrician: elasticities of investment by Poisson pseudo-maximum likelihood, errors clustered by firm.

Grunfeld's panel (11 firms, 1935-1954), from statsmodels. Least squares of log(invest) estimates another mean, that of
the logarithm, which heteroskedasticity bends (Santos Silva and Tenreyro 2006).
"""

from statsmodels.datasets import grunfeld

import jglm

data = grunfeld.load_pandas().data.rename(columns={"invest": "investment"})
terms = "np.log(value) + np.log(capital) + C(firm)"
ols = jglm.glm(f"np.log(investment) ~ {terms}", data, family="gaussian", covariance="cluster", groups="firm")
ppml = jglm.glm(f"investment ~ {terms}", data, family="quasipoisson", covariance="cluster", groups="firm")
print(jglm.compare(ols, ppml, names=["OLS of logs", "PPML"]).table().filter(like="log", axis=0).round(3).to_string())
print("\nelasticities 1 and 1?", ppml.wald_test("np.log(value) + np.log(capital) = 1"))
doubled = ppml.estimate(lambda params: 2 ** (params[1] + params[2]) - 1)
print("both doubled, investment rises by", doubled.table().round(3).to_string(index=False), sep="\n")
