"""Several files are one array: in natural order, checked first, joined where a chunk crosses."""

from pathlib import Path

import numpy as np
import pytest
from array_files import csv, npy, parquet, zarr_array

from fastloss.formats.chunks import iter_chunks
from fastloss.formats.errors import FileError
from fastloss.formats.shards import expanded, natural, open_shards

LENGTHS = (3, 0, 5, 1, 4)
WHOLE = np.random.default_rng(3).normal(size=(sum(LENGTHS), 2, 3))
BORDERS = np.cumsum(LENGTHS)[:-1]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with shards whose order by letters is not their order."""
    monkeypatch.chdir(tmp_path)
    for number, part in zip((1, 2, 9, 10, 100), np.split(WHOLE, BORDERS), strict=True):
        np.save(f"x-{number}.npy", part)
    return tmp_path


@pytest.mark.parametrize("mapped", [True, False])
def test_every_chunk_equals_the_slice(mapped: bool) -> None:
    with open_shards(["x-*.npy"], mapped=mapped) as source:
        assert (source.shape, source.dtype) == (WHOLE.shape, WHOLE.dtype)
        for _ in range(2):
            for limit in (1, 4, 6, 12, 18, 30, 1000):
                for chunk in iter_chunks(WHOLE.shape, limit):
                    np.testing.assert_array_equal(source[chunk], WHOLE[chunk])
        for start, stop in np.random.default_rng(1).integers(0, 14, (20, 2)):
            chunk = (slice(start, max(start, stop)), slice(0, 2), slice(1, 3))
            np.testing.assert_array_equal(source[chunk], WHOLE[chunk])
        np.testing.assert_array_equal(source.read_all(), WHOLE)


def test_patterns_directories_and_lists(tmp_path: Path) -> None:
    in_order = [f"x-{number}.npy" for number in (1, 2, 9, 10, 100)]
    assert expanded(["x-*.npy"]) == in_order
    assert expanded(["x-?.npy", "x-10*.npy"]) == in_order
    assert expanded(["x-9.npy", "x-1.npy"]) == ["x-9.npy", "x-1.npy"]  # as they are given
    assert expanded(["."]) == in_order
    Path(".hidden.npy").write_bytes(b"")
    Path("notes.txt").write_bytes(b"")
    assert expanded([str(tmp_path)]) == [str(tmp_path / name) for name in in_order]
    Path("x-[1].npy").write_bytes(Path("x-1.npy").read_bytes())
    assert expanded(["x-[1].npy"]) == ["x-[1].npy"]  # there is such a file
    assert expanded(["x-[19].npy"]) == ["x-1.npy", "x-9.npy"]
    np.savez("a1.npz", x=1)
    assert expanded(["a*.npz:x"]) == ["a1.npz:x"]


def test_natural_order() -> None:
    names = ["b", "a10", "a2b10", "a2b9", "a", "2", "10", "a02", ""]
    assert sorted(names, key=natural) == ["", "2", "10", "a", "a02", "a2b9", "a2b10", "a10", "b"]


def test_other_formats_as_shards() -> None:
    parts = np.split(WHOLE[:, 0], BORDERS[[0, 2]])
    for write in (npy, parquet, zarr_array, csv):
        names = []
        for number, part in enumerate(parts):
            folder = Path(f"{write.__name__}{number}")
            folder.mkdir()
            names.append(write(folder, part))
        with open_shards(names) as source:
            for chunk in iter_chunks(source.shape, 12):
                np.testing.assert_array_equal(source[chunk], WHOLE[:, 0][chunk])


def test_byte_orders_are_mixed() -> None:
    np.save("x-1.npy", WHOLE[:3].astype(">f8"))
    with open_shards(["x-*.npy"]) as source:
        assert source.dtype == np.dtype("=f8")
        np.testing.assert_array_equal(source.read_all(), WHOLE)


def test_one_file_is_open_at_a_time() -> None:
    with open_shards(["x-*.npy"], mapped=False) as source:
        parts = source._parts  # type: ignore[attr-defined]
        for start in range(13):
            _ = source[slice(start, start + 1), slice(0, 2), slice(0, 3)]
            assert sum(part._file is not None for part in parts) == 1
    assert all(part._file is None for part in parts)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.ones((3, 2, 4)), r"x-9.npy: shape \(3, 2, 4\) must be that of x-1.npy, \(3, 2, 3\)"),
        (np.ones((3, 2)), r"x-9.npy: shape \(3, 2\) must be"),
        (np.ones((3, 2, 3), "f4"), "x-9.npy: dtype float32 must be that of x-1.npy, float64"),
        (np.float64(1), "x-9.npy: must have an axis"),
    ],
)
def test_shards_that_do_not_fit(array: np.ndarray, words: str) -> None:
    np.save("x-9.npy", array)
    with pytest.raises(FileError, match=words):
        open_shards(["x-*.npy"])


def test_names_without_files(tmp_path: Path) -> None:
    Path("empty").mkdir()
    Path("mixed").mkdir()
    for suffix in ("npy", "csv"):
        (tmp_path / "mixed" / f"a.{suffix}").write_bytes(b"")
    for name, words in {
        "z-*.npy": "z-.*: no file has a name like this",
        "empty": "empty: must hold files of one of .npy, .npz, .*, has none",
        "mixed": "mixed: .*has files of .csv and .npy: name them by a pattern",
        "x-9.npy:a": "x-9.npy: holds one array",
        "gone.npy": "gone.npy: No such file",
    }.items():
        with pytest.raises(FileError, match=words):
            open_shards([name])


def test_places_name_the_file() -> None:
    with open_shards(["x-*.npy"]) as source:
        assert [source.place(row) for row in (0, 3, 8, 9, 12)] == [
            "x-1.npy, row 0 of it",
            "x-9.npy, row 0 of it",
            "x-10.npy, row 0 of it",
            "x-100.npy, row 0 of it",
            "x-100.npy, row 3 of it",
        ]
