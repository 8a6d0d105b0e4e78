"""An actuary: frequencies, relativities, and whether the money adds up by class.

python docs/examples/actuary.py FOLDER, where FOLDER holds freMTPL2freq.parquet (French motor claims); without it the
same is done with the RAND insurance data that come with jglm.
"""

import sys
from pathlib import Path

import jglm

if len(sys.argv) > 1:
    import pandas

    frame = pandas.read_parquet(Path(sys.argv[1]) / "freMTPL2freq.parquet")
    formula, exposure, by = "ClaimNb ~ C(Area) + C(VehGas) + DrivAge + BonusMalus", "Exposure", "VehAge"
else:
    from jglm.demo import load

    frame = load().assign(years=1.0)
    formula, exposure, by = "visits ~ health + deductible + physical_limit", "years", "chronic"

fit = jglm.glm(formula, frame, family="quasipoisson", exposure=exposure)
print(f"{fit.nobs:,.0f} policies, {frame[exposure].sum():,.0f} years, dispersion {fit.scale:.2f}\n")
print(fit.relativities().table().round(3).to_string())
print(f"\nactual against expected by {by}, which the model does not know")
table = fit.actual_expected(by, data=frame)[["rows", "actual", "expected", "ratio", "low", "high"]]
print(table.round(2).to_string())
