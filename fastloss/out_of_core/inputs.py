"""Targets, predictions, weights and mask of a loss, read chunk by chunk of the losses."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastloss.accumulation.partial_loss import PartialLoss
from fastloss.arguments.alignment import align
from fastloss.arguments.arrays import FLOAT32, dense_targets, squeeze_or_expand_to_same_rank
from fastloss.arguments.class_weights import weight_of_each_class
from fastloss.arguments.labels import Labels, check_label_shape, class_labels, label_weights
from fastloss.arguments.layout import Shape, layout_for
from fastloss.formats.chunks import Chunk, chunk_shape
from fastloss.formats.reader import Reader, errors_with_row_counts
from fastloss.loss_specs import LossSpec
from fastloss.out_of_core.lazy_view import ChunkedArray, LazyView
from fastloss.reduction import ReductionPlan, reduction_plan
from fastloss.typing import FloatArray

NO_LOSSES = PartialLoss()


@dataclass(frozen=True)
class RowCounts:
    """The result of the first pass."""

    rows: int = 0
    masked: int = 0
    """Rows where the mask is False."""
    seen: PartialLoss = NO_LOSSES
    """Of all rows, but with total 0."""
    divisor: float | None = None
    """The sum of the weighted losses is divided by it; None: no reduction, or not all rows."""

    def __add__(self, other: RowCounts) -> RowCounts:
        """Return the counts of the rows of both."""
        return RowCounts(self.rows + other.rows, self.masked + other.masked, self.seen + other.seen)

    def of_all(self, reduction: str | None) -> RowCounts:
        """Return the counts with the divisor, if they are those of all rows.

        Raises ValueError for weights whose sum is no divisor.
        """
        if reduction in (None, "none"):
            return self
        divisor = float(self.seen.divisor(reduction))
        # Each block is multiplied by its reciprocal, which must be finite too.
        if math.isinf(divisor) or 0 < abs(divisor) < sys.float_info.min:
            raise ValueError(f"sample_weight must add up to a normal float64, got {divisor}")
        return replace(self, divisor=divisor)

    @property
    def divisor_of_gradient(self) -> float:
        """What the gradient is divided by: without a reduction it is that of the sum."""
        return 1.0 if self.divisor is None else self.divisor

    @property
    def ignored(self) -> int:
        """The number of rows that are not masked and whose label is ignore_class."""
        return self.rows - self.masked - self.seen.count

    @property
    def weight(self) -> float:
        """The sum of the weights of the other rows; without weights, their number."""
        return float(self.seen.weight_sum)


@dataclass(frozen=True)
class RowInputs:
    """The inputs of one chunk of the losses, without the predictions."""

    spec: LossSpec
    shape: Shape
    y_true: NDArray[Any]
    weight: NDArray[Any] | None
    mask: NDArray[Any] | None
    labels: Labels | None = None
    label_weight: FloatArray | None = None

    def plan(self, reduction: str | None) -> ReductionPlan:
        """Return the plan of a call with these weights, masks and labels."""
        ignored = None if self.labels is None else self.labels.ignored
        return reduction_plan(
            self.shape,
            reduction,
            self.weight,
            self.mask,
            None,
            self.label_weight,
            ignored,
            smoothed=self.spec.targets == "smoothed labels",
        )


class Inputs:
    """The inputs of a loss, to be read chunk by chunk of the unreduced loss.

    The constructor checks shapes and reads nothing. Ranks are made equal and weights broadcast as
    in a call of a loss class.
    """

    def __init__(
        self,
        spec: LossSpec,
        y_true: ChunkedArray,
        y_pred: ChunkedArray,
        sample_weight: ChunkedArray | None = None,
        mask: ChunkedArray | None = None,
    ) -> None:
        by_label = spec.by_label

        def with_rank_of_y_pred(array: NDArray[Any]) -> tuple[NDArray[Any], Shape]:
            return squeeze_or_expand_to_same_rank(array, y_pred.shape, by_label)

        _, shape = with_rank_of_y_pred(np.broadcast_to(False, y_true.shape))
        targets = LazyView(y_true, lambda a: with_rank_of_y_pred(a)[0])
        self.spec = spec
        given = {"sample_weight": sample_weight, "mask": mask}
        alignment = align(
            layout_for(shape, spec.axis),
            spec.elementwise,
            *(None if source is None else source.shape for source in given.values()),
        )
        self._alignment = alignment
        self._targets_file = y_true if isinstance(y_true, Reader) else None
        self.layout = alignment.losses
        self.loss_shape = self.layout.loss_shape
        self.axes = self.layout.axis_groups[1]
        self.y_pred = LazyView(y_pred, lambda a: a.reshape(shape))
        with errors_with_row_counts(y_true, y_pred, sample_weight, mask):
            if by_label:
                check_label_shape(targets.shape, self.layout)
                self._y_true = LazyView(targets, lambda a: a.reshape(self.loss_shape))
            else:
                zeros = np.broadcast_to(np.float32(0), targets.shape)  # it takes no memory
                dense_targets(zeros, shape, FLOAT32, spec.targets == "broadcast")  # checks shapes
                self._y_true = LazyView(targets, lambda a: np.broadcast_to(a, shape))
            self._weight, self._mask = (
                None if source is None else LazyView(source, partial(alignment.broadcast, name))
                for name, source in given.items()
            )

    def prediction_chunk(self, chunk: Chunk) -> Chunk:
        """Return the chunk of the predictions whose losses are `chunk`."""
        rest = iter(chunk)
        return tuple(
            slice(0, length) if axis in self.axes else next(rest)
            for axis, length in enumerate(self.layout.shape)
        )

    def source_chunks(self, chunk: Chunk) -> dict[str, Chunk]:
        """Return what `chunk` of the losses needs of each array, by the argument's name."""
        predictions = self.prediction_chunk(chunk)
        views = {"sample_weight": self._weight, "mask": self._mask}
        return {
            "y_pred": self.y_pred.source_chunk(predictions),
            "y_true": self._y_true.source_chunk(chunk if self.spec.by_label else predictions),
            **{name: view.source_chunk(chunk) for name, view in views.items() if view is not None},
        }

    def read(self, chunk: Chunk) -> RowInputs:
        """Return the inputs of `chunk`, without the predictions."""
        found = self.read_rows(chunk)
        if self.spec.by_label:
            return found
        return replace(found, y_true=self._y_true[self.prediction_chunk(chunk)])

    def read_rows(self, chunk: Chunk) -> RowInputs:
        """Return the inputs of `chunk` that have a value for each row: weights, mask and labels.

        For dense targets, which may be as large as the predictions, zeros without memory stand in.
        """
        shape, predictions = chunk_shape(chunk), self.prediction_chunk(chunk)
        weight = None if self._weight is None else self._weight[chunk]
        mask = None if self._mask is None else self._mask[chunk]
        if not self.spec.by_label:
            zeros = np.broadcast_to(np.float32(0), chunk_shape(predictions))
            return RowInputs(self._spec_of(chunk), shape, zeros, weight, mask)
        y_true = self._y_true[chunk]
        layout = layout_for(chunk_shape(predictions), self.spec.axis)
        labels = class_labels(y_true, layout, self.spec.ignore_class)
        label_weight = None
        if self.spec.class_weight is not None:
            weights = weight_of_each_class(self.spec.class_weight, layout.classes)
            label_weight = label_weights(labels, weights, shape)
        return RowInputs(self.spec, shape, y_true, weight, mask, labels, label_weight)

    def check_labels(self, block: RowInputs, first: int) -> None:
        """Raise ValueError for an invalid label in a valid row; `first` is the first row's number.

        The message names the row in all predictions, and the file with its row there.
        """
        if block.labels is None:
            return
        row = block.labels.first_invalid(self.layout, block.plan(None).valid)
        if row is None:
            return
        error = block.labels.invalid_label(row, self.layout, first)
        file = self._targets_file
        # If the class axis comes first, the first axis of the file is of length 1.
        if file is None or not self.loss_shape or file.shape[0] != self.loss_shape[0]:
            raise error
        index = np.unravel_index(first + row, self.loss_shape)
        raise ValueError(f"{error}, in {file.place(int(index[0]))}")

    def _spec_of(self, chunk: Chunk) -> LossSpec:
        """Return the spec for a chunk, with the weights of its elements if it may split rows."""
        rows, weights = self._alignment.rows, self.spec.pos_weight
        if weights is None or not self._alignment.by_element:
            return self.spec
        of_rows = tuple(chunk[axis] for axis in rows.axis_groups[1])
        return self.spec._replace(pos_weight=np.broadcast_to(weights, rows.reduced_shape)[of_rows])


def count_rows(inputs: Inputs, chunks: Iterable[Chunk], first: int = 0) -> RowCounts:
    """Run the first pass, over labels, weights and mask, in consecutive chunks.

    `first` is the number of the first row.
    """
    counts = RowCounts()
    for chunk in chunks:
        block = inputs.read_rows(chunk)
        inputs.check_labels(block, first + counts.rows)
        size = math.prod(block.shape)
        masked = 0 if block.mask is None else size - int(np.count_nonzero(block.mask))
        counts += RowCounts(size, masked, PartialLoss.of(block.plan("sum")))
    return counts
