"""The front doors: fit (arrays), glm (a formula and a data frame), load (a model file)."""

import dataclasses
from typing import Any

import jax
import numpy as np

from jglm import cache, distributed, penalties
from jglm.fitting import deferred, estimate
from jglm.inference.covaried import named, refuse_without_groups, sides
from jglm.inference.sandwich import ROBUST
from jglm.inputs import checks, factors, frames, labels, policies, resolve
from jglm.inputs import data as arrays
from jglm.inputs.formula import Formula
from jglm.inputs.policies import Policy
from jglm.keeping import io, modelfile
from jglm.results import DISPERSIONS, Fit
from jglm.sharing import shards

ROWS = ("groups", "time")  # of labels of the rows, which only their covariance takes
DTYPES = ("float64", "float32")


def fit(X, y, *, family, link=None, weights=None, weight_kind="prior", offset=None, exposure=None, trials=None,
        penalty=None, intercept=True, solver="auto", tol=1e-8, max_iter=None, dtype="float64", start=None, names=None,
        covariance="model", groups=None, precision=None, dispersion=None, progress=None, devices=None,
        checkpoint=None, resume=False):  # fmt: skip
    """Fit a generalized linear model to arrays by maximum likelihood.

    Minimizes sum_i w_i (a(eta_i) - T(y_i)·eta_i) + penalty(coef) with lin = X coef + offset.

    Args:
        X: (n, p) numbers: NumPy, JAX, pandas, Polars or Arrow; or a stream (`jglm.open_parquet`), of which y, weights,
            offset, exposure and trials are names of columns and X all others.
        y: (n,) or (n, k), as the family takes it: Bernoulli 0/1, bool, -1/1 or two labels (the second in order is the
            event); binomial successes with `trials`, a proportion with `weights`, or (n, 2) successes and failures;
            categorical labels (the first in order is the reference), one-hot or soft labels (n, k).
        family: a name of `jglm.families`, a family of it, or a `jglm.Family` of your own.
        link: a name of `jglm.links`, a `jglm.Link`, "canonical", or None: canonical where eta may be any
            real, else log.
        weights: (n,) >= 0; `weight_kind` "prior": variance phi V(mu) / w, rows of weight 0 leave nobs; "frequency": a
            row stands for w rows; "sampling": 1 / the probability that the row was sampled, brought to a mean of 1 (the
            covariance is then "survey").
        offset: (n,) added to lin; exposure: (n,) > 0, added as log(exposure).
        trials: (n,) numbers of trials of the binomial.
        penalty: None or `jglm.penalties.ridge(...)`; the intercept is not penalized. "firth" (mean bias reduction) or
            "jeffreys": finite under separation, for all coefficients.
        intercept: put a column of ones, named "Intercept", first.
        solver: "auto"; "irls" (Newton's method on the host); "newton" (compiled); "sketched" (a sample of the rows,
            then gradient passes over all); "lbfgs" (about a diagonal, for very many columns); "minibatch"; or a record
            of `jglm.solvers` such as Gradient(alpha, steps) or Minibatch(optax.adam(0.002)). `Fit.solver` says what
            "auto" took.
        tol: the distance left to the optimum in standard errors, sqrt(g' H^-1 g / phi).
        max_iter: passes over the data at most; None is the solver's own number.
        dtype: "float64", or "float32" to store X in half the memory.
        start: (p,) or (p, k) coefficients to begin at, the intercept's first.
        names: p names for the columns of X; a frame brings its own.
        covariance: "model" (expected information, computed when wanted), "observed" (observed information), "joint"
            (that of coefficients and family parameters together), None, or robust: "HC0" to "HC3", "cluster" (the same
            as "CR1"), "CR0", "CR1p", "CR2", "CR3", "survey", "HAC", a `jglm.HAC(lags=…)`; see `Fit.with_covariance`.
        groups: (n,) labels of groups of rows that are not independent, or a pair of such for two ways.
        precision: (n, q) design with its own constant column, on the log scale, for the second parameter of families
            that have one (beta, dirichlet by mean and precision, gaussian and gamma by mean and dispersion).
        dispersion: "pearson" (the default), "deviance" or "ml": how phi is estimated where it is not fixed.
        progress: True, False, or None: a bar once the fit takes longer than a second.
        devices: share the rows out over devices: "all" or a list of JAX devices. After `jglm.distributed.initialize`
            "all" are those of all processes: each gives its own rows, and all get the same fit, without its data.
        checkpoint: of a stream, a folder that keeps after every pass what is known; resume: go on from there.

    Returns a `Fit`. Raises ValueError or TypeError for input that cannot be; warns of separation, of a fit that did
    not converge, and of a constant column besides the intercept.

    >>> import jglm
    >>> X = [[0.0], [1.0], [2.0], [3.0]]
    >>> jglm.fit(X, [1, 2, 6, 14], family="poisson").params.round(3)
    array([-0.085,  0.911])
    """
    given = dict(weights=weights, weight_kind=weight_kind, offset=offset, exposure=exposure, trials=trials,
                 intercept=intercept, names=names, precision=precision, formula=False)  # fmt: skip
    options = dict(solver=solver, tol=tol, max_iter=max_iter, dtype=dtype, start=start, progress=progress,
                   devices=devices, checkpoint=checkpoint, resume=resume)  # fmt: skip
    return _fit(X, y, family, link, penalty, (covariance, groups), dispersion, given, options)


def _fit(X, y, family, link, penalty, covariance, dispersion, given: dict[str, Any], options: dict[str, Any]):
    from jglm.sharing import agreement

    penalty = resolve.penalty(penalty)
    if checks.is_stream(y if given["formula"] else X):
        return _fit_stream(X, y, family, link, penalty, covariance, dispersion, given, options)
    if options.pop("checkpoint") is not None or options.pop("resume"):
        raise ValueError("checkpoint= and resume= are for streams (jglm.open_parquet); data in memory are fitted anew")
    name, groups = covariance
    frame = y if given["formula"] else None
    rows: dict[str, Any]
    (covariance, hac), rows = _covariance_of(name, groups, given["weight_kind"], frame)
    checks.choice("dtype", options["dtype"], DTYPES)
    checks.choice("dispersion", dispersion, (None, *DISPERSIONS))
    options |= dict(tol=checks.positive("tol", options["tol"]), max_iter=checks.whole("max_iter", options["max_iter"]))
    devices = options.pop("devices")
    mesh = None if devices is None else shards.mesh_of(devices)
    if mesh is not None and shards.processes_of(mesh) > 1 and covariance in ROBUST:
        raise ValueError(f"covariance={covariance!r} needs the rows of all processes, of which each has its share; use "
                         "'model'")  # fmt: skip
    with jax.enable_x64(True):
        if mesh is None or shards.processes_of(mesh) == 1:
            prepared, family, link, kept = inputs(X, y, family, link, penalty, **given, **rows)
        else:
            prepared, family, link, kept = agreement.together(
                lambda: inputs(X, y, family, link, penalty, gather=agreement.gather, **given, **rows)
            )
        found = sides(kept.pop("rows"), prepared, given["weight_kind"])
        refuse_without_groups(covariance, found)
        kept |= dict(covariance=covariance, dispersion=dispersion, sides=found | {"hac": hac})
        return finish(prepared, family, link, penalty, options, mesh=mesh, **kept)


def _fit_stream(X, y, family, link, penalty, covariance, dispersion, given, options):
    """The same for a stream, whose rows stay on disk."""
    from jglm.streams import asked

    for name in ("reference", "fixed"):
        if given.pop(name, None) is not None:
            raise ValueError(f"{name}= is for data in memory; a stream's factors are based on their first level "
                             "(relativities(base=…) takes another), and what is fixed is a column for "
                             "offset=")  # fmt: skip
    groups = covariance[1]
    covariance = asked.check(covariance, dispersion, DISPERSIONS, options)
    if options["devices"] is not None and distributed.processes() > 1:
        share = lambda v: v.share(distributed.process(), distributed.processes(), distributed.Together())
        X, y = (X, share(y)) if given["formula"] else (share(X), y)
        options["devices"] = None
        wanted = covariance, groups
        fit = lambda: _fit_stream(X, y, family, link, penalty, wanted, dispersion, given, options).detach()
        return distributed.together(fit)  # without its data, of which this process has a share
    cache.enable()
    with jax.enable_x64(True):
        found, data, family, kept, known = asked.fit(X, y, family, link, penalty, given | {"groups": groups}, options)
        estimate.warn_about(found, data)
        fit = fit_of(found, data, family, covariance=covariance, dispersion=dispersion, **kept)
    fit._unscaled, fit._null = known["unscaled"], known["null"]
    return fit


def _covariance_of(covariance, groups, weight_kind, data):
    """((name of the covariance, its `HAC`), codes of groups and times)."""
    if weight_kind == "sampling" and isinstance(covariance, str) and covariance == "model":
        covariance = "survey"
    name, hac = named(covariance, weight_kind)
    time = None if hac is None else labels.time_of(hac.time, data)
    hac = None if hac is None else dataclasses.replace(hac, time=None)
    return (name, hac), dict(groups=labels.groups_of(groups, data), time=time)


def inputs(X, y, family, link, penalty, *, weight_kind="prior", intercept=True, names=None, functions=None,
           formula=None, gather=None, reference=None, fixed=None, missing="drop", unseen="error", **given):  # fmt: skip
    """(Prepared, family, link, what a Fit keeps besides) of arrays, or of a formula X and a data frame y: as
    `formula` says, or as X is a text or not. `gather` brings what other processes hold, where these rows are a share:
    levels and labels are those of all."""
    from jglm.sharing import agreement

    checks.choice("weight_kind", weight_kind, arrays.WEIGHT_KINDS)
    family = resolve.family(family)
    link = resolve.link(family, link, penalty)
    if not (isinstance(X, str) if formula is None else formula):
        rows = {k: given.pop(k) for k in ROWS if k in given}
        prepared, family = arrays.prepare(
            X, y, family, link, weight_kind=weight_kind, intercept=intercept, names=names, gather=gather, **given
        )
        return prepared, family, link, dict(weight_kind=weight_kind) | ({"rows": rows} if rows else {})
    policy = Policy(missing, unseen)
    parsed = Formula(X, functions, intercept=not family.has_cutpoints, policy=policy)
    precision = given.get("precision")
    second = Formula(precision, functions, one_sided=True, policy=policy) if isinstance(precision, str) else None
    given |= dict(precision=precision if second is None else None)
    columns = {k: v for k, v in given.items() if isinstance(v, str)}
    fixed = factors.checked_fixed(fixed or {}, parsed, link)
    frame, given, dropped = _rows(parsed, second, y, given, columns, list(fixed))
    if gather is not None:
        frame, dropped = agreement.with_all_levels(frame, parsed, second, gather), sum(gather(dropped))
    if missing == "as_missing":
        frame = policies.with_missing_last(frame, policies.factor_columns([parsed, second], frame))
    if reference is not None:
        parts = [checks.floats(k, given[k]) for k in ("weights", "exposure", "trials") if given.get(k) is not None]
        frame = factors.with_reference(parsed, frame, reference, np.prod(parts, axis=0) if parts else None, gather)
    rows = {k: given.pop(k) for k in ROWS if k in given}
    if second is not None:
        given["precision"] = second.fit(frame)[0]
    X, shift = parsed.fit(frame)
    if gather is not None:
        agreement.refuse_learnt(parsed, second)
    if fixed:
        shift = factors.log_relativities(fixed, frame) + (0.0 if shift is None else shift)
    if shift is not None:
        given["offset"] = shift if given["offset"] is None else given["offset"] + shift
    if len(parsed.names) != len(set(parsed.names)):
        raise ValueError(f"formula {parsed.text!r} gives two columns the same name")
    prepared, family = arrays.prepare(
        X, parsed.y(frame), family, link, weight_kind=weight_kind, intercept=False, names=parsed.names,
        gather=gather, **given,
    )  # fmt: skip
    kept = dict(
        weight_kind=weight_kind, formula=parsed, columns=columns, n_dropped=dropped, precision=second, fixed=fixed,
        _frame=frame,
    )
    kept |= {"rows": rows} if rows else {}
    return prepared, family, link, kept | ({} if second is None else {"precision_names": second.names})


def finish(prepared, family, link, penalty, options, mesh=None, **kept):
    """The `Fit` of checked data, whose rows are shared out over a mesh where there is one."""
    from jglm.sharing import spreadfit

    cache.enable()
    if penalty is not None and not hasattr(penalty, "value"):
        raise TypeError(f"penalty is a {type(penalty).__name__}; it must be one of jglm.penalties, such as ridge(1.0)")
    width = link.width(family)
    if options["start"] is not None:
        p = prepared.design.shape[1]
        shape = (p,) if width is None else (p, width)
        options["start"] = checks.numbers("start", options["start"], shape=shape)
    if width is not None and prepared.offset.ndim == 1:
        raise ValueError("offset must have a column per class")
    if mesh is None:
        found = estimate.estimate(prepared, family, link, penalty, **options)
        estimate.warn_about(found, prepared)
        return fit_of(found, prepared, family, **kept)
    found, later, prepared = spreadfit.fit_spread(prepared, family, link, penalty, mesh, options)
    estimate.warn_about(found, prepared)
    if shards.processes_of(mesh) > 1:
        later["_prepared"] = None  # of which this process has but its share
    return dataclasses.replace(fit_of(found, prepared, family, **kept), **later)


def fit_of(found, prepared, family, *, covariance="model", dispersion=None, **kept):
    """The `Fit` of an `Estimate`; `family` as it was before its free parameters had values."""
    # A closed likelihood at R's dispersion is there already; others are computed when asked for.
    if "precision_names" not in kept:
        columns = prepared.designs[family.regressed].shape[1] if prepared.designs else 0
        kept["precision_names"] = [f"z{i + 1}" for i in range(columns)]
    known = family.plugs_in and dispersion != "ml" and np.isfinite(found.llf)
    phi, penalty = family.free and dict(family.free).get("phi"), found.model.penalty
    return Fit(
        model=found.model, params=found.coef, names=prepared.names, levels=prepared.levels,
        intercept=prepared.intercept, kept=found.kept, free=family.free, nuisance=found.nuisance,
        dispersion=dispersion or ("ml" if phi or found.phi else "pearson"), _llf=found.llf if known else None,
        _phi=float(phi.value(found.nuisance["phi"][0])) if phi else found.phi,
        _unscaled=found.unscaled,
        deviance=found.deviance, pearson_chi2=found.chi2, nobs=prepared.nobs,
        status=found.status, n_iter=found.n_iter, history=found.history, solver=found.solver,
        covariance=covariance if penalty is None or penalties.is_smooth(penalty) else None,
        has_offset=prepared.has_offset, has_constant=deferred.constant_column(prepared),
        separated=found.separated, _prepared=prepared, **kept,
    )  # fmt: skip


def glm(formula, data, *, family, link=None, weights=None, weight_kind="prior", offset=None, exposure=None, trials=None,
        penalty=None, intercept=None, solver="auto", tol=1e-8, max_iter=None, dtype="float64", start=None,
        covariance="model", groups=None, precision=None, dispersion=None, progress=None, functions=None,
        reference=None, fixed=None, missing="drop", unseen="error", devices=None, checkpoint=None,
        resume=False):  # fmt: skip
    """Fit a formula to a data frame: `jglm.glm("visits ~ age + C(plan)", data, family="poisson")`.

    Args:
        formula: as formulaic reads it: columns, interactions `a:b` and `a*b`, C() for factors, I() and arithmetic,
            NumPy's elementwise functions, splines bs() and cr(), poly(), center(), scale(), offset(). It is checked
            before anything runs; `functions` adds your own by name. "- 1" leaves the intercept out.
        data: pandas, Polars, Arrow, a dict of columns, or a stream (`jglm.open_parquet`). Rows with a missing value in
            a column of the model are dropped and counted (`fit.n_dropped`), as in R; text and categorical columns
            become factors.
        weights, offset, exposure, trials, groups: arrays of the frame's length, or names of its columns (a pair for two
            groupings); `jglm.HAC(time=…)` too.
        precision: a design of the frame's length, or a formula such as "~ z1 + z2".
        reference: of plain factors, "most_exposed" (the level with the largest total of weights x exposure) or {column:
            level}; None is the first level.
        fixed: {column: {level: relativity}} of columns that are not in the formula: the product of the relativities
            multiplies the mean (log link) or the odds (logit), and is not estimated; predictions take it too.
        missing: "drop", as R's na.omit; "error"; or "as_missing": missing values of a factor are its last level,
            "(missing)", and only rows that miss a number are dropped. Where rows are dropped predictions are NaN.
        unseen: what predictions do with a level that was not there at the fit: "error"; "baseline": it counts as the
            factor's reference level; "as_missing": as the level "(missing)". `Fit.predict` may name others.

    All else as in `jglm.fit`.
    """
    if intercept is not None:
        raise ValueError("a formula says itself whether there is an intercept: write 'y ~ x - 1' for none")
    given = dict(weights=weights, weight_kind=weight_kind, offset=offset, exposure=exposure, trials=trials,
                 precision=precision, functions=functions, reference=reference, fixed=fixed, missing=missing,
                 unseen=unseen, formula=True)  # fmt: skip
    options = dict(solver=solver, tol=tol, max_iter=max_iter, dtype=dtype, start=start, progress=progress,
                   devices=devices, checkpoint=checkpoint, resume=resume)  # fmt: skip
    return _fit(formula, data, family, link, penalty, (covariance, groups), dispersion, given, options)


def _rows(parsed, second, data, given, columns, also):
    """The frame of the columns of the formulas and the arrays beside it, without rows that miss a value; as their
    policy says missing values of factors are a level."""
    more = [] if second is None else second.right_variables
    frame = frames.to_pandas(data, list(dict.fromkeys([*parsed.variables, *columns.values(), *also, *more])))
    if len(frame) == 0:
        raise ValueError("data has no rows; a fit needs data")
    arrays_given = {}
    for name, value in given.items():
        if value is not None and name not in columns:
            array = checks.floats(name, value)
            if len(array) != len(frame):
                raise ValueError(f"{name} has {len(array)} rows, data has {len(frame)}; they must have the same")
            arrays_given[name] = array
    if parsed.policy.missing == "as_missing":
        frame = policies.with_missing_level(frame, policies.factor_columns([parsed, second], frame), fitting=True)
    frame, arrays_given, kept = frames.drop_missing(frame, arrays_given, parsed.policy.missing)
    by_name = {k: frame[v].to_numpy() for k, v in columns.items()}
    return frame, {k: arrays_given.get(k, by_name.get(k)) for k in given}, int(np.sum(~kept))


def load(path, family=None, link=None, functions=None):
    """The fit of a model file written by `fit.save`; nothing in the file is executed.

    A family, link or function of your own travels by name: give it again. Raises ValueError for a file that is none
    of jglm's, was damaged or tampered with, or whose family is another.
    """
    tensors, facts = io.read(path)
    try:
        return Fit(**modelfile.restore(tensors, facts, family, link, functions))
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"{path} is damaged: {type(error).__name__} {error}") from error
