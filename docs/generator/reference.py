"""The API reference: a page for each topic, with every public name of jglm."""

import dataclasses

import jglm

TOPICS = {
    "fitting": ("Fitting", ("fit", "glm", "load", "NumpyModel", "Updating", "find_separation", "Separation")),
    "results": ("What a fit answers", ("Fit",)),
    "families": ("Families and links", ("Family", "families", "check_family", "Link", "links")),
    "inference": (
        "Tests, intervals, covariances",
        ("lr_test", "compare", "Comparison", "HypothesisTest", "HypothesisTests", "adjust_pvalues", "Estimates",
         "Profile", "HAC"),
    ),
    "penalties": (
        "Penalties and paths", ("penalties", "path", "CoefficientPath", "cross_validate", "CrossValidation"),
    ),
    "many": ("Many fits", ("fit_many", "ManyFits", "bootstrap", "Bootstrap", "score_scan", "ScoreScan", "influence")),
    "estimators": (
        "scikit-learn's estimators", ("GLMRegressor", "GLMClassifier", "GLMRegressorCV", "GLMClassifierCV"),
    ),
    "rating": ("Rating and charts", ("one_way", "relevel", "group_levels", "LevelGroups", "charts")),
    "scale": ("Files and devices", ("open_parquet", "open_csv", "open_arrow", "Stream", "distributed")),
    "core": ("The pure function", ("solve", "Model", "Data", "Dense", "Unknowns", "Solution", "Status", "solvers")),
}  # fmt: skip
OTHER = "other"
MEMBERS = {  # of modules: what their users call
    "families": [name for name, made in jglm.families.catalogue().items() if callable(made)],
    "links": ["power", "reference", "get"],
    "penalties": ["ridge", "lasso", "elastic_net", "group_lasso", "quadratic", "bounds", "constraints", "monotone",
                  "firth", "jeffreys"],
    "solvers": jglm.solvers.__all__,
}  # fmt: skip


def topics():
    """{page: (title, names)}: TOPICS, and a page of the public names that stand in none of them."""
    placed = {name for _, names in TOPICS.values() for name in names}
    rest = tuple(name for name in jglm.__all__ if name not in placed)
    return TOPICS | ({OTHER: ("More", rest)} if rest else {})


def pages():
    """{path: Markdown} of the reference, its first page a table of what there is."""
    rows = ["# API reference", "", "Every public name of `jglm`, by topic.", "", "| | |", "|---|---|"]
    made = {}
    for page, (title, names) in topics().items():
        links = ", ".join(f"[`{name}`][jglm.{name}]" for name in names)
        rows.append(f"| [{title}]({page}.md) | {links} |")
        made[f"reference/{page}.md"] = "\n\n".join([f"# {title}", *map(_entry, names)]) + "\n"
    return {"reference/index.md": "\n".join(rows) + "\n", **made}


def _entry(name):
    """What mkdocstrings writes out; without its constructor where only jglm makes it, such as a fit."""
    what = getattr(jglm, name)
    if name in MEMBERS:
        return f"::: jglm.{name}\n    options: {{members: [{', '.join(MEMBERS[name])}]}}"
    made = dataclasses.is_dataclass(what) and not what.__dataclass_params__.frozen
    return f"::: jglm.{name}" + "\n    options: {merge_init_into_class: false}" * made
