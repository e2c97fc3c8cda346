"""The tables of docs/accuracy.md, from what was measured."""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from benchmarks import machine
from benchmarks.accuracy import elementary, losses, peers
from benchmarks.accuracy.found import Found
from benchmarks.accuracy.losses import Number, Result
from benchmarks.report import markdown

#: Elementary functions: function and dtype -> library -> what was found.
Searched = Mapping[tuple[str, str], Mapping[str, Found]]

OURS = "fastloss"
SHOWN_BY_KIND = "sparse_logits"


def elementary_table(searched: Searched, what: str) -> str:
    """Return one row a function: our errors in both dtypes, and our peers' in float32."""
    libraries = sorted({name for found in searched.values() for name in found} - {OURS})
    head = ["function", "float32", "at", "float64", "at", *libraries]
    rows = []
    for function in elementary.FUNCTIONS:
        single, double = (searched[function.name, dtype] for dtype in losses.DTYPES)
        cells = [f"`{function.name}`"]
        for found, complete in ((single[OURS], function.second is not None), (double[OURS], False)):
            cells += [_error(found, function.goal) + ("" if complete else " seen"), _at(found)]
        cells += [_error(single[name]) if name in single else "" for name in libraries]
        rows.append(cells)
    return "\n\n".join([markdown(head, rows), _footer(what, ["numpy", "numba", *peers.packages()])])


def loss_table(results: Sequence[Result], what: str) -> str:
    """Return one row a loss: our worst errors, and below it what is over the goal."""
    head = ["loss", "rows", *(f"{dtype} {part}" for dtype in losses.DTYPES for part in PARTS)]
    mine = [result for result in results if result.library == OURS]
    rows = []
    for case in dict.fromkeys(result.case for result in mine):
        of_case = [result for result in mine if result.case == case]
        worst = (_worst(of_case, dtype, part) for dtype in losses.DTYPES for part in PARTS)
        count = f"{sum(result.rows for result in of_case):,}"
        rows.append([f"`{case}`", count, *(_number(number, losses.GOAL) for number in worst)])
    over = [
        f"- `{result.case}`, {result.dtype}, {number}"
        for result in mine
        for number in result.over()
    ]
    verdict = "Every number is within its goal."
    if over:
        verdict = "\n".join(["Over the goal:", "", *over])
    return "\n\n".join([markdown(head, rows), verdict, _footer(what)])


def peer_table(results: Sequence[Result], what: str) -> str:
    """Return one row a loss and library, all kinds together; then one loss kind by kind."""
    head = ["loss", "library", *(f"{dtype} {part}" for dtype in losses.DTYPES for part in PARTS)]
    rows = []
    for case, library in dict.fromkeys((result.case, result.library) for result in results):
        own = [result for result in results if (result.case, result.library) == (case, library)]
        worst = (_worst(own, dtype, part) for dtype in losses.DTYPES for part in PARTS)
        rows.append([f"`{case}`", library, *(_number(number) for number in worst)])
    tables = [markdown(head, rows)]
    chosen = [r for r in results if (r.case, r.dtype) == (SHOWN_BY_KIND, losses.DTYPES[0])]
    if chosen:
        libraries = list(dict.fromkeys(result.library for result in chosen))
        found = {(result.kind, result.library): result for result in chosen}
        by_kind = [
            [kind, *(_both(found[kind, library]) for library in libraries)]
            for kind in dict.fromkeys(result.kind for result in chosen)
        ]
        tables += [
            f"`{SHOWN_BY_KIND}` in {losses.DTYPES[0]}, kind by kind (loss / gradient):",
            markdown(["rows", *libraries], by_kind),
        ]
    return "\n\n".join([*tables, _footer(what, ["numpy", "numba", *peers.packages()])])


PARTS = ("loss", "gradient")


def _worst(results: Iterable[Result], dtype: str, part: str) -> Number:
    numbers = (getattr(result, part) for result in results if result.dtype == dtype)
    worst: Number = max(numbers, key=lambda number: number.ulps)
    return worst


def _both(result: Result) -> str:
    return f"{_number(result.loss)} / {_number(result.gradient)}"


def _number(number: Number, goal: float = math.inf) -> str:
    return _bold(_digits(number.ulps), number.ulps > goal)


def _error(found: Found, goal: float = math.inf) -> str:
    text = _bold(_digits(found.ulps), found.ulps > goal)
    if found.subnormal > 1:
        text += f"; subnormal {_digits(found.subnormal)}"
    return f"{text}; {found.wrong:,} special results wrong" if found.wrong else text


def _digits(ulps: float) -> str:
    """Return 0.931, 3.14, 52, 8.4e+06; `wrong` for infinite errors."""
    if math.isinf(ulps):
        return "wrong"
    if ulps < 1:
        return f"{ulps:.3f}"
    return f"{ulps:.2f}" if ulps < 10 else f"{ulps:.0f}" if ulps < 1000 else f"{ulps:.1e}"


def _bold(text: str, bold: bool) -> str:
    return f"**{text}**" if bold else text


def _at(found: Found) -> str:
    place = (found.x,) if found.x == found.y else (found.x, found.y)
    return "`" + ", ".join(_short_hex(item) for item in place) + "`"


def _short_hex(x: float) -> str:
    mantissa, _, exponent = x.hex().partition("p")
    return f"{mantissa.rstrip('0').rstrip('.')}p{exponent}" if exponent else mantissa


def _footer(what: str, packages: Iterable[str] = ("numpy", "numba")) -> str:
    place = machine.describe(packages)
    versions = ", ".join(f"{name} {version}" for name, version in place["versions"].items())
    return (
        f"Measured {date.today()} by `make accuracy`, {what}: {place['processor']},"
        f" {place['system']}; {versions}."
    )
