"""What a report says of a fit, section by section. A part that a fit cannot have, by its family or for want of data, is
left out with the reason."""

from functools import cached_property
from typing import Any

import numpy as np

from jglm import charts
from jglm.assessing import expected, ranking
from jglm.assessing.rows import Assessed, assess
from jglm.charts import predictions
from jglm.inputs import frames
from jglm.reporting import overview, svg
from jglm.reporting.parts import Cell, Grid, Section, count, decimals, probability

MOST_COEFFICIENTS, MOST_GROUPS = 1000, 100  # rows of a table
MOST_COLUMNS, SAMPLE = 24, 1000  # columns and residuals that are drawn
IN_FOREST = 60  # coefficients
REFITTED = 500_000  # rows times coefficients up to which terms are tested by fits without them
RATIOS = {"log": "exp(coef)", "logit": "odds ratio"}
LEADS = {
    "terms": "Each term beside all others that do not contain it (type II).",
    "actual": "Means per unit of exposure, by each column of the model: its values, or groups of about equal exposure. "
    "The bar of an actual mean holds the expected one where the variance of the model explains the distance; grey is "
    "the exposure.",
    "calibration": "Rows in the order of their fitted mean, in ten groups of about equal exposure.",
    "comparison": "Rows in the order of the second model's mean by the first's, in ten groups of about equal exposure: "
    "the better model follows the actual means at both ends.",
    "lorenz": "How well the order of the predictions tells rows apart: the share of the actual total in the rows with "
    "the lowest fitted means.",
    "residuals": "Quantile residuals (Dunn and Smyth 1996) are standard normal where the model is right.",
}


class Subject:
    """A fit, the rows on which it is looked at, and perhaps a second fit."""

    def __init__(self, fit, data, compare, new):
        self.fit, self.data, self.compare, self.new = fit, data, compare, new

    @cached_property
    def _found(self) -> Assessed | ValueError:
        try:
            return assess(self.fit, self.data, **self.new)
        except ValueError as error:
            return error

    @property
    def rows(self) -> Any:
        """The `Assessed` rows; raises ValueError, each time, where there are none."""
        if isinstance(self._found, ValueError):
            raise self._found
        return self._found

    @property
    def given(self):
        """What charts that need no scalar mean take: the assessed rows, or what they would have been made of."""
        return {"data": self.data, **self.new} if isinstance(self._found, ValueError) else {"data": self._found}

    @property
    def frame(self):
        """The columns of the model as a data frame, None of arrays and without data."""
        if isinstance(self._found, Assessed):
            return self._found.frame
        if self.data is None or self.fit.formula is None:
            return self.fit._frame
        return frames.to_pandas(self.data, list(self.fit.formula.variables))

    def sections(self):
        """All sections, in the order of the page."""
        makers = (coefficients, terms, actual_expected, calibration, comparison, lorenz, residuals, convergence, data)
        return [section for maker in makers if (section := maker(self)) is not None]


# --------------------------------------------------------------------------- the model
def coefficients(of):
    """The coefficients with their tests, the family's parameters, and a forest chart."""
    fit, section = of.fit, Section("coefficients", "Coefficients")
    rows = list(_coefficient_rows(fit))
    heads = ["name", *(["class"] if fit.params.ndim > 1 else []), "coef"]
    heads += [RATIOS[fit.link.name]] if fit.link.name in RATIOS else []
    if overview.known(fit):
        heads += ["std err", fit._letter, "p", "2.5%", "97.5%"]
    else:
        section.lead = "There are no standard errors to show: the fit has none, or they went with its data."
    if len(rows) > MOST_COEFFICIENTS:
        section.lead += f" The first {MOST_COEFFICIENTS:,} of {len(rows):,} coefficients; fit.table() has them all."
    section.tables.append(Grid("Coefficients", heads, rows[:MOST_COEFFICIENTS], sortable=True))
    for table in overview.parameters(fit):
        cells = [[Cell(str(v)) for v in row] for row in table.rows]
        section.tables.append(Grid("Parameters of the family", table.heads, cells, table.title or "Parameters"))
    drawn = sum(row[0].text not in ("Intercept", *fit.separated) for row in rows)
    if drawn > IN_FOREST:
        section.lead += f" The chart has the {IN_FOREST} that stand out most."
    section.draw(charts.forest, fit, most=IN_FOREST, size=(svg.SIZE[0], 0.8 + 0.19 * min(drawn, IN_FOREST)))
    return section


def _coefficient_rows(fit):
    known, ratio = overview.known(fit), fit.link.name in RATIOS
    ends = fit.conf_int() if known else None
    for k, own in enumerate([None] if fit.params.ndim == 1 else fit._lin_names()):
        for i, name in enumerate(fit.names):
            at = i if own is None else (i, k)
            value = fit.params[at]
            row = [Cell(name), *([] if own is None else [Cell(own)])]
            row.append(Cell("aliased") if np.isnan(value) else decimals(value))
            with np.errstate(over="ignore"):  # of a coefficient without an optimum
                row += [decimals(np.exp(value))] if ratio else []
            if ends is not None:
                row += [decimals(fit.bse[at]), decimals(fit.tvalues[at], 3), probability(fit.pvalues[at])]
                row += [decimals(v) for v in ends[at]]
            yield row


def terms(of):
    """A test of each term: by fits without it where that is quick, else by Wald's."""
    fit, section = of.fit, Section("terms", "Terms", LEADS["terms"])
    with section.unless_refused():
        quick = fit._prepared is not None and not hasattr(fit._prepared, "deferred") and not fit.free
        quick = quick and len(fit._prepared.y) * fit.params.size <= REFITTED
        tests = fit.anova("II", None if quick else "Wald")
        section.lead += f" {tests.title}."
        cell = lambda name, v: probability(v) if name == "p" else decimals(v, 0 if name == "df" else 3)
        rows = [[Cell(term), *(cell(k, v[i]) for k, v in tests.columns.items())] for i, term in enumerate(tests.rows)]
        section.tables.append(Grid("Tests of terms", ["term", *tests.columns], rows, sortable=True))
    return section


def convergence(of):
    """How the fit came to its end."""
    fit = of.fit
    state = "converged" if fit.converged else f"did not converge ({fit.status.message})"
    section = Section("convergence", "Convergence", f"Solver {fit.solver}, {fit.n_iter} passes over the data; {state}.")
    section.draw(charts.convergence, fit)
    return section


# --------------------------------------------------------------------------- predictions
def actual_expected(of):
    """A chart and a table for each column that the model names."""
    section = Section("actual-expected", "Actual against expected", LEADS["actual"])
    with section.unless_refused():
        every = _columns(of.fit)
        for by in every[:MOST_COLUMNS]:
            with section.unless_refused():
                table = expected.actual_expected(of.fit, by, of.rows)
                section.draw(predictions.draw_actual_expected, table, by)
                section.tables.append(_expected_grid(f"{by}: the numbers", table, by))
        if len(every) > MOST_COLUMNS:
            section.missing.append(f"{len(every) - MOST_COLUMNS} more columns, after the first {MOST_COLUMNS}.")
    return section


def _columns(fit):
    """The names of the columns by which rows are grouped."""
    if fit.formula is None:
        return [name for name in fit.names if name != "Intercept"]
    return sorted(fit.formula.right_variables, key=fit.formula.text.find)


def _expected_grid(label, table, head):
    """What `Fit.actual_expected` tells, to be opened; of very many groups those of the most exposure."""
    caption = ""
    if len(table) > MOST_GROUPS:
        caption = f"The {MOST_GROUPS} of {len(table):,} groups with the most exposure."
        table = table.nlargest(MOST_GROUPS, "exposure")
    heads = [head, "rows", "exposure", "actual", "expected", "actual mean", "expected mean", "ratio", "2.5%", "97.5%"]
    rows = []
    for i, (name, row) in enumerate(table.iterrows()):
        sums = [count(row["rows"]), *(count(round(row[k], 1)) for k in ("exposure", "actual", "expected"))]
        means = [decimals(row[k]) for k in ("actual_mean", "expected_mean")]
        ratio = [decimals(row[k], 3) for k in ("ratio", "low", "high")]
        rows.append([Cell(str(name), float(i)), *sums, *means, *ratio])
    return Grid(label, heads, rows, caption, sortable=True, folded=True)


def calibration(of):
    """Actual and fitted means by the order of the fitted ones."""
    section = Section("calibration", "Calibration and lift", LEADS["calibration"])
    with section.unless_refused():
        table = ranking.lift(of.fit, of.rows)
        section.draw(predictions.draw_calibration, table)
        section.draw(predictions.draw_lift, table)
        section.tables.append(_expected_grid("The ten groups: the numbers", table, "fitted mean"))
    return section


def comparison(of):
    """The second model beside the first, None without one."""
    if of.compare is None:
        return None
    first, second = of.fit, of.compare
    section = Section("comparison", "Against the second model", LEADS["comparison"])
    rows = [[Cell(name), *map(Cell, pair)] for name, pair in _facts_of_both(first, second)]
    section.tables.append(Grid("Both models", ["", "first", "second"], rows))
    with section.unless_refused():
        other = assess(second, of.data, **of.new)
        section.draw(charts.double_lift, first, other, data=of.rows)
        both = (ranking.lorenz(first, of.rows), ranking.lorenz(second, other))
        rows.append([Cell("Gini index"), *(decimals(curve.gini) for curve in both)])
    return section


def _facts_of_both(first, second):
    """(name, (text of the first, text of the second))."""
    yield "Formula", tuple(", ".join(f.names) if f.formula is None else f.formula.text for f in (first, second))
    for one, other in zip(overview.of(first).facts, overview.of(second).facts, strict=True):
        yield one[0].rstrip(":"), (one[1], other[1])


def lorenz(of):
    """The Lorenz curve and its Gini index."""
    section = Section("lorenz", "Lorenz curve", LEADS["lorenz"])
    with section.unless_refused():
        found = ranking.lorenz(of.fit, of.rows)
        section.lead += (f" Gini index {found.gini:.4f}, {100 * found.normalized:.1f}% of {found.largest:.4f}, the "
                         "largest that any order has in these rows.")  # fmt: skip
        section.draw(predictions.draw_lorenz, found, size=(4.2, 4.0))
    return section


def residuals(of):
    """Quantile residuals, and the distribution of counts."""
    section = Section("residuals", "Residuals", LEADS["residuals"])
    for chart in (charts.quantile_residuals, charts.quantile_quantile):
        section.draw(chart, of.fit, most=SAMPLE, **of.given)
    if section.pictures and not isinstance(of._found, ValueError) and (rows := np.sum(of.rows.on)) > SAMPLE:
        section.lead += f" Drawn are {SAMPLE:,} rows, a sample of {rows:,}."
    support = of.fit.family.support
    if of.fit.params.ndim == 1 and support.step == 1.0 and not np.isfinite(support.high):
        section.draw(charts.counts, of.fit, **of.given)
    return section


# --------------------------------------------------------------------------- the data
def data(of):
    """What the columns of the model hold."""
    section = Section("data", "Data")
    with section.unless_refused():
        seen = of.rows
        whole = expected.actual_expected(of.fit, None, seen).iloc[0]
        exposure, actual, mean = (count(round(whole[k], 1)).text for k in ("exposure", "actual", "expected"))
        section.lead = (f"The rows {'of the fit' if of.data is None else 'given'}: {whole['rows']:,.0f} of positive "
                        f"weight, exposure {exposure}, actual total {actual}, expected total {mean} (ratio "
                        f"{whole['ratio']:.4f}, 95% from {whole['low']:.4f} to {whole['high']:.4f}).")  # fmt: skip
        section.lead += f" {seen.dropped:,} more have missing values." if seen.dropped else ""
    frame = of.frame
    if frame is not None:
        heads = ["column", "kind", "values", "least", "mean", "greatest", "most frequent"]
        rows = [_described(name, frame[name]) for name in frame.columns]
        section.tables.append(Grid("Columns of the model", heads, rows, sortable=True))
    return section


def _described(name, column):
    """Cells that describe a column: numbers by their range, labels by the most frequent."""
    different = count(column.nunique())
    if column.dtype.kind in "fiu":
        span = [Cell(f"{v:.6g}", float(v)) for v in (column.min(), column.mean(), column.max())]
        return [Cell(name), Cell("numbers"), different, *span, Cell("")]
    counts = column.value_counts()
    most = f"{counts.index[0]} ({100 * counts.iloc[0] / len(column):.1f}%)"
    return [Cell(name), Cell("labels"), different, Cell(""), Cell(""), Cell(""), Cell(most)]
