"""Scoring tables as files: CSV and Excel for people, JSON for programs. None of their texts is a formula to a
spreadsheet."""

import csv
import json
from pathlib import Path
from typing import Any

from jglm.inputs import checks, wholefile

STARTS_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def write(table, path):
    """Write a `ScoringTable` as the ending of the path says: .csv, .json or .xlsx; returns the path."""
    path = Path(path)
    checks.choice("the ending of a scoring table", path.suffix.lower(), tuple(WRITERS))
    with wholefile.appearing(path) as temporary:
        WRITERS[path.suffix.lower()](table, temporary)
    return path


def _json(table, path):
    path.write_text(json.dumps(table.plain(), indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def _csv(table, path):
    """Numbers to their last digit; texts that a spreadsheet would take for a formula, and those that begin with an
    apostrophe, with an apostrophe in front."""
    rows = table.rows()
    with path.open("w", encoding="utf-8", newline="") as f:
        writer = csv.writer(f)
        writer.writerow([*rows[0], "link"])
        for i, row in enumerate(rows):
            writer.writerow([*map(_cell, row.values()), table.link if i == 0 else ""])


def _cell(value):
    if isinstance(value, str) and value.startswith((*STARTS_FORMULA, "'")):
        return "'" + value
    return "" if value is None else repr(value) if isinstance(value, float) else value


def _excel(table, path):
    try:
        from openpyxl import Workbook
        from openpyxl.styles import Font
    except ImportError:
        raise ImportError("writing .xlsx needs openpyxl: pip install openpyxl, or write .csv") from None
    book = Workbook()
    facts, rows = table.plain(), table.rows()
    sheet: Any = book.active
    sheet.title = "scoring table"
    for i, cells in enumerate([list(rows[0]), *(row.values() for row in rows)], start=1):
        _fill(sheet, i, cells)
    model = book.create_sheet("model")
    told = [name for name in ("family", "link", "q", "formula", "observations") if facts.get(name) is not None]
    for i, name in enumerate(told, start=1):
        _fill(model, i, (name, facts[name]))
    for cell in sheet[1]:
        cell.font = Font(bold=True)
    sheet.freeze_panes = "B2"
    sheet.auto_filter.ref = sheet.dimensions
    book.save(path)


def _fill(sheet, row, values):
    """Values into a row; texts are texts, whatever they begin with, and stay so when they are edited."""
    for column, value in enumerate(values, start=1):
        cell = sheet.cell(row, column)
        cell.value = _printable(value) if isinstance(value, str) else value
        if isinstance(value, str):
            cell.data_type, cell.quotePrefix = "s", value.startswith(STARTS_FORMULA)


def _printable(text):
    """The text without the control characters that XML has none of."""
    return "".join(c if c >= " " or c in "\t\n\r" else "\N{REPLACEMENT CHARACTER}" for c in text)[:32767]


WRITERS = {".csv": _csv, ".json": _json, ".xlsx": _excel}
