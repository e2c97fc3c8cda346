"""Poisson loss: the negative log-likelihood of counts under predicted rates, without its constant.

    loss = mean_c( x_c - t_c log(x_c + eps) )       d loss / d x_j = (1 - t_j / (x_j + eps)) / C

A rate below -eps has no logarithm: the loss is NaN there, the gradient is what the formula says.
"""

from typing import Any

import numpy as np
from fastloss_kernels.compiler.jit import block
from fastloss_kernels.elementary.log import log_double_word
from fastloss_kernels.loops.elementwise import elementwise
from fastloss_kernels.loops.kernel import kernel, run_part
from fastloss_kernels.simd.scalar import fma
from fastloss_kernels.typing import Array, Scalar


@block
def _poisson(
    x: Scalar, t: Scalar, targets: Any, scaled: Any, plain: bool, eps: Scalar, infinity: Scalar
) -> Any:
    z, zero = x + eps, eps - eps
    small, large = (x, eps) if x < eps else (eps, x)
    lost = small - (z - large)  # what rounding took from z, where x > -eps
    y = log_double_word(z, lost)
    y = y if z > zero else -infinity if z == zero else infinity - infinity
    # The slope 1 - t / z as (z - t) / z: z - t is exact where the two nearly cancel, and there
    # what z lost shows. Where t is below z / 2 it shows less than one more rounding would.
    difference = z - t
    return fma(-t, y, x), (difference + (lost if difference < t else zero)) / z


@block
def _bounds(options: Any) -> tuple[float, float]:
    return options[0], np.inf


rows, packed, columns = elementwise(__name__, _poisson, _bounds, weighted=False, mean=True)


@kernel(rows, packed, columns)
def poisson(
    x: Array,
    targets: Array,
    eps: float,
    scale: Array,
    keep: Array,
    loss: Array,
    grad: Array | None,
    threads: int,
) -> None:
    """Poisson loss of rates, averaged over the classes of a row.

    Row i of the n = outer * inner rows is ``x[i // inner, :, i % inner]``; the formulas stand at
    the top of this module.

    Parameters
    ----------
    x : (outer, classes, inner) float32 or float64, int16 or uint16 (see `half`)
        Rates. Any strides; may be read-only.
    targets : (outer, classes, inner), loss's dtype
        Counts t. Any strides, 0 included.
    eps : float
        Added to the rate inside the logarithm.
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
    Error of a loss row: at most 4 ulp of the sum of the sizes of its terms x and t log(x + eps); of
    a gradient element: at most 4 ulp. A rate below -eps gives NaN; NaN gives NaN; no class at all
    gives NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from fastloss_kernels import poisson
    >>> x = np.array([[2.0, 1.0]], np.float32).reshape(1, 2, 1)
    >>> loss, grad = np.empty(1, np.float32), np.empty_like(x)
    >>> one, all_rows = np.ones(1), np.ones(1, bool)
    >>> t = np.array([[[2.0], [0.0]]], np.float32)
    >>> poisson(x, t, 1e-7, one, all_rows, loss, grad, 1)
    >>> loss.round(5)
    array([0.80685], dtype=float32)
    >>> grad.ravel()
    array([2.5e-08, 5.0e-01], dtype=float32)
    """
    run_part(None, columns, threads, (x, targets, (eps,), scale, keep, loss, grad))
