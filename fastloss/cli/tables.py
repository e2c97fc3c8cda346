"""Output of the commands: tables for the terminal, values for JSON."""

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


def report_tables(report: Report) -> Group:
    """Return the tables of a check: all examples and failures by source, and counts of the rest."""
    passed, failed = Text("ok", "green"), Text("OFF", "bold red")
    by_source: dict[str, Table] = {}
    passed_counts: Counter[str] = Counter()
    for entry in report.entries:
        if entry.ok and entry.source in OWN_SOURCES:
            passed_counts[entry.source] += 1
            continue
        if entry.source not in by_source:
            by_source[entry.source] = _table("", entry.source, "printed", "computed")
            by_source[entry.source].columns[1].overflow = "fold"
        texts = (entry.what.replace("y_true, y_pred", "…"), entry.expected, entry.computed)
        by_source[entry.source].add_row(passed if entry.ok else failed, *map(Text, texts))
    counts = [
        f"{number} random and edge cases right: {source}"
        for source, number in passed_counts.items()
    ]
    right = sum(entry.ok for entry in report.entries)
    counts.append(f"{right} of {len(report.entries)} right")
    return Group(*by_source.values(), *map(Text, counts))


def doctor_table(sections: dict[str, dict[str, Any]]) -> Table:
    """Return the table of what `doctor` found."""
    table = _table("", "", "")
    for name, section in sections.items():
        for number, (key, value) in enumerate(section.items()):
            shown = " ".join(value) if isinstance(value, list) else "-" if value is None else value
            cells = (Text(str(text), overflow="fold") for text in (key, shown))
            table.add_row(name if number == 0 else "", *cells)
        table.add_section()
    return table


def summary_values(
    predictions: str, loss: str, reduction: str | None, summary: Summary
) -> dict[str, Any]:
    """Return the result of an evaluation as JSON values."""
    losses, counts = summary.losses, summary.counts
    return {
        "predictions": predictions,
        "loss": loss,
        "reduction": reduction or "none",
        "value": summary.value,
        "dtype": summary.dtype,
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
            {"row": row, "index": _loss_index(row, summary), "loss": value}
            for row, value in losses.worst()
        ],
        "accuracy": summary.accuracy,
        "bytes": summary.bytes,
        "seconds": summary.seconds,
    }


def evaluation_tables(values: dict[str, Any]) -> Group:
    """Return the tables of the `summary_values` of an evaluation."""
    losses = values["row_losses"]
    precision = "exact" if not losses["quantile_error"] else f"within {QUANTILE_ERROR:.2%}"
    table = _table(values["loss"], values["predictions"])
    table.columns[1].justify = "right"
    rows = {
        f"loss ({values['reduction']})": _format_number(values["value"]),
        "rows": f"{values['rows']:,}",
        "ignored": f"{values['ignored_rows']:,}",
        "masked": f"{values['masked_rows']:,}",
        "weight sum": _format_number(values["weight_sum"]),
        "accuracy (top 1)": _format_number(values["accuracy"]),
    }
    row_losses = {
        "row loss: mean": losses["mean"],
        "min": losses["min"],
        **{f"quantile {level}": value for level, value in losses["quantiles"].items()},
        "max": losses["max"],
    }
    _fill(table, rows.items())
    table.add_section()
    _fill(table, ((name, _format_number(value)) for name, value in row_losses.items()))
    _fill(table, [("NaN rows", f"{losses['nan_rows']:,}"), ("quantiles", precision)])
    table.add_section()
    speed = values["bytes"] / values["seconds"] / 1e9 if values["seconds"] else 0.0
    _fill(table, [("speed", f"{speed:.2f} GB/s")])
    if not values["worst"]:
        return Group(table)
    worst = _table("worst rows", "loss")
    worst.columns[1].justify = "right"
    _fill(
        worst,
        ((_format_index(row["index"]), _format_number(row["loss"])) for row in values["worst"]),
    )
    return Group(table, worst)


def _table(*headers: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_header=any(headers), caption_justify="left")
    for header in headers:
        table.add_column(Text(header))
    return table


def _fill(table: Table, rows: Iterable[tuple[str, str]]) -> None:
    for name, value in rows:
        table.add_row(Text(name), Text(value))


def _loss_index(row: int, summary: Summary) -> list[int]:
    return [int(i) for i in np.unravel_index(row, summary.shape)]


def _format_index(index: list[int]) -> str:
    return ", ".join(map(str, index)) if index else "the only one"


def _format_number(value: float | None) -> str:
    return "-" if value is None else f"{value:.8g}"
