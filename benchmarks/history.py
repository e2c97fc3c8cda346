"""How far ahead of the best peer fastloss was: every commit and processor that was compared.

Kept in docs/performance/history.json: of each the best peer's time over fastloss's, for the cells
of the float32 tables with reused memory. Cells that were disturbed are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import geometric_mean
from typing import Any

from . import machine, report
from .works import IN_CACHE

Json = dict[str, Any]
Shape = tuple[int, int]
COLOURS = ("#00798c", "#d1495b", "#d68c00", "#6a4c93", "#3d8b37", "#555555")  # of processors
LINES = {"value_and_grad": "-o", "value": "--o"}


def entry(result: Json) -> Json:
    """Return what is kept of a comparison."""
    ratios: Json = {}
    for cell in result["cells"]:
        counts = (cell["part"], cell["dtype"]) == ("table", "float32")
        ratio = report.best_ratio(result, cell, "reused")
        if counts and ratio is not None and not report.disturbed(cell, "reused"):
            shapes = ratios.setdefault(cell["form"], {}).setdefault(cell["case"], {})
            shapes[f"{cell['rows']}x{cell['classes']}"] = float(f"{ratio:.3g}")
    return {
        "date": result["date"],
        "commit": result.get("commit", ""),
        "version": result["machine"]["versions"]["fastloss"],
        "processor": machine.slug(result["machine"]["processor"]),
        "way": "controlled" if "rest" in result else "old way",
        "ratios": ratios,
    }


def added(entries: Sequence[Json], new: Json) -> list[Json]:
    """Return the entries with a new one, instead of an old one of the same commit and processor."""
    same = ("commit", "processor")
    return [*(e for e in entries if any(e[key] != new[key] for key in same)), new]


def latest(entries: Sequence[Json]) -> list[Json]:
    """Return the last entry of each processor, the newest first."""
    found = {e["processor"]: e for e in entries}
    return sorted(found.values(), key=lambda e: e["date"], reverse=True)


def mean(kept: Json, form: str, case: str | None = None, small: bool = False) -> float | None:
    """Return the geometric mean of one loss, or of the losses' means; None where nothing is kept.

    Of the batches that no cache holds, or of the `small` ones.
    """
    losses = kept["ratios"].get(form, {})
    if case is None:
        each = [m for name in losses if (m := mean(kept, form, name, small)) is not None]
    else:
        shapes = losses.get(case, {}).items()
        each = [ratio for shape, ratio in shapes if (_elements(shape) < IN_CACHE) == small]
    return geometric_mean(each) if each else None


def processors(entries: Sequence[Json]) -> str:
    """Return the table of the processors that were measured, with links to their pages."""
    head = ["processor", "measured", "way of measuring", *report.LOSSES.values()]
    rows = [
        [
            f"[{e['processor']}](performance/{e['processor']}.md)",
            e["date"],
            e["way"],
            *(_both(e, case) for case in report.LOSSES),
        ]
        for e in latest(entries)
    ]
    return report.markdown(head, rows)


def table(entries: Sequence[Json]) -> str:
    """Return the table of all entries, the newest first."""
    head = ["measured", "commit", "version", "processor", "way of measuring", "large batches",
            "32 × 10"]  # fmt: skip
    rows = [
        [
            *(e[key] for key in ("date", "commit", "version", "processor", "way")),
            *(_both(e, small=small) for small in (False, True)),
        ]
        for e in reversed(entries)
    ]
    return report.markdown(head, rows)


def _elements(shape: str) -> int:
    rows, classes = map(int, shape.split("x"))
    return rows * classes


def _both(kept: Json, case: str | None = None, small: bool = False) -> str:
    """Return the means of value and gradient, and of the value."""
    found = (mean(kept, form, case, small) for form in LINES)
    return " / ".join("–" if number is None else f"{number:.2f}" for number in found)


def draw(entries: Sequence[Json], path: Path) -> None:
    """Write the plot: a panel for each loss, a line for each processor and form."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5), layout="constrained")
    panels = figure.subplots(2, 4, sharex=True, sharey=True).flat
    names = list(dict.fromkeys(e["processor"] for e in entries))
    for axes, (case, title) in zip(panels, report.LOSSES.items(), strict=True):
        for index, name in enumerate(names):
            for form, line in LINES.items():
                points = [(i, m) for i, e in enumerate(entries)
                          if e["processor"] == name and (m := mean(e, form, case))]  # fmt: skip
                label = f"{name}, {report.TITLES[form].lower()}"
                xy = zip(*points, strict=True) if points else ([], [])
                axes.plot(*xy, line, color=COLOURS[index % len(COLOURS)], label=label,
                          markersize=3, linewidth=1)  # fmt: skip
        axes.axhline(1, color="#8a8a8a", linewidth=0.8)
        axes.set_title(title, loc="left", fontsize=9)
        axes.set_xticks(range(len(entries)), [e["commit"] or e["date"] for e in entries],
                        rotation=90, fontsize=7)  # fmt: skip
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    figure.supylabel("best peer's time / fastloss's", fontsize=9)
    # Drawn twice, the file is the same; and its text is text.
    with rc_context({"svg.hashsalt": "fastloss", "svg.fonttype": "none"}):
        figure.savefig(path, metadata={"Date": None})
