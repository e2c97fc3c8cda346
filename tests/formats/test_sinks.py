"""Outputs by suffix: whole or absent, read back by the libraries that people read them with."""

import errno
import io
import os
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest

from fastloss.formats import output_file, sinks
from fastloss.formats.chunks import iter_chunks
from fastloss.formats.errors import FileError
from fastloss.formats.registry import open_array
from fastloss.formats.sinks import check_output, open_sink
from fastloss.formats.tables import open_table

RNG = np.random.default_rng(8)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, and write small groups of rows."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sinks, "_GROUP_BYTES", 40)
    return tmp_path


def write(path: str, array: np.ndarray, limit: int = 4) -> None:
    with open_sink(path, array.shape, array.dtype, "loss") as sink:
        for chunk in iter_chunks(array.shape, limit):
            sink.write(chunk, array[chunk])


@pytest.mark.parametrize("limit", [1, 4, 1000])
@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", "bfloat16"])
@pytest.mark.parametrize("shape", [(17,), (7, 3), (1, 1), (0,), (0, 3)])
@pytest.mark.parametrize("suffix", ["npy", "csv", "parquet"])
def test_what_is_written_is_read(suffix: str, shape, dtype: str, limit: int) -> None:
    kind = np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    array = (RNG.normal(size=shape) * 1e3).astype(kind)
    write(f"r.{suffix}", array, limit)
    assert os.listdir() == [f"r.{suffix}"]
    with open_array(f"r.{suffix}") as source:
        found = source.read_all()
    if shape != (1, 1) or suffix != "csv":  # CSV has one column for (n, 1) and (n,)
        assert found.shape == shape
    np.testing.assert_array_equal(found.reshape(shape).astype(kind), array)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_other_libraries_read_it(dtype: str) -> None:
    array = np.append(RNG.normal(size=9), [np.nan, np.inf, -np.inf, 0, 1e-40]).astype(dtype)
    matrix = array.reshape(7, 2)
    write("r.csv", array)
    write("m.csv", matrix)
    write("r.parquet", array)
    write("m.parquet", matrix)
    np.testing.assert_array_equal(pd.read_csv("r.csv", dtype=dtype)["loss"], array)
    np.testing.assert_array_equal(pl.read_csv("r.csv")["loss"].to_numpy().astype(dtype), array)
    assert list(pd.read_csv("m.csv").columns) == ["loss_0", "loss_1"]
    np.testing.assert_array_equal(pd.read_csv("m.csv", dtype=dtype), matrix)
    found = pd.read_parquet("r.parquet")["loss"]
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, array)
    np.testing.assert_array_equal(pl.read_parquet("m.parquet")["loss"].to_numpy(), matrix)


def test_parquet_of_any_rank() -> None:
    array = RNG.normal(size=(5, 2, 3))
    write("r.parquet", array, 2)
    np.testing.assert_array_equal(pq.read_table("r.parquet")["loss"].to_pylist(), array)
    write("s.parquet", np.float64(3)[()].reshape(()))
    assert pq.read_table("s.parquet")["loss"].to_pylist() == [3.0]


def test_rows_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    write("-", np.array([0.1, 2.0], "f4"))
    assert capsys.readouterr().out == "loss\n0.1\n2.0\n"
    assert os.listdir() == []


class Full(io.StringIO):
    """A standard output on a full disk."""

    def flush(self) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_standard_output_on_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Full())
    with pytest.raises(FileError, match="standard output: No space left"):
        write("-", np.ones(3))


@pytest.mark.parametrize("name", ["r", "r.txt", "r.npz", "r.csv.gz", ".npy", "r.npy "])
def test_other_suffixes_are_refused(name: str) -> None:
    for refuses in (check_output, lambda name: open_sink(name, (1,), np.dtype("f4"), "loss")):
        with pytest.raises(FileError, match="the suffix must be"):
            refuses(name)
    with pytest.raises(FileError, match="the suffix of a table must be"):
        open_table(name).__enter__()


def test_what_csv_cannot_hold() -> None:
    for name in ("r.csv", "-"):
        with pytest.raises(FileError, match=r"CSV holds arrays of rank 1 or 2, not of shape"):
            write(name, np.ones((2, 2, 2)))
    array = np.ones((4, 3))
    for name in ("r.csv", "r.parquet"):
        with (
            pytest.raises(FileError, match="takes whole rows in their order"),
            open_sink(name, array.shape, array.dtype, "loss") as sink,
        ):
            sink.write((slice(0, 4), slice(0, 1)), array[:, :1])
    assert os.listdir() == []


def write_half(name: str, error: BaseException) -> None:
    with open_sink(name, (99,), np.dtype("f8"), "loss") as sink:
        sink.write((slice(0, 50),), np.ones(50))
        raise error


@pytest.mark.parametrize("name", ["r.npy", "r.csv", "r.parquet"])
@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt()])
@pytest.mark.parametrize("older", [b"older", None])
def test_interrupted_output_is_absent(name: str, error: BaseException, older) -> None:
    if older is not None:
        Path(name).write_bytes(older)
    with pytest.raises(type(error)):
        write_half(name, error)
    assert os.listdir() == [name] * (older is not None)
    assert older is None or Path(name).read_bytes() == older


@pytest.mark.parametrize("name", ["r.npy", "r.csv", "r.parquet"])
def test_disk_that_fills_up(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(output_file.os, "fsync", full)
    with pytest.raises(FileError, match=rf"{name}: cannot be written: No space left"):
        write(name, np.ones(9))
    assert os.listdir() == []


def test_a_table_of_several_columns() -> None:
    columns = {"group": np.array(["a", "b, c"]), "count": np.array([1, 2]), "p": np.eye(2)}
    for name in ("g.csv", "g.parquet", "g.npy"):
        with open_table(name) as table:
            table.write(columns)
            table.write(columns)
    found = pd.read_csv("g.csv")
    assert found.to_dict("list") == {
        "group": ["a", "b, c"] * 2,
        "count": [1, 2] * 2,
        "p_0": [1.0, 0.0] * 2,
        "p_1": [0.0, 1.0] * 2,
    }
    assert pq.read_table("g.parquet").to_pydict()["group"] == ["a", "b, c"] * 2
    rows = np.load("g.npy")
    assert rows["group"].tolist() == ["a", "b, c"] * 2
    assert rows["p"].tolist() == [[1.0, 0.0], [0.0, 1.0]] * 2


def test_a_missing_package_is_said_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(FileError, match=r"pip install pyarrow \(fastloss's extra parquet\)"):
        check_output("r.parquet")
    write("r.csv", np.ones(3))  # needs none
