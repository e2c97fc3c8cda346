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

    points = [cell for cell in result["cells"] if cell["part"] == "plot"]
    names = [c["name"] for c in result["contestants"] if c["name"] not in (OURS, IN_PLACE)]
    styles = STYLES | {n: (COLOURS[i % len(COLOURS)], 1.6, 1.0) for i, n in enumerate(names)}
    figure = Figure(figsize=(11, 5.4), layout="constrained")
    for axes, (form, (title, limit)) in zip(
        figure.subplots(1, len(PANELS), sharey=True), PANELS.items(), strict=True
    ):
        ends = []
        for name, (colour, width, opacity) in styles.items():
            cells = [cell for cell in points if cell["form"] == form and name in cell["reused"]]
            if cells:
                classes = [cell["classes"] for cell in cells]
                speeds = [c["bytes"] / c["reused"][name]["seconds"] / 1e9 for c in cells]
                axes.plot(classes, speeds, color=colour, linewidth=width, alpha=opacity,
                          solid_capstyle="round", zorder=3 if name == OURS else 2)  # fmt: skip
                ends.append((speeds[-1], limit if name == LIMIT else name, colour))
        _dress(axes, title)
        _label(axes, ends)
    rows = points[0]["rows"] * points[0]["classes"]
    figure.suptitle(
        f"Sparse crossentropy, {rows / 1e6:.2g} million float32 logits a call, memory reused\n"
        f"{result['machine']['processor']}, {result['threads']} threads, {result['date']}",
        x=0.012, ha="left", fontsize=10, color="#333333",
    )  # fmt: skip
    # Fixed ids and no date: drawn twice, the file is the same.
    with rc_context({"svg.hashsalt": "fastloss"}):
        figure.savefig(path, dpi=160, metadata={"Date": None} if path.suffix == ".svg" else {})


def _dress(axes: Any, title: str) -> None:
    axes.set_title(f"{title}, GB/s", loc="left", fontsize=12, fontweight="bold")
    axes.set(xscale="log", yscale="log", xlabel="classes")
    axes.set_xticks(TICKS, [f"{tick:,}" for tick in TICKS])
    low, high = (
        int(f(np.log2(end))) for f, end in zip((np.floor, np.ceil), axes.get_ylim(), strict=True)
    )
    axes.set_yticks(ticks := [2.0**n for n in range(low, high + 1)], [f"{t:g}" for t in ticks])
    axes.set_ylim(ticks[0], ticks[-1])
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
        while (
            len(groups) > 1
            and _heights(groups[-1], apart)[0] - apart < _heights(groups[-2], apart)[-1]
        ):
            last = groups.pop()
            groups[-1] += last
    return [height for group in groups for height in _heights(group, apart)]


def _heights(group: Sequence[float], apart: float) -> list[float]:
    """Return evenly spaced heights around the middle of a group."""
    first = float(np.mean(group)) - apart * (len(group) - 1) / 2
    return [first + apart * i for i in range(len(group))]
