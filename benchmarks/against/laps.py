"""Calls that are timed, in one tree: prepared when asked for, run when it is this tree's turn."""

import gc
import time
from collections.abc import Callable
from math import prod
from typing import Any

import numba
import numpy as np

import fastloss as fl

from .facade import FACES
from .inputs import Array
from .kernelcases import LOSSES
from .speedcases import Work

LAP = 0.02  # seconds a lap lasts at least
SPINNING = 0.01  # threads of a parallel loop look for the next one so long, in the other's time
POOL = 2**20  # numbers that are drawn, and repeated
CONFIDENT = 0.1  # share of rows whose likeliest class stands 40 above or below


class Laps:
    """The calls of one batch."""

    def __init__(self) -> None:
        self._calls: dict[str, Callable[[], object]] = {}
        self._counts: dict[tuple[str, int], int] = {}

    def prepare(self, work: Work) -> None:
        """Draw the data; forget those before."""
        self._calls.clear()
        self._counts.clear()
        gc.collect()
        y_pred = _view(work, np.empty(work.shape, work.dtype))
        rows, axis = _rows_last(y_pred, work.axis), work.axis % y_pred.ndim
        numbers, truth = _data(work.loss, prod(rows.shape[:-1]), rows.shape[-1])
        rows[...] = numbers.reshape(rows.shape)
        if LOSSES[work.loss].targets == "labels":
            y_true = truth.reshape(rows.shape[:-1])
        else:
            y_true = _view(work, np.empty(work.shape, work.dtype))
            _rows_last(y_true, axis)[...] = truth.reshape(rows.shape)
        options: dict[str, Any] = {}
        if work.loss not in ("poisson", "kl_divergence"):
            options = {"from_logits": LOSSES[work.loss].logits, "axis": axis}
        loss = getattr(fl, FACES[work.loss][1])(**options)
        out = np.empty_like(y_pred)
        self._calls = {
            "value": lambda: loss(y_true, y_pred),
            "gradient": lambda: loss.value_and_grad(y_true, y_pred, out=out),
        }

    def lap(self, form: str, threads: int) -> float:
        """Return the seconds of a call, the mean of as many as last long enough."""
        call = self._calls[form]
        numba.set_num_threads(threads)
        call()
        if (form, threads) not in self._counts:
            call()
            seconds = _timed(call, 1)
            self._counts[form, threads] = max(1, int(LAP / seconds))
        seconds = _timed(call, self._counts[form, threads])
        time.sleep(SPINNING if threads > 1 else 0)
        return seconds


def _timed(call: Callable[[], object], count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - start) / count


def _view(work: Work, whole: Array) -> Array:
    """Return the view of an array that `benchmarks.views` calls by its expression."""
    found: Array = eval(work.view, {"x": whole})
    return found


def _rows_last(array: Array, axis: int) -> Array:
    return np.moveaxis(array, axis, -1)


def _data(loss: str, rows: int, classes: int) -> tuple[Array, Array]:
    """Return (predictions, targets): some rows, again and again."""
    rng = np.random.default_rng(0)
    some = max(1, min(rows, POOL // classes))
    label, place = rng.integers(0, classes, some), np.arange(some)
    shape = some, classes
    if LOSSES[loss].logits:
        x = 3 * rng.standard_normal(shape)
        far = rng.random(some) < CONFIDENT
        if loss == "binary_logits":
            x *= np.where(far, 15.0, 1.0)[:, None]
        else:
            x[place, label] += np.where(far, rng.choice([-40.0, 40.0], some), 0.0)
    elif loss == "binary_probabilities":
        x = rng.uniform(0.001, 0.999, shape)
    elif loss == "poisson":
        x = np.exp(rng.standard_normal(shape))
    else:
        x = _shares(rng, shape)
    kind = LOSSES[loss].targets
    if kind == "labels":
        truth: Array = label
    elif kind == "answers":
        truth = rng.integers(0, 2, shape)
    else:
        truth = rng.poisson(2.0, shape) if kind == "counts" else _shares(rng, shape)
    number = np.arange(rows) % some
    return x.astype(np.float32)[number], truth[number]


def _shares(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    e = np.exp(rng.standard_normal(shape))
    shares: Array = e / e.sum(axis=1, keepdims=True)
    return shares
