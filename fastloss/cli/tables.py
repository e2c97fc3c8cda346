"""Output of the commands: tables for the terminal, values for JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from fastloss.out_of_core.row_statistics import QUANTILE_ERROR
from fastloss.selfcheck.check import OWN_SOURCES, Report


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


def evaluation_tables(values: dict[str, Any]) -> Group:
    """Return the tables of the `summary_values` of an evaluation."""
    losses = values["row_losses"]
    precision = "exact" if not losses["quantile_error"] else f"within {QUANTILE_ERROR:.2%}"
    table = _table(values["loss"], values["predictions"])
    table.columns[1].justify = "right"
    counts = {name: f"{values[f'{name}_rows']:,}" for name in ("ignored", "masked")}
    counts = {"rows": f"{values['rows']:,}", **counts}
    scores = {
        "weight sum": values["weight_sum"],
        "perplexity": values["perplexity"],
        "bits": values["bits"],
        "accuracy (top 1)": values["accuracy"],
        **{f"accuracy (top {k})": share for k, share in values["top_k"].items()},
        "Brier score": values["brier"],
    }
    if values["ece"] is not None:
        scores[f"calibration error ({values['ece']['bins']} bins)"] = values["ece"]["value"]
    row_losses = {
        "row loss: mean": losses["mean"],
        "min": losses["min"],
        **{f"quantile {level}": value for level, value in losses["quantiles"].items()},
        "max": losses["max"],
    }
    _add_rows(table, [(f"loss ({values['reduction']})", _format_number(values["value"]))])
    _add_rows(table, counts.items())
    found = ((name, value) for name, value in scores.items() if value is not None)
    _add_rows(table, ((name, _format_number(value)) for name, value in found))
    table.add_section()
    _add_rows(table, ((name, _format_number(value)) for name, value in row_losses.items()))
    _add_rows(table, [("NaN rows", f"{losses['nan_rows']:,}"), ("quantiles", precision)])
    table.add_section()
    speed = values["bytes"] / values["seconds"] / 1e9 if values["seconds"] else 0.0
    _add_rows(table, [("speed", f"{speed:.2f} GB/s")])
    tables = [table]
    if values["worst"]:
        worst = _table("worst rows", "loss")
        worst.columns[1].justify = "right"
        _add_rows(
            worst,
            ((_format_index(row["index"]), _format_number(row["loss"])) for row in values["worst"]),
        )
        tables.append(worst)
    if values["groups"]:
        tables.append(_group_table(values["groups"]))
    return Group(*tables)


def _group_table(groups: list[dict[str, Any]]) -> Table:
    """Return the table of the groups with the largest losses."""
    names = [name for name, value in groups[0].items() if value is not None]
    table = _table("worst groups", *names[1:])
    for column in table.columns[1:]:
        column.justify = "right"
    for group in groups:
        key, *numbers = (group[name] for name in names)
        table.add_row(Text(str(key)), *(Text(_format_number(number)) for number in numbers))
    return table


def _table(*headers: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_header=any(headers), caption_justify="left")
    for header in headers:
        table.add_column(Text(header))
    return table


def _add_rows(table: Table, rows: Iterable[tuple[str, str]]) -> None:
    for name, value in rows:
        table.add_row(Text(name), Text(value))


def _format_index(index: list[int]) -> str:
    return ", ".join(map(str, index)) if index else "the only one"


def _format_number(value: float | None) -> str:
    return "-" if value is None else f"{value:.8g}"
