"""Rows that lie side by side: worked on as they lie, one class of many rows at a time.

Where the class axis is not the last, as in images, what neighbours in memory share is the class. A
tile is up to 512 such rows, of all classes: a class of it is a run of contiguous numbers. No row is
ever put together. Runs become exponentials, with the label's element left out, are added to sums
that stand side by side as well, and are kept in a scratch; then they are multiplied by factors that
stand side by side, on their way to the gradient.

Sums have the order that they have elsewhere, so a row has the same bits however it lies. For few
classes that is the order of the classes (see `softmax_short`), for more that of `columnsums`.

A class costs a far-away piece of memory: runs are long, and the next ones are fetched ahead.
"""

from typing import Any, TypeAlias

from fastloss_kernels import tuning
from fastloss_kernels.compiler.jit import block, called
from fastloss_kernels.elementary.exp import exp_bounded
from fastloss_kernels.memory.columns import fetch_run, run_of
from fastloss_kernels.memory.layout import lines_of, place_of
from fastloss_kernels.memory.rows import piece_size
from fastloss_kernels.reductions.sum_columns import (
    END,
    FOUR,
    MERGE,
    ONE,
    add_run,
    close_piece,
    merge_runs,
    slot_of,
    step_of,
)
from fastloss_kernels.simd.codegen import REGISTER
from fastloss_kernels.simd.raw_arrays import fill, stacked
from fastloss_kernels.simd.scalar import bits
from fastloss_kernels.typing import Array, Scalar

Runs: TypeAlias = tuple[Array, Array, Array, Array]


@block
def _others(x: Scalar, c: int, target: int, zero: Scalar) -> Scalar:
    """Return e^x of an element of class c, 0 if that is the target."""
    return zero if c == target else exp_bounded(x)


@block
def _one(x: Array, c: int, target: Array, w: Array | None, part: Array) -> Any:
    """Set `part`, and w, to the exponentials of a run; return its `largest_magnitude`."""
    zero = part.dtype.type(0)
    largest = bits(zero)
    for k in range(part.size):
        largest = max(largest, bits(abs(x[k])))
        e = _others(x[k], c, target[k], zero)
        part[k] = e
        if w is not None:
            w[k] = e
    return largest


@block
def _kept(x: Array, c: int, target: Array, w: Array | None, part: Array) -> Any:
    """Do as `_one`, with class c's place in w."""
    if w is None:
        return _one(x, c, target, None, part)
    return _one(x, c, target, w[c * part.size : (c + 1) * part.size], part)


@block
def _four(
    x: Runs, c: int, lanes: int, target: Array, w: Array | None, apart: int, part: Array
) -> Any:
    """Do as `_one` with four runs, `lanes` classes and, in w, `apart`; `part` is their sum."""
    x0, x1, x2, x3 = x
    size, zero = part.size, part.dtype.type(0)
    if w is not None:
        w0, w1 = w[:size], w[apart : apart + size]
        w2, w3 = w[2 * apart : 2 * apart + size], w[3 * apart : 3 * apart + size]
    largest = bits(zero)
    for k in range(size):
        low = max(bits(abs(x0[k])), bits(abs(x1[k])))
        high = max(bits(abs(x2[k])), bits(abs(x3[k])))
        largest = max(largest, max(low, high))
        e0 = _others(x0[k], c, target[k], zero)
        e1 = _others(x1[k], c + lanes, target[k], zero)
        e2 = _others(x2[k], c + 2 * lanes, target[k], zero)
        e3 = _others(x3[k], c + 3 * lanes, target[k], zero)
        part[k] = (e0 + e1) + (e2 + e3)
        if w is not None:
            w0[k] = e0
            w1[k] = e1
            w2[k] = e2
            w3[k] = e3
    return largest


@block
def _sources(x: Array, offset: int, rows: int, c: int, lanes: int, box: Array) -> Runs:
    """Return four runs, `lanes` classes apart."""
    return (
        run_of(x, offset, rows, c, box),
        run_of(x, offset, rows, c + lanes, box[tuning.TILE_CHUNK :]),
        run_of(x, offset, rows, c + 2 * lanes, box[2 * tuning.TILE_CHUNK :]),
        run_of(x, offset, rows, c + 3 * lanes, box[3 * tuning.TILE_CHUNK :]),
    )


@called
def exponential_columns(
    x: Array,
    first: int,
    rows: int,
    target: Array,
    in_order: bool,
    w: Array | None,
    others: Array,
    lost: Array,
    part: Array,
    plans: Array,
    sums: Array,
) -> Any:
    """Set `others` and `lost` to the sums of e^x of each row, but for its class `target`.

    A w that is not None receives the exponentials, with 0 in the place of the target, class after
    class. `part` has room for a run of the dtype that is computed in, `sums` for SUMS float64,
    0 at first. The `plans` are those of `sum_plans`, which are not asked if classes are to be added
    `in_order`.

    Returns the `largest_magnitude` of the rows. Nothing here means anything unless it is small; see
    `scaling`.
    """
    classes, lanes = x.shape[1], REGISTER // part.itemsize
    piece = piece_size(classes)
    offset, step = place_of(x, first), lines_of(x)[1]
    box = stacked(part.dtype)
    largest = bits(part.dtype.type(0))
    if in_order:
        fill(lost[:rows], 0.0)
        for c in range(classes):
            run = run_of(x, offset, rows, c, box)
            largest = max(largest, _kept(run, c, target[:rows], w, part[:rows]))
            add_run(part[:rows], c == 0, others, lost)
        return largest
    for start in range(0, classes, piece):
        plan, k = plans[0 if start + piece < classes else 1], 0
        while plan[k, 0] != END:
            what, slot, starts, c, following = step_of(plan, k, start)
            k += 1
            if what == MERGE:
                merge_runs(sums, slot, rows, part)
                continue
            total, rest = slot_of(sums, slot, rows)
            if what == ONE:
                fetch_run(x, offset, following, rows)
                run = run_of(x, offset, rows, c, box)
                largest = max(largest, _kept(run, c, target[:rows], w, part[:rows]))
                add_run(part[:rows], starts, total, rest)
                continue
            for r in range(0, rows, tuning.TILE_CHUNK):
                n, here = min(tuning.TILE_CHUNK, rows - r), offset + r * step
                for j in range(FOUR):
                    fetch_run(x, here, following + j * lanes, n)
                runs = _sources(x, here, n, c, lanes, box)
                mine, piece_sum = target[r : r + n], part[:n]
                apart = lanes * rows
                if w is None:
                    size = _four(runs, c, lanes, mine, None, apart, piece_sum)
                else:
                    size = _four(runs, c, lanes, mine, w[c * rows + r :], apart, piece_sum)
                largest = max(largest, size)
                add_run(piece_sum, starts, total[r : r + n], rest[r : r + n])
        close_piece(sums, rows, start == 0, others, lost)
    return largest
