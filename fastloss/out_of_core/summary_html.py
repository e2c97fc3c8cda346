"""The tables of a summary for notebooks."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastloss.out_of_core.evaluation import Summary

GROUPS = 5
"""How many groups are shown, those with the largest losses."""


def summary_html(summary: Summary) -> str:
    """Return the numbers of a summary as HTML: a table, and one of the worst groups if any."""
    counts, losses = summary.counts, summary.losses
    values = {
        "loss": summary.value,
        "rows": counts.rows,
        "masked rows": counts.masked or None,
        "ignored rows": counts.ignored or None,
        "accuracy": summary.accuracy,
        "mean row loss": losses.mean if losses.count else None,
        "smallest row loss": losses.minimum if losses.count else None,
        "largest row loss": losses.maximum if losses.count else None,
        "NaN rows": losses.nan_rows or None,
    }
    rows = [(name, value) for name, value in values.items() if value is not None]
    return f"<div>{_html_table(rows)}{_groups(summary)}</div>"


def _groups(summary: Summary) -> str:
    if summary.groups is None:
        return ""
    columns = summary.groups.columns("mean_with_sample_weight", perplexity=False)
    shown = (columns[name][:GROUPS].tolist() for name in ("group", "loss", "count"))
    table = _html_table(zip(*shown, strict=True), ("group", "mean loss", "rows"))
    total = len(columns["group"])
    return table + (f"<p>{GROUPS} of {total} groups</p>" if total > GROUPS else "")


def _html_table(rows: Iterable[Iterable[Any]], header: Iterable[str] = ()) -> str:
    head = _row(header, "th") if header else ""
    return f"<table>{head}{''.join(_row(row, 'td') for row in rows)}</table>"


def _row(cells: Iterable[Any], tag: str) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(_text(cell))}</{tag}>' for cell in cells)}</tr>"


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
