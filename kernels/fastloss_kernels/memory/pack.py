"""Rows on their way between an array of any strides and a contiguous scratch.

Half precision is widened on the way in and rounded on the way out; see `halves`.
"""

from fastloss_kernels import tuning
from fastloss_kernels.compiler.jit import block, called
from fastloss_kernels.memory.layout import lines_of, packed, place_of, side_by_side
from fastloss_kernels.simd.cache_hints import prefetch
from fastloss_kernels.simd.codegen import REGISTER
from fastloss_kernels.simd.half import narrow, widen
from fastloss_kernels.simd.raw_arrays import memory
from fastloss_kernels.simd.transpose import transpose
from fastloss_kernels.typing import Array


@block
def _line(x: Array, row: int, left: int) -> tuple[int, int]:
    """Return (offset of a row in bytes, how many of the rows that are `left` are of its line)."""
    length, _, _ = lines_of(x)
    return place_of(x, row), min(left, length - row % length)


@block
def _gather_runs(x: Array, offset: int, side: int, work: Array) -> None:
    """Put the rows together that lie side by side from `offset` on; fetch those behind them.

    The last strip overlaps the one before.
    """
    classes, step = x.shape[1], x.strides[1]
    width = min(tuning.STRIP, classes)
    for c in range(0, classes, tuning.STRIP):
        following, place = c + tuning.STRIP, offset
        if following >= classes:
            following, place = 0, offset + side * x.itemsize
        for k in range(following, min(following + tuning.STRIP, classes)):
            run = memory(x, x.dtype, place + k * step)
            before = run.ctypes.data % 64 // x.itemsize
            prefetch(run, -before, before + side)
        start = max(0, min(c, classes - tuning.STRIP))
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
    r, step = 0, lines_of(x)[1]
    while r < rows:
        offset, count = _line(x, first + r, rows - r)
        part = work[r * classes :]
        if x.strides[1] == x.itemsize:
            for k in range(count):
                source, target = memory(x, x.dtype, offset + k * step), part[k * classes :]
                for c in range(classes):
                    target[c] = widen(source[c])
        elif side_by_side(x) and x.itemsize == work.itemsize:
            _gather_runs(x, offset, count, part)
        else:
            run = count if side_by_side(x) else 1
            for k0 in range(0, count, run):
                for c in range(classes):
                    source = memory(x, x.dtype, offset + k0 * step + c * x.strides[1])
                    target = part[k0 * classes + c :]
                    for k in range(run):
                        target[k * classes] = widen(source[k])
        r += count


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
    r, step = 0, lines_of(grad)[1]
    turned = side_by_side(grad) and grad.itemsize == work.itemsize
    while r < rows:
        offset, count = _line(grad, first + r, rows - r)
        part = work[r * classes : (r + count) * classes]
        if grad.strides[1] == grad.itemsize:
            for k in range(count):
                source = part[k * classes : (k + 1) * classes]
                round_to(source, memory(grad, grad.dtype, offset + k * step))
        elif turned and classes * grad.itemsize >= REGISTER:
            width, apart = min(tuning.STRIP, classes), grad.strides[1] // grad.itemsize
            for c in range(0, classes, tuning.STRIP):
                start = max(0, min(c, classes - tuning.STRIP))
                target = memory(grad, work.dtype, offset + start * grad.strides[1])
                transpose(part[start:], classes, target, apart, count, width)
        else:
            run = count if side_by_side(grad) else 1
            for k0 in range(0, count, run):
                for c in range(classes):
                    source = part[k0 * classes + c :]
                    target = memory(grad, grad.dtype, offset + k0 * step + c * grad.strides[1])
                    for k in range(run):
                        target[k] = narrow(source[k * classes], like)
        r += count
