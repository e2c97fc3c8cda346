"""Reader of tensors in .safetensors files: a JSON header, then the bytes of the tensors.

The format is little, and read here: so a tensor is mapped or read chunk by chunk as a .npy file is.
Everything that its specification demands of a header is checked before a tensor is used: its size,
unique names, shapes and offsets that agree, and tensors that cover the file without holes or
overlaps.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from fastloss.formats.dtypes import bfloat16
from fastloss.formats.errors import FileError, file_errors
from fastloss.formats.members import place_of, the_member
from fastloss.formats.raw_array import RawArray
from fastloss.formats.reader import open_regular

_LARGEST_HEADER = 100_000_000
_DTYPES = {
    "BOOL": "?", "U8": "u1", "I8": "i1", "U16": "<u2", "I16": "<i2", "U32": "<u4", "I32": "<i4",
    "U64": "<u8", "I64": "<i8", "F16": "<f2", "F32": "<f4", "F64": "<f8",
}  # fmt: skip


class _Tensor(NamedTuple):
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def open_safetensors(path: Path, member: str | None, *, mapped: bool = True) -> RawArray:
    """Return one tensor of a .safetensors file; `member` may be None if there is only one.

    Raises FileError also for a tensor that is not there, for one of a dtype that is no number of 8
    to 64 bits or bfloat16, and for a header that breaks a rule of the format.
    """
    with open_regular(path) as file, file_errors(path, ".safetensors"):
        size = os.fstat(file.fileno()).st_size
        start, tensors = _read_tensors(file, size)
    name = the_member(path, "tensor", member, list(tensors))
    tensor, place = tensors[name], place_of(path, name)
    dtype = _dtype(place, tensor.dtype)
    if math.prod(tensor.shape) * dtype.itemsize != tensor.end - tensor.begin:
        raise FileError(
            f"{place}: shape {tensor.shape} of {dtype} does not take the "
            f"{tensor.end - tensor.begin:,} bytes that its offsets say"
        )
    return RawArray(place, path, tensor.shape, dtype, start + tensor.begin, size, mapped=mapped)


def _dtype(place: str, code: str) -> np.dtype[Any]:
    if code == "BF16":
        return bfloat16(place)
    if code not in _DTYPES:
        raise FileError(f"{place}: dtype must be BF16 or one of {', '.join(_DTYPES)}, got {code}")
    return np.dtype(_DTYPES[code])


def _read_tensors(file: IO[bytes], size: int) -> tuple[int, dict[str, _Tensor]]:
    """Return the first byte after the header, and the tensors by name."""
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > min(_LARGEST_HEADER, size - 8):
        raise ValueError(f"its header claims {length:,} bytes, the file holds {max(size - 8, 0):,}")
    text = file.read(length)
    if not text.startswith(b"{"):
        raise ValueError("its header does not begin with {")
    header = json.loads(text.decode("utf-8"), object_pairs_hook=_unique)
    header.pop("__metadata__", None)
    tensors = {name: _tensor(name, entry) for name, entry in header.items()}
    covered = 0
    for name, tensor in sorted(tensors.items(), key=lambda item: item[1][2:]):
        if tensor.begin != covered:
            raise ValueError(f"tensor {name!r} begins at {tensor.begin:,}, not at {covered:,}")
        covered = tensor.end
    if covered != size - 8 - length:
        raise ValueError(
            f"its tensors take {covered:,} bytes, the file holds {size - 8 - length:,}"
        )
    return 8 + length, tensors


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("its header has a name twice")
    return found


def _tensor(name: str, entry: Any) -> _Tensor:
    """Return an entry of the header, whose parts have the types that they must have."""
    match entry:
        case {"dtype": str(dtype), "shape": [*shape], "data_offsets": [begin, end]} if all(
            type(number) is int and number >= 0 for number in (*shape, begin, end)
        ):
            if begin > end or len(shape) > 64:
                break_rule = f"offsets {begin:,} ... {end:,} and {len(shape)} axes"
                raise ValueError(f"tensor {name!r} has {break_rule}")
            return _Tensor(dtype, tuple(shape), begin, end)
    raise ValueError(f"tensor {name!r} is not described by dtype, shape and data_offsets")
