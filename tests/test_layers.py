"""The architecture, held: a module imports only modules above it, and jglm imports nothing that it does not need."""

import ast
import subprocess
import sys
from pathlib import Path

import jglm

ROOT = Path(jglm.__file__).parent
# From the top down; a module may import what stands above it.
ORDER = (
    "distributions", "inputs", "fitting", "sharing", "batches", "regularization", "inference", "diagnostics",
    "resampling", "scans", "assessing", "rating", "reporting", "keeping", "distributed", "_record",
    "distributions.special", "distributions.invert", "distributions.support", "distributions.parameters",
    "distributions.expression", "distributions.contour", "distributions.quadrature", "distributions.trials",
    "distributions.choice", "distributions.density", "distributions.distribution", "distributions.broadcast", "family",
    "distributions.closed", "distributions.quasi", "families", "links", "terms", "penalty", "penalties",
    "designs.products", "designs.placement", "designs.dense", "designs.sparse", "designs.categorical",
    "designs.combined", "designs.lagged", "designs", "rows", "model", "solvers.base", "solvers.newton",
    "solvers.gradient", "solvers.fista", "solvers.lbfgs", "solvers.proximal", "solvers.minibatch", "solvers",
    "fitting.padding", "drivers", "reporting.tables", "reporting.summary", "fitting.linalg", "fitting.squares",
    "batches.stacked", "batches.lanes", "batches.lockstep", "batches.incache", "batches.batch", "batches.kinked",
    "sharing.shards", "fitting.irls", "inference.tails", "inference.profiling", "diagnostics.recession",
    "inputs.checks", "inputs.response", "inputs.matrix", "inputs.data", "inputs.frames",
    "inputs.wholefile", "inputs.grammar", "inputs.coding", "inputs.policies", "inputs.plain", "inputs.formula",
    "inputs.factors", "fitting.progress", "fitting.problem", "fitting.slabs", "fitting.passes", "fitting.iterate",
    "fitting.looks", "fitting.constrained", "fitting.workingset", "regularization.pathwise", "fitting.sketch",
    "fitting.coded", "fitting.minibatches", "fitting.joint", "fitting.jointrows", "fitting.deferred",
    "diagnostics.leverage", "fitting.firth", "inputs.labels", "inference.sandwich", "inference.covaried",
    "fitting.smoothing", "fitting.estimate", "sharing.spread", "sharing.spreadfit",
    "sharing.agreement", "inputs.resolve", "cache", "keeping.io", "keeping.upgrades", "keeping.modelfile",
    "keeping.numpyterms", "keeping.numpymodel", "keeping.pieces", "keeping.scoringtable", "keeping.tabulated",
    "keeping.spreadsheets", "keeping.exported", "prediction", "diagnostics.residuals", "diagnostics.deletion",
    "diagnostics.collinearity", "diagnostics.grouped", "diagnostics.waldslope", "inference.penalized",
    "diagnostics.separation", "diagnostics.diagnosed", "assessing.rows", "assessing.expected", "assessing.ranking",
    "assessing.asked", "resampling.draws", "resampling.jackknife", "resampling.reweighted", "resampling.resamples",
    "resampling.resampled", "inference.delta", "inference.profiles", "inference.scenarios", "inference.effects",
    "inference.means", "inference.rowmeans", "inference.predictive", "inference.marginaleffects", "inference.intervals",
    "rating.tables", "rating.balance", "rating.rated", "rating.groups", "rating.merging", "rating.oneway",
    "streams.sources", "streams.threads", "streams.columns", "streams.stream", "streams.store", "streams.states",
    "streams.factors", "streams.tabular", "streams.layout", "streams.scan", "streams.checkpoint", "streams.robust",
    "streams.later", "streams.streamed", "streams.groups", "streams.ending", "streams.minibatches", "streams.fitting",
    "streams.asked", "streams.predicting", "streams", "inference.testresults", "inference.restrictions",
    "scans.candidates", "scans.nullmodel", "inference.hypotheses", "inference.byterm", "inference.goodness",
    "inference.tested", "inference.comparison", "reporting.overview", "charts.style", "charts.paths",
    "charts.coefficients", "charts.predictions", "charts.residuals", "charts", "reporting.svg", "reporting.parts",
    "reporting.contents", "reporting.report", "results", "distributions.familycheck", "api", "rating.grouping",
    "fitting.updating", "diagnostics.separating", "scans.scan", "resampling.bootstrap", "regularization.streampaths",
    "regularization.paths", "regularization.crossvalidation", "batches.manyinput", "batches.moderation",
    "batches.manyfits", "batches.many", "estimators", "inputs.files", "sharing.launch", "demo", "lab",
    "lab.experiments", "lab.reading", "lab.curves", "lab.fits", "lab.experiments.partition", "lab.experiments.faces",
    "lab.experiments.logodds", "lab.experiments.assembly", "lab.experiments.counts", "lab.experiments.boundary",
    "lab.experiments.margins", "lab.experiments.squares", "lab.experiments.gaussian", "lab.experiments.smoothing",
    "lab.experiments.steps", "lab.worker", "lab.server", "commandline", "commandline.exitcodes", "commandline.terminal",
    "commandline.calls", "commandline.described", "commandline.tables", "commandline.chosen", "commandline.penalizing",
    "commandline.modelling", "commandline.fit", "commandline.predict", "commandline.summary", "commandline.report",
    "commandline.export", "commandline.strengths", "commandline.path", "commandline.cv", "commandline.bootstrap",
    "commandline.anova", "commandline.test", "commandline.compare", "commandline.check", "commandline.families",
    "commandline.demo", "commandline.lab", "commandline.completion", "cli", "__main__",
)  # fmt: skip
CORE = {"jax", "numpy", "optax", "jglm"}
# SciPy a user has who gives such a matrix; threadpoolctl is small, and no part of what is computed.
BESIDES = {"designs.sparse": {"scipy"}, "designs.categorical": {"scipy"}, "designs.products": {"threadpoolctl"}}
# Modules whose classes are those of another library.
EDGE = {"estimators": {"sklearn"}, "inference.marginaleffects": {"marginaleffects", "polars"}}
CORE_LAYERS = ORDER[: ORDER.index("drivers") + 1]


def modules():
    for path in sorted(ROOT.rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        yield name.removesuffix(".__init__") if name != "__init__" else "", path


def imports(path):
    """(module, whether at the top of the file) of every import."""
    tree = ast.parse(path.read_text())
    top = set(map(id, tree.body))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, id(node) in top
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                inside = (ROOT / Path(*whole.split(".")[1:])).with_suffix(".py").exists() or (
                    ROOT / Path(*whole.split(".")[1:])
                ).is_dir()
                yield (whole if inside and node.module.startswith("jglm") else node.module), id(node) in top


def test_every_module_has_its_place():
    assert {name for name, _ in modules()} - {""} == set(ORDER)


def test_imports_go_one_way():
    for name, path in modules():
        if not name:
            continue
        for module, _ in imports(path):
            if not module.startswith("jglm.") or (module == "jglm.demo" and name == "cli"):
                continue
            other = module.removeprefix("jglm.")
            if other in ORDER:
                assert ORDER.index(other) < ORDER.index(name), f"{name} imports {other}, which stands below it"


def test_the_core_imports_only_jax_numpy_optax():
    for name, path in modules():
        for module, top in imports(path):
            root = module.split(".")[0]
            if name in CORE_LAYERS or top:
                known = CORE | EDGE.get(name, set()) | (set() if top else BESIDES.get(name, set()))
                assert root in known or root in sys.stdlib_module_names, f"{name} imports {module}"


def test_no_module_is_named_like_a_public_function():
    names = {name.split(".")[0] for name, _ in modules()}
    folders = {"families", "links", "penalties", "solvers", "distributed", "charts"}
    functions = set(jglm.__all__) - folders
    assert not names & functions
    for name in jglm.__all__:
        assert getattr(jglm, name) is not None


def test_files_stay_short():
    for name, path in modules():
        assert len(path.read_text().splitlines()) <= 400, name


def test_import_loads_nothing_that_a_fit_does_not_need():
    code = (
        "import sys, jax, jax.numpy; before = set(sys.modules); import jglm; jglm.fit, jglm.Family, jglm.families; "
        "print(*{m.split('.')[0] for m in set(sys.modules) - before})"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {
        "pandas",
        "formulaic",
        "optax",
        "scipy",
        "matplotlib",
        "narwhals",
        "safetensors",
        "tqdm",
        "polars",
        "pyarrow",
    }
    assert not heavy & set(loaded)
