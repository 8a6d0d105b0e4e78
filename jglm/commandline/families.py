"""jglm families: what there is."""

from jglm.commandline import exitcodes, terminal

HELP = "list families, what y they take, and their default links"
EXAMPLES = """examples:
  jglm families
  jglm families --json
"""
TAKES = {"label": "labels", "proportion": "successes of trials, or proportions", "counts": "counts in k classes",
         "shares": "k shares that sum to 1"}  # fmt: skip


def options(parser):
    parser.add_argument("--json", action="store_true", help="as JSON")


def run(arguments):
    from jglm import links

    rows = [_row(name, made) for name, made in _catalogue().items()]
    if arguments.json:
        terminal.say_json({"families": rows, "links": [*links.NAMES, "power(q)"]})
        return exitcodes.DONE
    terminal.say(f"{'family':<38}{'y':<38}{'default link':<14}dispersion")
    for row in rows:
        called = f"{row['family']}({', '.join(row['params'])})" if row["params"] else row["family"]
        terminal.say(f"{called:<38}{row['y']:<38}{row['link']:<14}{row['dispersion']}")
    terminal.say("\nParameters in brackets are estimated unless given, as in negative_binomial(2.5).")
    terminal.say(f"links: {', '.join(links.NAMES)}, power(q)")
    return exitcodes.DONE


def _catalogue():
    from jglm import families

    return families.catalogue()


def _row(name, made):
    from jglm import links
    from jglm.family import Family

    family = made if isinstance(made, Family) else made()
    takes = TAKES.get(family.response, family.support.describe())
    takes = "two labels" if family.response == "label" and family.dim is None else takes
    kind = "no likelihood" if family.density == "none" else family.dispersion
    return {"family": name, "params": list(family.params), "y": takes, "link": links.default(family).name,
            "dispersion": kind}  # fmt: skip
