"""Squared error: the example of a new elementwise loss, as CONTRIBUTING.md explains it.

    loss = mean_c( (x_c - t_c)^2 )                  d loss / d x_j = 2 (x_j - t_j) / C

A loss of the engine is a file like this one in `kernels/fastloss_kernels/losses/`, and an entry in
the package's `__init__`. Blocks, tiles, threads, half precision, masks and the disk cache come with
it.
"""

from typing import Any

from fastloss_kernels.compiler.jit import block
from fastloss_kernels.loops.elementwise import elementwise
from fastloss_kernels.loops.kernel import kernel, run_part
from fastloss_kernels.typing import Array, Scalar


@block
def _squared_error(
    x: Scalar, t: Scalar, targets: Any, scaled: Any, plain: bool, low: Scalar, high: Scalar
) -> Any:
    difference = x - t
    return difference * difference, difference + difference


@block
def _bounds(options: Any) -> tuple[float, float]:
    return 0.0, 0.0  # it has none


rows, packed, columns = elementwise(__name__, _squared_error, _bounds, weighted=False, mean=True)


@kernel(rows, packed, columns)
def squared_error(
    x: Array,
    targets: Array,
    scale: Array,
    keep: Array,
    loss: Array,
    grad: Array | None,
    threads: int,
) -> None:
    """Squared error of predictions, averaged over the classes of a row.

    Row i of the n = outer * inner rows is ``x[i // inner, :, i % inner]``; the formulas stand at
    the top of this module.

    Parameters
    ----------
    x : (outer, classes, inner) float32 or float64, int16 or uint16 (see `half`)
        Predictions. Any strides; may be read-only.
    targets : (outer, classes, inner), loss's dtype
        Targets t. Any strides, 0 included.
    scale : (1,) or (n,) float64
        d result / d loss of each row: the factor of its gradient.
    keep : (1,) or (n,) bool
        Rows to compute. Others get loss 0 and gradient 0 and are not looked at.
    loss : (n,), the working dtype: float64 for a float64 x, else float32
        Receives the row losses, without `scale`.
    grad : None or (outer, classes, inner), x's or loss's dtype
        Receives ``scale * d loss / d x``. It is x itself, or shares no memory with any input.
    threads : int
        How many threads share the rows; 1 is a plain loop. No result depends on it.

    Notes
    -----
    Error of a term and of a gradient element: at most 2 ulp. NaN gives NaN; no class at all gives
    NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from squared_error import squared_error
    >>> x, t = (np.array([[row]]).reshape(1, 2, 1) for row in ([2.0, 1.0], [1.0, 3.0]))
    >>> loss, grad = np.empty(1), np.empty_like(x)
    >>> squared_error(x, t, np.ones(1), np.ones(1, bool), loss, grad, 1)
    >>> print(loss, grad.ravel())
    [2.5] [ 1. -2.]
    """
    run_part(None, columns, threads, (x, targets, (), scale, keep, loss, grad))
