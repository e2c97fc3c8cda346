"""Losses of Dask arrays: lazy values, losses of rows, gradients and summaries.

Nothing is computed before ``.compute()``. Each chunk of y_pred along the rows is one task, which
computes on one thread: a worker with several threads has as many tasks at once.
"""

try:
    import dask.array  # noqa: F401
    import distributed  # noqa: F401
except ModuleNotFoundError as error:
    raise ImportError(
        f'fastloss.dask needs the package {error.name}: pip install "dask[array]" distributed'
        " (fastloss's extra dask)"
    ) from error

from fastloss.dask.losses import rows, value, value_and_grad
from fastloss.dask.summary import evaluate

__all__ = ["evaluate", "rows", "value", "value_and_grad"]
