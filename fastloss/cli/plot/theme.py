"""Colours and style of the picture."""

from __future__ import annotations

from typing import Any, NamedTuple


class Colours(NamedTuple):
    """The colours of one theme. Blue and orange are told apart by colour-blind readers too."""

    paper: str
    text: str
    muted: str
    """Axes, and marks that are not the result."""
    grid: str
    fill: str
    """What is measured."""
    mark: str
    """What it is compared with, or how far it is off."""


LIGHT = Colours("#ffffff", "#1b1f24", "#5a6169", "#e4e7ea", "#0072b2", "#c44e00")
DARK = Colours("#16191d", "#e9ecef", "#a6adb5", "#343a40", "#56b4e9", "#f0a030")

PANEL_INCHES = (4.3, 3.6)
"""Of each panel; its text has the size of a page's when the panel is as wide as a phone."""

STYLE: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": LIGHT.muted,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": LIGHT.text,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": LIGHT.paper,
    "figure.titlesize": 11.5,
    "figure.titleweight": "bold",
    "font.size": 10,
    "grid.color": LIGHT.grid,
    "legend.edgecolor": "none",
    "legend.facecolor": LIGHT.paper,
    "legend.fontsize": 9.5,
    "legend.framealpha": 0.85,
    "svg.fonttype": "none",  # text that can be read aloud, searched for and copied
    "text.color": LIGHT.text,
    "text.parse_math": False,  # names of files and groups may hold a $
    "xtick.color": LIGHT.muted,
    "xtick.labelcolor": LIGHT.text,
    "ytick.color": LIGHT.muted,
    "ytick.labelcolor": LIGHT.text,
}
"""Properties that differ from Matplotlib's defaults. All is drawn in light colours, which a
page replaces by variables."""
