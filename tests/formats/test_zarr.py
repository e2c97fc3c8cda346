"""Which arrays of .zarr are decoded by whole rows, and that the others are right as well."""

from pathlib import Path

import numpy as np
import pytest
import zarr

from fastloss.formats import zarr as zarr_reader
from fastloss.formats.chunks import iter_chunks
from fastloss.formats.registry import open_array

ARRAY = np.random.default_rng(2).normal(size=(9, 4, 5))


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize(
    ("chunks", "bands"),
    [((2, 4, 5), True), ((9, 4, 5), True), ((2, 2, 2), False), ((1,) * 3, True)],
)
def test_few_rows_or_single_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunks, bands: bool, version: int
) -> None:
    monkeypatch.setattr(zarr_reader, "_LARGEST_BAND", 20 * 8)  # one row
    made = zarr.create_array(
        tmp_path / "a.zarr", shape=ARRAY.shape, chunks=chunks, dtype="f8", zarr_format=version
    )
    made[...] = ARRAY
    with open_array(str(tmp_path / "a.zarr")) as source:
        assert isinstance(source, zarr_reader._Bands) == bands
        for limit in (1, 5, 20, 60, 1000):
            for chunk in iter_chunks(ARRAY.shape, limit):
                np.testing.assert_array_equal(source[chunk], ARRAY[chunk])


def test_shards_of_zarr_and_scalars(tmp_path: Path) -> None:
    made = zarr.create_array(
        tmp_path / "a.zarr", shape=(9, 4, 5), chunks=(1, 4, 5), shards=(4, 4, 5), dtype="f8"
    )
    made[...] = ARRAY
    zarr.create_array(tmp_path / "s.zarr", data=np.array(2.5))
    with open_array(str(tmp_path / "a.zarr")) as source:
        np.testing.assert_array_equal(source.read_all(), ARRAY)
    with open_array(str(tmp_path / "s.zarr")) as source:
        assert source.shape == ()
        assert source[()] == 2.5
