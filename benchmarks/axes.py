"""What another class axis costs: `python -m benchmarks.axes` fills docs/.

The same rows twice: the classes of each one behind the other, and as images and sequences have
them, a class of neighbours side by side. Both are called in turn, and medians compared.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from tools.fill_docs import fill

from . import machine, report
from .cases import CASES, Array, Case

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
#: Shapes and their class axis: images, images with more classes, sequences, a transposed matrix.
SHAPES = {
    (16, 21, 256, 256): 1,
    (4, 150, 128, 128): 1,
    (64, 1000, 500): 1,
    (1000, 32768): 0,
}

Calls = dict[str, Callable[[], Any]]


def works() -> list[tuple[Case, tuple[int, ...]]]:
    """Return what is timed."""
    return [(case, shape) for case in CASES for shape in SHAPES]


def calls(case: Case, shape: tuple[int, ...], axis: int) -> Calls:
    """Return the calls that are timed: value, and value and gradient, of both layouts."""
    classes = shape[axis]
    y_true, y_pred = case.data(prod(shape) // classes, classes)
    rows = [n for position, n in enumerate(shape) if position != axis]
    scores, truth = (a.reshape(*rows, *a.shape[1:]) for a in (y_pred, y_true))
    apart, their_truth = _apart(scores, axis), truth if case.sparse else _apart(truth, axis)
    out, their_out = np.empty_like(scores), np.empty_like(apart)
    loss, theirs = case.loss(**case.options), case.loss(**case.options, axis=axis)
    return {
        "value": lambda: loss(truth, scores),
        "value, apart": lambda: theirs(their_truth, apart),
        "gradient": lambda: loss.value_and_grad(truth, scores, out=out),
        "gradient, apart": lambda: theirs.value_and_grad(their_truth, apart, out=their_out),
    }


def _apart(array: Array, axis: int) -> Array:
    """Return a copy whose last axis has become `axis`."""
    return np.ascontiguousarray(np.moveaxis(array, -1, axis))


def measure(timed: Calls, rounds: int = 9) -> dict[str, float]:
    """Return the median milliseconds of each call."""
    times: dict[str, list[float]] = {name: [] for name in timed}
    for call in timed.values():
        call()
    for _ in range(rounds):
        for name, call in timed.items():
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    return {name: 1e3 * statistics.median(found) for name, found in times.items()}


def lengths(shape: tuple[int, ...]) -> str:
    """Return a shape as a table says it."""
    return " × ".join(f"{n:,}" for n in shape)


def comparison(head: list[str], whole: str, found: list[tuple[list[str], dict[str, float]]]) -> str:
    """Return times as Markdown: `found` are what stands below `head`, and the times of its calls.

    `whole` says what the rows are against which the same, as they lie, are timed.
    """
    lines = []
    for line, times in found:
        for kind in ("value", "gradient"):
            own, apart = times[kind], times[f"{kind}, apart"]
            line = [*line, f"{own:.3g}", f"{apart:.3g}", f"{own / apart:.2f}"]
        lines.append(line)
    for kind in ("value", "value and gradient"):
        head = [*head, f"{kind}, {whole}", "as it lies", "speed"]
    return "\n\n".join([report.markdown(head, lines), f"Milliseconds. {machine.place()}."])


def table(found: dict[tuple[str, tuple[int, ...]], dict[str, float]]) -> str:
    """Return what was measured as Markdown."""
    lines = [
        ([report.LOSSES[name], lengths(shape), str(SHAPES[shape])], times)
        for (name, shape), times in found.items()
    ]
    return comparison(["loss", "shape", "class axis"], "classes last", lines)


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    found = {
        (case.name, shape): measure(calls(case, shape, SHAPES[shape])) for case, shape in works()
    }
    PAGE.write_text(fill(PAGE.read_text(), "axes", table(found)))
