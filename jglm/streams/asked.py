"""What a user asks of a stream: fit's and glm's arguments as a `Layout`, and the end of a fit."""

from jglm.fitting.progress import Passes
from jglm.inputs import checks, resolve
from jglm.inputs.formula import Formula
from jglm.inputs.policies import Policy
from jglm.streams import fitting, robust
from jglm.streams.checkpoint import Checkpoint, told_of
from jglm.streams.groups import CLUSTERS, told_by
from jglm.streams.layout import GROUPS, NAMED, Layout
from jglm.streams.robust import BY_CLUSTERS, BY_ROWS

COVARIANCES = (None, "model", "joint", *BY_ROWS, *BY_CLUSTERS)


def check(covariance, dispersion, dispersions, options):
    """The covariance, after a look at options that a stream has none of."""
    kind, groups = covariance
    robust.check(kind, groups)
    checks.choice("covariance", kind, COVARIANCES)
    checks.choice("dispersion", dispersion, (None, *dispersions))
    checks.choice("dtype", options["dtype"], ("float64", "float32"))
    options |= dict(tol=checks.positive("tol", options["tol"]), max_iter=checks.whole("max_iter", options["max_iter"]))
    if options["devices"] not in (None, "all"):
        raise ValueError("a stream takes devices='all', for the processes that share its rows, and no list of devices")
    return kind


def layout_of(X, y, family, link, penalty, *, weight_kind="prior", intercept=True, names=None, functions=None,
              formula=False, precision=None, missing="drop", unseen="error", **given):  # fmt: skip
    """The `Layout` of a stream X and the column y, or of a formula X and a stream y."""
    checks.choice("weight_kind", weight_kind, ("prior", "frequency"))
    family = resolve.family(family)
    link = resolve.link(family, link, penalty)
    named = {k: given.get(k) for k in (*NAMED, *GROUPS)}
    if not formula:
        if precision is not None:
            raise ValueError("precision= with a stream is a formula; use jglm.glm")
        intercept = intercept and not family.has_cutpoints
        return Layout(X, family, link, None, y, named, weight_kind=weight_kind, intercept=intercept, names=names)
    if not (precision is None or isinstance(precision, str)):
        raise TypeError("precision= with a stream is a formula, such as '~ z1 + z2'")
    policy = Policy(missing, unseen)
    parsed = Formula(X, functions, intercept=not family.has_cutpoints, policy=policy)
    second = None if precision is None else Formula(precision, functions, one_sided=True, policy=policy)
    return Layout(y, family, link, parsed, None, named, weight_kind=weight_kind, intercept=False, precision=second)


def checkpoint_of(checkpoint, resume):
    """A `Checkpoint` of a folder or one of them, None without."""
    if checkpoint is None:
        if resume:
            raise ValueError("resume=True goes on from the folder that checkpoint= names; give that too")
        return None
    if isinstance(checkpoint, Checkpoint):
        checkpoint.resume = checkpoint.resume or bool(resume)
        return checkpoint
    return Checkpoint(checkpoint, resume=resume)


def fit(X, y, family, link, penalty, given, options):
    """(`Estimate`, `Streamed` data, family, what a Fit keeps besides, what is known of it already)."""
    options.pop("devices")
    layout = layout_of(X, y, family, link, penalty, **given)
    stream = y if layout.formula else X
    checkpoint = checkpoint_of(options.pop("checkpoint", None), options.pop("resume", False))
    if checkpoint is not None:
        checkpoint.tell(told_of(stream, layout, penalty, options))
    progress, counts = options["progress"], [stream.source.pieces[i].rows for i in stream.mine]
    rows = None if None in counts else sum(counts)
    bar = None if progress is False else Passes(rows, options["tol"], 0.0 if progress else 1.0)
    try:
        data = fitting.first_pass(stream, layout, checkpoint, bar)
        if "groups" in layout.given:
            data.clusters = told_by(layout.given["groups"], data, stream, CLUSTERS)
        found, known = fitting.fit(data, penalty, options)
    finally:
        if bar is not None:
            bar.close()
    kept = dict(weight_kind=layout.weight_kind)
    if layout.formula is not None:
        kept |= dict(formula=layout.formula, columns=layout.columns, n_dropped=data.dropped, precision=layout.precision)
        kept |= {} if layout.precision is None else {"precision_names": layout.precision.names}
    return found, data, layout.family, kept, known
