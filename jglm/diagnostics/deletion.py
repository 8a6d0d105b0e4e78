"""Diagnostics of single rows: standardized residuals, Cook's distances and what coefficients owe to a row.

Two kinds where systems differ. "deviance": R's `influence.measures`, the step of one deletion with deviance residuals
in place of working ones, in units of a standard deviation without the row. "score": the step of Fisher scoring itself,
in the fit's own standard errors (statsmodels' GLMInfluence); the only one where rows have no deviance residuals.
"""

import numpy as np

from jglm import rows
from jglm.diagnostics import residuals
from jglm.diagnostics.leverage import NEAR_ONE, pieces, shaped
from jglm.fitting.padding import bind, over_rows
from jglm.inputs import checks

KINDS = ("deviance", "score")
STANDARDIZED = ("deviance", "pearson")


class Deletions:
    """All of them of one fit, from one reading of its rows."""

    def __init__(self, fit, what="leverage"):
        self.fit, self.pieces = fit, pieces(fit, what)
        self.hats = self.pieces.hats
        self.on = fit._prepared.weight > 0

    # ------------------------------------------------------------------ residuals
    def residuals(self, kind):
        """(n,) or (n, k) residuals of the rows, 0 in those of weight 0."""
        own = residuals.of(self.fit, None, None, kind, None, None, None, None, None, 0)
        return np.where(self.on if own.ndim == 1 else self.on[:, None], own, 0.0)

    @property
    def has_deviance(self):
        """Whether rows have signed deviance residuals."""
        return self.fit.family.T_ is None and not self.fit.family.vector_y and self.fit.params.ndim == 1

    def kind(self, kind):
        """The kind asked for, None for R's where there is such."""
        checks.choice("kind", kind, (None, *KINDS))
        if kind == "deviance" and not self.has_deviance:
            raise ValueError(f"rows of family {self.fit.family.name!r} have no signed deviance residuals; use "
                             "kind='score'")  # fmt: skip
        return kind or ("deviance" if self.has_deviance else "score")

    def standardized(self, kind):
        """Residuals by their standard deviations: sqrt(phi (1 - h)) times what they are scaled by; NaN where h = 1 and
        in rows of weight 0. A vector y: each entry of Pearson's, from the covariance of y - mu."""
        if self.fit.params.ndim > 1 or self.fit.family.vector_y:
            if kind != "pearson":
                raise ValueError("the deviance residual of a row with several means is one number for all of them; use "
                                 "kind='pearson'")  # fmt: skip
            return self._standardized_vectors()
        if self.pieces.width > 1:
            raise ValueError(f"the mean of family {self.fit.family.name!r} depends on parameters besides, and the "
                             "leverage is that of all of them; use residuals(kind='quantile')")  # fmt: skip
        return self._free(self.residuals(kind) / np.sqrt(self.fit.scale * self._left))

    def _standardized_vectors(self):
        fit, n = self.fit, len(self.on)
        problem = self.pieces.problem
        lin = problem.lin(np.ravel(fit.params[fit.kept].T))
        mu, jac, variance = over_rows(bind(_means, fit.model), lin.reshape(n, -1))
        w = np.where(self.on, fit._prepared.weight, 1.0)
        inner = np.einsum("nra,nab,nrb->nr", jac, self.pieces.spans[:, : jac.shape[2], : jac.shape[2]], jac)
        left = np.diagonal(variance, axis1=1, axis2=2) / w[:, None] - inner
        t = fit._prepared.y if fit.family.T_ is None else np.asarray(rows.statistics(fit.model, fit._prepared.y))
        with np.errstate(divide="ignore", invalid="ignore"):
            found = (t - mu) / np.sqrt(fit.scale * np.where(left > 1e-13, left, np.nan))
        return np.where(self.on[:, None], found, np.nan)

    def studentized(self):
        """(n,) R's rstudent: the root of the likelihood ratio of the row's own parameter (Williams 1987), by the
        standard deviation without the row where the dispersion is estimated."""
        if not self.has_deviance:
            raise ValueError(f"rows of family {self.fit.family.name!r} have no signed deviance residuals; use "
                             "standardized_residuals('pearson')")  # fmt: skip
        deviance, pearson = self.residuals("deviance"), self.residuals("pearson")
        both = np.sign(deviance) * np.sqrt(deviance**2 + self.hats * pearson**2 / self._left)
        return self._free(both if self.fit.family.dispersion == "fixed" else both / self.sigma)

    @property
    def _left(self):
        """1 - h, NaN where it is 0."""
        return np.where(1 - self.hats > NEAR_ONE, 1 - self.hats, np.nan)

    def _free(self, values):
        return np.where(self.on, values, np.nan)

    @property
    def sigma(self):
        """(n,) R's sigma: root mean square of the deviance residuals of the other rows, after one deletion."""
        e = self.residuals("deviance")
        gone = np.nan_to_num(e**2 / self._left)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.sqrt(np.maximum(np.sum(e**2) - gone, 0.0) / (self.fit.df_resid - 1))

    # ------------------------------------------------------------------ coefficients
    def cooks(self):
        """(n,) Cook's distance: the squared length of the step of a deletion, in units of phi times the rank."""
        u = self.pieces.deleted()
        size = np.einsum("na,nab,nb->n", u, self.pieces.spans, u)
        return size / (self.fit.scale * self.pieces.inverse.shape[0])

    def dfbeta(self, kind):
        """(n, p) or (n, p, k): coefficients with the row less those without it."""
        return shaped(self.fit, self.pieces.moves(self._u(kind)))

    def dfbetas(self, kind):
        """The same in standard errors."""
        root = np.sqrt(np.sum(self.pieces.inverse**2, axis=1))
        if kind == "deviance":
            size = self.sigma[:, None] * root
        else:
            size = np.broadcast_to(np.sqrt(self.fit.scale) * root, (len(self.on), len(root)))
        with np.errstate(divide="ignore", invalid="ignore"):
            return shaped(self.fit, self.pieces.moves(self._u(kind)) / size)

    def _u(self, kind):
        if kind == "score":
            return self.pieces.deleted()
        # Working residuals on the scale of sqrt(W) X, with R's deviance residuals in their place.
        own = np.abs(self.residuals("deviance")) * np.sqrt(self.pieces.bend[:, 0, 0])
        return self.pieces.deleted((np.sign(self.pieces.score[:, 0]) * own)[:, None])

    def dffits(self, kind):
        """(n,) how far the row's own fit moves with it, in standard errors; "score": |dffits| = sqrt(rank Cook)."""
        if kind == "deviance":
            with np.errstate(divide="ignore", invalid="ignore"):
                return self.residuals("deviance") * np.sqrt(self.hats) / (self.sigma * self._left)
        size = np.sqrt(self.cooks() * self.pieces.inverse.shape[0])
        response = self.residuals("response")
        return size * np.sign(response) if response.ndim == 1 else size

    def covratio(self):
        """(n,) the determinant of the covariance without the row, by that with it."""
        e, p = self.residuals("deviance"), self.pieces.inverse.shape[0]
        with np.errstate(divide="ignore", invalid="ignore"):
            return (self.sigma**2 * self.fit.df_resid / np.sum(e**2)) ** p / self._left

    def table(self):
        """A data frame of R's `influence.measures`: dfbetas, dffits, covratio, Cook's distance, leverage, and which
        rows R would mark. Of kind "score" without covratio where there are no deviance residuals."""
        import pandas

        kind = self.kind(None)
        dfbetas, cook = self.dfbetas(kind), self.cooks()
        columns = dict(zip(self._names(), dfbetas.reshape(len(cook), -1, order="F").T, strict=True))
        columns |= {"dffits": self.dffits(kind)}
        if kind == "deviance":
            columns |= {"covratio": self.covratio()}
        columns |= {"cooks_distance": cook, "leverage": self.hats}
        columns["influential"] = self._marked(dfbetas.reshape(len(cook), -1), columns)
        return pandas.DataFrame(columns, index=pandas.RangeIndex(len(cook), name="row"))

    def _names(self):
        names = [f"dfb.{name}" for name in self.fit.names]
        if self.fit.params.ndim == 1:
            return names
        return [f"dfb.{level}.{name}" for level in self.fit._lin_names() for name in self.fit.names]

    def _marked(self, dfbetas, columns):
        """R's rules of thumb (`influence.measures`)."""
        from scipy.special import fdtr

        n, k = float(np.sum(self.on)), self.pieces.inverse.shape[0]
        if n <= k:
            return np.zeros(len(self.on), bool)
        with np.errstate(invalid="ignore"):
            found = np.any(np.abs(dfbetas) > 1, axis=1) | (np.abs(columns["dffits"]) > 3 * np.sqrt(k / (n - k)))
            found |= (fdtr(k, n - k, columns["cooks_distance"]) > 0.5) | (self.hats > 3 * k / n)
            if "covratio" in columns:
                found |= np.abs(1 - columns["covratio"]) > 3 * k / (n - k)
        return found & self.on


def _means(model, lin):
    """(mean of T(y), its Jacobian in lin, a'') of all rows of a vector family."""
    import jax

    def one(v):
        eta = lambda v: model.link.eta(model.family, v if model.width() else v[0])
        mean = lambda v: jax.grad(model.family.a)(eta(v))
        return mean(v), jax.jacfwd(mean)(v), jax.hessian(model.family.a)(eta(v))

    return jax.vmap(one)(lin)
