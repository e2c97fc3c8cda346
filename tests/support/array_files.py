"""Files of every format with one array, written by the libraries that people write them with."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import safetensors.numpy
import zarr

Write = Callable[[Path, np.ndarray], str]


def npy(folder: Path, array: np.ndarray) -> str:
    np.save(folder / "a.npy", array)
    return str(folder / "a.npy")


def npz(folder: Path, array: np.ndarray) -> str:
    np.savez(folder / "a.npz", other=np.zeros(2), x=array)
    return f"{folder / 'a.npz'}:x"


def compressed_npz(folder: Path, array: np.ndarray) -> str:
    np.savez_compressed(folder / "c.npz", x=array)
    return str(folder / "c.npz")


def safe(folder: Path, array: np.ndarray) -> str:
    tensors = {"head": np.zeros(3, "f4"), "x": np.ascontiguousarray(array)}
    safetensors.numpy.save_file(tensors, folder / "a.safetensors", {"framework": "numpy"})
    return f"{folder / 'a.safetensors'}:x"


def fixed_lists(array: np.ndarray) -> pa.Array:
    items = pa.array(array.reshape(-1))
    for length in array.shape[:0:-1]:
        items = pa.FixedSizeListArray.from_arrays(items, length)
    return items


def parquet(folder: Path, array: np.ndarray) -> str:
    table = pa.table({"id": np.arange(len(array)), "x": fixed_lists(array)})
    pq.write_table(table, folder / "a.parquet", row_group_size=3)
    return f"{folder / 'a.parquet'}:x"


def tensor_parquet(folder: Path, array: np.ndarray) -> str:
    if array.ndim == 1:
        column = pa.array(array)
    else:
        column = pa.FixedShapeTensorArray.from_numpy_ndarray(np.ascontiguousarray(array))
    pq.write_table(pa.table({"x": column}), folder / "t.parquet")
    return str(folder / "t.parquet")


def columns_parquet(folder: Path, array: np.ndarray) -> str:
    """Columns of numbers by pandas, with an index and in another order."""
    names = [f"p{index}" for index in range(array[0].size)]
    frame = pd.DataFrame(array.reshape(len(array), -1), columns=names)
    frame[["id", *names[::-1]]] = frame.assign(id=range(len(frame)))[["id", *names[::-1]]]
    frame[["id", *names[::-1]]].to_parquet(folder / "p.parquet")
    return f"{folder / 'p.parquet'}:{','.join(names)}"


def lists_parquet(folder: Path, array: np.ndarray) -> str:
    """Lists without a fixed size, as pandas writes a column of arrays."""
    pd.DataFrame({"x": list(array)}).to_parquet(folder / "l.parquet")
    return f"{folder / 'l.parquet'}:x"


def polars_parquet(folder: Path, array: np.ndarray) -> str:
    pl.DataFrame({"x": array}).write_parquet(folder / "q.parquet")
    return str(folder / "q.parquet")


def zarr_array(folder: Path, array: np.ndarray) -> str:
    made = zarr.create_array(
        folder / "a.zarr", shape=array.shape, dtype=array.dtype, chunks=(2,) * array.ndim
    )
    made[...] = array
    return str(folder / "a.zarr")


def zarr_group(folder: Path, array: np.ndarray) -> str:
    group = zarr.open_group(folder / "g.zarr", mode="w", zarr_format=2)
    group.create_array("other", shape=(2,), dtype="f4")
    group.create_array("deep/x", data=array, chunks=(3, *array.shape[1:]))
    return f"{folder / 'g.zarr'}:deep/x"


def csv(folder: Path, array: np.ndarray) -> str:
    pd.DataFrame(array.reshape(len(array), math.prod(array.shape[1:]))).to_csv(
        folder / "a.csv", index=False
    )
    return str(folder / "a.csv")


def polars_csv(folder: Path, array: np.ndarray) -> str:
    names = [f"p{index}" for index in range(array[0].size)]
    frame = pl.DataFrame(array.reshape(len(array), -1), schema=names)
    frame.insert_column(0, pl.Series("text", ["a, b"] * len(frame))).write_csv(folder / "b.csv")
    return f"{folder / 'b.csv'}:{','.join(names)}"


# By the rank that they keep.
ANY_RANK: list[Write] = [
    npy, npz, compressed_npz, safe, parquet, tensor_parquet, zarr_array, zarr_group,
]  # fmt: skip
TWO_AXES: list[Write] = [
    *ANY_RANK, columns_parquet, lists_parquet, polars_parquet, csv, polars_csv,
]  # fmt: skip
