"""The plot of what compare.py measured: bytes per second over the number of classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .contest import IN_PLACE, LIMIT, OURS

Json = dict[str, Any]

# Form -> title, and what its limit is.
PANELS = {
    "value_and_grad": ("Value and gradient", "parallel copy"),
    "value": ("Value", "parallel read"),
}
COLOURS = ("#d1495b", "#00798c", "#d68c00", "#6a4c93", "#3d8b37")  # of the peers, in turn
STYLES = {  # of the others: colour, width, opacity
    LIMIT: ("#8a8a8a", 5.0, 0.4),
    OURS: ("black", 2.8, 1.0),
}
TICKS = (2, 10, 100, 1_000, 10_000, 128_256)
APART = 0.052  # least distance between two labels, as a share of the axis' height


def draw(result: Json, path: Path) -> None:
    """Write the plot to `path`, as its suffix says: one panel a form, one line a contestant."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    cells = [cell for cell in result["cells"] if cell["part"] == "plot"]
    names = [c["name"] for c in result["contestants"] if c["name"] not in (OURS, IN_PLACE)]
    styles = STYLES | {n: (COLOURS[i % len(COLOURS)], 1.6, 1.0) for i, n in enumerate(names)}
    figure = Figure(figsize=(11, 5.4), layout="constrained")
    panels = dict(zip(PANELS, figure.subplots(1, len(PANELS), sharey=True), strict=True))
    labels: dict[str, list[tuple[float, str, str]]] = {form: [] for form in PANELS}
    for form, axes in panels.items():
        for name, (colour, width, opacity) in styles.items():
            points = [cell for cell in cells if cell["form"] == form and name in cell["reused"]]
            if points:
                classes = [cell["classes"] for cell in points]
                speeds = [cell["bytes"] / cell["reused"][name]["seconds"] / 1e9 for cell in points]
                axes.plot(classes, speeds, "-" if name == LIMIT else "-o", color=colour,
                          linewidth=width, markersize=width + 1, solid_capstyle="round",
                          alpha=opacity, zorder=3 if name == OURS else 2)  # fmt: skip
                labels[form].append(
                    (speeds[-1], PANELS[form][1] if name == LIMIT else name, colour)
                )
        axes.set_title(PANELS[form][0], loc="left", fontsize=12, fontweight="bold")
    for form, axes in panels.items():  # now that the axes, which they share, span every line
        _dress(axes)
        _label(axes, labels[form])
    size = cells[0]["rows"] * cells[0]["classes"] / 1e6
    figure.suptitle(
        "Sparse crossentropy: GB/s of logits, labels, losses and gradient, by number of classes\n"
        f"{size:.2g} million float32 logits a call, memory for results reused;"
        f" {result['machine']['processor']}, {result['threads']} threads, {result['date']}",
        x=0.012, ha="left", fontsize=10, color="#333333",
    )  # fmt: skip
    # Fixed ids and no date: drawn twice, the file is the same.
    with rc_context({"svg.hashsalt": "fastloss"}):
        figure.savefig(path, dpi=160, metadata={"Date": None} if path.suffix == ".svg" else {})


def _dress(axes: Any) -> None:
    axes.set(xscale="log", yscale="log", xlabel="classes")
    axes.set_xticks(TICKS, [f"{tick:,}" for tick in TICKS])
    low, high = axes.get_ylim()
    powers = range(int(np.floor(np.log2(low))), int(np.ceil(np.log2(high))) + 1)
    axes.set_yticks([2.0**n for n in powers], [f"{2.0**n:g}" for n in powers])
    axes.set_ylim(2.0 ** powers[0], 2.0 ** powers[-1])
    axes.minorticks_off()
    axes.grid(axis="y", color="#e4e4e4", linewidth=0.8)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0, labelsize=9, labelleft=True)


def _label(axes: Any, ends: Sequence[tuple[float, str, str]]) -> None:
    """Write each line's name beside its right end, moved apart where they would meet."""
    low, high = np.log(axes.get_ylim())
    ends = sorted(ends)
    wanted = [(np.log(speed) - low) / (high - low) for speed, _, _ in ends]
    for height, (_, name, colour) in zip(spread(wanted, APART), ends, strict=True):
        axes.annotate(name, (1, height), (4, 0), xycoords="axes fraction", color=colour,
                      textcoords="offset points", va="center", fontsize=10,
                      fontweight="bold" if name == OURS else "normal")  # fmt: skip


def spread(wanted: Sequence[float], apart: float) -> list[float]:
    """Return rising heights at least `apart`, each group of neighbours about where it would be."""
    groups: list[list[float]] = []
    for height in wanted:
        groups.append([height])
        while len(groups) > 1 and _meet(groups[-2], groups[-1], apart):
            last = groups.pop()
            groups[-1] += last
    return [height for group in groups for height in _heights(group, apart)]


def _meet(lower: Sequence[float], upper: Sequence[float], apart: float) -> bool:
    return _heights(upper, apart)[0] - _heights(lower, apart)[-1] < apart


def _heights(group: Sequence[float], apart: float) -> list[float]:
    """Return evenly spaced heights around the middle of a group."""
    first = float(np.mean(group)) - apart * (len(group) - 1) / 2
    return [first + apart * i for i in range(len(group))]
