"""Reference cases from the data of make.R: each likelihood written down in 60 digits, maximised by Newton steps.

    Rscript make.R FOLDER && python make.py FOLDER        (needs mpmath, numpy, scipy, jax, statsmodels)

First and second derivatives of a row's log density in its linear predictors and nuisance parameters are differences at
h = 1e-15 in 60-digit arithmetic, hence exact to 25 digits. Nothing here imports jglm.
"""

import json
import sys
import warnings
from functools import lru_cache
from pathlib import Path

try:
    import mpmath
    from mpmath import mp, mpf
except ImportError:  # the tests collect this file
    mpmath = mp = mpf = None

HERE = Path(__file__).parent
STEP = "1e-15"


# --------------------------------------------------------------------------- vectors and matrices
def vec(values):
    return [mpf(v) for v in values]


def dot(a, b):
    return mp.fsum(x * y for x, y in zip(a, b, strict=True))


def inverse(M):
    """The inverse of a symmetric matrix given as rows, at twice the digits."""
    with mp.workdps(2 * mp.dps):
        return (mp.matrix(M) ** -1).tolist()


def roots(M):
    """Standard errors from an information matrix."""
    V = inverse(M)
    return [mp.sqrt(V[i][i]) for i in range(len(V))]


# --------------------------------------------------------------------------- the maximiser
def local(f, x):
    """f, its gradient and Hessian at x (mpf's) by central differences."""
    h, d = mpf(STEP), len(x)

    def at(*moves):
        z = list(x)
        for k, s in moves:
            z[k] += s * h
        return f(z)

    f0 = f(x)
    up, down = [at((k, 1)) for k in range(d)], [at((k, -1)) for k in range(d)]
    g = [(u - v) / (2 * h) for u, v in zip(up, down, strict=True)]
    H = [[None] * d for _ in range(d)]
    for k in range(d):
        H[k][k] = (up[k] - 2 * f0 + down[k]) / h**2
        for m in range(k):
            cross = at((k, 1), (m, 1)) - at((k, 1), (m, -1)) - at((k, -1), (m, 1)) + at((k, -1), (m, -1))
            H[k][m] = H[m][k] = cross / (4 * h**2)
    return f0, g, H


class Likelihood:
    """sum_i f(i, lin_i, nuisance), lin_i the blocks' linear predictors.

    blocks: one list of rows per linear predictor; offset: added to the first; nuisance: how many more parameters,
    each on a scale where any real number is allowed; info(i, z): the expected information of row i in (lin, nuisance).
    """

    def __init__(self, f, blocks, nuisance=0, offset=None, info=None):
        self.f, self.blocks, self.q, self.info = f, blocks, nuisance, info
        self.n = len(blocks[0])
        self.offset = offset or [mpf(0)] * self.n
        self.starts = [sum(len(b[0]) for b in blocks[:k]) for k in range(len(blocks))]
        self.p = sum(len(b[0]) for b in blocks)

    def point(self, i, par):
        lin = [dot(b[i], par[s : s + len(b[i])]) for b, s in zip(self.blocks, self.starts, strict=True)]
        lin[0] += self.offset[i]
        return lin + list(par[self.p :])

    def value(self, par):
        return mp.fsum(self.f(i, self.point(i, par)) for i in range(self.n))

    def spread(self, i, total, matrix):
        """Add a row's matrix in (lin, nuisance) to the one in all parameters."""
        K = len(self.blocks)
        cols = [list(range(s, s + len(b[i]))) for b, s in zip(self.blocks, self.starts, strict=True)]
        cols += [[self.p + j] for j in range(self.q)]
        x = [self.blocks[k][i] if k < K else [mpf(1)] for k in range(K + self.q)]
        for k in range(K + self.q):
            for m in range(K + self.q):
                if matrix[k][m]:
                    for a, xa in zip(cols[k], x[k], strict=True):
                        for b, xb in zip(cols[m], x[m], strict=True):
                            total[a][b] += matrix[k][m] * xa * xb

    def derivatives(self, par):
        size = self.p + self.q
        value, grad, hess = mpf(0), [mpf(0)] * size, [[mpf(0)] * size for _ in range(size)]
        for i in range(self.n):
            f0, g, H = local(lambda z, i=i: self.f(i, z), self.point(i, par))
            value += f0
            for k, (b, s) in enumerate(zip(self.blocks, self.starts, strict=True)):
                for j, xj in enumerate(b[i]):
                    grad[s + j] += g[k] * xj
            for j in range(self.q):
                grad[self.p + j] += g[len(self.blocks) + j]
            self.spread(i, hess, H)
        return value, grad, hess

    def maximise(self, start):
        """Parameters, log-likelihood and observed information at the maximum."""
        par = vec(start)
        for _ in range(40):
            value, grad, hess = self.derivatives(par)
            with mp.workdps(2 * mp.dps):
                step = list(mp.lu_solve(-mp.matrix(hess), mp.matrix(grad)))
            size = mp.sqrt(abs(dot(step, grad)))
            if size < mpf("1e-22"):
                information = [[-v for v in row] for row in hess]
                assert min(mp.eigsy(mp.matrix(information), eigvals_only=True)) > 0
                return par, value, information
            scale = mpf(1)
            while scale > mpf("1e-12"):
                new = [a + scale * s for a, s in zip(par, step, strict=True)]
                if size < mpf("1e-6") or self.value(new) > value:
                    break
                scale /= 2
            par = new
        raise RuntimeError(f"no maximum: {mp.nstr(size, 5)} standard errors left")

    def expected(self, par):
        size = self.p + self.q
        total = [[mpf(0)] * size for _ in range(size)]
        for i in range(self.n):
            self.spread(i, total, self.info(i, self.point(i, par)))
        return total


def minor(M, k):
    return [row[:k] for row in M[:k]]


# --------------------------------------------------------------------------- means by IRLS: deviances, quasi families
def log1(x):
    return mp.log(x) if x > 0 else mpf(0)


VARIANCE = {  # V(mu) and its unit deviance
    "1": (lambda m: mpf(1), lambda y, m: (y - m) ** 2),
    "mu": (lambda m: m, lambda y, m: 2 * (y * (log1(y) - mp.log(m)) - y + m)),
    "mu^2": (lambda m: m**2, lambda y, m: 2 * (y / m - 1 - mp.log(y / m))),
    "mu^3": (lambda m: m**3, lambda y, m: (y - m) ** 2 / (y * m**2)),
    "mu(1-mu)": (
        lambda m: m * (1 - m),
        lambda y, m: 2 * (y * (log1(y) - mp.log(m)) + (1 - y) * (log1(1 - y) - mp.log(1 - m))),
    ),
}


def negative_binomial_variance(r):
    deviance = lambda y, m: 2 * (y * (log1(y) - mp.log(m)) - (y + r) * (mp.log(y + r) - mp.log(m + r)))
    return lambda m: m + m**2 / r, deviance


def power_variance(p):
    return (
        lambda m: m**p,
        lambda y, m: (
            2 * (y * ((y ** (1 - p) if y else 0) - m ** (1 - p)) / (1 - p) - (y ** (2 - p) - m ** (2 - p)) / (2 - p))
        ),
    )


LINKS = {  # inverse link and its derivative
    "identity": (lambda e: e, lambda e: mpf(1)),
    "log": (mpmath.exp, mpmath.exp) if mpmath else None,
    "logit": (lambda e: 1 / (1 + mp.exp(-e)), lambda e: mp.exp(-e) / (1 + mp.exp(-e)) ** 2),
    "geometric": (lambda e: mp.exp(e) / (1 - mp.exp(e)), lambda e: mp.exp(e) / (1 - mp.exp(e)) ** 2),
}


def irls(X, y, w, offset, variance, link, start):
    V, unit = variance
    h, dh = LINKS[link]
    par = vec(start)
    for _ in range(2000):
        eta = [dot(x, par) + o for x, o in zip(X, offset, strict=True)]
        mu, d = [h(e) for e in eta], [dh(e) for e in eta]
        work = [wi * di**2 / V(m) for wi, di, m in zip(w, d, mu, strict=True)]
        p = len(par)
        A = [[mp.fsum(k * x[a] * x[b] for k, x in zip(work, X, strict=True)) for b in range(p)] for a in range(p)]
        terms = [wi * di * (yi - m) / V(m) for wi, di, yi, m in zip(w, d, y, mu, strict=True)]
        g = [mp.fsum(t * x[a] for t, x in zip(terms, X, strict=True)) for a in range(p)]
        step = list(mp.lu_solve(mp.matrix(A), mp.matrix(g)))
        size = mp.sqrt(abs(dot(step, g)))
        if size < mpf("1e-35"):
            break
        par = [a + s for a, s in zip(par, step, strict=True)]
    assert size < mpf("1e-35")
    deviance = mp.fsum(wi * unit(yi, m) for wi, yi, m in zip(w, y, mu, strict=True))
    pearson = mp.fsum(wi * (yi - m) ** 2 / V(m) for wi, yi, m in zip(w, y, mu, strict=True))
    return par, A, deviance, pearson, mu


def deviances(c, variance, link, par):
    """Deviance, null deviance and Pearson's chi2 of a fit with these weights; the fit again, by IRLS."""
    again, _, deviance, pearson, _ = irls(c.X, c.y, c.w, c.offset, variance, link, par)
    mean = mp.fsum(a * b for a, b in zip(c.w, c.y, strict=True)) / mp.fsum(c.w)
    first = {
        "identity": mean,
        "log": mp.log(mean),
        "logit": mp.log(mean / (1 - mean)),
        "geometric": mp.log(mean / (1 + mean)),
    }[link]
    first -= mp.fsum(c.offset) / c.n
    null = irls([[mpf(1)]] * c.n, c.y, c.w, c.offset, variance, link, [first])[2]
    assert max(abs(a - b) for a, b in zip(again, par, strict=True)) < mpf("1e-20")
    return {"deviance": deviance, "null_deviance": null, "pearson_chi2": pearson}


# --------------------------------------------------------------------------- log densities
lgamma = lru_cache(None)(lambda x: mp.loggamma(x).real)
trigamma = lambda x: mp.psi(1, x)


def negative_binomial(y, mu, r):
    return lgamma(y + r) - lgamma(r) - lgamma(y + 1) + r * mp.log(r / (r + mu)) + y * mp.log(mu / (r + mu))


def gamma(y, mu, shape):
    return shape * mp.log(shape * y / mu) - mp.log(y) - shape * y / mu - lgamma(shape)


def inverse_gaussian(y, mu, lam):
    return (mp.log(lam / (2 * mp.pi * y**3)) - lam * (y - mu) ** 2 / (mu**2 * y)) / 2


def gaussian(y, mu, variance):
    return -(mp.log(2 * mp.pi * variance) + (y - mu) ** 2 / variance) / 2


def dirichlet(y, alpha):
    return (
        lgamma(mp.fsum(alpha))
        - mp.fsum(lgamma(a) for a in alpha)
        + mp.fsum((a - 1) * mp.log(v) for a, v in zip(alpha, y, strict=True))
    )


def dirichlet_information(alpha_of, z):
    """Expected information in z of a Dirichlet (or beta) with parameters alpha(z)."""
    h, alpha = mpf(STEP), alpha_of(z)
    J = []
    for k in range(len(z)):
        up, down = ([v + s * h * (j == k) for j, v in enumerate(z)] for s in (1, -1))
        J.append([(a - b) / (2 * h) for a, b in zip(alpha_of(up), alpha_of(down), strict=True)])
    t, t0 = [trigamma(a) for a in alpha], trigamma(mp.fsum(alpha))
    return [
        [mp.fsum(a * b * v for a, b, v in zip(u, v_, t, strict=True)) - t0 * mp.fsum(u) * mp.fsum(v_) for v_ in J]
        for u in J
    ]


@lru_cache(None)
def tweedie_log_w(y, phi, p):
    """log sum_j W_j of Dunn and Smyth (2005), all terms positive for 1 < p < 2, to 10 digits more than working."""
    with mp.workdps(mp.dps + 10):
        alpha = (2 - p) / (1 - p)
        c = -alpha * mp.log(y) + alpha * mp.log(p - 1) - (1 - alpha) * mp.log(phi) - mp.log(2 - p)
        term = lambda j: j * c - mp.loggamma(j + 1).real - mp.loggamma(-j * alpha).real
        top = max(1, int(mp.nint(y ** (2 - p) / (phi * (2 - p)))))
        while term(top + 1) > term(top):
            top += 1
        while top > 1 and term(top - 1) > term(top):
            top -= 1
        peak, floor, total = term(top), -mp.log(10) * mp.dps, mpf(1)
        for way in (1, -1):
            j = top + way
            while j >= 1 and (t := term(j) - peak) > floor:
                total += mp.exp(t)
                j += way
        return peak + mp.log(total)


def tweedie(y, mu, phi, p):
    theta, kappa = mu ** (1 - p) / (1 - p), mu ** (2 - p) / (2 - p)
    if y == 0:
        return -kappa / phi
    return (y * theta - kappa) / phi + tweedie_log_w(y, phi, p) - mp.log(y)


@lru_cache(None)
def power_of(j, nu):
    return mpf(j) ** nu


def conway_maxwell(y, lin, nu):
    lam, term, total, j = mp.exp(lin), mpf(1), mpf(1), 0
    while term > total * mpf(10) ** (-mp.dps - 5) or j < y:
        j += 1
        term *= lam / power_of(j, nu)
        total += term
    return y * lin - nu * lgamma(y + 1) - mp.log(total)


def logarithmic(y, eta):
    return y * eta - mp.log(y) - mp.log(-mp.log1p(-mp.exp(eta)))


def truncated_poisson(y, lin):
    return y * lin - mp.log(mp.expm1(mp.exp(lin))) - lgamma(y + 1)


ORDERED = {
    "logit": lambda t: 1 / (1 + mp.exp(-t)),
    "probit": lambda t: mp.ncdf(t),
    "cloglog": lambda t: -mp.expm1(-mp.exp(t)),
    "loglog": lambda t: mp.exp(-mp.exp(-t)),
    "cauchit": lambda t: mp.atan(t) / mp.pi + mpf(1) / 2,
}


# --------------------------------------------------------------------------- one case
class Case:
    """The data of a case in 60 digits, what R answered, and what is found here."""

    def __init__(self, name, raw):
        self.name, self.raw = name, raw
        self.X, self.n = [vec(x) for x in raw["X"]], len(raw["X"])
        self.y = [vec(v) if isinstance(v, list) else mpf(v) for v in raw["y"]]
        self.weights = raw.get("weights") or None
        self.w = vec(self.weights) if self.weights else [mpf(1)] * self.n
        self.offset = vec(raw["offset"]) if raw.get("offset") else [mpf(0)] * self.n
        self.Z = [vec(z) for z in raw["Z"]["rows"]] if raw.get("Z") else None
        self.answers = raw.get("answers") or {}
        self.p = len(self.X[0])
        self.model, self.expected, self.agreement = {}, {}, {}

    def r(self, key, start=None):
        """R's first answer to key, as a start."""
        return next((a[key] for a in self.answers.values() if key in a), start)

    def compare(self, system, unit=None, **pairs):
        """Record how far a system is: coef and parameters in standard errors, llf absolute, all else relative."""
        into = self.agreement.setdefault(system, {})
        for key, (theirs, ours) in pairs.items():
            theirs, ours = (vec(v) if isinstance(v, (list, tuple)) else [mpf(v)] for v in (theirs, ours))
            scale = unit if key in ("coef", "parameters") else [mpf(1)] if key == "llf" else [abs(v) for v in ours]
            assert len(theirs) == len(ours) == len(scale), (self.name, system, key, len(theirs), len(ours), len(scale))
            into[key] = float(
                f"{float(max(abs(a - b) / (s or 1) for a, b, s in zip(theirs, ours, scale, strict=True))):.1e}"
            )

    def tmb(self, system, par, se, llf, turn=lambda p: p):
        """Hold glmmTMB's joint fit (polished with its exact derivatives) against parameters, joint se and llf."""
        a = self.answers[system]
        self.compare(system, unit=se, parameters=(turn(a["par"]), par), se=(a["se"], se), llf=(a["llf"], llf))

    def check64(self, loglik, par, se, llf, label="", start=None):
        """Hold a float64 Newton fit of a likelihood written apart, with automatic derivatives, against ours."""
        found, errors, value = newton64(loglik, [float(v) * 1.001 for v in par] if start is None else start)
        system = "float64 Newton on a likelihood written apart (jax)" + (", crude start" if start is not None else "")
        self.compare(system + label, unit=se, parameters=(found, par), se=(errors, se), llf=(value, llf))

    def arrays(self):
        import numpy as np

        Z = np.array(self.raw["Z"]["rows"], float) if self.raw.get("Z") else None
        w = np.ones(self.n) if self.weights is None else np.array(self.weights, float)
        return np.array(self.raw["X"], float), np.array(self.raw["y"], float), Z, w

    def put(self, llf=None, parameters=None, **values):
        self.expected |= values
        if llf is not None:
            self.expected |= {"llf": llf, "n_params": parameters, "aic": -2 * llf + 2 * parameters}

    def record(self):
        raw = self.raw
        plain = lambda rows: [[number(v) for v in row] for row in rows]
        data = {
            "columns": raw["columns"],
            "X": plain(raw["X"]),
            "y": plain(raw["y"]) if isinstance(raw["y"][0], list) else [number(v) for v in raw["y"]],
        }
        for key in ("weights", "offset", "trials"):
            if raw.get(key):
                data[key] = [number(v) for v in raw[key]]
        if raw.get("Z"):
            data |= {"precision_columns": raw["Z"]["columns"], "Z": plain(raw["Z"]["rows"])}
        if raw.get("levels"):
            data["levels"] = raw["levels"]
        source = {
            "dataset": raw["dataset"],
            "system": f"mpmath {mpmath.__version__}, 60 digits, maximum of the likelihood as written in make.py",
        }
        source |= {key: raw[key] for key in ("r_call", "note") if raw.get(key)}
        return {
            "id": self.name,
            "title": raw["title"],
            "source": source,
            "model": self.model,
            "data": data,
            "expected": {k: floats(v) for k, v in self.expected.items()},
            "agreement": self.agreement,
        }


def number(v):
    return int(v) if float(v).is_integer() and abs(v) < 1e15 else float(v)


def floats(v):
    if isinstance(v, dict):
        return {k: floats(u) for k, u in v.items()}
    if isinstance(v, (list, tuple)):
        return [floats(u) for u in v]
    return v if v is None or isinstance(v, (int, str)) else float(v)


def newton64(loglik, start):
    """Maximum of a float64 JAX function by damped Newton: parameters, standard errors by its Hessian, value."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    with jax.enable_x64(True):
        f, g, H = jax.jit(loglik), jax.jit(jax.grad(loglik)), jax.jit(jax.hessian(loglik))
        x = jnp.array(start, float)
        for k in range(100):
            G, M = np.asarray(g(x)), -np.asarray(H(x))
            low = np.linalg.eigvalsh(M)[0]
            step = np.linalg.solve(M + max(0.0, 1e-3 - 2 * low) * np.eye(len(G)), G)
            scale = 1.0
            while k < 80 and scale > 1e-8 and not f(x + scale * step) >= f(x) - 1e-9 * abs(f(x)):
                scale /= 2
            x = x + scale * step
        return [float(v) for v in x], [float(v) for v in np.sqrt(np.diag(np.linalg.inv(M)))], float(f(x))


def log_scale(name, value, se_log):
    """A positive nuisance and its standard error from those of its logarithm."""
    return {name: mp.exp(value)}, {name: {k: v * mp.exp(value) for k, v in se_log.items()}}


def standard_errors(c, par, observed, expected=None, joint=True):
    """{kind: se} of the coefficients, {kind: se} of the one nuisance, whose place is the last."""
    p = c.p
    se = {"observed": roots(minor(observed, p))}
    both = {"joint_observed": roots(observed)}
    last = {"coef_fixed_observed": 1 / mp.sqrt(observed[p][p])}
    if expected:
        se["expected"] = roots(minor(expected, p))
    return se | {k: v[:p] for k, v in both.items()}, last | {k: v[p] for k, v in both.items()}, both["joint_observed"]


# --------------------------------------------------------------------------- 1, 2 negative binomial
def case_negative_binomial(c, frequency=False):
    f = lambda i, z: c.w[i] * negative_binomial(c.y[i], mp.exp(z[0]), mp.exp(z[1]))

    def info(i, z):
        mu, r = mp.exp(z[0]), mp.exp(z[1])
        return [[c.w[i] * mu / (1 + mu / r), mpf(0)], [mpf(0), mpf(1)]]

    L = Likelihood(f, [c.X], 1, c.offset, info)
    par, llf, observed = L.maximise([*c.r("coef"), float(mp.log(c.r("theta")))])
    se, r_se, joint = standard_errors(c, par, observed, L.expected(par))
    theta, theta_se = log_scale("theta", par[-1], r_se)
    alpha = 1 / theta["theta"]
    c.model = {
        "family": "negative_binomial",
        "link": "log",
        "weights_kind": "frequency" if frequency else "prior" if c.weights else None,
        "likelihood": "w log NB(y; mu, theta), Var y = mu + mu^2 / theta, log mu = x'b + offset; alpha = 1 / theta",
    }
    c.put(
        llf,
        c.p + 1,
        coef=par[: c.p],
        se=se,
        nuisance=theta | {"alpha": alpha},
        nuisance_se=theta_se | {"alpha": {k: v * alpha for k, v in r_se.items()}},
        **deviances(c, negative_binomial_variance(theta["theta"]), "log", par[: c.p]),
    )
    for system, a in c.answers.items():
        if "par" in a:
            c.tmb(system, par, joint, llf)
        else:
            c.compare(
                system,
                unit=se["expected"],
                coef=(a["coef"], par[: c.p]),
                se=(a["se"], se["expected"]),
                theta=(a["theta"], theta["theta"]),
                theta_se=(a["theta_se"], theta_se["theta"]["coef_fixed_observed"]),
                deviance=(a["deviance"], c.expected["deviance"]),
            )
    if frequency or not c.weights:
        statsmodels_negative_binomial(c, par, alpha, se, llf)


def statsmodels_negative_binomial(c, par, alpha, se, llf):
    import numpy as np
    from statsmodels.discrete.discrete_model import NegativeBinomial

    X, y, _, w = c.arrays()
    times = w.astype(int)
    m = NegativeBinomial(
        np.repeat(y, times), np.repeat(X, times, 0), offset=np.repeat(np.array([float(v) for v in c.offset]), times)
    )
    start = np.array([float(v) for v in [*par[: c.p], alpha]])
    x = m.fit(start_params=start * 1.01, disp=0).params
    for _ in range(20):
        x = x - np.linalg.solve(m.hessian(x), m.score(x))
    joint = np.sqrt(np.diag(np.linalg.inv(-m.hessian(x))))
    c.compare(
        "statsmodels NegativeBinomial",
        unit=se["joint_observed"],
        coef=(list(x[:-1]), par[: c.p]),
        se=(list(joint[:-1]), se["joint_observed"]),
        alpha=(x[-1], alpha),
        alpha_se=(joint[-1], c.expected["nuisance_se"]["alpha"]["joint_observed"]),
        llf=(m.loglike(x), llf),
    )


# --------------------------------------------------------------------------- 3 tweedie
def case_tweedie(c):
    c.model = {
        "family": "tweedie",
        "link": "log",
        "likelihood": "log Tweedie(y; mu, phi, power), Var y = phi mu^power, log mu = x'b",
    }
    if c.weights:
        c.model |= {
            "weights_kind": "two readings",
            "readings": {"dispersion": "phi / w", "likelihood": "w times the log density (what a frequency does)"},
        }
    c.expected["readings"] = {}
    for reading in ("dispersion", "likelihood") if c.weights else ("",):
        tweedie_reading(c, reading)
    if not c.weights:
        c.expected |= c.expected.pop("readings")[""]


def tweedie_reading(c, reading):
    by_phi = reading == "dispersion"

    def f(i, z):
        mu, p, phi = mp.exp(z[0]), z[1], mp.exp(z[2])
        return tweedie(c.y[i], mu, phi / c.w[i], p) if by_phi else c.w[i] * tweedie(c.y[i], mu, phi, p)

    L = Likelihood(f, [c.X], 2)
    a = c.answers["mgcv::gam(tw, ML)"]
    par, llf, observed = L.maximise([*a["coef"], a["power"], float(mp.log(a["phi"]))])
    tweedie_log_w.cache_clear()
    joint, p, phi = roots(observed), par[-2], mp.exp(par[-1])
    again, A, deviance, pearson, _ = irls(c.X, c.y, c.w, c.offset, power_variance(p), "log", par[: c.p])
    assert max(abs(u - v) for u, v in zip(again, par, strict=False)) < mpf("1e-20")
    fixed = [mp.sqrt(v * phi) for v in (r[k] for k, r in enumerate(inverse(A)))]
    pair = roots([r[c.p :] for r in observed[c.p :]])
    c.expected["readings"][reading] = {
        "coef": par[: c.p],
        "se": {"expected": fixed, "observed": roots(minor(observed, c.p)), "joint_observed": joint[: c.p]},
        "nuisance": {"power": p, "phi": phi},
        "nuisance_se": {
            "power": {"coef_fixed_observed": pair[0], "joint_observed": joint[-2]},
            "phi": {"coef_fixed_observed": pair[1] * phi, "joint_observed": joint[-1] * phi},
        },
        "deviance": deviance,
        "pearson_chi2": pearson,
        "llf": llf,
        "n_params": c.p + 2,
        "aic": -2 * llf + 2 * (c.p + 2),
    }
    if reading != "dispersion":
        c.compare(
            "mgcv::gam(tw, ML)",
            unit=joint[: c.p],
            coef=(a["coef"], par[: c.p]),
            power=(a["power"], p),
            phi=(a["phi"], phi),
            llf=(a["llf"], llf),
        )
    if "glmmTMB(tweedie)" in c.answers:  # psi = logit(power - 1), betad = log phi
        d = 1 / ((p - 1) * (2 - p))
        turned = [*par[: c.p], par[-1], mp.log((p - 1) / (2 - p))]
        c.tmb("glmmTMB(tweedie)", turned, [*joint[: c.p], joint[-1], joint[-2] * d], llf)
    tweedie_jax(c, by_phi, reading, par, joint, llf)


def tweedie_jax(c, by_phi, reading, par, joint, llf):
    """As a compound Poisson sum of gammas, not by the series."""
    import jax.numpy as jnp
    import numpy as np
    from jax.scipy.special import gammaln, logsumexp

    X, y, _, w = c.arrays()
    j = np.arange(1.0, 200.0)

    def loglik(b):
        mu, p, phi = jnp.exp(X @ b[:-2]), b[-2], jnp.exp(b[-1]) / (w if by_phi else 1.0)
        rate, shape, scale = mu ** (2 - p) / (phi * (2 - p)), (2 - p) / (p - 1), phi * (p - 1) * mu ** (p - 1)
        x = jnp.where(y > 0, y, 1.0)[:, None]
        parts = j * jnp.log(rate)[:, None] - gammaln(j + 1) + (j * shape - 1) * jnp.log(x) - x / scale[:, None]
        parts = parts - j * shape * jnp.log(scale)[:, None] - gammaln(j * shape)
        return jnp.sum((1.0 if by_phi else w) * (-rate + jnp.where(y > 0, logsumexp(parts, axis=1), 0.0)))

    c.check64(loglik, par, joint, llf, ", compound Poisson sum" + (f", {reading}" if reading else ""))


def tweedie_density(raw):
    """The log density on a grid; held against mgcv, the compound Poisson sum and, at p = 3/2, a Bessel function."""
    out, compound, bessel, mgcv = [], mpf(0), mpf(0), mpf(0)
    for y, mu, phi, p, r in zip(*(raw[k] for k in ("y", "mu", "phi", "p", "mgcv")), strict=True):
        y, mu, phi, p = vec((y, mu, phi, p))
        v = tweedie(y, mu, phi, p)
        out.append(float(v))
        gap = lambda u, v=v: abs(u - v) / max(abs(v), 1)
        if r is not None:
            mgcv = max(mgcv, gap(mpf(r)))
        compound = max(compound, gap(compound_poisson(y, mu, phi, p)))
        if p == mpf(1.5) and y > 0:  # sum_j c^j / (j! (j-1)!) = sqrt(c) I_1(2 sqrt(c)), c = 4 y / phi^2
            root = 2 * mp.sqrt(y) / phi
            with mp.workdps(100):
                b = (-2 * y / mp.sqrt(mu) - 2 * mp.sqrt(mu)) / phi + mp.log(root * mp.besseli(1, 2 * root)) - mp.log(y)
            bessel = max(bessel, gap(b))
    short = lambda v: float(f"{float(v):.1e}")
    unique = lambda k: sorted(set(raw[k]))
    return {
        "id": "tweedie_density",
        "title": "Log density of the Tweedie distribution on a grid",
        "source": {"system": f"mpmath {mpmath.__version__}, series of Dunn and Smyth (2005) in 70 digits"},
        "model": {"family": "tweedie", "likelihood": "Var y = phi mu^p; density for y > 0, probability at y = 0"},
        "data": {k: unique(k) for k in ("y", "mu", "phi", "p")} | {"order": "y fastest, then mu, phi, p"},
        "expected": {"log_density": out},
        "agreement": {
            "relative to max(|log density|, 1)": {
                "compound Poisson sum, 60 digits": short(compound),
                "Bessel function at p = 1.5": short(bessel),
                "mgcv::ldTweedie": short(mgcv),
            }
        },
    }


def compound_poisson(y, mu, phi, p):
    rate, shape, scale = mu ** (2 - p) / (phi * (2 - p)), (2 - p) / (p - 1), phi * (p - 1) * mu ** (p - 1)
    if y == 0:
        return -rate
    term = lambda j: (
        j * mp.log(rate) - lgamma(mpf(j + 1)) + (j * shape - 1) * mp.log(y / scale) - mp.loggamma(j * shape).real
    )
    j = max(1, int(y ** (2 - p) / (phi * (2 - p))))
    while term(j + 1) > term(j):
        j += 1
    while j > 1 and term(j - 1) > term(j):
        j -= 1
    peak, total = term(j), mpf(1)
    for way in (1, -1):
        k = j + way
        while k >= 1 and (t := term(k) - peak) > -150:
            total, k = total + mp.exp(t), k + way
    return -rate - y / scale - mp.log(scale) + peak + mp.log(total)


# --------------------------------------------------------------------------- 4 dispersion by maximum likelihood
def case_dispersion(c, family):
    density, variance, link, name = {
        "gamma": (gamma, "mu^2", "log", "shape"),
        "inverse_gaussian": (inverse_gaussian, "mu^3", "log", "lambda"),
        "gaussian": (gaussian, "1", "identity", "variance"),
    }[family]
    h, dh = LINKS[link]
    V = VARIANCE[variance][0]
    phi_of = (lambda s: s) if family == "gaussian" else (lambda s: 1 / s)  # dispersion from the nuisance
    c.model = {
        "family": family,
        "link": link,
        "likelihood": {
            "gamma": "log Gamma(y; mean mu, shape), phi = 1 / shape, log mu = x'b",
            "inverse_gaussian": "log IG(y; mean mu, lambda), phi = 1 / lambda, Var y = mu^3 / lambda, log mu = x'b",
            "gaussian": "log N(y; x'b, variance), phi = variance (divisor n)",
        }[family],
    }
    readings = ("dispersion", "likelihood") if c.weights else ("",)
    if c.weights:
        c.model |= {
            "weights_kind": "two readings",
            "readings": {
                "dispersion": "phi / w: shape w",
                "likelihood": "w times the log density (what a frequency does)",
            },
        }
    coef = irls(c.X, c.y, c.w, c.offset, VARIANCE[variance], link, c.r("coef"))[0]
    shared = {"coef": coef} | deviances(c, VARIANCE[variance], link, coef)
    start = mp.log(mp.fsum(c.w) / shared["deviance"]) * (-1 if family == "gaussian" else 1)
    out = {}
    for reading in readings:
        by_phi = reading == "dispersion"

        def f(i, z, by_phi=by_phi):
            s = mp.exp(z[1])
            return density(c.y[i], h(z[0]), s * c.w[i]) if by_phi else c.w[i] * density(c.y[i], h(z[0]), s)

        def info(i, z, by_phi=by_phi):
            s, mu = mp.exp(z[1]), h(z[0])
            k, outer = (s * c.w[i], mpf(1)) if by_phi else (s, c.w[i])
            scale = (k**2 * trigamma(k) - k) if family == "gamma" else mpf(1) / 2
            return [[outer * dh(z[0]) ** 2 / (V(mu) * phi_of(k)), mpf(0)], [mpf(0), outer * scale]]

        L = Likelihood(f, [c.X], 1, info=info)
        par, llf, observed = L.maximise([*coef, start])
        expected = L.expected(par)
        se, s_se, joint = standard_errors(c, par, observed, expected)
        s_se["joint_expected"] = roots(expected)[-1]
        value, value_se = log_scale(name, par[-1], s_se)
        phi = phi_of(value[name])
        out[reading] = {
            "se": se,
            "nuisance": value | {"phi": phi},
            "nuisance_se": value_se | {"phi": {k: v * phi for k, v in s_se.items()}},
            "llf": llf,
            "n_params": c.p + 1,
            "aic": -2 * llf + 2 * (c.p + 1),
        }
        if "MASS::gamma.shape" in c.answers:
            a = c.answers["MASS::gamma.shape"]
            c.compare(
                "MASS::gamma.shape",
                shape=(a["shape"], value["shape"]),
                shape_se=(a["shape_se"], value_se["shape"]["joint_expected"]),
            )
        if "glmmTMB(Gamma)" in c.answers:
            c.tmb("glmmTMB(Gamma)", par, joint, llf)
        if family == "inverse_gaussian" or family == "gaussian":
            c.compare("closed form, phi = deviance / n", phi=(shared["deviance"] / c.n, phi))
        dispersion_jax(c, family, by_phi, reading, par, joint, llf)
    a = c.answers["glm"]
    c.compare(
        "glm",
        unit=out[readings[0]]["se"]["expected"],
        coef=(a["coef"], coef),
        deviance=(a["deviance"], shared["deviance"]),
    )
    c.expected = shared | ({"readings": out} if c.weights else out[""])


def dispersion_jax(c, family, by_phi, reading, par, joint, llf):
    import jax.numpy as jnp
    from jax.scipy import stats

    X, y, _, w = c.arrays()

    def loglik(b):
        mu, s = X @ b[:-1], jnp.exp(b[-1])
        k, outer = (s * w, 1.0) if by_phi else (s, w)
        if family == "gaussian":
            return jnp.sum(outer * stats.norm.logpdf(y, mu, jnp.sqrt(k)))
        mu = jnp.exp(mu)
        if family == "gamma":
            return jnp.sum(outer * stats.gamma.logpdf(y, k, scale=mu / k))
        return jnp.sum(outer * (0.5 * jnp.log(k / (2 * jnp.pi)) - 1.5 * jnp.log(y) - k * (y / mu - 1) ** 2 / (2 * y)))

    c.check64(loglik, par, joint, llf, f", {reading}" if reading else "")


# --------------------------------------------------------------------------- 5, 6 beta and dirichlet
def blocks_out(c, kinds, sizes):
    """Split joint standard errors {kind: all} into blocks."""
    out, start = [], 0
    for s in sizes:
        out.append({k: v[start : start + s] for k, v in kinds.items()})
        start += s
    return out


def case_beta(c, link):
    mean = {"logit": LINKS["logit"][0], "cloglog": lambda e: -mp.expm1(-mp.exp(e))}[link]

    def alpha(z):
        mu, phi = mean(z[0]), mp.exp(z[1])
        return [mu * phi, (1 - mu) * phi]

    f = lambda i, z: dirichlet([c.y[i], 1 - c.y[i]], alpha(z))
    L = Likelihood(f, [c.X, c.Z], info=lambda i, z: dirichlet_information(alpha, z))
    a = c.answers["glmmTMB(beta_family)"]
    par, llf, observed = L.maximise(a["par"])
    kinds = {"joint_observed": roots(observed), "joint_expected": roots(L.expected(par))}
    coef_se, precision_se = blocks_out(c, kinds, (c.p, len(c.Z[0])))
    c.model = {
        "family": "beta",
        "link": link,
        "precision_link": "log",
        "likelihood": "log Beta(y; mu phi, (1 - mu) phi), link(mu) = x'b, log phi = z'g",
    }
    c.put(llf, len(par), coef=par[: c.p], se=coef_se, precision=par[c.p :], precision_se=precision_se)
    c.tmb("glmmTMB(beta_family)", par, kinds["joint_observed"], llf)

    import numpy as np
    from statsmodels.genmod.families import links
    from statsmodels.othermod.betareg import BetaModel

    X, y, Z, _ = c.arrays()
    m = BetaModel(y, X, exog_precision=Z, link={"logit": links.Logit, "cloglog": links.CLogLog}[link]())
    x = np.array([float(v) for v in par]) * 1.001
    for _ in range(30):
        x = x - np.linalg.solve(m.hessian(x), m.score(x))
    se = np.sqrt(np.diag(np.linalg.inv(-m.hessian(x))))
    c.compare(
        "statsmodels BetaModel",
        unit=kinds["joint_observed"],
        parameters=(list(x), par),
        se=(list(se), kinds["joint_observed"]),
        llf=(m.loglike(x), llf),
    )


def dirichlet_start(c):
    """Least squares of log alpha at moment precision, crude."""
    import numpy as np

    X, y, _, _ = c.arrays()
    mean = y.mean(0)
    precision = np.median((mean * (1 - mean) / y.var(0)) - 1)
    return np.linalg.lstsq(X, np.log(y), rcond=None)[0] + np.log(precision) * (np.arange(c.p) == 0)[:, None], precision


def case_dirichlet(c, mean_precision=False):
    k, p = len(c.y[0]), c.p
    start, precision = dirichlet_start(c)
    if mean_precision:

        def alpha(z):
            e = [mpf(1)] + [mp.exp(v) for v in z[:-1]]
            total = mp.fsum(e)
            return [v / total * mp.exp(z[-1]) for v in e]

        blocks = [c.X] * (k - 1) + [c.Z]
        first = [*(start[:, 1:] - start[:, :1]).T.ravel(), float(mp.log(precision)), *[0.0] * (len(c.Z[0]) - 1)]
    else:
        alpha = lambda z: [mp.exp(v) for v in z]
        blocks, first = [c.X] * k, list(start.T.ravel())
    loglik = dirichlet_jax(c, mean_precision)
    found = newton64(loglik, first)[0]
    L = Likelihood(lambda i, z: dirichlet(c.y[i], alpha(z)), blocks, info=lambda i, z: dirichlet_information(alpha, z))
    par, llf, observed = L.maximise(found)
    kinds = {"joint_observed": roots(observed), "joint_expected": roots(L.expected(par))}
    columns = k - mean_precision
    table = lambda v: [[v[j * p + a] for j in range(columns)] for a in range(p)]
    c.model = {
        "family": "dirichlet",
        "parametrization": "mean_precision" if mean_precision else "common",
        "likelihood": "log Dirichlet(y; alpha), "
        + ("alpha = phi softmax(0, x'b_2, ..., x'b_k), log phi = z'g" if mean_precision else "log alpha_j = x'b_j"),
    }
    names = ("joint_observed", "joint_expected") if mean_precision else ("observed", "expected")
    rename = dict(zip(("joint_observed", "joint_expected"), names, strict=True))
    c.put(llf, len(par), coef=table(par), se={rename[q]: table(v) for q, v in kinds.items()})
    if mean_precision:
        cut = columns * p
        c.put(precision=par[cut:], precision_se={rename[q]: v[cut:] for q, v in kinds.items()})
    for i in range(3):
        c.expected.setdefault("fitted_mean_first_rows", []).append(
            [a / mp.fsum(alpha(L.point(i, par))) for a in alpha(L.point(i, par))]
        )
    c.check64(loglik, par, kinds["joint_observed"], llf, start=first)
    for system, a in c.answers.items():  # VGAM: (Intercept):1, :2, ..., by covariate; expected information
        by_class = (
            [a["coef"][b * k + j] for j in range(k) for b in range(p)],
            [a["se"][b * k + j] for j in range(k) for b in range(p)],
        )
        c.compare(
            system,
            unit=kinds["joint_observed"],
            parameters=(by_class[0], par),
            se=(by_class[1], kinds["joint_expected"]),
            llf=(a["llf"], llf),
        )


def dirichlet_jax(c, mean_precision):
    import jax
    import jax.numpy as jnp
    from jax.scipy.special import gammaln, xlogy

    X, y, Z, _ = c.arrays()
    p, k = c.p, y.shape[1]

    def loglik(b):
        if mean_precision:
            cut = p * (k - 1)
            lin = jnp.concatenate([jnp.zeros((len(y), 1)), X @ b[:cut].reshape(k - 1, p).T], 1)
            alpha = jax.nn.softmax(lin, 1) * jnp.exp(Z @ b[cut:])[:, None]
        else:
            alpha = jnp.exp(X @ b.reshape(k, p).T)
        return jnp.sum(gammaln(alpha.sum(1)) - gammaln(alpha).sum(1) + xlogy(alpha - 1, y).sum(1))

    return loglik


# --------------------------------------------------------------------------- 7 ordered
def case_ordered(c, statsmodels=False):
    link, levels = c.raw["link"], len(c.raw["levels"])
    F = ORDERED[link]

    def probability(k, z):  # z = (x'b, cut_1, ..., cut_J)
        upper = mpf(1) if k == levels - 1 else F(z[1 + k] - z[0])
        return upper - (mpf(0) if k == 0 else F(z[k] - z[0]))

    def info(i, z):
        total = [[mpf(0)] * len(z) for _ in z]
        for k in range(levels):
            h, q = mpf(STEP), probability(k, z)
            d = []
            for m in range(len(z)):
                up, down = ([v + s * h * (j == m) for j, v in enumerate(z)] for s in (1, -1))
                d.append((probability(k, up) - probability(k, down)) / (2 * h))
            for a in range(len(z)):
                for b in range(len(z)):
                    total[a][b] += c.w[i] * d[a] * d[b] / q
        return total

    f = lambda i, z: c.w[i] * mp.log(probability(int(c.y[i]), z))
    L = Likelihood(f, [c.X], levels - 1, info=info)
    par, llf, observed = L.maximise([*c.answers["ordinal::clm"]["coef"], *c.answers["ordinal::clm"]["cut"]])
    kinds = {"observed": roots(observed), "expected": roots(L.expected(par))}
    coef_se, cut_se = blocks_out(c, kinds, (c.p, levels - 1))
    rows = [0, c.n // 4, c.n // 2, (3 * c.n) // 4, c.n - 1]
    c.model = {
        "family": "ordered",
        "link": link,
        "weights_kind": "frequency" if c.weights else None,
        "likelihood": "P(Y <= k) = F(cut_k - x'b), "
        + {
            "logit": "F logistic",
            "probit": "F normal",
            "cloglog": "F(t) = 1 - exp(-exp(t))",
            "loglog": "F(t) = exp(-exp(-t))",
            "cauchit": "F Cauchy",
        }[link]
        + "; no constant column; y counts levels from 0",
    }
    c.put(
        llf,
        len(par),
        coef=par[: c.p],
        se=coef_se,
        cutpoints=par[c.p :],
        cutpoints_se=cut_se,
        fitted={
            "rows": rows,
            "probabilities": [[probability(k, L.point(i, par)) for k in range(levels)] for i in rows],
        },
    )
    for system, a in c.answers.items():
        kind, theirs = ("observed", a["se"]) if "se" in a else ("expected", a["expected_se"])
        pair = (a["coef"] + a["cut"], par)
        c.compare(system, unit=kinds["observed"], parameters=pair, se=(theirs, kinds[kind]), llf=(a["llf"], llf))
    ordered_jax(c, link, levels, par, kinds["observed"], llf)


def ordered_jax(c, link, levels, par, se, llf):
    import jax.numpy as jnp
    from jax.scipy import stats

    X, y, _, w = c.arrays()
    k = y.astype(int)
    F = {
        "logit": stats.logistic.cdf,
        "probit": stats.norm.cdf,
        "cloglog": lambda t: -jnp.expm1(-jnp.exp(t)),
        "loglog": lambda t: jnp.exp(-jnp.exp(-t)),
        "cauchit": stats.cauchy.cdf,
    }[link]
    ends = lambda b: jnp.concatenate([jnp.array([-40.0]), b[c.p :], jnp.array([40.0])])

    def loglik(b):
        lin, cut = X @ b[: c.p], ends(b)
        high = jnp.where(k == levels - 1, 1.0, F(cut[k + 1] - lin))
        low = jnp.where(k == 0, 0.0, F(cut[k] - lin))
        return jnp.sum(w * jnp.log(high - low))

    c.check64(loglik, par, se, llf)


# --------------------------------------------------------------------------- 8 multinomial counts
def case_multinomial(c):
    k, p = len(c.y[0]), c.p
    constant = mp.fsum(lgamma(mp.fsum(y) + 1) - mp.fsum(lgamma(v + 1) for v in y) for y in c.y)

    def probabilities(z):
        e = [mpf(1)] + [mp.exp(v) for v in z]
        return [v / mp.fsum(e) for v in e]

    f = lambda i, z: mp.fsum(v * mp.log(q) for v, q in zip(c.y[i], probabilities(z), strict=True))
    L = Likelihood(f, [c.X] * (k - 1))
    par, llf, observed = L.maximise(c.answers["nnet::multinom"]["coef"])
    se = roots(observed)
    table = lambda v: [[v[j * p + a] for j in range(k - 1)] for a in range(p)]
    totals = [mp.fsum(column) for column in zip(*c.y, strict=True)]
    entropy = lambda fit: (
        2
        * mp.fsum(
            v * (log1(v / mp.fsum(y)) - mp.log(q)) for i, y in enumerate(c.y) for v, q in zip(y, fit(i), strict=True)
        )
    )
    c.model = {
        "family": "multinomial",
        "link": "softmax",
        "likelihood": "sum_j n_j log pi_j + log of the multinomial coefficient, pi = softmax(0, x'b_2, ..., x'b_k)",
    }
    c.put(
        llf + constant,
        len(par),
        coef=table(par),
        se={"expected": table(se)},
        llf_without_constant=llf,
        deviance=entropy(lambda i: probabilities(L.point(i, par))),
        null_deviance=entropy(lambda i: [t / mp.fsum(totals) for t in totals]),
        fitted={"rows": [0, c.n - 1], "probabilities": [probabilities(L.point(i, par)) for i in (0, c.n - 1)]},
    )
    for system, a in c.answers.items():
        key = "llf" if "llf" in a else "llf_without_constant"
        c.compare(
            system,
            unit=se,
            parameters=(a["coef"], par),
            se=(a["se"], se),
            llf=(a[key], llf + constant if key == "llf" else llf),
        )


# --------------------------------------------------------------------------- 9 quasi
def case_quasi(c, variance, link, text):
    y, w = c.y, c.w
    if c.raw.get("trials"):
        trials = vec(c.raw["trials"])
        y, w = [a / t for a, t in zip(y, trials, strict=True)], trials
    pair = VARIANCE[variance] if isinstance(variance, str) else variance
    keep, c.y, c.w = (c.y, c.w), y, w
    a = c.answers["glm"]
    par, A, deviance, pearson, mu = irls(c.X, y, w, c.offset, pair, link, a["coef"])
    around = deviances(c, pair, link, par)
    c.y, c.w = keep
    with mp.workdps(30):  # the deviance as the integral that defines it
        integral = mp.fsum(
            2 * wi * mp.quad(lambda t, yi=yi: (yi - t) / pair[0](t), [m, (m + yi) / 2, yi])
            for wi, yi, m in list(zip(w, y, mu, strict=True))[:20]
        )
    closed = mp.fsum(wi * pair[1](yi, m) for wi, yi, m in list(zip(w, y, mu, strict=True))[:20])
    c.compare("the deviance's integral, first 20 rows", deviance=(integral, closed))
    phi = pearson / (c.n - c.p)
    c.model = {"family": "quasi", "variance": text, "link": link, "weights_kind": "prior" if c.weights else None}
    c.put(
        coef=par,
        se={"expected": [mp.sqrt(phi * r[k]) for k, r in enumerate(inverse(A))]},
        dispersion=phi,
        df_resid=c.n - c.p,
        **around,
    )
    se = c.expected["se"]["expected"]
    c.compare(
        "glm",
        unit=se,
        coef=(a["coef"], par),
        se=(a["se"], se),
        deviance=(a["deviance"], deviance),
        null_deviance=(a["null_deviance"], around["null_deviance"]),
        dispersion=(a["dispersion"], phi),
    )


# --------------------------------------------------------------------------- 10 dispersion regressions
def case_dispersion_regression(c, family):
    if family == "gaussian":
        f = lambda i, z: gaussian(c.y[i], z[0], mp.exp(z[1]))
        info = lambda i, z: [[mp.exp(-z[1]), mpf(0)], [mpf(0), mpf(1) / 2]]
    else:
        f = lambda i, z: gamma(c.y[i], mp.exp(z[0]), mp.exp(-z[1]))

        def info(i, z):
            k = mp.exp(-z[1])
            return [[k, mpf(0)], [mpf(0), k**2 * trigamma(k) - k]]

    a = c.answers["glmmTMB"]
    L = Likelihood(f, [c.X, c.Z], info=info)
    turn = lambda par: [v * (-1 if family == "gamma" and j >= c.p else 1) for j, v in enumerate(par)]
    par, llf, observed = L.maximise(turn(a["par"]))
    kinds = {"joint_observed": roots(observed), "joint_expected": roots(L.expected(par))}
    coef_se, dispersion_se = blocks_out(c, kinds, (c.p, len(c.Z[0])))
    c.model = {
        "family": family,
        "link": "identity" if family == "gaussian" else "log",
        "dispersion_link": "log",
        "likelihood": "log N(y; x'b, phi), log phi = z'g (phi is the variance)"
        if family == "gaussian"
        else "log Gamma(y; mean mu, shape 1 / phi), log mu = x'b, log phi = z'g",
    }
    c.put(llf, len(par), coef=par[: c.p], se=coef_se, dispersion=par[c.p :], dispersion_se=dispersion_se)
    c.tmb("glmmTMB", par, kinds["joint_observed"], llf, turn)
    if "mgcv::gaulss(b = 0)" in c.answers:
        m = c.answers["mgcv::gaulss(b = 0)"]  # its second predictor is the log standard deviation
        theirs = [v * (2 if j >= c.p else 1) for j, v in enumerate(m["coef"])]
        c.compare("mgcv::gaulss(b = 0)", unit=kinds["joint_observed"], parameters=(theirs, par), llf=(m["llf"], llf))


# --------------------------------------------------------------------------- 11 others
def best_of(f, start):
    """The largest value of f over the line, by Newton."""
    z = mpf(start)
    for _ in range(200):
        _, (g,), ((H,),) = local(lambda v: f(v[0]), [z])
        step = max(min(-g / H, mpf(1)), mpf(-1))
        z += step
        if abs(step) < mpf("1e-24"):
            return f(z)
    raise RuntimeError("no maximum")


def case_truncated_poisson(c):
    f = lambda i, z: truncated_poisson(c.y[i], z[0])
    L = Likelihood(f, [c.X])
    par, llf, observed = L.maximise(c.r("coef"))
    se = roots(observed)
    top = {y: mpf(0) if y == 1 else best_of(lambda t, y=y: truncated_poisson(y, t), mp.log(y)) for y in set(c.y)}
    c.model = {
        "family": "zero_truncated_poisson",
        "link": "log of lambda (canonical)",
        "likelihood": "y log lambda - log(exp(lambda) - 1) - log y!, log lambda = x'b",
        "deviance": "2 sum (best log density of y - log density); 0 at y = 1",
    }
    c.put(llf, c.p, coef=par, se={"expected": se}, deviance=2 * (mp.fsum(top[y] for y in c.y) - llf))
    a = c.answers["VGAM::vglm(pospoisson)"]
    c.compare("VGAM::vglm(pospoisson)", unit=se, coef=(a["coef"], par), se=(a["se"], se), llf=(a["llf"], llf))
    c.tmb("glmmTMB(truncated_poisson)", par, se, llf)


def case_logarithmic(c, start):
    f = lambda i, z: c.w[i] * logarithmic(c.y[i], z[0])
    L = Likelihood(f, [c.X])
    par, llf, observed = L.maximise(start)
    se = roots(observed)
    top = {
        y: mpf(0) if y == 1 else best_of(lambda t, y=y: logarithmic(y, -mp.exp(t)), -mp.log(y * mp.log(y) + 1))
        for y in set(c.y)
    }
    assert max(L.point(i, par)[0] for i in range(c.n)) < 0
    c.model = {
        "family": "logarithmic",
        "link": "canonical: eta = log p < 0",
        "weights_kind": "frequency" if c.weights else None,
        "likelihood": "w (y eta - log y - log(-log(1 - exp(eta)))), eta = x'b",
        "deviance": "2 sum w (best log density of y - log density); 0 at y = 1",
    }
    c.put(
        llf,
        c.p,
        coef=par,
        se={"expected": se},
        deviance=2 * (mp.fsum(w * top[y] for w, y in zip(c.w, c.y, strict=True)) - llf),
    )
    for system, a in c.answers.items():
        c.compare(system, unit=se, coef=(a["coef"], par), se=(a["se"], se), llf=(a["llf"], llf))
    import jax.numpy as jnp

    X, y, _, w = c.arrays()
    c.check64(lambda b: jnp.sum(w * (y * (X @ b) - jnp.log(y) - jnp.log(-jnp.log1p(-jnp.exp(X @ b))))), par, se, llf)


def case_geometric(c, canonical):
    density = (
        (lambda y, e: y * e + mp.log1p(-mp.exp(e)))
        if canonical
        else (lambda y, e: y * e - (y + 1) * mp.log1p(mp.exp(e)))
    )
    dmu = LINKS["geometric" if canonical else "log"][1]

    def info(i, z):
        mu = LINKS["geometric" if canonical else "log"][0](z[0])
        return [[dmu(z[0]) ** 2 / (mu + mu**2)]]

    L = Likelihood(lambda i, z: density(c.y[i], z[0]), [c.X], info=info)
    start = c.r("coef")
    if canonical:  # log mu = x'b there, eta = log(mu / (1 + mu)) here: about 1 / mu of it
        start = [-0.06] + [0.0] * (c.p - 1)
    par, llf, observed = L.maximise(start)
    se = {"expected": roots(L.expected(par)), "observed": roots(observed)}
    c.model = {
        "family": "geometric",
        "link": "canonical: eta = log(mu / (1 + mu)) = log(1 - success) < 0" if canonical else "log",
        "likelihood": "y log mu - (y + 1) log(1 + mu), y failures before a success",
    }
    c.put(
        llf,
        c.p,
        coef=par,
        se=se,
        **deviances(c, negative_binomial_variance(mpf(1)), "geometric" if canonical else "log", par),
    )
    for system, a in c.answers.items():
        c.compare(
            system,
            unit=se["expected"],
            coef=(a["coef"], par),
            se=(a["se"], se["expected"]),
            deviance=(a["deviance"], c.expected["deviance"]),
        )
    import jax.numpy as jnp

    X, y, _, _ = c.arrays()
    c.check64(
        (lambda b: jnp.sum(y * (X @ b) + jnp.log(-jnp.expm1(X @ b))))
        if canonical
        else (lambda b: jnp.sum(y * (X @ b) - (y + 1) * jnp.logaddexp(0.0, X @ b))),
        par,
        se["observed"],
        llf,
    )


def case_conway_maxwell(c):
    import jax.numpy as jnp
    import numpy as np
    from jax.scipy.special import gammaln, logsumexp

    X, y, _, _ = c.arrays()
    j = np.arange(0.0, 400.0)

    def loglik(b):
        lin, nu = X @ b[:-1], jnp.exp(b[-1])
        return jnp.sum(y * lin - nu * gammaln(y + 1) - logsumexp(j * lin[:, None] - nu * gammaln(j + 1), axis=1))

    first = [*np.linalg.lstsq(X, np.log(y + 0.5), rcond=None)[0], 0.0]
    found = newton64(loglik, first)[0]
    L = Likelihood(lambda i, z: conway_maxwell(c.y[i], z[0], mp.exp(z[1])), [c.X], 1)
    par, llf, observed = L.maximise(found)
    se, nu_se, joint = standard_errors(c, par, observed)
    se["expected"] = se.pop("observed")  # nu fixed: canonical in log lambda, so the two are one
    nu, nu_errors = log_scale("nu", par[-1], nu_se)
    c.model = {
        "family": "conway_maxwell_poisson",
        "link": "log of lambda (canonical)",
        "likelihood": "y log lambda - nu log y! - log Z(lambda, nu), Z = sum_j lambda^j / j!^nu, log lambda = x'b",
    }
    c.put(
        llf,
        c.p + 1,
        coef=par[: c.p],
        se=se,
        nuisance=nu,
        nuisance_se=nu_errors,
        fitted_mean_first_rows=[mean_of(L.point(i, par)) for i in range(3)],
    )
    c.check64(loglik, par, joint, llf, start=first)
    for system, a in c.answers.items():  # in means, betad = -log nu; a factor alone: the same model
        k = a["names"].index("betad")
        c.compare(
            system,
            llf=(a["llf"], llf),
            nu=(float(mp.exp(-mpf(a["par"][k]))), nu["nu"]),
            first_mean=(float(mp.exp(mpf(a["par"][0]))), c.expected["fitted_mean_first_rows"][0]),
        )


def mean_of(z):
    lam, nu, term, total, first, j = mp.exp(z[0]), mp.exp(z[1]), mpf(1), mpf(1), mpf(0), 0
    while term > total * mpf("1e-65"):
        j += 1
        term *= lam / power_of(j, nu)
        total, first = total + term, first + j * term
    return first / total


def case_von_mises(c):
    import jax.numpy as jnp
    from jax.scipy.special import i0e

    X, y, _, _ = c.arrays()
    p = c.p

    def loglik(b):
        e1, e2 = X @ b[:p], X @ b[p:]
        size = jnp.sqrt(e1**2 + e2**2)
        return jnp.sum(e1 * jnp.cos(y) + e2 * jnp.sin(y) - jnp.log(i0e(size)) - size - jnp.log(2 * jnp.pi))

    first = [0.0] * (2 * p)
    first[0], first[p] = 0.5, 0.5
    found = newton64(loglik, first)[0]

    def f(i, z):
        size = mp.sqrt(z[0] ** 2 + z[1] ** 2)
        return z[0] * mp.cos(c.y[i]) + z[1] * mp.sin(c.y[i]) - mp.log(2 * mp.pi * mp.besseli(0, size))

    L = Likelihood(f, [c.X, c.X])
    par, llf, observed = L.maximise(found)
    se = roots(observed)
    pairs = lambda v: [[v[a], v[p + a]] for a in range(p)]
    c.model = {
        "family": "von_mises",
        "link": "canonical: eta = (kappa cos m, kappa sin m) = (x'b_1, x'b_2)",
        "likelihood": "eta_1 cos y + eta_2 sin y - log(2 pi I_0(|eta|)), y in radians",
    }
    c.put(llf, 2 * p, coef=pairs(par), se={"expected": pairs(se)})
    rows = [0, c.n - 1]
    points = [L.point(i, par) for i in rows]
    c.put(
        fitted={
            "rows": rows,
            "direction": [mp.atan2(b, a) for a, b in points],
            "kappa": [mp.hypot(a, b) for a, b in points],
        }
    )
    c.check64(loglik, par, se, llf, start=first)
    for system, a in c.answers.items():
        c.compare(
            system,
            direction=(a["mu"], c.expected["fitted"]["direction"][0]),
            kappa=(a["kappa"], c.expected["fitted"]["kappa"][0]),
        )


# --------------------------------------------------------------------------- all of them
def recipes():
    half = mpf(5) / 2
    return {
        "negative_binomial_cloth_offset": case_negative_binomial,
        "negative_binomial_quine": case_negative_binomial,
        "negative_binomial_quine_weights": case_negative_binomial,
        "negative_binomial_biochemists_frequency": lambda c: case_negative_binomial(c, frequency=True),
        "tweedie_owls": case_tweedie,
        "tweedie_owls_weights": case_tweedie,
        "gamma_airquality": lambda c: case_dispersion(c, "gamma"),
        "gamma_airquality_weights": lambda c: case_dispersion(c, "gamma"),
        "inverse_gaussian_nuclear": lambda c: case_dispersion(c, "inverse_gaussian"),
        "gaussian_stackloss": lambda c: case_dispersion(c, "gaussian"),
        "beta_logit_petrol": lambda c: case_beta(c, "logit"),
        "beta_cloglog_swiss": lambda c: case_beta(c, "cloglog"),
        "dirichlet_costs": case_dirichlet,
        "dirichlet_costs_mean_precision": lambda c: case_dirichlet(c, True),
        "dirichlet_pottery": case_dirichlet,
        "dirichlet_pottery_mean_precision": lambda c: case_dirichlet(c, True),
        **{f"ordered_{link}_{data}": case_ordered for link in ORDERED for data in ("housing", "wine")},
        "multinomial_housing": case_multinomial,
        "multinomial_pneumo": case_multinomial,
        "quasi_mu2_airquality": lambda c: case_quasi(c, "mu^2", "log", "mu^2"),
        "quasi_binary_swiss": lambda c: case_quasi(c, "mu(1-mu)", "logit", "mu(1-mu)"),
        "quasibinomial_lirat": lambda c: case_quasi(c, "mu(1-mu)", "logit", "mu(1-mu), quasibinomial with trials"),
        "quasi_mu3_nuclear": lambda c: case_quasi(c, "mu^3", "log", "mu^3"),
        "quasi_quadratic_quine_weights": lambda c: case_quasi(
            c, negative_binomial_variance(half), "log", "mu + mu^2 / 2.5"
        ),
        "quasi_mu15_owls_offset": lambda c: case_quasi(c, power_variance(mpf(3) / 2), "log", "mu^1.5"),
        "gaussian_scale_cars": lambda c: case_dispersion_regression(c, "gaussian"),
        "gaussian_scale_toothgrowth": lambda c: case_dispersion_regression(c, "gaussian"),
        "gamma_dispersion_airquality": lambda c: case_dispersion_regression(c, "gamma"),
        "zero_truncated_poisson_trips": case_truncated_poisson,
        "logarithmic_corbet": lambda c: case_logarithmic(c, c.r("coef")),
        "logarithmic_trips": lambda c: case_logarithmic(c, [-0.05, 0.0, 0.0]),
        "geometric_log_quine": lambda c: case_geometric(c, False),
        "geometric_canonical_quine": lambda c: case_geometric(c, True),
        "conway_maxwell_insectsprays": case_conway_maxwell,
        "conway_maxwell_nitrofen": case_conway_maxwell,
        "von_mises_periwinkles": case_von_mises,
        "von_mises_periwinkles_constant": case_von_mises,
    }


def main(folder, only=()):
    mp.dps = 60
    warnings.simplefilter("ignore")
    r = json.loads(Path(folder, "r.json").read_text())
    todo = recipes()
    for name, raw in r["cases"].items():
        if only and not any(o in name for o in only):
            continue
        if name == "tweedie_density":
            result = tweedie_density(raw)
        else:
            c = Case(name, raw)
            todo[name](c)
            result = c.record()
        (HERE / f"{name}.json").write_text(layout(result) + "\n")
        print(name, json.dumps(result["agreement"]), flush=True)
    print(sum(f.stat().st_size for f in HERE.iterdir()), "bytes;", r["versions"])


def layout(v, depth=0):
    """JSON with one line per inner list."""
    pad = " " * (depth + 1)
    if isinstance(v, dict) and v and depth < 4:
        inner = ",\n".join(f"{pad}{json.dumps(k)}: {layout(u, depth + 1)}" for k, u in v.items())
        return "{\n" + inner + "\n" + " " * depth + "}"
    return json.dumps(v, separators=(",", ":"))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
