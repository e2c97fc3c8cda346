"""Where a comparison is kept: a page a processor in docs/performance/, README.md, the history."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tools.fill_docs import fill

from . import history, machine, plot, report

ROOT = Path(__file__).parent.parent
Json = dict[str, Any]
FEW = 5  # cells that may have been disturbed in what is published


def publish(result: Json, root: Path = ROOT) -> None:
    """Write the processor's page, README.md's table and the history; refuse a disturbed run."""
    marked = [
        f"{cell['case']} {cell['rows']}x{cell['classes']} {cell['dtype']} {cell['form']} {way}"
        for cell in result["cells"]
        for way in cell.get("taken", {})
        if report.disturbed(cell, way)
    ]
    if len(marked) > FEW:
        raise SystemExit(
            f"{len(marked)} cells were disturbed, at most {FEW} may be: measure again on an idle "
            f"machine; nothing was written\n  " + "\n  ".join(marked)
        )
    keep(result, root)
    _fill(root / "README.md", benchmark=report.headline(result))
    kept = root / "docs" / "performance" / "history.json"
    entries = history.added(json.loads(kept.read_text("utf-8")), history.entry(result))
    lines = ",\n".join(json.dumps(entry) for entry in entries)
    kept.write_text(f"[\n{lines}\n]\n", "utf-8")
    history.draw(entries, kept.with_suffix(".svg"))
    _fill(
        root / "docs" / "performance.md",
        processors=history.processors(entries),
        history=history.table(entries),
    )


def keep(result: Json, root: Path = ROOT) -> None:
    """Write everything measured on a processor: figures, page and plot."""
    name = machine.slug(result["machine"]["processor"])
    folder = root / "docs" / "performance"
    (folder / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    tables = report.full(result, plot=f"{name}.svg")
    page = f"# Performance: {name}\n\nOther processors: [performance.md](../performance.md).\n\n"
    (folder / f"{name}.md").write_text(f"{page}{tables}\n", "utf-8")
    for suffix in ("png", "svg"):
        plot.draw(result, folder / f"{name}.{suffix}")


def _fill(path: Path, **blocks: str) -> None:
    text = path.read_text("utf-8")
    for name, content in blocks.items():
        text = fill(text, name, content)
    path.write_text(text, "utf-8")
