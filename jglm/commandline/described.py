"""Fits as plain values, for JSON."""

import numpy as np

NUMBERS = (
    "deviance", "null_deviance", "llf", "aic", "bic", "scale", "pearson_chi2", "nobs", "df_resid", "df_model",
)  # fmt: skip


def fit(found):
    """What a fit found. A number that needs data which the fit no longer has is None; so are standard errors of very
    many coefficients."""
    known = found.covariance is not None and not found._wide
    return {
        "family": found.family.name, "link": found.link.name,
        "formula": None if found.formula is None else found.formula.text,
        "names": list(found.names), "classes": None if found.params.ndim == 1 else found._lin_names(),
        "params": found.params, "bse": found.bse if known else None, "pvalues": found.pvalues if known else None,
        "conf_int": found.conf_int() if known else None, "covariance": found.covariance,
        "family_params": {k: np.atleast_1d(v) for k, v in found.family_params.items()},
        "family_params_se": {k: np.atleast_1d(v) for k, v in found.family_params_se.items()} if known else {},
        "converged": bool(found.converged), "status": found.status.message, "solver": found.solver,
        "n_iter": int(found.n_iter), "aliased": found.aliased, "n_dropped": found.n_dropped,
        **{name: _number(found, name) for name in NUMBERS},
    }  # fmt: skip


def _number(found, name):
    try:
        return float(getattr(found, name))
    except ValueError:
        return None
