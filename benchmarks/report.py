"""What compare.py measured, as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from .contest import IN_PLACE, LIMIT, OURS, WAYS

Json = dict[str, Any]

LOSSES = {
    "sparse_logits": "sparse crossentropy, logits",
    "sparse_probabilities": "sparse crossentropy, probabilities",
    "dense_logits": "crossentropy, logits",
    "dense_probabilities": "crossentropy, probabilities",
    "binary_logits": "binary crossentropy, logits",
    "binary_probabilities": "binary crossentropy, probabilities",
    "poisson": "Poisson",
    "kl_divergence": "Kullback-Leibler",
}
TITLES = {"value": "Value", "value_and_grad": "Value and gradient"}
REUSED = "reused: results go into memory that is there, by `out=` or by a malloc that keeps it"
FRESH = (
    "fresh: a call without `out=`, and a malloc that gives large blocks back to the system; "
    "fastloss keeps memory of freed gradients (`set_gradient_cache`)"
)
DISTURBED = "†"
# What the README shows of the float32 table: case and classes.
HEADLINE = (
    ("sparse_logits", 1_000),
    ("sparse_logits", 128_256),
    ("sparse_logits", 10),
    ("dense_logits", 1_000),
    ("binary_logits", 1_000),
)


def headline(result: Json) -> str:
    """Return the README's table: value and gradient of a few works, in float32."""
    found = _cells(result, "value_and_grad", "float32")
    large = [cell for cell in found if (cell["case"], cell["classes"]) in HEADLINE and _large(cell)]
    small = [cell for cell in found if cell["case"] == HEADLINE[0][0] and not _large(cell)]
    peers = _peers(result)
    rows = [
        [
            *_work(cell, *WAYS),
            _both(cell, OURS),
            _share(cell, "reused", OURS),
            *(_both(cell, name) for name in peers),
        ]
        for cell in [*large, *small]
    ]
    head = ["value and gradient, float32", "batch", OURS, "of memory's speed", *peers]
    note = (
        "Milliseconds, or µs where said, of a call without `out=` / of a call that finds memory "
        "for its results there (`out=`, or a malloc that keeps what is freed); one figure alone is "
        "of the latter. Memory's speed: moving the same arrays in the same run with nothing "
        "computed."
    )
    return "\n\n".join([markdown(head, rows), note, measured(result)])


def full(result: Json, plot: str = "") -> str:
    """Return every table, who took part, and on what machine; `plot` is the picture's file."""
    parts = [measured(result)]
    if plot:
        parts.append(f"![Speed over the number of classes]({plot})")
    parts.append(
        f"Milliseconds, or µs where said; {method(result)} `limit` moves the same arrays with "
        f"nothing computed.\n\n- {REUSED}.\n- {FRESH}."
    )
    for dtype in ("float32", "float64"):
        for form, title in reversed(TITLES.items()):
            for way in ("reused", "fresh"):
                table = _compared(result, form, way, dtype)
                parts += [f"## {title}, {dtype}, {way}", table] if table else []
    parts += ["## Who took part", _who(result)]
    if result["left_out"]:
        lines = (f"- {e['contestant']}, {e['work']}: {e['why']}" for e in result["left_out"])
        parts += ["## Left out", "\n".join(lines)]
    return "\n\n".join(parts)


def method(result: Json) -> str:
    """Return how the times were taken."""
    if "rest" not in result:
        return f"medians of {result['rounds']} rounds in fixed order, 10 ms of rest: the old way."
    return (
        f"the least of {result['rounds']} rounds, or of as many as begin within "
        f"{result['budget']:g} s, but of {result['fewest_rounds']} if there are to be so many. "
        f"Each round has another order, each contestant {1e3 * result['rest']:g} ms of rest. "
        f"The limit, or fastloss where there is none, takes part twice: where its least times "
        f"differ by more than {100 * (result['agree'] - 1):.0f} % the batch is timed again, and "
        f"marked {DISTURBED} if they still do at attempt {result['attempts']}."
    )


def disturbed(cell: Json, way: str) -> bool:
    """Return whether the control's two times differed."""
    return bool(cell.get("taken", {}).get(way, {}).get("disturbed"))


def best_ratio(result: Json, cell: Json, way: str) -> float | None:
    """Return the best peer's time over ours; None where no peer was timed."""
    laps = cell[way]
    best = min((laps[p]["seconds"] for p in _peers(result) if p in laps), default=None)
    return None if best is None else best / laps[OURS]["seconds"]


def measured(result: Json) -> str:
    """Return when, by what and on what the figures were made."""
    machine = result["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    at = f", commit {result['commit']}" if result.get("commit") else ""
    return (
        f"Measured {result['date']} by `make compare`{at}: {machine['processor']}, "
        f"{machine['system']}, load average {machine['load']} before; {result['threads']} threads "
        f"for everyone; {'least' if 'rest' in result else 'medians'} of {result['rounds']} rounds; "
        f"{versions}."
    )


def _compared(result: Json, form: str, way: str, dtype: str) -> str:
    cells = [cell for cell in _cells(result, form, dtype) if way in cell]
    if not cells:
        return ""
    peers = [p for p in _peers(result) if any(p in cell[way] for cell in cells)]
    in_place = [IN_PLACE] if any(IN_PLACE in cell[way] for cell in cells) else []
    head = ["loss", "batch", LIMIT, OURS, "of limit", *in_place, *peers, "best peer takes"]
    rows = []
    for cell in cells:
        ratio = best_ratio(result, cell, way)
        rows.append(
            [
                *_work(cell, way),
                _time(cell, way, LIMIT),
                _time(cell, way, OURS),
                _share(cell, way, OURS),
                *(_time(cell, way, name) for name in (*in_place, *peers)),
                "" if ratio is None else f"{ratio:.1f} ×",
            ]
        )
    return markdown(head, rows)


def _who(result: Json) -> str:
    head = ["", "value", "gradient", "threads set by", "cores at work"]
    rows = []
    for contestant in result["contestants"]:
        name = contestant["name"]
        cores = [
            lap[name]["cores"]
            for cell in result["cells"]
            for way in WAYS
            if _large(cell) and name in (lap := cell.get(way, {}))
        ]
        busy = f"{statistics.median(cores):.2f}" if cores else ""
        rows.append([name, *(contestant[key] for key in ("value", "gradient", "threads")), busy])
    return markdown(head, rows)


def _cells(result: Json, form: str, dtype: str) -> list[Json]:
    """Return the table's cells of a form and a dtype."""
    return [
        cell
        for cell in result["cells"]
        if (cell["part"], cell["form"], cell["dtype"]) == ("table", form, dtype)
    ]


def _peers(result: Json) -> list[str]:
    """Return the peers that were timed at anything, in their order."""
    timed = {name for cell in result["cells"] for way in WAYS for name in cell.get(way, {})}
    names = [contestant["name"] for contestant in result["contestants"]]
    return [name for name in names if name in timed and name not in (OURS, IN_PLACE)]


def _large(cell: Json) -> bool:
    """Return whether a limit was timed: whether memory has a say."""
    return LIMIT in cell["reused"]


def _work(cell: Json, *ways: str) -> tuple[str, str]:
    mark = f" {DISTURBED}" if any(disturbed(cell, way) for way in ways) else ""
    return LOSSES[cell["case"]], f"{cell['rows']:,} × {cell['classes']:,}{mark}"


def _time(cell: Json, way: str, name: str) -> str:
    timed = cell.get(way, {})
    return _text(timed[name]["seconds"]) if name in timed else ""


def _both(cell: Json, name: str) -> str:
    """Return the times of a fresh and of a reused call in one cell."""
    times = [_time(cell, way, name) for way in WAYS]
    return " / ".join(filter(None, times))


def _share(cell: Json, way: str, name: str) -> str:
    if LIMIT not in cell[way]:
        return ""
    return f"{cell[way][LIMIT]['seconds'] / cell[way][name]['seconds']:.2f}"


def _text(seconds: float) -> str:
    """Return a time with three digits at most: in milliseconds, or in µs and saying so."""
    if seconds < 1e-4:
        return f"{1e6 * seconds:.3g} µs"
    milliseconds = 1e3 * seconds
    return f"{milliseconds:.3g}" if milliseconds < 100 else f"{milliseconds:.0f}"


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
