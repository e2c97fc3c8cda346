"""Blocks that fit into a limit of memory."""

from __future__ import annotations

import math
import os
import sys
from typing import NamedTuple

from fastloss.arguments.arrays import FLOAT64
from fastloss.formats.raw_array import RELEASE_BYTES
from fastloss.loss_base import Loss
from fastloss.losses import BinaryCrossentropy
from fastloss.out_of_core.blocks import AHEAD
from fastloss.out_of_core.class_scores import ScoreOptions
from fastloss.out_of_core.inputs import Inputs
from fastloss.out_of_core.row_statistics import EXACT_ROWS

MIB = 1 << 20
SLACK = 48 * MIB
"""What the allocator keeps of freed memory, the histogram of row losses, and small things."""
GROUP_BYTES = 64 * MIB
"""Of a hundred thousand groups."""
ROW_BYTES = 320
"""Of labels, weights, losses and scores, for each row of a block."""
EFFICIENT_BYTES = 1 << 18
"""Of the predictions of a block. Fewer threads rather than smaller blocks."""
SHARE = 32
"""Each file keeps at most this part of the limit in memory as pages."""


class Blocks(NamedTuple):
    """How blocks are computed."""

    rows: int
    """Of each block."""
    workers: int
    """Threads that compute them."""


def pages_kept(max_memory: int) -> int:
    """Return how many bytes of a mapped file may stay in memory."""
    return min(RELEASE_BYTES, max(MIB, max_memory // SHARE))


def fitting_blocks(
    max_memory: int, wanted: Blocks, row_bytes: int, cost: int, fixed: int, files: int
) -> Blocks:
    """Return blocks like the `wanted` ones, smaller or by fewer threads, within the limit.

    Parameters
    ----------
    max_memory : int
        The limit, in bytes.
    wanted : Blocks
        Without a limit.
    row_bytes, cost : int
        Bytes of a row's predictions, and what a row takes while it is computed.
    fixed : int
        What does not depend on the blocks.
    files : int
        How many files are mapped.

    Raises
    ------
    ValueError
        If not even single rows fit; it names the least limit that would do.
    """
    room = max_memory - fixed - files * pages_kept(max_memory)
    efficient = max(1, EFFICIENT_BYTES // max(1, row_bytes))
    for workers in range(wanted.workers, 0, -1):
        rows = min(wanted.rows, room // (_in_flight(workers) * cost))
        if rows >= min(efficient, wanted.rows) or (workers == 1 and rows > 0):
            return Blocks(rows, workers)
    least = fixed + _in_flight(1) * cost
    least = max(math.ceil(least * SHARE / (SHARE - files)), least + files * MIB)
    raise ValueError(
        f"max_memory must be at least {math.ceil(least / MIB) + 8}M here, "
        f"got {max_memory / MIB:.0f}M"
    )


def _in_flight(workers: int) -> int:
    """Return how many blocks exist at once: see `in_order`."""
    return AHEAD * workers + 1


def cost_of_a_row(loss: Loss, inputs: Inputs, gradient: bool, options: ScoreOptions) -> int:
    """Return at most how many bytes a row takes while it is computed, its predictions included."""
    elements = math.prod(inputs.layout.shape[axis] for axis in inputs.axes)
    itemsize = inputs.y_pred.dtype.itemsize
    working = 8 if FLOAT64 in (inputs.y_pred.dtype, loss._output_dtype) else 4
    each = itemsize + 2 * working  # as read, in the working dtype, and a copy of contiguous rows
    if not inputs.spec.by_label:
        each += 8 + 2 * working  # the targets, likewise
    if gradient:
        each += 2 * working
    if options.brier:
        each += working  # probabilities
    if isinstance(loss, BinaryCrossentropy):
        each += 120  # the elements' scores, mostly float64
    return ROW_BYTES + elements * each


def fixed_bytes(rows: int, groups: bool) -> int:
    """Return what the process takes beside blocks, now that kernels are loaded."""
    losses = 3 * 8 * min(rows, EXACT_ROWS)  # as they are, joined, and sorted for the quantiles
    return peak_bytes() + losses + SLACK + (GROUP_BYTES if groups else 0)


def peak_bytes() -> int:
    """Return the largest memory that the process had so far.

    Raises ValueError where the system cannot tell.
    """
    if os.path.exists("/proc/self/status"):  # getrusage counts the parent of a new process too
        with open("/proc/self/status", encoding="ascii") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) << 10
    try:
        import resource
    except ImportError:
        raise ValueError("max_memory needs a system that tells how much memory is used") from None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10
