"""What the second pass finds in some rows: added up block by block, and over parts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from fastloss.accumulation.exact_sum import ZERO, ExactSum
from fastloss.formats.sinks import Sink
from fastloss.out_of_core.blocks import Block
from fastloss.out_of_core.class_scores import Scores
from fastloss.out_of_core.groups import GroupTotals
from fastloss.out_of_core.lazy_view import LazyView
from fastloss.out_of_core.outputs import NO_OUTPUTS, Outputs, write_block
from fastloss.out_of_core.row_statistics import RowStatistics, sum_of_given


@dataclass
class PartialSummary:
    """Sums and statistics of consecutive rows.

    Blocks are added in their order. So are the partial summaries of parts, which stay as they are:
    sums of losses, counts, quantiles and worst rows do not depend on how rows were split into parts
    of whole blocks, the rounding of scores and groups does.
    """

    losses: RowStatistics
    groups: GroupTotals | None
    total: ExactSum = ZERO
    """The sum of the weighted losses."""
    scores: Scores | None = None
    read: int = 0
    """How many bytes were read."""
    seconds: float = 0.0
    """How long it took."""
    row: int = 0
    """The number of the next row."""
    keys: LazyView | None = None
    """Of groups, while blocks are added."""

    @classmethod
    def empty(cls, worst: int, keys: LazyView | None, row: int = 0) -> PartialSummary:
        """Return the summary of no rows, with the `worst` rows and groups if there are keys."""
        groups = None if keys is None else GroupTotals()
        return cls(RowStatistics(worst), groups, row=row, keys=keys)

    def add(self, block: Block) -> None:
        """Add the next rows."""
        losses, end = block.losses, self.row + block.losses.size
        self.losses.add(np.arange(self.row, end)[block.kept], losses[block.kept])
        self.total += ExactSum.of(block.total)
        self.scores = sum_of_given(self.scores, block.scores)
        if self.groups is not None and self.keys is not None:
            self.groups.add(self.keys[block.chunk], block)
        self.row, self.read = end, self.read + block.bytes_read

    def add_all(
        self,
        blocks: Iterable[Block],
        outputs: Outputs[Sink] = NO_OUTPUTS,
        progress: Callable[[int], None] = lambda done: None,
    ) -> None:
        """Add the next blocks, write their outputs, and measure how long that takes.

        `progress` is called after each block with the bytes of its predictions.
        """
        start = time.perf_counter()
        for block in blocks:
            self.add(block)
            write_block(outputs, block)
            progress(block.prediction_bytes)
        self.seconds += time.perf_counter() - start

    def __add__(self, other: PartialSummary) -> PartialSummary:
        """Return the summary of both, of which `other` has the later rows."""
        return PartialSummary(
            self.losses + other.losses,
            sum_of_given(self.groups, other.groups),
            self.total + other.total,
            sum_of_given(self.scores, other.scores),
            self.read + other.read,
            self.seconds + other.seconds,
            other.row,
        )
