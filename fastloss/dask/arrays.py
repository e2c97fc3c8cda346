"""Dask arrays of one evaluation, cut alike, so that each part has its block of every array."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import dask.array as da
import numpy as np
from dask.base import is_dask_collection
from dask.core import flatten
from numpy.typing import NDArray

from fastloss.arguments.arrays import as_array
from fastloss.formats.chunks import Chunk, leading_axis
from fastloss.out_of_core.inputs import Inputs
from fastloss.out_of_core.parts import Part, Sources, part_chunk, shifted

Places = dict[str, Chunk]
"""Which chunk of each array a part has."""
Form = tuple[tuple[int, ...], np.dtype[Any]]
"""Shape and dtype of an array."""


@dataclass(frozen=True)
class Window:
    """A block of an array, indexed as if it were the whole array."""

    block: NDArray[Any]
    shape: tuple[int, ...]
    place: Chunk
    """Of the block in the array."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the elements."""
        return self.block.dtype

    def __getitem__(self, chunk: Chunk) -> NDArray[Any]:
        """Return the elements of a chunk within the block."""
        return self.block[shifted(chunk, self.place)]


def windows(
    forms: Mapping[str, Form], places: Places, blocks: Mapping[str, NDArray[Any]]
) -> Sources:
    """Return the sources of a part; of an array without a block only shape and dtype are right."""
    return {
        name: Window(blocks[name], shape, places[name])
        if name in blocks
        else np.broadcast_to(np.zeros((), dtype), shape)
        for name, (shape, dtype) in forms.items()
    }


def dask_array(name: str, value: Any) -> Any:
    """Return the Dask array of the argument called `name`, which may be an array in memory."""
    if hasattr(type(value), "dims"):  # xarray
        value = value.data
    if not isinstance(value, da.Array):
        if is_dask_collection(value):
            raise TypeError(
                f"{name} must be a Dask array, got a {type(value).__name__}: of a frame, pass"
                f" {name}.to_dask_array(lengths=True)"
            )
        return da.from_array(as_array(name, value))
    if any(math.isnan(length) for length in value.shape):
        raise ValueError(
            f"{name} must have chunks of known sizes, got shape {value.shape}: call"
            f" {name}.compute_chunk_sizes() first"
        )
    return value


def parts_of_chunks(inputs: Inputs, y_pred: Any) -> list[Part]:
    """Return the parts of the second pass: the chunks of y_pred along the losses' leading axis."""
    shape = inputs.loss_shape
    lead = leading_axis(shape)
    if lead is None or 0 in shape:
        return [Part(0, 1 if lead is None else shape[lead], "y_pred")]
    nothing = inputs.source_chunks(part_chunk(shape, Part(0, 0, "")))["y_pred"]
    chunks = y_pred.chunks[nothing.index(slice(0, 0))]
    borders = itertools.pairwise(itertools.accumulate(chunks, initial=0))
    return [
        Part(start, stop, f"chunk {number} of y_pred, rows {start} to {stop - 1}")
        for number, (start, stop) in enumerate(borders)
        if start < stop
    ]


def cut(arrays: Mapping[str, Any], places: Sequence[Places], large: Set[str]) -> dict[str, Any]:
    """Return the arrays, rechunked so that each part's place is a chunk.

    Warns if one that is as `large` as the predictions has to be rechunked.
    """
    found = {}
    for name, array in arrays.items():
        chunks = tuple(
            tuple(stop - start for start, stop in dict.fromkeys(of_axis))
            for of_axis in zip(
                *([(s.start, s.stop) for s in place[name]] for place in places), strict=True
            )
        )
        if name in large and _without_empty(array.chunks) != _without_empty(chunks):
            warnings.warn(
                f"{name} is rechunked, which moves up to {array.nbytes:,} bytes between workers:"
                f" its chunks {_counts(array.chunks)} must be {_counts(chunks)}, that is along the"
                " rows alone, as y_pred's",
                UserWarning,
                stacklevel=5,
            )
        found[name] = array.rechunk(chunks)
    return found


def _without_empty(chunks: Sequence[Sequence[int]]) -> list[list[int]]:
    return [[length for length in of_axis if length] for of_axis in chunks]


def _counts(chunks: Sequence[Sequence[int]]) -> str:
    return " x ".join(str(len(of_axis)) for of_axis in chunks)


def block_keys(array: Any, parts: int) -> list[Any]:
    """Return the key of each part's block of an array that is cut."""
    keys = list(flatten(array.__dask_keys__()))
    return keys if len(keys) == parts else keys * parts
