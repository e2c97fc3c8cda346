"""Tiles: rows that lie side by side, of all classes; each class is a run of neighbours.

Runs: the elements of one class of neighbouring rows, on their way from and to a tile.
"""

from fastloss_kernels import tuning
from fastloss_kernels.compiler.jit import block
from fastloss_kernels.memory.layout import lines_of, place_of
from fastloss_kernels.simd.cache_hints import prefetch, stream
from fastloss_kernels.simd.half import narrow, widen
from fastloss_kernels.simd.raw_arrays import copy, memory
from fastloss_kernels.typing import Array


@block
def plain(x: Array, like: Array) -> bool:
    """Return whether runs of x can be worked on where they lie."""
    return lines_of(x)[1] == x.itemsize and x.itemsize == like.itemsize


@block
def pick_classes(x: Array, first: int, rows: int, target: Array, picked: Array) -> None:
    """Set `picked` to each row's element of class `target`."""
    offset, step = place_of(x, first), lines_of(x)[1]
    for r in range(rows):
        here = offset + r * step + int(target[r]) * x.strides[1]
        picked[r] = widen(memory(x, x.dtype, here)[0])


@block
def _read(x: Array, offset: int, target: Array) -> None:
    """Copy elements that lie side by side to `target`, in its dtype."""
    step = lines_of(x)[1]
    if step == x.itemsize:
        source = memory(x, x.dtype, offset)
        for k in range(target.size):
            target[k] = widen(source[k])
    else:
        for k in range(target.size):
            target[k] = widen(memory(x, x.dtype, offset + k * step)[0])


@block
def _write(source: Array, grad: Array, offset: int) -> None:
    """Copy `source` to elements of the gradient that lie side by side."""
    step, like = lines_of(grad)[1], grad.dtype.type(0)
    if step == grad.itemsize:
        target = memory(grad, grad.dtype, offset)
        for k in range(source.size):
            target[k] = narrow(source[k], like)
    else:
        for k in range(source.size):
            memory(grad, grad.dtype, offset + k * step)[0] = narrow(source[k], like)


@block
def run_at(x: Array, offset: int, c: int, size: int, like: Array) -> Array:
    """Return the elements of class c of `size` rows where they lie, in the dtype of `like`."""
    return memory(x, like.dtype, offset + c * x.strides[1])[:size]


@block
def run_of(x: Array, offset: int, rows: int, c: int, box: Array) -> Array:
    """Return the elements of class c of some rows: where they lie, or copied to `box`."""
    if plain(x, box):
        return run_at(x, offset, c, rows, box)
    _read(x, offset + c * x.strides[1], box[:rows])
    return box[:rows]


@block
def fetch_run(x: Array, offset: int, c: int, rows: int) -> None:
    """Ask for the elements of class c of some rows to be brought near, if they lie side by side."""
    if lines_of(x)[1] == x.itemsize:
        prefetch(run_at(x, offset, c, rows, x), 0, rows)


@block
def past_caches(grad: Array | None, like: Array) -> bool:
    """Return whether runs of a gradient, made in like's dtype, go there past the caches."""
    if grad is None:
        return False
    return plain(grad, like) and grad.size * grad.itemsize >= tuning.STREAM


@block
def send_run(run: Array, grad: Array, offset: int, c: int, following: int, past: bool) -> None:
    """Write a finished run to class c of the gradient; `following` will be one of the next."""
    rows = run.size
    if past:
        # Lines that are written in part are read first: ahead, or the others would wait.
        ahead = run_at(grad, offset, following, rows, run)
        prefetch(ahead, 0, 1)
        prefetch(ahead, rows - 1, 1)
        stream(run, run_at(grad, offset, c, rows, run), rows)
    elif plain(grad, run):
        copy(run, run_at(grad, offset, c, rows, run))
    else:
        _write(run, grad, offset + c * grad.strides[1])
