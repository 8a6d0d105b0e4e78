"""Docstrings of the API reference as Markdown and griffe want them."""

import re
import textwrap

import griffe

GROUP = re.compile(r"^ {4}[\w*]+(?:,? (?:[\w*]+|\(\w+\)|…))+(?=:)", re.MULTILINE)  # "    low, high: the ends"
EXAMPLE = re.compile(r"^(?P<indent> *)>>> .*(?:\n(?! *$).*)*", re.MULTILINE)


def as_markdown(text):
    """The docstring with each example (from a line `>>>` to the next empty line) in a fence, and names that are
    described together joined by spaces that do not part them.

    >>> as_markdown("One.\\n\\n>>> 1 + 1\\n2\\n\\nMore.")
    'One.\\n\\n```pycon\\n>>> 1 + 1\\n2\\n```\\n\\nMore.'
    """

    def fenced(match):
        code = textwrap.dedent(match[0].replace("<BLANKLINE>", ""))
        return textwrap.indent(f"```pycon\n{code}\n```", match["indent"])

    joined = GROUP.sub(lambda match: "    " + match[0].strip().replace(" ", "\N{NO-BREAK SPACE}"), text)
    return EXAMPLE.sub(fenced, joined)


class Doctests(griffe.Extension):
    """The extension of griffe that mkdocs.yml names."""

    def on_object(self, *, obj, **kwargs):
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)
