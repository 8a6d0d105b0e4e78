"""A report of a fit: one HTML page that stands alone, made by Jinja, which escapes all that is not markup of ours."""

import base64
import hashlib
from importlib import resources
from pathlib import Path

import jglm
from jglm import cache
from jglm.inputs import wholefile
from jglm.reporting import overview
from jglm.reporting.contents import Subject


def write(fit, path, data, compare, title, new):
    """See `Fit.report`."""
    path = Path(path)
    text = page(fit, data, compare, title, **new)
    with wholefile.appearing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def page(fit, data=None, compare=None, title=None, **new):
    """The page as text."""
    import jinja2
    from markupsafe import Markup

    cache.enable()
    own = {name: _text(f"page/{name}") for name in ("report.html", "style.css", "script.js")}
    template = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    ).from_string(own["report.html"])
    sections = Subject(fit, data, compare, new).sections()
    summary = overview.of(fit)
    digest = base64.b64encode(hashlib.sha256(own["script.js"].encode()).digest()).decode()
    return template.render(
        title=title or _title(fit), formula=summary.formula, facts=_facts(fit, summary), notes=summary.notes,
        sections=sections, version=jglm.__version__, css=Markup(own["style.css"]), script=Markup(own["script.js"]),
        script_hash=digest,
    )  # fmt: skip


def _text(name):
    return resources.files("jglm.reporting").joinpath(name).read_text(encoding="utf-8")


def _title(fit):
    family, response = str(fit.family.name), "y" if fit.formula is None else fit.formula.response
    return f"{response}: {overview.TITLES.get(family, family.replace('_', ' '))}"


def _facts(fit, summary):
    """(name, value) of the summary, and what the fit took besides y and X."""
    facts = [(name.rstrip(":"), value) for name, value in summary.facts]
    if fit._null is not None and fit._null > 0 and fit.family.T_ is None:
        facts.append(("Deviance explained", f"{100 * (1 - fit.deviance / fit._null):.2f}%"))
    facts += [(name.capitalize(), column) for name, column in fit.columns.items()]
    covariance = "none" if fit.covariance is None else fit.covariance
    return [*facts, ("Covariance", covariance)]
