"""Rows on their way between an array of any strides and a contiguous scratch.

Half precision is widened on the way in and rounded on the way out; see `halves`.
"""

from fastloss_kernels.caches import prefetch
from fastloss_kernels.halves import narrow, widen
from fastloss_kernels.intrinsics import memory
from fastloss_kernels.jit import block, called
from fastloss_kernels.lines import lines_of, packed, place_of, side_by_side
from fastloss_kernels.registers import REGISTER
from fastloss_kernels.transpose import transpose
from fastloss_kernels.typing import Array

# Classes whose runs are read or written together: a square of registers has as many sides. Of each
# a run of several cache lines is finished before the next classes are touched. Runs lie far apart,
# where nothing but the program knows which comes next.
STRIP = 16


@block
def _run(x: Array, row: int, left: int) -> tuple[int, int]:
    """Return (offset of a row in bytes, how many rows from it on lie side by side)."""
    length, step, next_line = lines_of(x)
    place = row % length
    offset = row // length * next_line + place * step
    return offset, min(left, length - place) if side_by_side(x) else 1


@block
def _gather_runs(x: Array, offset: int, side: int, work: Array) -> None:
    """Put the rows together that lie side by side from `offset` on; fetch those behind them.

    The last strip overlaps the one before.
    """
    classes, step = x.shape[1], x.strides[1]
    width = min(STRIP, classes)
    for c in range(0, classes, STRIP):
        following, place = c + STRIP, offset
        if following >= classes:
            following, place = 0, offset + side * x.itemsize
        for k in range(following, min(following + STRIP, classes)):
            run = memory(x, x.dtype, place + k * step)
            before = run.ctypes.data % 64 // x.itemsize
            prefetch(run, -before, before + side)
        start = max(0, min(c, classes - STRIP))
        source = memory(x, work.dtype, offset + start * step)
        transpose(source, step // x.itemsize, work[start:], classes, width, side)


@called
def gather(x: Array, first: int, rows: int, work: Array) -> None:
    """Copy the rows `first` to ``first + rows`` of x into `work`, in its dtype."""
    classes = x.shape[1]
    if packed(x):
        source = memory(x, x.dtype, place_of(x, first))
        for k in range(rows * classes):
            work[k] = widen(source[k])
        return
    r = 0
    while r < rows:
        offset, side = _run(x, first + r, rows - r)
        if side > 1 and x.itemsize == work.itemsize:
            _gather_runs(x, offset, side, work[r * classes :])
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


@block
def round_to(source: Array, target: Array) -> None:
    """Copy `source` to the beginning of `target`, in its dtype."""
    like = target.dtype.type(0)
    target = target[: source.size]  # with a known end, or LLVM leaves the loop scalar
    for k in range(source.size):
        target[k] = narrow(source[k], like)


@called
def scatter(work: Array, first: int, rows: int, grad: Array) -> None:
    """Copy `work` into the rows `first` to ``first + rows`` of the gradient."""
    classes = grad.shape[1]
    like = grad.dtype.type(0)
    if packed(grad):
        size = rows * classes
        round_to(work[:size], memory(grad, grad.dtype, place_of(grad, first)))
        return
    r = 0
    while r < rows:
        offset, side = _run(grad, first + r, rows - r)
        if side > 1 and grad.itemsize == work.itemsize and classes * grad.itemsize >= REGISTER:
            width, step = min(STRIP, classes), grad.strides[1]
            for c in range(0, classes, STRIP):
                start = max(0, min(c, classes - STRIP))
                source = work[r * classes + start :]
                target = memory(grad, work.dtype, offset + start * step)
                transpose(source, classes, target, step // grad.itemsize, side, width)
        elif grad.strides[1] == grad.itemsize:
            source = work[r * classes : (r + 1) * classes]
            round_to(source, memory(grad, grad.dtype, offset))
        else:
            for c in range(classes):
                source = work[r * classes + c :]
                target = memory(grad, grad.dtype, offset + c * grad.strides[1])
                for k in range(side):
                    target[k] = narrow(source[k * classes], like)
        r += side
