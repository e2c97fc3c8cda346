"""Packing: rows between an array of any strides and a contiguous scratch.

Half precision is widened on the way in and rounded on the way out; see `half`.
"""

from fastloss_kernels import tuning
from fastloss_kernels.compiler.jit import block, called
from fastloss_kernels.memory.layout import Layout, offset_of
from fastloss_kernels.simd.cache_hints import prefetch, store_nontemporal
from fastloss_kernels.simd.half import narrow, widen
from fastloss_kernels.simd.raw_arrays import flat_view, stack_array
from fastloss_kernels.simd.transpose import transpose
from fastloss_kernels.typing import Array


@block
def _left_of_line(x: Layout, row: int, left: int) -> int:
    """Return how many of the `left` rows from `row` on are of its line."""
    return min(left, x.line - row % x.line)


@block
def _gather_columns(x: Layout, offset: int, rows: int, work: Array) -> None:
    """Pack class-major rows from `offset` on by squares of registers, and prefetch the next ones.

    The columns of a strip of classes are far apart, where no hardware prefetches. Of each, several
    cache lines are finished before the next strip. The last strip overlaps the one before.
    """
    data, classes, step = x.data, x.classes, x.class_step
    width = min(tuning.STRIP, classes)
    for c in range(0, classes, tuning.STRIP):
        following, place = c + tuning.STRIP, offset
        if following >= classes:
            following, place = 0, offset + rows * data.itemsize
        for k in range(following, min(following + tuning.STRIP, classes)):
            column = flat_view(data, data.dtype, place + k * step)
            before = column.ctypes.data % 64 // data.itemsize
            prefetch(column, -before, before + rows)
        start = max(0, min(c, classes - tuning.STRIP))
        source = flat_view(data, work.dtype, offset + start * step)
        transpose(source, step // data.itemsize, work[start:], classes, width, rows)


@called
def gather(x: Layout, first: int, rows: int, work: Array) -> None:
    """Copy the rows `first` to ``first + rows`` of x into `work`, in its dtype."""
    data, classes, step = x.data, x.classes, x.row_step
    if x.packed:
        source = flat_view(data, data.dtype, offset_of(x, first))
        for k in range(rows * classes):
            work[k] = widen(source[k])
        return
    r = 0
    while r < rows:
        offset, count = offset_of(x, first + r), _left_of_line(x, first + r, rows - r)
        packed = work[r * classes :]
        if x.class_step == data.itemsize:
            for k in range(count):
                source = flat_view(data, data.dtype, offset + k * step)
                target = packed[k * classes :]
                for c in range(classes):
                    target[c] = widen(source[c])
        elif x.class_major and data.itemsize == work.itemsize:
            _gather_columns(x, offset, count, packed)
        else:
            run = count if x.class_major else 1
            for k0 in range(0, count, run):
                for c in range(classes):
                    source = flat_view(data, data.dtype, offset + k0 * step + c * x.class_step)
                    target = packed[k0 * classes + c :]
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
def scatter(work: Array, first: int, rows: int, out: Layout) -> None:
    """Copy `work` into the rows `first` to ``first + rows`` of the gradient."""
    grad, classes, step = out.data, out.classes, out.row_step
    like = grad.dtype.type(0)
    if out.packed:
        round_to(work[: rows * classes], flat_view(grad, grad.dtype, offset_of(out, first)))
        return
    transposed = out.class_major and grad.itemsize == work.itemsize
    r = 0
    while r < rows:
        offset, count = offset_of(out, first + r), _left_of_line(out, first + r, rows - r)
        packed = work[r * classes : (r + count) * classes]
        if out.class_step == grad.itemsize:
            for k in range(count):
                source = packed[k * classes : (k + 1) * classes]
                round_to(source, flat_view(grad, grad.dtype, offset + k * step))
        elif transposed and classes * grad.itemsize >= tuning.REGISTER:
            width, apart = min(tuning.STRIP, classes), out.class_step // grad.itemsize
            for c in range(0, classes, tuning.STRIP):
                start = max(0, min(c, classes - tuning.STRIP))
                target = flat_view(grad, work.dtype, offset + start * out.class_step)
                transpose(packed[start:], classes, target, apart, count, width)
        else:
            run = count if out.class_major else 1
            for k0 in range(0, count, run):
                for c in range(classes):
                    source = packed[k0 * classes + c :]
                    target = flat_view(grad, grad.dtype, offset + k0 * step + c * out.class_step)
                    for k in range(run):
                        target[k] = narrow(source[k * classes], like)
        r += count


@called
def store_packed(work: Array, first: int, rows: int, out: Layout, streamed: bool) -> None:
    """Store packed rows of the gradient, with non-temporal stores if it is to be `streamed`."""
    if not streamed:
        scatter(work, first, rows, out)
        return
    target, size = flat_view(out.data, out.data.dtype, offset_of(out, first)), rows * out.classes
    rounded = stack_array(out.data.dtype)
    for k in range(0, size, rounded.size):
        n = min(rounded.size, size - k)
        round_to(work[k : k + n], rounded)
        store_nontemporal(rounded, target[k:], n)
