"""Parts of an evaluation: consecutive rows, each part computed by itself, anywhere.

What a part is made of are sources with the shapes of the whole data set, of which it reads only its
own rows. So shapes, alignment of weights and numbers of rows are those of a single evaluation.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastloss.accumulation.exact_sum import ZERO, ExactSum
from fastloss.arguments.arrays import convert
from fastloss.formats.chunks import Chunk, chunk_shape, iter_part, leading_axis
from fastloss.formats.errors import FileError
from fastloss.formats.sinks import Sink
from fastloss.loss_base import Loss
from fastloss.out_of_core import evaluation
from fastloss.out_of_core.blocks import Block, SecondPass
from fastloss.out_of_core.class_scores import ScoreOptions
from fastloss.out_of_core.evaluation import default_block_rows
from fastloss.out_of_core.groups import group_keys
from fastloss.out_of_core.inputs import Inputs, RowCounts, count_rows
from fastloss.out_of_core.lazy_view import ChunkedArray
from fastloss.out_of_core.outputs import NO_OUTPUTS, Outputs, output_dtype
from fastloss.out_of_core.partial_summary import PartialSummary
from fastloss.reduction import weighted_losses

Sources = Mapping[str, ChunkedArray]
"""Arrays by the names of the arguments of `evaluate_in_blocks`."""


class Part(NamedTuple):
    """Some of the losses: start ... stop along their leading axis."""

    start: int
    stop: int
    name: str
    """As "chunk 3 of y_pred", for messages."""


@dataclass(frozen=True)
class Task:
    """What is computed of each part."""

    loss: Loss
    options: ScoreOptions | None = None
    worst: int = 0
    block_rows: int | None = None

    def inputs(self, sources: Sources) -> Inputs:
        """Return the inputs of the loss."""
        given = {name: source for name, source in sources.items() if name != "groups"}
        return Inputs(self.loss._spec, **given)

    def count(self, sources: Sources, part: Part) -> RowCounts:
        """Return the counts of the first pass, which reads no predictions."""
        with _named(part):
            inputs = self.inputs(sources)
            chunks = iter_part(inputs.loss_shape, part.start, part.stop, evaluation.BLOCK_ROWS)
            return count_rows(inputs, chunks, first_row(inputs, part))

    def summarize(
        self,
        sources: Sources,
        part: Part,
        counts: RowCounts | None = None,
        outputs: Outputs[Sink] = NO_OUTPUTS,
    ) -> PartialSummary:
        """Return the summary of the second pass, and write its outputs.

        The gradient needs the `counts` of all rows.
        """
        with _named(part):
            inputs, groups = self.inputs(sources), sources.get("groups")
            keys = None if groups is None else group_keys(groups, inputs.loss_shape)
            found = PartialSummary.empty(self.worst, keys, first_row(inputs, part))
            found.add_all(self._blocks(inputs, part, counts), outputs)
            found.keys = None
            return found

    def total(self, sources: Sources, part: Part) -> ExactSum:
        """Return the sum of the weighted losses."""
        with _named(part):
            blocks = self._blocks(self.inputs(sources), part)
            return sum((ExactSum.of(block.total) for block in blocks), ZERO)

    def rows(self, sources: Sources, part: Part) -> NDArray[Any]:
        """Return the weighted losses, with the rank of all losses."""
        with _named(part):
            inputs = self.inputs(sources)
            output = output_dtype(self.loss, inputs.y_pred.dtype)
            shape = chunk_shape(part_chunk(inputs.loss_shape, part))
            losses = [weighted_losses(b.losses, b.plan) for b in self._blocks(inputs, part)]
            return convert(np.concatenate([np.empty(0, output), *losses]), output).reshape(shape)

    def gradient(
        self, sources: Sources, part: Part, counts: RowCounts
    ) -> tuple[NDArray[Any], ExactSum]:
        """Return the gradient, with the axes of y_pred, and the sum of the weighted losses."""
        with _named(part):
            inputs = self.inputs(sources)
            whole = inputs.source_chunks(part_chunk(inputs.loss_shape, part))["y_pred"]
            grad = np.zeros(chunk_shape(whole), output_dtype(self.loss, inputs.y_pred.dtype))
            total = ZERO
            for block in self._blocks(inputs, part, counts):
                place = grad[shifted(block.y_pred_chunk, whole)]
                place[...] = block.grad.reshape(place.shape)
                total += ExactSum.of(block.total)
            return grad, total

    def _blocks(
        self, inputs: Inputs, part: Part, counts: RowCounts | None = None
    ) -> Iterator[Block]:
        """Yield the blocks of a part, with the gradient if there are counts of all rows.

        They are computed by this thread alone: it is one of several that a scheduler keeps busy.
        """
        limit = self.block_rows or default_block_rows(inputs)
        chunks = iter_part(inputs.loss_shape, part.start, part.stop, limit)
        divisor = None if counts is None else counts.divisor_of_gradient
        second = SecondPass(self.loss, inputs, divisor, self.options)
        yield from second.blocks(_with_checked_labels(inputs, chunks, first_row(inputs, part)), 1)


def _with_checked_labels(inputs: Inputs, chunks: Iterator[Chunk], first: int) -> Iterator[Chunk]:
    """Yield the chunks, after a check of their labels that numbers the rows of all parts."""
    for chunk in chunks:
        if inputs.spec.by_label:
            inputs.check_labels(inputs.read_rows(chunk), first)
        first += math.prod(chunk_shape(chunk))
        yield chunk


def equal_parts(shape: tuple[int, ...], block_rows: int, blocks: int) -> list[Part]:
    """Return parts of losses of this shape: each has so many whole blocks, but for the last.

    >>> [part.name for part in equal_parts((10,), 2, 3)]
    ['rows 0 to 5', 'rows 6 to 9']
    """
    lead = leading_axis(shape)
    if lead is None or 0 in shape:
        return [Part(0, 1 if lead is None else shape[lead], "the data")]
    length = blocks * max(1, block_rows // math.prod(shape[lead + 1 :]))
    starts = range(0, shape[lead], length)
    stops = (min(start + length, shape[lead]) for start in starts)
    return [Part(a, b, f"rows {a} to {b - 1}") for a, b in zip(starts, stops, strict=True)]


def part_chunk(shape: tuple[int, ...], part: Part) -> Chunk:
    """Return the chunk of losses of this shape that is a part."""
    axis = leading_axis(shape)
    return tuple(
        slice(part.start, part.stop) if number == axis else slice(0, length)
        for number, length in enumerate(shape)
    )


def first_row(inputs: Inputs, part: Part) -> int:
    """Return how many losses are before a part."""
    size, axis = math.prod(inputs.loss_shape), leading_axis(inputs.loss_shape)
    return 0 if axis is None or not size else part.start * (size // inputs.loss_shape[axis])


def shifted(chunk: Chunk, whole: Chunk) -> Chunk:
    """Return the index of `chunk` in an array that holds the chunk `whole`.

    >>> shifted((slice(5, 7),), (slice(4, 8),))
    (slice(1, 3, None),)
    """
    return tuple(
        slice(part.start - origin.start, part.stop - origin.start)
        for part, origin in zip(chunk, whole, strict=True)
    )


@contextmanager
def _named(part: Part) -> Iterator[None]:
    """Say in errors which part they are about."""
    try:
        yield
    except Exception as error:
        if type(error) in (ValueError, TypeError, FileError):
            raise type(error)(f"{error}; in {part.name}") from None
        error.add_note(f"in {part.name}")  # others may have more than a message
        raise
