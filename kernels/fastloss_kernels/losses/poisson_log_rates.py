"""Poisson loss of log rates: the negative log-likelihood of counts, without its constant.

    loss = mean_c( e^(x_c) - t_c x_c )       d loss / d x_j = (e^(x_j) - t_j) / C

Every log rate is legal: -inf is the rate 0, whose loss is 0 for the count 0 and inf for others, and
where e^x is inf the loss is too.
"""

from typing import Any

from fastloss_kernels.compiler.jit import block
from fastloss_kernels.elementary.exp import exp
from fastloss_kernels.loops.elementwise import elementwise
from fastloss_kernels.loops.kernel import kernel, run_part
from fastloss_kernels.simd.scalar import fma
from fastloss_kernels.typing import Array, Scalar


@block
def _log_rate(
    x: Scalar, t: Scalar, targets: Any, scaled: Any, plain: bool, zero: Scalar, infinity: Scalar
) -> Any:
    rate = exp(x)
    # Alone where the other term is 0 or too small to count: 0 times -inf and inf - inf are NaN.
    alone = t == zero or rate == infinity
    return rate if alone else fma(-t, x, rate), rate - t


@block
def _bounds(options: Any) -> tuple[float, float]:
    return 0.0, float("inf")


rows, packed, columns = elementwise(__name__, _log_rate, _bounds, weighted=False, mean=True)


@kernel(rows, packed, columns)
def poisson_log_rates(
    x: Array,
    targets: Array,
    scale: Array,
    keep: Array,
    loss: Array,
    grad: Array | None,
    threads: int,
) -> None:
    """Poisson loss of log rates, averaged over the classes of a row.

    Row i of the n = outer * inner rows is ``x[i // inner, :, i % inner]``; the formulas stand at
    the top of this module.

    Parameters
    ----------
    x : (outer, classes, inner) float32 or float64, int16 or uint16 (see `half`)
        Logarithms of rates. Any strides; may be read-only.
    targets : (outer, classes, inner), loss's dtype
        Counts t. Any strides, 0 included.
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
    Error of a loss row: at most 4 ulp of the sum of the sizes of its terms e^x and t x; of a
    gradient element: at most 4 ulp of the larger of e^x and t. NaN gives NaN; no class at all gives
    NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from fastloss_kernels import poisson_log_rates
    >>> x = np.array([[0.0, 1.0]], np.float32).reshape(1, 2, 1)
    >>> loss, grad = np.empty(1, np.float32), np.empty_like(x)
    >>> one, all_rows = np.ones(1), np.ones(1, bool)
    >>> t = np.array([[[2.0], [0.0]]], np.float32)
    >>> poisson_log_rates(x, t, one, all_rows, loss, grad, 1)
    >>> loss.round(5)
    array([1.85914], dtype=float32)
    >>> grad.ravel().round(5)
    array([-0.5    ,  1.35914], dtype=float32)
    """
    run_part(None, columns, threads, (x, targets, (), scale, keep, loss, grad))
