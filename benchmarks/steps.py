"""The steps that losses are made of, as loops over short arrays: benchmarks/costs.py times them.

Each is called with four float32 arrays, x and t to read, w and terms to write, and two bounds.
"""

from __future__ import annotations

from typing import Any

from fastloss_kernels.compiler.jit import interleaved_block
from fastloss_kernels.compiler.lowering import PartCompiler
from fastloss_kernels.elementary.exp import exp_in_range, exp_nonpositive
from fastloss_kernels.elementary.log import log, log1p_01, log_double_word, log_normal
from fastloss_kernels.elementary.log_ratio import log_reduced, nearest_binade
from fastloss_kernels.losses.binary_crossentropy import _logit, _probability
from fastloss_kernels.losses.kullback_leibler import _kullback_leibler
from fastloss_kernels.losses.poisson import _poisson
from fastloss_kernels.simd.raw_arrays import row_array
from fastloss_kernels.simd.row_reduce import row_sums, row_sums_f64, scale_rows
from fastloss_kernels.simd.scalar import fma
from numba import njit

compiled = njit(error_model="numpy", pipeline_class=PartCompiler)  # with vectors as wide as ours


def _of_each(function: Any) -> Any:
    """Return the loop of a function of one number."""

    @compiled
    def loop(x, t, w, terms, low, high):  # type: ignore[no-untyped-def]
        for k in range(x.size):
            w[k] = function(x[k])

    return loop


@compiled
def _falling(x, t, w, terms, low, high):  # type: ignore[no-untyped-def]
    for k in range(x.size):
        w[k] = exp_nonpositive(-x[k])


@compiled
def _pair(x, t, w, terms, low, high):  # type: ignore[no-untyped-def]
    for k in range(x.size):
        w[k] = log_double_word(x[k], t[k])


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
def _sums(x, t, w, terms, low, high):  # type: ignore[no-untyped-def]
    total, lost = row_array(), row_array()
    row_sums(x, 1, x.size, total, lost)
    w[0] = total[0] + lost[0]  # what nobody reads would not be summed


@compiled
def _fine(x, t, w, terms, low, high):  # type: ignore[no-untyped-def]
    total, lost = row_array(), row_array()
    row_sums_f64(x, 1, x.size, total, lost)
    w[0] = total[0] + lost[0]  # what nobody reads would not be summed


@compiled
def _scale(x, t, w, terms, low, high):  # type: ignore[no-untyped-def]
    scale_rows(w, 1, w.size, terms)  # by 1: shrinking, w would soon be subnormal


@compiled
def _copy(x, t, w, terms, low, high):  # type: ignore[no-untyped-def]
    for k in range(x.size):
        w[k] = x[k]


def _element(function: Any) -> Any:
    """Return the loop of an element function, as a loss has it."""

    @interleaved_block
    def elements(x, t, w, terms, low, high):  # type: ignore[no-untyped-def]
        for k in range(x.size):
            answer = t[k], high - t[k]
            terms[k], w[k] = function(x[k], t[k], answer, answer, True, low, high)

    @compiled
    def loop(x, t, w, terms, low, high):  # type: ignore[no-untyped-def]
        elements(x, t, w, terms, low, high)

    return loop


STEPS = {
    "copy": _copy,
    "multiply a row (`scale_rows`)": _scale,
    "sum a row (`row_sums`)": _sums,
    "e^x, \\|x\\| < 87 (`exp_in_range`)": _of_each(exp_in_range),
    "e^x, x <= 0 (`exp_nonpositive`)": _falling,
    "log(1 + x), 0 <= x <= 1 (`log1p_01`)": _of_each(log1p_01),
    "log(x), normal x > 0 (`log_normal`)": _of_each(log_normal),
    "log of an unrounded sum (`log_double_word`)": _pair,
    "log of a quotient (`log_reduced`)": _quotient,
    "log(x), every x (`log`)": _of_each(log),
    "Kullback-Leibler, term and slope": _element(_kullback_leibler),
    "Poisson, term and slope": _element(_poisson),
    "binary crossentropy from logits, term and slope": _element(_logit),
    "binary crossentropy from probabilities, term and slope": _element(_probability),
}


#: What a bound of docs/accuracy.md needs, and what would do without it.
BOUNDS = {
    "logarithm of x + eps and of 1 - p, with what rounding took": (_pair, _of_each(log_normal)),
    "logarithm of u / p, of which the quotient is not rounded": (_quotient, _rounded_quotient),
    "sum of targets or probabilities of which one is taken off again": (_fine, _sums),
    "e / (1 + e) to an ulp where e is small": (_share, _rounded_share),
}


def repeated(step: Any) -> Any:
    """Return a step that is done so many times as its first argument says: what is timed."""

    @compiled
    def repeat(times, x, t, w, terms, low, high):  # type: ignore[no-untyped-def]
        for _ in range(times):
            step(x, t, w, terms, low, high)

    return repeat
