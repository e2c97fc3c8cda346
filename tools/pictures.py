"""How pictures of the documentation look: one small panel, read on a phone, on light and on dark.

The paper is transparent and every colour is a middle tone. A panel is as wide as a phone, so its
text has the size of the page's; text stays text in the SVG. Drawn twice, a file is the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

INK, GRID = "#78818c", "#8a94a055"
BLUE, ORANGE, GREEN, VIOLET = "#2b88d0", "#dd7219", "#2f9e5f", "#9a6fd0"
STYLE = {
    "axes.edgecolor": INK, "axes.facecolor": "none", "axes.labelcolor": INK, "axes.grid": True,
    "axes.spines.right": False, "axes.spines.top": False, "axes.titlecolor": INK,
    "axes.titlelocation": "left", "axes.titlesize": 11, "axes.titleweight": "bold",
    "figure.facecolor": "none", "figure.figsize": (4.3, 3.2), "figure.constrained_layout.use": True,
    "font.size": 10.5, "grid.color": GRID, "grid.linewidth": 0.6, "legend.frameon": False,
    "legend.labelcolor": INK, "lines.linewidth": 2.2, "lines.solid_capstyle": "round",
    "savefig.facecolor": "none", "svg.fonttype": "none", "svg.hashsalt": "fastloss",
    "text.color": INK, "xtick.color": INK, "ytick.color": INK,
}  # fmt: skip


@contextmanager
def panel(path: Path) -> Iterator[Any]:
    """Yield the axes of a panel, and write it to `path`."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure = Figure()
        yield figure.subplots()
        path.parent.mkdir(exist_ok=True)
        figure.savefig(path, metadata={"Date": None})
