"""What memory allows: reading the inputs once and writing the outputs once, on all threads."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from .contest import Call, Ways

Array = NDArray[Any]


@njit(parallel=True)
def copy(source: Array, target: Array) -> None:
    """Write source to target, converted where their types differ."""
    for i in prange(source.size):
        target[i] = source[i]


@njit(parallel=True)
def add(first: Array, second: Array, target: Array) -> None:
    """Write the sum of two arrays: two reads, one write, and arithmetic that costs nothing."""
    for i in prange(target.size):
        target[i] = first[i] + second[i]


@njit(parallel=True)
def _read(words: Array) -> Any:
    total = np.uint64(0)
    for i in prange(words.size):
        total += words[i]
    return total


def read(source: Array) -> int:
    """Return the sum of the array's 32-bit words, modulo 2**64.

    A sum of floats has a fixed order that no compiler may change, and waits for its additions;
    integers are added in vector registers, at the speed of memory.
    """
    return int(_read(source.view(np.uint32)))


def prepare(y_true: Array, y_pred: Array) -> dict[str, Ways]:
    """Return the least that a loss must move in memory, for both forms.

    A value reads predictions and targets. With its gradient an array like the predictions is
    written as well; and one loss a row, which counts where the rows are short.
    """
    x, t = y_pred.reshape(-1), y_true.reshape(-1)
    target, losses = np.empty_like(x), np.empty(len(y_pred), x.dtype)

    def move_labels() -> None:
        copy(x, target)
        copy(t, losses)

    value = Call(lambda: read(x) + read(t))
    both = Call((lambda: add(x, t, target)) if t.size == x.size else move_labels)
    return {"value": Ways(value, value), "value_and_grad": Ways(both, both)}


def moved(form: str, y_true: Array, y_pred: Array) -> int:
    """Return the bytes that `prepare` moves."""
    read_bytes = y_true.nbytes + y_pred.nbytes
    if form == "value":
        return read_bytes
    losses = 0 if y_true.size == y_pred.size else len(y_pred) * y_pred.itemsize
    return read_bytes + y_pred.nbytes + losses
