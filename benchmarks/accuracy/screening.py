"""The errors of many rows in ulps, by the wide formulas; and of one number, by mpmath.

One ulp is the distance between neighbouring floats at the size that the error counts against, see
`formulas`. Where that size is below the smallest normal number any result that is not above it
counts as right: last places end there.
"""

import math
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from mpmath import mp, mpf
from numpy.typing import NDArray

from benchmarks.accuracy import truth
from benchmarks.accuracy.formulas import FORMULAS
from benchmarks.accuracy.wide import compiled
from fastloss.selfcheck.reference import clip_bounds

Array = NDArray[Any]
LEFT_OUT = -1.0  # the error of a row to which two answers are right


class Errors(NamedTuple):
    """For each result that was given and each row: errors in ulps, and where the worst slope is."""

    loss: Array
    gradient: Array
    worst_class: Array


@compiled
def _distance(got: float, right: Any, digits: int, lowest: int) -> float:
    """Return the error of `got` in ulps of a type with so many digits and lowest exponent."""
    high, low, n, size = right[0], right[1], int(right[2]), int(right[3])
    if size < lowest:
        return 0.0 if abs(got) <= math.ldexp(1.0, lowest) else math.inf
    if not math.isfinite(got):
        return math.inf
    error = abs((math.ldexp(got, -n) - high) - low)
    return math.ldexp(error, n - (size - digits + 1))


@compiled
def _screen(
    formula: Any,
    targets: Array,
    x: Array,
    limits: tuple[float, float, float],
    kind: tuple[int, int],
    values: Array,
    gradients: Array,
    errors: Array,
) -> None:
    low, high, ulp = limits
    digits, lowest = kind
    right = np.empty((x.shape[1] + 1, 4))
    for i in range(x.shape[0]):
        one_answer = formula(targets[i], x[i], low, high, ulp, right)
        for p in range(values.shape[0]):
            errors[0, p, i], errors[1, p, i], errors[2, p, i] = LEFT_OUT, LEFT_OUT, 0
            if not one_answer:
                continue
            errors[0, p, i] = _distance(values[p, i], right[0], digits, lowest)
            for c in range(x.shape[1]):
                error = _distance(gradients[p, i, c], right[1 + c], digits, lowest)
                if error > errors[1, p, i]:
                    errors[1, p, i], errors[2, p, i] = error, c


def dense(targets: Array, classes: int) -> Array:
    """Return target rows in float64; labels become one-hot."""
    if targets.ndim == 1:
        targets = targets[:, np.newaxis] == np.arange(classes)
    return targets.astype(np.float64)


def screen(name: str, targets: Array, x: Array, values: Array, gradients: Array) -> Errors:
    """Return the errors of several results for the rows of a case.

    Parameters
    ----------
    name : str
        Name of the case.
    targets, x : (n,) or (n, classes), and (n, classes)
        What the losses were computed from, in the dtype they were computed in.
    values, gradients : (results, n) and (results, n, classes)
        What came out.
    """
    info = np.finfo(x.dtype)
    limits = (*clip_bounds(x.dtype), float(info.eps))
    kind = (info.nmant + 1, info.minexp)
    arguments = (dense(targets, x.shape[1]), x.astype(np.float64))
    errors = np.empty((3, *values.shape))
    workers = os.cpu_count() or 1

    def part(worker: int) -> None:
        rows = slice(worker * len(x) // workers, (worker + 1) * len(x) // workers)
        t, logits = (argument[rows] for argument in arguments)
        given = values[:, rows].astype(np.float64), gradients[:, rows].astype(np.float64)
        _screen(FORMULAS[name], t, logits, limits, kind, *given, errors[:, :, rows])

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(part, range(workers)))
    return Errors(errors[0], errors[1], errors[2].astype(np.int64))


def exact(name: str, target: Any, x: Array, place: int, got: float) -> tuple[float, float]:
    """Return the error of a loss (place -1) or an element of a gradient in ulps, by mpmath.

    Twice, for sizes 2^-50 larger and smaller: the wide formulas round the size to a double, and
    where it is a power of two but for that rounding, as sums of targets are, both count.
    """
    formula, bounds = truth.FORMULAS[name]
    row = dense(np.asarray(target)[np.newaxis], x.size)
    (right,) = truth.rows(formula, row, x[np.newaxis], *clip_bounds(x.dtype)[:bounds])
    number, size = right.value, right.value_scale
    if place >= 0:
        number, size = right.gradient[place], right.gradient_scale[place]
    with mp.workdps(truth.DIGITS):
        error = abs(mpf(got) - number) if math.isfinite(got) else mp.inf
        step = size * mpf(2) ** -50
        above, below = size + step, size - step
        return _in_ulps(error, above, got, x.dtype), _in_ulps(error, below, got, x.dtype)


def _in_ulps(error: mpf, size: mpf, got: float, dtype: Any) -> float:
    info = np.finfo(dtype)
    exponent = mp.frexp(size)[1] - 1 if size else -math.inf
    if exponent < info.minexp:
        return 0.0 if abs(got) <= float(info.tiny) else math.inf
    return float(error / mpf(2) ** int(exponent - info.nmant))
