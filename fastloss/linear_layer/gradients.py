"""Gradients of a linear layer, added up block by block where the caller wants them.

Each class below receives the logits' gradient g of one block of rows after another:

    d / d inputs = g kernel^T         d / d kernel = sum of x^T g         d / d bias = sum of g

NumPy's BLAS computes the products and writes them to their places. Its gemm could also add to the
kernel's gradient in place, but only SciPy passes that on, from a BLAS library of its own: two
libraries' threads, which wait in busy loops, halve each other's speed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastloss.arguments.arrays import FLOAT64, DType, check_out
from fastloss.arguments.gradient_cache import empty_output
from fastloss.arguments.layout import Array, layout_for
from fastloss.typing import FloatArray

Rows: TypeAlias = slice | NDArray[np.intp]
"""The numbers of some rows: a slice(start, stop), or an array."""

STRIP_BYTES = 1 << 22
"""Size of the products x^T g that are added to the kernel's gradient while they are in cache."""
_STRIP_CLASSES = 256
"""Fewest classes of such a product: for fewer, BLAS reads x more often than it pays."""


class LinearGradients(NamedTuple):
    """Gradients with respect to the arguments of `linear_crossentropy`; None: not wanted.

    As ``out=``, it names the arrays that receive them; for None a new array is made. The result of
    one call can be the ``out`` of the next.

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.LinearGradients(bias=0.5)
    LinearGradients(inputs=None, kernel=None, bias=0.5)
    """

    inputs: FloatArray | None = None
    kernel: FloatArray | None = None
    bias: FloatArray | None = None


def wanted_gradients(wrt: str | Sequence[str] | None, has_bias: bool) -> tuple[str, ...]:
    """Return the checked names of the arguments to differentiate; None: all there are."""
    if wrt is None:
        return LinearGradients._fields if has_bias else ("inputs", "kernel")
    names = (wrt,) if isinstance(wrt, str) else tuple(wrt)
    for name in names:
        if name not in LinearGradients._fields:
            raise ValueError(f"wrt must name inputs, kernel or bias, got {name!r}")
    if "bias" in names and not has_bias:
        raise ValueError('wrt names the bias, but bias is None: leave "bias" out of wrt')
    return names


def gradient_arrays(
    out: LinearGradients | None,
    arguments: dict[str, Array],
    wanted: Sequence[str],
    read: dict[str, Array | None],
    output: DType,
    working: DType,
) -> LinearGradients:
    """Return the arrays that receive the `wanted` gradients: those of `out`, or new ones.

    `read` are the other arrays that the call reads. Nothing of `out` may overlap them, the
    arguments or each other, but out.inputs may be the inputs themselves. A new array has its
    argument's shape and memory order.
    """
    if not isinstance(out, LinearGradients | None):
        raise TypeError(f"out must be a LinearGradients, got {type(out).__name__}")
    taken: dict[str, Array | None] = {**arguments, **read}
    arrays: dict[str, FloatArray] = {}
    for name, given in (out or LinearGradients())._asdict().items():
        if given is not None:
            if name not in wanted:
                raise ValueError(f"out.{name} must be None, as no gradient of {name} is computed")
            itself = "inputs" if name == "inputs" else ""
            check_out(given, arguments[name], working, taken, f"out.{name}", itself, name)
            taken[f"out.{name}"] = arrays[name] = given
        elif name in wanted:
            arrays[name] = empty_output(np.asarray(arguments[name]), output)
    return LinearGradients(**arrays)


class RowAccess:
    """Rows of an array (..., d) by their number, read and written where they lie."""

    def __init__(self, array: Array) -> None:
        layout = layout_for(array.shape, -1)
        self._lengths = layout.loss_shape
        self._direct = layout.is_view(array.strides)
        rows_shape = (layout.row_count, layout.classes)
        self._array = array.reshape(rows_shape) if self._direct else array

    def __getitem__(self, rows: Rows) -> Array:
        """Return the rows (n, d): a view if there is one, else a copy."""
        array: Array = self._array[self._index(rows)]
        return array

    def __setitem__(self, rows: Rows, values: FloatArray | float) -> None:
        self._array[self._index(rows)] = values

    def view(self, rows: Rows) -> Array | None:
        """Return the rows (n, d) where they lie; None if they have no common distance."""
        return self._array[rows] if self._direct and isinstance(rows, slice) else None

    def _index(self, rows: Rows) -> Any:
        if self._direct:
            return rows
        numbers = np.arange(rows.start, rows.stop) if isinstance(rows, slice) else rows
        return np.unravel_index(numbers, self._lengths)


def matrix_for_blas(matrix: Array, working: DType) -> FloatArray:
    """Return the matrix itself if BLAS can read it where it lies, else a copy."""
    if _in_place(matrix, working):
        return matrix
    return np.require(matrix, working, ["C", "A"])


def _in_place(matrix: Array, working: DType) -> bool:
    """Return whether BLAS can read and write the matrix: one axis without gaps, the other apart."""
    size, (rows, columns), (down, along) = matrix.itemsize, matrix.shape, matrix.strides
    return (
        matrix.dtype == working
        and matrix.flags.aligned
        and (
            (along == size and down >= columns * size and down % size == 0)
            or (down == size and along >= rows * size and along % size == 0)
        )
    )


class Gradient(Protocol):
    """The gradient with respect to one argument."""

    def add(self, rows: Rows, x: FloatArray, g: FloatArray) -> None:
        """Add a block: its inputs x (n, d), and g (n, C), the gradient of its logits."""

    def finish(self, left_out: Rows) -> None:
        """Complete the result; the rows `left_out` were in no block."""


class InputsGradient:
    """g kernel^T, written block by block; x may lie where it is written."""

    def __init__(self, result: FloatArray, kernel: FloatArray) -> None:
        self._result, self._kernel = RowAccess(np.asarray(result)), kernel

    def add(self, rows: Rows, x: FloatArray, g: FloatArray) -> None:
        """Write the gradients of these rows."""
        place = self._result.view(rows)
        if place is not None and _in_place(place, g.dtype):
            np.matmul(g, self._kernel.T, out=place)
        else:
            self._result[rows] = np.matmul(g, self._kernel.T)

    def finish(self, left_out: Rows) -> None:
        """Rows that do not count have gradient 0."""
        self._result[left_out] = 0.0


class KernelGradient:
    """The sum of x^T g in the working dtype, a strip of classes at a time."""

    def __init__(self, result: FloatArray, working: DType) -> None:
        self._result = np.asarray(result)
        direct = _in_place(self._result, working)
        self._total = self._result if direct else np.empty(result.shape, working)
        row_bytes = max(1, result.shape[0]) * working.itemsize
        self._strip = max(_STRIP_CLASSES, STRIP_BYTES // row_bytes)
        self._product: FloatArray | None = None

    def add(self, rows: Rows, x: FloatArray, g: FloatArray) -> None:
        """Add the products of these rows; those of the first block need no addition."""
        first = self._product is None
        if self._product is None:
            self._product = np.empty_like(self._total[:, : self._strip])
        for start in range(0, g.shape[1], self._strip):
            total = self._total[:, start : start + self._strip]
            product = total if first else self._product[:, : total.shape[1]]
            np.matmul(x.T, g[:, start : start + self._strip], out=product)
            if not first:
                total += product

    def finish(self, left_out: Rows) -> None:
        """Without any block, the sum is 0."""
        if self._product is None:
            self._total.fill(0.0)
        if self._total is not self._result:
            np.copyto(self._result, self._total, casting="same_kind")


class BiasGradient:
    """The sum of g: of a block in the working dtype, by BLAS; of the blocks in float64."""

    def __init__(self, result: FloatArray) -> None:
        self._result, self._total = result, np.zeros(result.shape, FLOAT64)

    def add(self, rows: Rows, x: FloatArray, g: FloatArray) -> None:
        """Add the gradients of these rows."""
        self._total += np.matmul(np.ones(len(g), g.dtype), g)

    def finish(self, left_out: Rows) -> None:
        """Round the sum once."""
        np.copyto(self._result, self._total, casting="same_kind")
