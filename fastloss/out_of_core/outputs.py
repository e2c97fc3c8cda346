"""Row losses and gradient, written block by block."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from fastloss.arguments.arrays import FLOAT32, FLOAT64, DType, result_dtype
from fastloss.arguments.layout import Shape
from fastloss.formats.chunks import chunk_shape
from fastloss.formats.sinks import Sink
from fastloss.loss_base import Loss
from fastloss.out_of_core.blocks import Block
from fastloss.out_of_core.lazy_view import ChunkedArray

Path = str | os.PathLike[str]
One = TypeVar("One", covariant=True)
Other = TypeVar("Other")


class Outputs(NamedTuple, Generic[One]):
    """A path or a sink for the row losses, and one for the gradient; None: not wanted."""

    rows: One | None = None
    """Of the losses, unweighted, and 0 where masked or ignored."""
    gradient: One | None = None
    """Of the gradient, with the axes of y_pred."""

    def each(self, function: Callable[[One], Other]) -> Outputs[Other]:
        """Return what a function makes of those that are wanted."""
        return Outputs(*(None if one is None else function(one) for one in self))


NO_OUTPUTS: Outputs[Any] = Outputs()


def write_block(outputs: Outputs[Sink], block: Block) -> None:
    """Write what is wanted of a block."""
    if outputs.rows is not None:
        outputs.rows.write(block.chunk, block.losses.reshape(chunk_shape(block.chunk)))
    if outputs.gradient is not None:
        outputs.gradient.write(block.y_pred_chunk, block.grad)


@contextmanager
def open_outputs(
    loss: Loss,
    shape: Shape,
    y_pred: ChunkedArray,
    paths: Outputs[Path],
    open_one: Callable[[Path, Shape, np.dtype[Any], str], AbstractContextManager[One]],
) -> Iterator[Outputs[One]]:
    """Open the files at some paths; the unreduced losses have the `shape`.

    `open_one` opens each, as `open_sink` does; its results are the outputs.
    """
    output = output_dtype(loss, y_pred.dtype)
    working = FLOAT64 if output == FLOAT64 else FLOAT32
    with ExitStack() as files:
        rows = gradient = None
        if paths.rows is not None:
            rows = files.enter_context(open_one(paths.rows, shape, working, "loss"))
        if paths.gradient is not None:
            grad_file = open_one(paths.gradient, y_pred.shape, output, "gradient")
            gradient = files.enter_context(grad_file)
        yield Outputs(rows, gradient)


def output_dtype(loss: Loss, given: np.dtype[Any]) -> DType:
    """Return the dtype of unreduced losses and of the gradient, for predictions of a dtype."""
    empty = np.empty(0, given)
    return result_dtype(empty, empty) if loss._output_dtype is None else loss._output_dtype
