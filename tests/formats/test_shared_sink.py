"""Arrays that several processes write: as one process writes them, whole or absent."""

import errno
import os
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from fastloss.formats import npy_sink, shared_sink
from fastloss.formats.chunks import iter_chunks
from fastloss.formats.errors import FileError
from fastloss.formats.npy_sink import NpyWriter
from fastloss.formats.shared_sink import open_shared_sink
from fastloss.formats.sinks import open_sink

ARRAY = np.random.default_rng(3).normal(size=(7, 3)).astype("f4")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shared_sink, "COPIED_BYTES", 40)
    return tmp_path


def write(elements, array, chunks) -> None:
    with NpyWriter(elements) as writer:
        for chunk in chunks:
            writer.write(chunk, array[chunk])


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", "bfloat16"])
@pytest.mark.parametrize("shape", [(7,), (7, 3), (1, 1), (0,), (0, 3), ()])
@pytest.mark.parametrize("suffix", ["npy", "csv", "parquet"])
def test_any_order_gives_the_bytes_of_one_process(suffix: str, shape, dtype: str) -> None:
    kind = np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    array = np.random.default_rng(3).normal(size=shape).astype(kind)
    chunks = list(iter_chunks(shape, 2))
    with open_sink(f"one.{suffix}", shape, kind, "loss") as sink:
        for chunk in chunks:
            sink.write(chunk, array[chunk])
    with open_shared_sink(f"several.{suffix}", shape, kind, "loss") as elements:
        for part in (chunks[::-2], chunks[1:], chunks[:1]):  # most of them twice
            write(pickle.loads(pickle.dumps(elements)), array, part)
    assert sorted(os.listdir()) == [f"one.{suffix}", f"several.{suffix}"]
    assert Path(f"several.{suffix}").read_bytes() == Path(f"one.{suffix}").read_bytes()


def test_processes_write_at_the_same_time() -> None:
    array = np.arange(30_000.0).reshape(300, 100)
    chunks = list(iter_chunks(array.shape, 1_100))
    with (
        ProcessPoolExecutor(2, get_context("spawn")) as pool,
        open_shared_sink("a.npy", array.shape, array.dtype, "loss") as elements,
    ):
        for done in [pool.submit(write, elements, array, chunks[k::4]) for k in range(4)]:
            done.result()
    np.testing.assert_array_equal(np.load("a.npy"), array)


def test_rows_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    with open_shared_sink("-", (2,), np.dtype("f4"), "loss") as elements:
        assert capsys.readouterr().out == ""
        write(elements, np.array([0.1, 2.0], "f4"), [(slice(0, 2),)])
    assert capsys.readouterr().out == "loss\n0.1\n2.0\n"
    assert os.listdir() == []


def test_the_file_has_its_size_from_the_start() -> None:
    with open_shared_sink("a.npy", ARRAY.shape, ARRAY.dtype, "loss") as elements:
        assert elements.part.stat().st_size == elements.offset + ARRAY.nbytes
        write(elements, ARRAY, list(iter_chunks(ARRAY.shape, 100)))


@pytest.mark.parametrize("name", ["r.npy", "r.csv", "r.parquet"])
@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt()])
@pytest.mark.parametrize("older", [b"older", None])
def test_interrupted_output_is_absent(name: str, error: BaseException, older) -> None:
    def half() -> None:
        with open_shared_sink(name, ARRAY.shape, ARRAY.dtype, "loss") as elements:
            write(elements, ARRAY, [(slice(0, 4), slice(0, 3))])
            raise error

    if older is not None:
        Path(name).write_bytes(older)
    with pytest.raises(type(error)):
        half()
    assert os.listdir() == [name] * (older is not None)
    assert older is None or Path(name).read_bytes() == older


def test_one_who_comes_late_or_sees_another_disk_writes_nothing() -> None:
    with open_shared_sink("r.npy", ARRAY.shape, ARRAY.dtype, "loss") as elements:
        write(elements, ARRAY, list(iter_chunks(ARRAY.shape, 100)))
    with pytest.raises(FileError, match=r"r\.npy: was begun, but .* must share the directory"):
        write(elements, ARRAY, [])
    assert os.listdir() == ["r.npy"]


def test_a_disk_that_fills_up_while_one_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(npy_sink.os, "fsync", full)
    with (
        pytest.raises(FileError, match=r"r\.npy: cannot be written: No space left"),
        open_shared_sink("r.npy", ARRAY.shape, ARRAY.dtype, "loss") as elements,
    ):
        write(elements, ARRAY, list(iter_chunks(ARRAY.shape, 100)))
    assert os.listdir() == []


def test_what_csv_cannot_hold_is_said_before_the_work() -> None:
    with (
        pytest.raises(FileError, match="CSV holds arrays of rank 1 or 2"),
        open_shared_sink("r.csv", (2, 2, 2), ARRAY.dtype, "gradient"),
    ):
        raise AssertionError
