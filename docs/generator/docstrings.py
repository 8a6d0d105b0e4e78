"""Docstrings of the API reference: their examples become blocks of code, as Markdown asks for."""

import re
import textwrap

import griffe

EXAMPLE = re.compile(r"^(?P<indent> *)>>> .*(?:\n(?! *$).*)*", re.MULTILINE)


def as_markdown(text):
    """The docstring with each example (from a line `>>>` to the next empty line) in a fence.

    >>> as_markdown("One.\\n\\n>>> 1 + 1\\n2\\n\\nMore.")
    'One.\\n\\n```python\\n>>> 1 + 1\\n2\\n```\\n\\nMore.'
    """

    def fenced(match):
        code = textwrap.dedent(match[0].replace("<BLANKLINE>", ""))
        return textwrap.indent(f"```python\n{code}\n```", match["indent"])

    return EXAMPLE.sub(fenced, text)


class Doctests(griffe.Extension):
    """The extension of griffe that mkdocs.yml names."""

    def on_object(self, *, obj, **kwargs):
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)
