"""Files are untrusted: every bad one is refused in words; outputs are whole or absent."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from npy_header import header

from fastloss.formats import output_file
from fastloss.formats.chunks import iter_chunks
from fastloss.formats.errors import FileError
from fastloss.formats.npy import open_npy
from fastloss.formats.npy_sink import NpySink


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a readable .npy"),
        (b"PK\x03\x04" + bytes(100), "not a readable .npy"),
        (b"\x93NUMPY\x01\x00\xff\xff{", "not a readable .npy"),
        (b"\x93NUMPY\x09\x00" + bytes(100), "not supported"),
        (header(descr="'|O'") + bytes(48), "dtype must be"),
        (header(descr="[('a', '<f4')]") + bytes(24), "dtype must be"),
        (header(descr="('<f4', (2,))") + bytes(48), "dtype must be"),
        (header(descr="'<c8'") + bytes(48), "dtype must be"),
        (header(descr="'<V3'") + bytes(18), "dtype must be"),
        (header(descr="'<M8[s]'") + bytes(48), "dtype must be"),
        (header(descr="__import__('os')") + bytes(24), "not a readable .npy"),
        (header(shape="(2, -3)") + bytes(24), "impossible shape"),
        (header(shape="(2, 3.0)") + bytes(24), "not a readable .npy"),
        (header(shape=f"({','.join('1' * 65)},)") + bytes(4), "impossible shape"),
        (header(order="2") + bytes(24), "not a readable .npy"),
        (header() + bytes(23), "takes 24 bytes, the file holds 23"),
        (header() + bytes(25), "takes 24 bytes, the file holds 25"),
        (header(shape="(1000000, 1000000)") + bytes(24), "takes 4,000,000,000,000 bytes"),
        (header(shape=f"({2**64}, {2**64})") + bytes(24), "the file holds 24"),
        (header(shape="(0, -5)"), "impossible shape"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + bytes(64), "not a readable .npy"),
        (header(shape="(" * 2000 + "2" + ")" * 2000) + bytes(24), "not a readable .npy"),
    ],
)
@pytest.mark.parametrize("mapped", [True, False])
def test_bad_file_is_refused(tmp_path: Path, content: bytes, words: str, mapped: bool) -> None:
    path = tmp_path / "bad.npy"
    path.write_bytes(content)
    with pytest.raises(FileError) as caught:
        open_npy(path, mapped=mapped)
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_damaged_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data) -> None:
    content = bytearray(header() + np.arange(6, dtype="f4").tobytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "a.npy"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    refusal = f"{path}: "
    try:
        with open_npy(path, mapped=data.draw(st.booleans())) as source:
            assert source.read_all().nbytes == source.nbytes <= len(content)
    except FileError as error:
        refusal = str(error)
    assert refusal.startswith(f"{path}: ")


def test_not_a_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # opening one would wait for ever
    for name, words in [("pipe", "not a regular file"), (".", "not a regular"), ("no", "No such")]:
        with pytest.raises(FileError, match=words):
            open_npy(tmp_path / name)


@pytest.mark.parametrize("mapped", [True, False])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<f2", "|b1", ">i2", "<u8"])
def test_every_chunk_equals_the_slice(tmp_path: Path, mapped: bool, order: str, dtype: str) -> None:
    array = np.asarray(np.arange(4 * 3 * 5).reshape(4, 3, 5) % 7, dtype, order=order)
    np.save(tmp_path / "a.npy", array)
    with open_npy(tmp_path / "a.npy", mapped=mapped) as source:
        assert (source.shape, source.dtype, source.ndim) == (array.shape, array.dtype, 3)
        for i, j, k in np.ndindex(4, 3, 5):
            chunk = (slice(i // 2, i + 1), slice(j // 2, j + 1), slice(k // 2, k + 1))
            block = source[chunk]
            assert block.dtype == array.dtype
            np.testing.assert_array_equal(block, array[chunk])
        np.testing.assert_array_equal(source.read_all(), array)


@pytest.mark.parametrize("mapped", [True, False])
@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (3, 0), (1,)])
def test_empty_and_scalar_files(tmp_path: Path, shape: tuple[int, ...], mapped: bool) -> None:
    np.save(tmp_path / "a.npy", np.ones(shape))
    with open_npy(tmp_path / "a.npy", mapped=mapped) as source:
        np.testing.assert_array_equal(source.read_all(), np.ones(shape))


@pytest.mark.parametrize("mapped", [True, False])
def test_file_that_shrinks_while_read(tmp_path: Path, mapped: bool) -> None:
    np.save(tmp_path / "a.npy", np.zeros((4, 1000)))
    first, last = ((slice(row, row + 1), slice(0, 1000)) for row in (0, 3))
    with open_npy(tmp_path / "a.npy", mapped=mapped) as source:
        assert not source[first].any()
        os.truncate(tmp_path / "a.npy", 1000)
        with pytest.raises(FileError, match=r"a\.npy: changed .*the file holds 1,000"):
            source[last]


@pytest.mark.parametrize("shape", [(7,), (4, 3, 5), (1, 6), (3, 0), ()])
@pytest.mark.parametrize("limit", [1, 4, 15, 1000])
def test_chunks_are_contiguous_cover_all_and_keep_the_limit(
    shape: tuple[int, ...], limit: int
) -> None:
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    parts = [array[chunk].ravel() for chunk in iter_chunks(shape, limit)]
    np.testing.assert_array_equal(np.concatenate([array.ravel()[:0], *parts]), array.ravel())
    assert all(part.size <= limit for part in parts)


@pytest.mark.parametrize("limit", [1, 4, 15, 1000])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_sink_writes_what_np_save_writes(tmp_path: Path, limit: int, axis: int) -> None:
    array = np.random.default_rng(0).normal(size=(4, 3, 5))
    kept = array.shape[:axis] + array.shape[axis + 1 :]
    with NpySink(tmp_path / "out.npy", array.shape, array.dtype) as sink:
        for chunk in iter_chunks(kept, limit):
            chunk = (*chunk[:axis], slice(0, array.shape[axis]), *chunk[axis:])
            sink.write(chunk, array[chunk])
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), array)
    assert os.listdir(tmp_path) == ["out.npy"]


def write_half(path: Path, error: BaseException) -> None:
    with NpySink(path, (2, 3), np.dtype("f4")) as sink:
        sink.write((slice(0, 1), slice(0, 3)), np.ones((1, 3), "f4"))
        raise error


@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt()])
@pytest.mark.parametrize("older", [b"older", None])
def test_interrupted_output_is_absent(tmp_path: Path, error: BaseException, older) -> None:
    path = tmp_path / "out.npy"
    if older is not None:
        path.write_bytes(older)
    with pytest.raises(type(error)):
        write_half(path, error)
    assert (path.read_bytes() if path.exists() else None) == older
    assert os.listdir(tmp_path) == ["out.npy"] * (older is not None)


def test_disk_that_fills_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(output_file.os, "fsync", full)
    with (
        pytest.raises(FileError, match=r"out\.npy: cannot be written: No space left"),
        NpySink(tmp_path / "out.npy", (1,), np.dtype("f4")) as sink,
    ):
        sink.write((slice(0, 1),), np.ones(1, "f4"))
    assert not os.listdir(tmp_path)


def test_full_disk_is_seen_before_the_work(tmp_path: Path) -> None:
    with (
        pytest.raises(FileError, match="the disk has"),
        NpySink(tmp_path / "out.npy", (1 << 40, 1 << 40), np.dtype("f8")),
    ):
        pass
    assert not os.listdir(tmp_path)


def test_unwritable_places(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileError, match="not a regular file"):
        NpySink(tmp_path, (1,), np.dtype("f4"))
    for place in ("missing/out.npy", "file/out.npy"):
        with (
            pytest.raises(FileError, match="cannot be written"),
            NpySink(tmp_path / place, (1,), np.dtype("f4")),
        ):
            pass


def test_the_longest_name_a_directory_takes(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 251 + ".npy")
    with NpySink(path, (2,), np.dtype(np.float32)) as sink:
        sink.write((slice(0, 2),), np.ones(2, np.float32))
    np.testing.assert_array_equal(np.load(path), [1, 1])


def test_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.npy").write_bytes(b"older")
    (tmp_path / "link.npy").symlink_to("real.npy")
    with NpySink(tmp_path / "link.npy", (1,), np.dtype("f4")) as sink:
        sink.write((slice(0, 1),), np.ones(1, "f4"))
    assert (tmp_path / "link.npy").is_symlink()
    assert np.load(tmp_path / "real.npy") == 1
