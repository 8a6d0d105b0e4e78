"""Records as a picture: the warm time of every library, a panel per problem, on one logarithmic axis."""

from benchmarks.record import ENOUGH, seconds
from benchmarks.table import by_problem

OWN, OTHER, EARLY = "#0b6e99", "#5f6670", "#c8401a"
ACROSS = 3  # panels side by side


def draw(name, records, path):
    """Write the picture to `path`; needs matplotlib."""
    # Not pyplot: it keeps figures and chooses a window system.
    from matplotlib.figure import Figure

    groups = by_problem(records)
    across = min(ACROSS, len(groups))
    # Where the same libraries fitted every problem their names stand once, at the left.
    same = len({tuple(r.label for r in group) for group in groups.values()}) == 1
    if not same:  # the table says who was left out
        groups = {problem: [r for r in group if r.left_out is None] for problem, group in groups.items()}
    counts = [len(group) for group in groups.values()]
    rows = [max(counts[i : i + across]) for i in range(0, len(counts), across)]
    wide = 1.6 + 3.6 * across if same else 5.2 * across
    heights = [0.8 + 0.3 * row for row in rows]
    figure = Figure(figsize=(wide, 1.1 + sum(heights)), dpi=150, layout="constrained")
    panels = figure.subplots(
        len(rows), across, squeeze=False, sharex=True, sharey=same, gridspec_kw=dict(height_ratios=heights)
    ).ravel()
    for panel, group in zip(panels, groups.values(), strict=False):
        fill(panel, group)
        panel.set_ylim(len(group) - 0.4, -0.6)
    for panel in panels[len(groups) :]:
        panel.set_visible(False)
    frame(figure, panels[: len(groups)], name, records)
    figure.savefig(path, metadata={"Software": None})


def fill(panel, records):
    """The marks of one problem: a dot per library, a cross where it stopped early."""
    for at, record in enumerate(records):
        if not record.measured:
            said = "left out" if record.left_out is not None else "failed"
            said = said if record.ended_after is None else record.error
            panel.text(0.03, at, said, transform=panel.get_yaxis_transform(), va="center", fontsize=8, color=OTHER)
            continue
        early = record.stopped_early
        color = EARLY if early else OWN if record.library.startswith("jglm") else OTHER
        panel.plot(record.warm_seconds, at, "X" if early else "o", color=color, ms=8 if early else 7, zorder=3)
        said = seconds(record.warm_seconds) + (", stopped early" if early else "")
        panel.annotate(
            said, (record.warm_seconds, at), (7, 0), textcoords="offset points", va="center", fontsize=8, color=color,
            bbox=dict(facecolor="white", edgecolor="none", pad=0.6),
        )  # fmt: skip
    panel.set_title(records[0].title, fontsize=10, loc="left")
    panel.set_yticks(range(len(records)), [r.label for r in records], fontsize=9)
    panel.grid(axis="x", color="#dddddd", lw=0.7)
    panel.set_axisbelow(True)
    panel.spines[["top", "right", "left"]].set_visible(False)
    panel.tick_params(axis="y", length=0)


def frame(figure, panels, name, records):
    """Axes, title and the words below."""
    times = [r.warm_seconds for r in records if r.measured] or [1e-3, 1.0]
    # Room for the words to the right of the last mark.
    ends = [r.warm_seconds * (200 if r.stopped_early else 12) for r in records if r.measured] or [1.0]
    panels[0].set_xscale("log")
    panels[0].set_xlim(min(times) / 2, max(ends))
    for panel in panels:
        panel.xaxis.set_major_formatter(lambda value, _: plain(value))
        panel.xaxis.set_minor_formatter(lambda value, _: "")
        panel.tick_params(axis="x", labelsize=8, labelbottom=True)
    first = records[0]
    figure.suptitle(f"Time of a warm fit ({name}): further left is faster", fontsize=12, x=0.01, ha="left")
    early = any(r.stopped_early for r in records)
    below = f"{first.cpu}, {first.threads} threads, {first.date}. Logarithmic axis."
    figure.supxlabel(below + (f" X: stopped early, max |gradient| / n above {ENOUGH:g}." if early else ""), fontsize=8)


def plain(value):
    """A power of ten as people say it: 10 ms, 1 s."""
    return f"{value:g} s" if value >= 0.999 else f"{value * 1e3:g} ms"
