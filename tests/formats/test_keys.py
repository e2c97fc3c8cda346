"""Keys of groups, integers or strings, from files of every format that holds them."""

import numpy as np
import polars as pl
import pytest

from fastloss.formats.errors import FileError
from fastloss.formats.registry import open_array, open_keys
from fastloss.formats.shards import open_shards

NAMES = ["b", "", "ä b", "b", "c,d"]
NUMBERS = [3, -1, 2**62 + 1, 3, 0]


def written(folder, suffix, values):
    """Write a file of keys; return what names it."""
    path = folder / f"keys{suffix}"
    if suffix == ".npy":
        np.save(path, values)
    elif suffix == ".npz":
        np.savez(path, keys=values)
    elif suffix == ".zarr":
        zarr = pytest.importorskip("zarr")
        zarr.save_array(path, np.array(values), zarr_format=2)
    else:
        table = pl.DataFrame({"keys": values, "other": [0.5] * len(values)})
        table.write_csv(path) if suffix == ".csv" else table.write_parquet(path)
        return f"{path}:keys"
    return str(path)


@pytest.mark.parametrize("values", [NAMES, NUMBERS], ids=["strings", "integers"])
@pytest.mark.parametrize("suffix", [".npy", ".npz", ".zarr", ".csv", ".parquet"])
def test_every_format(tmp_path, suffix, values):
    if suffix == ".csv" and "" in values:
        values = [name or "empty" for name in values]  # an empty place is no value there
    name = written(tmp_path, suffix, values)
    with open_keys(name) as keys:
        assert keys.shape == (5,)
        assert keys[(slice(1, 4),)].tolist() == values[1:4]
        assert keys.read_all().tolist() == values


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".csv", ".parquet"])
def test_strings_are_no_numbers(tmp_path, suffix):
    with pytest.raises(FileError, match="number"):
        open_array(written(tmp_path, suffix, ["a", "b"]))


@pytest.mark.parametrize("suffix", [".npy", ".parquet"])
def test_fractions_are_no_keys(tmp_path, suffix):
    with pytest.raises(FileError, match="must hold integers or strings, got float64"):
        open_keys(written(tmp_path, suffix, [0.5, 1.0]))


def test_shards_of_strings_of_several_lengths(tmp_path):
    np.save(tmp_path / "k-2.npy", ["a", "b"])
    np.save(tmp_path / "k-10.npy", ["longer"])
    with open_shards([str(tmp_path / "k-*.npy")], keys=True) as keys:
        assert keys[(slice(1, 3),)].tolist() == ["b", "longer"]
    np.save(tmp_path / "k-3.npy", [1])
    with pytest.raises(FileError, match="dtype"):
        open_shards([str(tmp_path / "k-*.npy")], keys=True)


def test_objects_are_refused(tmp_path):
    np.save(tmp_path / "keys.npy", np.array(["a", 1], object), allow_pickle=True)
    with pytest.raises(FileError, match="dtype"):
        open_keys(str(tmp_path / "keys.npy"))
