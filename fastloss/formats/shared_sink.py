"""An array that several processes write, into a file of any suffix that `open_sink` takes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from fastloss.formats.chunks import iter_chunks
from fastloss.formats.npy import open_npy
from fastloss.formats.npy_sink import NpyElements, NpySink
from fastloss.formats.output_file import write_errors
from fastloss.formats.sinks import check_output, open_sink

COPIED_BYTES = 1 << 22
"""What is copied to a table at once."""


@contextmanager
def open_shared_sink(
    path: str | os.PathLike[str], shape: tuple[int, ...], dtype: np.dtype[Any], name: str
) -> Iterator[NpyElements]:
    """Yield what other processes write; the file is complete or absent after the `with` block.

    A .npy file takes chunks in any order. A table does not: it is made at the end, from a .npy file
    in a temporary directory beside it or, for "-", in the current directory. The parameters and
    errors are those of `open_sink`; the files have the same bytes.
    """
    if check_output(path) == ".npy":
        with NpySink(path, shape, dtype) as sink:
            yield sink.shared()
        return
    beside = os.path.dirname(os.path.abspath(path))
    with open_sink(path, shape, dtype, name) as table:
        with write_errors(beside):
            folder = TemporaryDirectory(prefix=".fastloss-", dir=beside, ignore_cleanup_errors=True)
        with folder as scratch:
            array_file = Path(scratch, f"{name}.npy")
            with NpySink(array_file, shape, dtype) as sink:
                yield sink.shared()
            with open_npy(array_file, mapped=False) as array:
                for chunk in iter_chunks(shape, COPIED_BYTES // dtype.itemsize):
                    table.write(chunk, array[chunk])
