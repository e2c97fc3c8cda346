"""Rows on their way between an array of any strides and a contiguous scratch.

Half precision is widened on the way in and rounded on the way out; see `halves`.
"""

from fastloss_kernels.halves import narrow, widen
from fastloss_kernels.intrinsics import memory
from fastloss_kernels.jit import block, called
from fastloss_kernels.transpose import transpose
from fastloss_kernels.typing import Array


@block
def contiguous(x: Array) -> bool:
    """Return whether the rows of x lie one behind the other."""
    outer, classes, inner = x.shape
    return (
        inner == 1
        and (classes == 1 or x.strides[1] == x.itemsize)
        and (outer == 1 or x.strides[0] == classes * x.itemsize)
    )


@block
def _run(x: Array, row: int, left: int) -> tuple[int, int]:
    """Return (offset of a row in bytes, how many rows from it on lie side by side)."""
    inner = x.shape[2]
    place = row % inner
    offset = row // inner * x.strides[0] + place * x.strides[2]
    if x.strides[2] == x.itemsize and x.strides[1] != x.itemsize:
        return offset, min(left, inner - place)
    return offset, 1


@called
def gather(x: Array, first: int, rows: int, work: Array) -> None:
    """Copy the rows `first` to ``first + rows`` of x into `work`, in its dtype."""
    classes = x.shape[1]
    if contiguous(x):
        source = memory(x, x.dtype, first * classes * x.itemsize)
        for k in range(rows * classes):
            work[k] = widen(source[k])
        return
    r = 0
    while r < rows:
        offset, side = _run(x, first + r, rows - r)
        if side > 1 and x.itemsize == work.itemsize:
            lines = memory(x, work.dtype, offset)
            row = work[r * classes :]
            transpose(lines, x.strides[1] // x.itemsize, row, classes, classes, side)
        elif x.strides[1] == x.itemsize:
            source, target = memory(x, x.dtype, offset), work[r * classes :]
            for c in range(classes):
                target[c] = widen(source[c])
        else:
            for c in range(classes):
                source, target = (
                    memory(x, x.dtype, offset + c * x.strides[1]),
                    work[r * classes + c :],
                )
                for k in range(side):
                    target[k * classes] = widen(source[k])
        r += side


@called
def scatter(work: Array, first: int, rows: int, grad: Array) -> None:
    """Copy `work` into the rows `first` to ``first + rows`` of the gradient."""
    classes = grad.shape[1]
    like = grad.dtype.type(0)
    if contiguous(grad):
        target = memory(grad, grad.dtype, first * classes * grad.itemsize)
        for k in range(rows * classes):
            target[k] = narrow(work[k], like)
        return
    r = 0
    while r < rows:
        offset, side = _run(grad, first + r, rows - r)
        if side > 1 and grad.itemsize == work.itemsize:
            lines = memory(grad, work.dtype, offset)
            row = work[r * classes :]
            transpose(row, classes, lines, grad.strides[1] // grad.itemsize, side, classes)
        elif grad.strides[1] == grad.itemsize:
            source, target = work[r * classes :], memory(grad, grad.dtype, offset)
            for c in range(classes):
                target[c] = narrow(source[c], like)
        else:
            for c in range(classes):
                source = work[r * classes + c :]
                target = memory(grad, grad.dtype, offset + c * grad.strides[1])
                for k in range(side):
                    target[k] = narrow(source[k * classes], like)
        r += side
