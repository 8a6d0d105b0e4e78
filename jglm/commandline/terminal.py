"""What the program prints: text that a terminal can do no harm with, tables as CSV, and JSON."""

import io
import json
import math
import re
import sys

# Control characters but for tab and newline, and those that turn the direction of text.
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def safe(text):
    """The text with control characters written out, such as \\x1b: names of columns and levels come from files."""
    return CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), str(text))


def say(text, file=None):
    """Print text; what the stream cannot write is written out."""
    file = sys.stdout if file is None else file
    encoding = getattr(file, "encoding", None) or "utf-8"
    print(safe(text).encode(encoding, "backslashreplace").decode(encoding), file=file)


def note(text):
    """Tell the user something beside the result, in one line."""
    say(f"jglm: {' '.join(str(text).split())}", sys.stderr)


def say_json(value):
    """Print plain values, arrays and records as JSON; what is not a finite number is null."""
    print(json.dumps(plain(value), allow_nan=False))


def say_csv(frame):
    """Print a data frame as CSV: to a file or a program as it is, to a terminal as text."""
    if not sys.stdout.isatty():
        frame.to_csv(sys.stdout, index=False)
        return
    text = io.StringIO()
    frame.to_csv(text, index=False)
    say(text.getvalue().rstrip("\n"))


def plain(value):
    """Arrays, NumPy's numbers and data frames (a list of records) as values that JSON has."""
    if hasattr(value, "to_dict") and hasattr(value, "columns"):
        return [plain(row) for row in value.to_dict("records")]
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)
