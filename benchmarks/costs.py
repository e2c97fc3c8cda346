"""What arithmetic costs, apart from memory: `python -m benchmarks.costs` fills docs/.

One thread works on arrays that stay in the first-level cache; the least of many rounds counts, per
64 bytes: a cache line, 16 float32. What one processor's share of memory's speed takes for a line
stands beside it, in the same run: a loss that costs less than its lines take is bound by memory.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
from fastloss_kernels.compiler.lowering import PartCompiler
from fastloss_kernels.elementary.exp import exp_in_range, exp_nonpositive
from fastloss_kernels.elementary.log import log, log1p_01, log_double_word, log_normal
from fastloss_kernels.elementary.log_ratio import log_reduced, nearest_binade
from fastloss_kernels.losses.binary_crossentropy import _logit, _probability
from fastloss_kernels.losses.kullback_leibler import _kullback_leibler
from fastloss_kernels.losses.poisson import _poisson
from fastloss_kernels.simd.cache_hints import store_nontemporal
from fastloss_kernels.simd.raw_arrays import flat_view, row_array
from fastloss_kernels.simd.row_reduce import row_sums, row_sums_f64, scale_rows
from fastloss_kernels.simd.scalar import fma
from numba import njit

from tools.fill_readme import fill

from . import limits, machine, report

SIZE = 1024  # elements: 4 KB an array
LARGE = 1 << 25  # elements that no cache holds
LINE = 16  # float32 elements
DOCS = Path(__file__).parent.parent / "docs"
PAGE, BOUNDS_PAGE = DOCS / "performance.md", DOCS / "accuracy.md"
compiled = njit(error_model="numpy", pipeline_class=PartCompiler)  # with vectors as wide as ours


@compiled
def _exponential(x, t, w, terms, low, high):  # type: ignore[no-untyped-def]
    for k in range(x.size):
        w[k] = exp_in_range(x[k])


@compiled
def _falling(x, t, w, terms, low, high):  # type: ignore[no-untyped-def]
    for k in range(x.size):
        w[k] = exp_nonpositive(-x[k])


@compiled
def _logarithm(x, t, w, terms, low, high):  # type: ignore[no-untyped-def]
    for k in range(x.size):
        w[k] = log(x[k])


@compiled
def _pair(x, t, w, terms, low, high):  # type: ignore[no-untyped-def]
    for k in range(x.size):
        w[k] = log_double_word(x[k], t[k])


@compiled
def _normal(x, t, w, terms, low, high):  # type: ignore[no-untyped-def]
    for k in range(x.size):
        w[k] = log_normal(x[k])


@compiled
def _quotient(x, t, w, terms, low, high):  # type: ignore[no-untyped-def]
    for k in range(x.size):
        near, e = nearest_binade(x[k], t[k])
        w[k] = log_reduced((near - t[k]) / t[k], e, low - low)


@compiled
def _rounded_quotient(x, t, w, terms, low, high):  # type: ignore[no-untyped-def]
    for k in range(x.size):
        w[k] = log_normal(x[k] / t[k])


@compiled
def _share(x, t, w, terms, low, high):  # type: ignore[no-untyped-def]
    for k in range(x.size):
        w[k] = fma(-x[k], x[k] / (high + x[k]), x[k])


@compiled
def _rounded_share(x, t, w, terms, low, high):  # type: ignore[no-untyped-def]
    for k in range(x.size):
        w[k] = x[k] / (high + x[k])


@compiled
def _unit(x, t, w, terms, low, high):  # type: ignore[no-untyped-def]
    for k in range(x.size):
        w[k] = log1p_01(x[k])


@compiled
def _sums(x, t, w, terms, low, high):  # type: ignore[no-untyped-def]
    total, lost = row_array(), row_array()
    row_sums(x, 1, x.size, total, lost)


@compiled
def _fine(x, t, w, terms, low, high):  # type: ignore[no-untyped-def]
    total, lost = row_array(), row_array()
    row_sums_f64(x, 1, x.size, total, lost)


@compiled
def _scale(x, t, w, terms, low, high):  # type: ignore[no-untyped-def]
    scale_rows(w, 1, w.size, terms)  # by 1: shrinking, w would soon be subnormal


@compiled
def _copy(x, t, w, terms, low, high):  # type: ignore[no-untyped-def]
    for k in range(x.size):
        w[k] = x[k]


def _element(function: Any) -> Any:
    @compiled
    def loop(x, t, w, terms, low, high):  # type: ignore[no-untyped-def]
        for k in range(x.size):
            answer = t[k], high - t[k]
            terms[k], w[k] = function(x[k], t[k], answer, answer, True, low, high)

    return loop


STEPS = {
    "copy": _copy,
    "multiply a row (`scale_rows`)": _scale,
    "sum a row (`row_sums`)": _sums,
    "e^x, \\|x\\| < 87 (`exp_in_range`)": _exponential,
    "e^x, x <= 0 (`exp_nonpositive`)": _falling,
    "log(1 + x), 0 <= x <= 1 (`log1p_01`)": _unit,
    "log(x), normal x > 0 (`log_normal`)": _normal,
    "log of an unrounded sum (`log_double_word`)": _pair,
    "log of a quotient (`log_reduced`)": _quotient,
    "log(x), every x (`log`)": _logarithm,
    "Kullback-Leibler, term and slope": _element(_kullback_leibler),
    "Poisson, term and slope": _element(_poisson),
    "binary crossentropy from logits, term and slope": _element(_logit),
    "binary crossentropy from probabilities, term and slope": _element(_probability),
}


#: What a bound of docs/accuracy.md needs, and what would do without it.
BOUNDS = {
    "logarithm of x + eps and of 1 - p, with what rounding took": (_pair, _normal),
    "logarithm of u / p, of which the quotient is not rounded": (_quotient, _rounded_quotient),
    "sum of targets or probabilities of which one is taken off again": (_fine, _sums),
    "e / (1 + e) to an ulp where e is small": (_share, _rounded_share),
}


@njit(parallel=True)
def _streamed(source, target):  # type: ignore[no-untyped-def]
    step = 1 << 12
    for block in numba.prange(source.size // step):
        offset = block * step * 4
        store_nontemporal(
            flat_view(source, source.dtype, offset), flat_view(target, target.dtype, offset), step
        )


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


def _of_line(step: Any, rounds: int) -> float:
    """Return nanoseconds for 64 bytes of a step."""
    rng = np.random.default_rng(0)
    x, t = rng.uniform(0.01, 0.99, (2, SIZE)).astype(np.float32)
    w, terms = np.ones_like(x), np.ones_like(x)
    bounds = np.float32(1e-7), np.float32(1 - 1e-7)
    times, repeat = 1000, _repeated(step)
    seconds = _least(lambda: repeat(times, x, t, w, terms, *bounds), rounds)
    return seconds / times / SIZE * LINE * 1e9


def measure_bounds(rounds: int = 50) -> dict[str, tuple[float, float]]:
    """Return nanoseconds for 64 bytes of each bound's step, and of the one without it."""
    return {
        name: (_of_line(exact, rounds), _of_line(rough, rounds))
        for name, (exact, rough) in BOUNDS.items()
    }


def measure(rounds: int = 50, large: int = LARGE) -> dict[str, float]:
    """Return nanoseconds for 64 bytes of each step, and of each way to move an array."""
    found = {name: _of_line(step, rounds) for name, step in STEPS.items()}
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
    note = f"{machine.place()}; one thread but for memory."
    return "\n\n".join([report.markdown(["step", "ns for 64 bytes"], rows), note])


def bounds_table(found: dict[str, tuple[float, float]]) -> str:
    """Return what the bounds cost as Markdown."""
    rows = [[name, *(f"{value:.2f}" for value in pair)] for name, pair in found.items()]
    head = ["what a bound needs", "ns for 64 bytes", "without"]
    return "\n\n".join([report.markdown(head, rows), f"{machine.place()}; one thread."])


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    PAGE.write_text(fill(PAGE.read_text(), "costs", table(measure())))
    BOUNDS_PAGE.write_text(fill(BOUNDS_PAGE.read_text(), "bounds", bounds_table(measure_bounds())))
