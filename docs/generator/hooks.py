"""What the site's build makes besides the pages of docs/: MkDocs calls these functions (mkdocs.yml names this file).

Generated are the pages and pictures of the catalogue (catalogue.py), a page for each table of benchmarks/results, and
the API reference of the public names (reference.py). Formulas become MathML, so that no script draws them.
"""

import re
from html import unescape
from pathlib import Path

from latex2mathml import converter
from mkdocs.structure.files import File

import catalogue
import reference

ROOT = Path(__file__).parents[2]
RESULTS, MEASURED = "benchmarks/results", "measured"
ELSEWHERE = re.compile(r"\]\((?:\.\./)+(?P<path>(?:benchmarks|tests|jglm|[A-Z]+\.md)[^)\s]*)\)")
EXAMPLES = re.compile(r"^```python\n>>>", re.MULTILINE)  # whose copies are to have neither prompts nor output
INLINE = re.compile(r'<span class="arithmatex">\\\((?P<tex>.*?)\\\)</span>', re.DOTALL)
SIGN = re.compile(r"(<mo[^>]*>&#x000(?:28|3D|7B);</mo>)<mo>&#x02212;</mo>")
DISPLAY = re.compile(r'<div class="arithmatex">\s*\\\[(?P<tex>.*?)\\\]\s*</div>', re.DOTALL)


def on_files(files, config):
    """The pages of docs/ and those that are made; the navigation's `folder/*` become what is made in the folder."""
    made = {**catalogue.made(ROOT), **reference.pages(), **measured()}
    for path, content in made.items():
        files.append(File.generated(config, path, content=content))
    for section in config.nav:
        for name, pages in section.items():
            section[name] = _listed(pages, [path for path in made if path.endswith(".md")])
    return files


def _listed(pages, made):
    """The pages of a section, `folder/*` written out."""
    if isinstance(pages, str):
        return pages
    folder = lambda entry: isinstance(entry, str) and entry.endswith("/*")
    inside = lambda entry: [p for p in made if p.startswith(entry[:-1]) and p not in pages]
    return [page for entry in pages for page in (inside(entry) if folder(entry) else [entry])]


def measured():
    """{path: content} of the tables and charts of benchmarks/results, each chart at the end of its table's page."""
    found = {path.name: path.read_bytes() for path in sorted((ROOT / RESULTS).glob("*.*"))}
    pages = {name: text.decode() for name, text in found.items() if name.endswith(".md")}
    charts = {name: chart for name, chart in found.items() if name.endswith(".png")}
    titles = {name: text.split("\n", 1)[0] for name, text in pages.items()}
    for name, title in titles.items():
        chart = name.replace(".md", ".png")
        if chart in charts and f"({chart})" not in pages[name]:
            pages[name] += f"\n![Chart]({chart})\n"
        if list(titles.values()).count(title) > 1:  # told apart in the navigation by their files
            pages[name] = f"---\ntitle: {name[:-3].replace('_', ' ').capitalize()}\n---\n{pages[name]}"
    return {f"{MEASURED}/{name}": content for name, content in (pages | charts).items()}


def on_page_markdown(markdown, page, **_):
    """Links that leave docs/, which are right in a checkout, as links within the site; examples told from scripts."""
    up = "../" * page.file.src_uri.count("/")

    def inside(match):
        path = match["path"]
        if path.startswith(f"{RESULTS}/"):
            return f"]({up}{MEASURED}/{path.removeprefix(f'{RESULTS}/')})"
        raise ValueError(f"{page.file.src_uri} links to {path}, which is no page of the site; name it in `code`")

    return EXAMPLES.sub("```pycon\n>>>", ELSEWHERE.sub(inside, markdown))


def on_page_content(html, **_):
    """TeX, which arithmatex has marked, as MathML."""
    html = DISPLAY.sub(lambda m: mathml(unescape(m["tex"]), "block"), html)
    return INLINE.sub(lambda m: mathml(unescape(m["tex"]), "inline"), html)


def mathml(tex, display):
    """TeX as MathML; a minus after a bracket or an equals sign stands close to what follows."""
    return SIGN.sub(r'\1<mo form="prefix">&#x02212;</mo>', converter.convert(tex, display=display))
