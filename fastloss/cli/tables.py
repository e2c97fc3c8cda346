"""What the commands show: tables for the terminal, plain values for JSON."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from fastloss.out_of_core.evaluation import Summary
from fastloss.out_of_core.row_statistics import QUANTILE_ERROR
from fastloss.selfcheck.check import OWN_SOURCES, Report

QUANTILES = (0.01, 0.25, 0.5, 0.75, 0.99)


def report(checked: Report) -> Group:
    """Return a check: the printed examples page by page, whatever is off, a count of the rest."""
    fine, off = Text("ok", "green"), Text("OFF", "bold red")
    pages: dict[str, Table] = {}
    rest: Counter[str] = Counter()
    for entry in checked.entries:
        if entry.ok and entry.source in OWN_SOURCES:
            rest[entry.source] += 1
            continue
        if entry.source not in pages:
            pages[entry.source] = _table("", entry.source, "printed", "computed")
            pages[entry.source].columns[1].overflow = "fold"
        texts = (entry.what.replace("y_true, y_pred", "…"), entry.expected, entry.computed)
        pages[entry.source].add_row(fine if entry.ok else off, *map(Text, texts))
    counts = [f"{number} random and edge cases right: {source}" for source, number in rest.items()]
    right = sum(entry.ok for entry in checked.entries)
    counts.append(f"{right} of {len(checked.entries)} right")
    return Group(*pages.values(), *map(Text, counts))


def findings(sections: dict[str, dict[str, Any]]) -> Table:
    """Return what the doctor found."""
    table = _table("", "", "")
    for name, section in sections.items():
        for number, (key, value) in enumerate(section.items()):
            shown = " ".join(value) if isinstance(value, list) else "-" if value is None else value
            table.add_row(name if number == 0 else "", key, Text(str(shown)))
        table.add_section()
    return table


def values(predictions: str, loss: str, reduction: str | None, found: Summary) -> dict[str, Any]:
    """Return everything an evaluation found, for programs."""
    losses, counts = found.losses, found.counts
    return {
        "predictions": predictions,
        "loss": loss,
        "reduction": reduction or "none",
        "value": found.value,
        "dtype": found.dtype,
        "rows": counts.rows,
        "masked_rows": counts.masked,
        "ignored_rows": counts.ignored,
        "weight_sum": counts.weight,
        "row_losses": {
            "rows": losses.count,
            "nan_rows": losses.nan_rows,
            "mean": losses.mean,
            "min": losses.minimum if losses.count else math.nan,
            "max": losses.maximum if losses.count else math.nan,
            "quantiles": {
                str(level): value
                for level, value in zip(QUANTILES, losses.quantiles(QUANTILES), strict=True)
            },
            "quantile_error": 0.0 if losses.exact else QUANTILE_ERROR,
        },
        "worst": [
            {"row": row, "index": _index(row, found), "loss": value}
            for row, value in losses.worst()
        ],
        "accuracy": found.accuracy,
        "bytes": found.bytes,
        "seconds": found.seconds,
    }


def evaluation(found: dict[str, Any]) -> Group:
    """Return the tables for what `values` made of an evaluation."""
    losses = found["row_losses"]
    exactly = "exact" if not losses["quantile_error"] else f"within {QUANTILE_ERROR:.2%}"
    table = _table(found["loss"], found["predictions"])
    table.columns[1].justify = "right"
    rows = {
        f"loss ({found['reduction']})": _number(found["value"]),
        "rows": f"{found['rows']:,}",
        "ignored": f"{found['ignored_rows']:,}",
        "masked": f"{found['masked_rows']:,}",
        "weight sum": _number(found["weight_sum"]),
        "accuracy (top 1)": _number(found["accuracy"]),
    }
    row_losses = {
        "row loss: mean": losses["mean"],
        "min": losses["min"],
        **{f"quantile {level}": value for level, value in losses["quantiles"].items()},
        "max": losses["max"],
    }
    _fill(table, rows.items())
    table.add_section()
    _fill(table, ((name, _number(value)) for name, value in row_losses.items()))
    _fill(table, [("NaN rows", f"{losses['nan_rows']:,}"), ("quantiles", exactly)])
    table.add_section()
    speed = found["bytes"] / found["seconds"] / 1e9 if found["seconds"] else 0.0
    _fill(table, [("speed", f"{speed:.2f} GB/s")])
    if not found["worst"]:
        return Group(table)
    worst = _table("worst rows", "loss")
    worst.columns[1].justify = "right"
    _fill(worst, ((_place(row["index"]), _number(row["loss"])) for row in found["worst"]))
    return Group(table, worst)


def _table(*headers: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_header=any(headers), caption_justify="left")
    for header in headers:
        table.add_column(Text(header))
    return table


def _fill(table: Table, rows: Iterable[tuple[str, str]]) -> None:
    for name, value in rows:
        table.add_row(Text(name), Text(value))


def _index(row: int, found: Summary) -> list[int]:
    return [int(i) for i in np.unravel_index(row, found.shape)]


def _place(index: list[int]) -> str:
    return ", ".join(map(str, index)) if index else "the only one"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.8g}"
