"""Every format gives the numbers that were written, chunk by chunk, in any order."""

from pathlib import Path

import ml_dtypes
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.numpy
import zarr
from array_files import (
    ANY_RANK,
    TWO_AXES,
    compressed_npz,
    csv,
    npy,
    npz,
    parquet,
    safe,
    tensor_parquet,
    zarr_array,
)

from fastloss.formats import csv as csv_reader
from fastloss.formats import reader
from fastloss.formats.chunks import iter_chunks
from fastloss.formats.registry import open_array

RNG = np.random.default_rng(5)


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that small arrays are decoded in several pieces."""
    monkeypatch.setattr(reader, "PIECE_BYTES", 40)
    monkeypatch.setattr(csv_reader, "_BLOCK_BYTES", 256)


def some(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    return (RNG.normal(size=shape) * 20).astype(dtype)


@pytest.mark.parametrize("mapped", [True, False])
@pytest.mark.parametrize("dtype", ["f4", "f8", "i8", "i2", "u1", "?"])
@pytest.mark.parametrize("write", TWO_AXES)
def test_every_chunk_equals_the_slice(tmp_path: Path, write, dtype: str, mapped: bool) -> None:
    array = some((11, 3), dtype)
    name = write(tmp_path, array)
    if write.__name__.endswith("csv"):
        array = array if dtype == "?" else array.astype(str).astype(float)
    with open_array(name, mapped=mapped) as source:
        assert source.dtype == array.dtype
        assert (source.shape, source.ndim, source.size) == (array.shape, 2, array.size)
        assert source.nbytes == array.size * source.dtype.itemsize
        for _ in range(2):  # two passes
            for limit in (1, 2, 7, 100):
                for chunk in iter_chunks(array.shape, limit):
                    np.testing.assert_array_equal(source[chunk], array[chunk])
        for row in RNG.permutation(9):
            chunk = (slice(row, row + 3), slice(row % 2, 3))
            np.testing.assert_array_equal(source[chunk], array[chunk])
        np.testing.assert_array_equal(source.read_all(), array)
    with source:  # opened again
        np.testing.assert_array_equal(source.read_all(), array)


@pytest.mark.parametrize("shape", [(7,), (5, 2, 3), (1, 1), (3, 1, 2, 2)])
@pytest.mark.parametrize("write", ANY_RANK)
def test_every_rank(tmp_path: Path, write, shape: tuple[int, ...]) -> None:
    array = some(shape, "f4")
    with open_array(write(tmp_path, array)) as source:
        assert source.shape == shape
        for limit in (1, 4, 100):
            for chunk in iter_chunks(shape, limit):
                np.testing.assert_array_equal(source[chunk], array[chunk])


@pytest.mark.parametrize("write", [w for w in (*ANY_RANK, csv) if w is not tensor_parquet])
def test_no_rows(tmp_path: Path, write) -> None:
    with open_array(write(tmp_path, np.empty((0, 3), "f4"))) as source:
        assert source.shape == (0, 3)
        assert source.read_all().shape == (0, 3)


@pytest.mark.parametrize("write", [npy, npz, compressed_npz])
@pytest.mark.parametrize("shape", [(), (3, 0), (9, 4)])
def test_columns_that_follow_each_other_and_scalars(tmp_path: Path, write, shape) -> None:
    array = np.asarray(some(shape, ">f8"), order="F")
    for mapped in (True, False):
        with open_array(write(tmp_path, array), mapped=mapped) as source:
            for chunk in iter_chunks(shape, 5):
                np.testing.assert_array_equal(source[chunk], array[chunk])
            np.testing.assert_array_equal(source.read_all(), array)


@pytest.mark.parametrize("write", [npy, npz, compressed_npz, safe])
def test_bfloat16(tmp_path: Path, write) -> None:
    array = some((6, 3), "f4").astype(ml_dtypes.bfloat16)
    for mapped in (True, False):
        with open_array(write(tmp_path, array), mapped=mapped) as source:
            assert source.dtype == ml_dtypes.bfloat16
            assert source.read_all().tobytes() == array.tobytes()


def test_float16_and_missing_names(tmp_path: Path) -> None:
    array = some((6, 3), "f2")
    for write in (npy, npz, compressed_npz, safe, parquet, zarr_array):
        with open_array(write(tmp_path, array)) as source:
            assert source.dtype == np.float16
            np.testing.assert_array_equal(source.read_all(), array)


def test_one_column(tmp_path: Path) -> None:
    array = some((9,), "f8")
    frame = pd.DataFrame({"p": array, "q": 1.0, "a,b": array, "text": "x"})
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_parquet(tmp_path / "a.parquet")
    frame[["p"]].to_csv(tmp_path / "one.csv", index=False)
    for name in ("a.csv:p", "a.parquet:p", "a.csv:a,b", "a.parquet:a,b", "one.csv"):
        with open_array(str(tmp_path / name)) as source:
            assert source.shape == (9,)
            np.testing.assert_array_equal(source.read_all(), array)
    with open_array(str(tmp_path / "a.csv:q,p")) as source:
        np.testing.assert_array_equal(source.read_all(), np.stack([np.ones(9), array], 1))


def test_columns_of_several_dtypes_have_the_common_one(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": np.ones(3, "f4"), "b": np.arange(3)}), tmp_path / "a.parquet")
    with open_array(str(tmp_path / "a.parquet:b,a")) as source:
        assert source.dtype == np.float64
        np.testing.assert_array_equal(source.read_all(), [[0, 1], [1, 1], [2, 1]])


def test_numbers_of_text(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b'\xef\xbb\xbfp,"q"\r\n1,nan\r\n-2.5e3,inf\r\n0.1,"-inf"\r\n')
    with open_array(str(tmp_path / "a.csv")) as source:
        np.testing.assert_array_equal(
            source.read_all(), [[1, np.nan], [-2500, np.inf], [0.1, -np.inf]]
        )


def test_suffixes_in_capitals_and_colons_in_names(tmp_path: Path) -> None:
    np.save(tmp_path / "a.NPY:b.npy", np.arange(3))
    (tmp_path / "a.NPY:b.npy").rename(tmp_path / "A.NPY")
    tensors = {"layer.npz:0": np.arange(4.0), "b": np.ones(2)}
    safetensors.numpy.save_file(tensors, tmp_path / "m.safetensors")
    np.save(tmp_path / "a.npz:x.npy", np.arange(5))
    for name, length in (("A.NPY", 3), ("m.safetensors:layer.npz:0", 4), ("a.npz:x.npy", 5)):
        with open_array(str(tmp_path / name)) as source:
            assert source.shape == (length,)


@pytest.mark.parametrize("kind", ["zarr", "parquet"])
def test_a_read_in_the_middle_decodes_nothing_before_it(kind, tmp_path, monkeypatch):
    values = np.arange(100.0)
    path = tmp_path / f"a.{kind}"
    if kind == "zarr":
        zarr.create_array(str(path), data=values, chunks=(10,))
    else:
        pq.write_table(pa.table({"a": values}), path, row_group_size=10)
    seen = []
    with open_array(str(path)) as reader:
        pieces = type(reader).pieces

        def watched(self, start):
            for piece in pieces(self, start):
                seen.append(piece[0])
                yield piece

        monkeypatch.setattr(type(reader), "pieces", watched)
        assert reader[(slice(57, 59),)].tolist() == [57, 58]
        assert reader[(slice(3, 5),)].tolist() == [3, 4]
    assert min(seen[:-1]) == 50
    assert seen[-1] == 0
