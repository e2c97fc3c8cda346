"""What arithmetic costs, apart from memory: `python -m benchmarks.costs` fills docs/performance.md.

One thread works on arrays that stay in the first-level cache; the least of many rounds counts, per
64 bytes: a cache line, 16 float32. What one processor's share of memory's speed takes for a line
stands beside it, in the same run: a loss that costs less than its lines take is bound by memory.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numba
import numpy as np
from fastloss_kernels.caches import stream
from fastloss_kernels.counts import _rate
from fastloss_kernels.divergence import _divergence
from fastloss_kernels.exponential import exp_bounded, exp_falling
from fastloss_kernels.intrinsics import memory
from fastloss_kernels.lanes import row_sums, scale_rows
from fastloss_kernels.logarithm import log, log1p_unit, log_normal, log_pair
from fastloss_kernels.logistic import _logit, _probability
from fastloss_kernels.quotient import aligned, log_aligned
from numba import njit

from tools.fill_readme import fill

from . import limits, machine, report

SIZE = 1024  # elements: 4 KB an array
LARGE = 1 << 25  # elements that no cache holds
LINE = 16  # float32 elements
PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
compiled = njit(error_model="numpy")


@compiled
def _exponential(x, t, w, terms, low, high):  # type: ignore[no-untyped-def]
    for k in range(x.size):
        w[k] = exp_bounded(x[k])


@compiled
def _falling(x, t, w, terms, low, high):  # type: ignore[no-untyped-def]
    for k in range(x.size):
        w[k] = exp_falling(-x[k])


@compiled
def _logarithm(x, t, w, terms, low, high):  # type: ignore[no-untyped-def]
    for k in range(x.size):
        w[k] = log(x[k])


@compiled
def _pair(x, t, w, terms, low, high):  # type: ignore[no-untyped-def]
    for k in range(x.size):
        w[k] = log_pair(x[k], t[k])


@compiled
def _normal(x, t, w, terms, low, high):  # type: ignore[no-untyped-def]
    for k in range(x.size):
        w[k] = log_normal(x[k])


@compiled
def _quotient(x, t, w, terms, low, high):  # type: ignore[no-untyped-def]
    for k in range(x.size):
        near, e = aligned(x[k], t[k])
        w[k] = log_aligned((near - t[k]) / t[k], e, low - low)


@compiled
def _unit(x, t, w, terms, low, high):  # type: ignore[no-untyped-def]
    for k in range(x.size):
        w[k] = log1p_unit(x[k])


@compiled
def _sums(x, t, w, terms, low, high):  # type: ignore[no-untyped-def]
    total = np.empty((2, 8))
    row_sums(x, 1, x.size, total[0], total[1])


@compiled
def _scale(x, t, w, terms, low, high):  # type: ignore[no-untyped-def]
    scale_rows(w, 1, w.size, x)


@compiled
def _copy(x, t, w, terms, low, high):  # type: ignore[no-untyped-def]
    for k in range(x.size):
        w[k] = x[k]


def _element(function: Any) -> Any:
    @compiled
    def loop(x, t, w, terms, low, high):  # type: ignore[no-untyped-def]
        for k in range(x.size):
            terms[k], w[k] = function(x[k], t[k], t[k], high - t[k], True, low, high)

    return loop


STEPS = {
    "copy": _copy,
    "multiply a row (`scale_rows`)": _scale,
    "sum a row (`row_sums`)": _sums,
    "e^x, \\|x\\| < 87 (`exp_bounded`)": _exponential,
    "e^x, x <= 0 (`exp_falling`)": _falling,
    "log(1 + x), 0 <= x <= 1 (`log1p_unit`)": _unit,
    "log(x), normal x > 0 (`log_normal`)": _normal,
    "log of an unrounded sum (`log_pair`)": _pair,
    "log of a quotient (`log_aligned`)": _quotient,
    "log(x), every x (`log`)": _logarithm,
    "Kullback-Leibler, term and slope": _element(_divergence),
    "Poisson, term and slope": _element(_rate),
    "binary crossentropy from logits, term and slope": _element(_logit),
    "binary crossentropy from probabilities, term and slope": _element(_probability),
}


@njit(parallel=True)
def _streamed(source, target):  # type: ignore[no-untyped-def]
    step = 1 << 12
    for block in numba.prange(source.size // step):
        offset = block * step * 4
        stream(memory(source, source.dtype, offset), memory(target, target.dtype, offset), step)


def _least(call: Callable[[], Any], rounds: int) -> float:
    call()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def _repeated(step: Any) -> Any:
    @compiled
    def repeat(times, x, t, w, terms, low, high):  # type: ignore[no-untyped-def]
        for _ in range(times):
            step(x, t, w, terms, low, high)

    return repeat


def measure(rounds: int = 50, large: int = LARGE) -> dict[str, float]:
    """Return nanoseconds for 64 bytes of each step, and of each way to move an array."""
    rng = np.random.default_rng(0)
    x, t = rng.uniform(0.01, 0.99, (2, SIZE)).astype(np.float32)
    w, terms = np.empty_like(x), np.empty_like(x)
    bounds = np.float32(1e-7), np.float32(1 - 1e-7)
    times, found = 1000, {}
    for name, step in STEPS.items():
        repeat = _repeated(step)
        seconds = _least(lambda: repeat(times, x, t, w, terms, *bounds), rounds)  # noqa: B023
        found[name] = seconds / times / SIZE * LINE * 1e9
    source, target = np.ones(large, np.float32), np.empty(large, np.float32)
    share = numba.get_num_threads() * LINE / large * 1e9
    ways = {
        "read": lambda: limits.read(source),
        "copy": lambda: limits.copy(source, target),
        "copy past the caches": lambda: _streamed(source, target),
    }
    for name, way in ways.items():
        found[f"memory: {name}, one processor's share"] = _least(way, rounds // 5 + 1) * share
    return found


def table(found: dict[str, float]) -> str:
    """Return what was measured as Markdown."""
    rows = [[name, f"{value:.2f}"] for name, value in found.items()]
    place = machine.describe(["numpy", "numba"])
    versions = ", ".join(f"{name} {number}" for name, number in place["versions"].items())
    note = f"{date.today():%Y-%m-%d}; {place['processor']}; {versions}; one thread but for memory."
    return "\n\n".join([report.markdown(["step", "ns for 64 bytes"], rows), note])


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    PAGE.write_text(fill(PAGE.read_text(), "costs", table(measure())))
