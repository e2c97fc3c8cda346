# %% [markdown]
"""Score a million predictions in Dask arrays, chunk by chunk, and compare with NumPy.

The arrays here are made chunk by chunk, and no more than a few chunks are in memory at a time;
yours would come from `da.from_zarr` or `da.from_npy_stack`. With a `distributed.Client` the same
lines run on its workers. The loss must not depend on where the chunks are cut.

    python examples/evaluate_dask.py
"""

# %%
from importlib.util import find_spec

import numpy as np

import fastloss as fl

try:
    import dask.array as da

    import fastloss.dask
except ImportError as error:
    raise SystemExit(f'{error}; install: pip install "dask[array]" distributed') from None

ROWS, CLASSES, CHUNK, TOLERANCE = 1_000_000, 20, 100_000, 1e-14


def chunk(rows: np.ndarray) -> np.ndarray:
    """Return logits that know the label, row mod CLASSES, more often than not."""
    rng = np.random.default_rng(int(rows[0]))
    logits = rng.normal(size=(len(rows), CLASSES)).astype(np.float32)
    logits[np.arange(len(rows)), rows % CLASSES] += 3
    return logits


rows = da.arange(ROWS, chunks=CHUNK)
labels = rows % CLASSES
logits = rows.map_blocks(
    chunk, dtype=np.float32, new_axis=1, chunks=(rows.chunks[0], (CLASSES,)), meta=np.empty((0, 0))
)

# %%
loss = fl.SparseCategoricalCrossentropy(from_logits=True)
summary = fl.dask.evaluate(loss, labels, logits, top=(5,)).compute()
print(f"{summary.counts.rows:,} rows in {logits.npartitions} chunks")
print(f"loss {summary.value:.6f}   accuracy {summary.accuracy:.4f}")

# %% [markdown]
# The same of one NumPy array, and of chunks that are cut elsewhere.

# %%
whole = loss(*da.compute(labels, logits))
cut = fl.dask.evaluate(loss, labels, logits.rechunk((77_777, CLASSES))).compute().value
print(f"NumPy {whole:.17g}, Dask {summary.value:.17g}, other chunks {cut:.17g}")
for other in (summary.value, cut):
    assert abs(other - whole) <= TOLERANCE * whole, "the loss depends on the chunks"

# %% [markdown]
# The losses of the rows are a Dask array too: their histogram is computed without them being in
# memory together.

# %%
if find_spec("matplotlib"):
    import matplotlib.pyplot as plt

    counts, edges = da.histogram(fl.dask.rows(loss, labels, logits), bins=60, range=(0, 8))
    plt.stairs(counts.compute(), edges, fill=True)
    plt.xlabel("loss of a row")
    plt.ylabel("rows")
    plt.show()
