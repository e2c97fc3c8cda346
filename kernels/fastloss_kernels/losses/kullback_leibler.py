"""Kullback-Leibler divergence of predicted from true probabilities, both clipped to [eps, 1].

    u = clip(t, eps, 1), p = clip(x, eps, 1)
    loss = sum_c u_c log(u_c / p_c)                 d loss / d x_j = -m_j u_j / p_j

where m = 1 where x is inside the closed bounds. Nothing is normalised: the loss of rows that do not
sum to 1 may be negative.
"""

from typing import Any

from fastloss_kernels.compiler.jit import block
from fastloss_kernels.elementary.log_ratio import log_reduced, nearest_binade, power_of_two
from fastloss_kernels.loops.elementwise import elementwise
from fastloss_kernels.loops.kernel import kernel, run_part
from fastloss_kernels.typing import Array, Scalar


@block
def _kullback_leibler(
    x: Scalar, t: Scalar, targets: Any, scaled: Any, plain: bool, eps: Scalar, one: Scalar
) -> Any:
    t = eps if t < eps else one if t > one else t
    p = eps if x < eps else one if x > one else x
    near, e = nearest_binade(t, p)
    f = (near - p) / p
    slope = -(one + f) * power_of_two(e, one)
    # t - t is 0, or the NaN that would be lost among integers
    return t * log_reduced(f, e, t - t), (one - one if x < eps or x > one else slope)


@block
def _bounds(options: Any) -> tuple[float, float]:
    return options[0], 1.0


rows, packed, columns = elementwise(
    __name__, _kullback_leibler, _bounds, weighted=False, mean=False
)


@kernel(rows, packed, columns)
def kullback_leibler(
    x: Array,
    targets: Array,
    eps: float,
    scale: Array,
    keep: Array,
    loss: Array,
    grad: Array | None,
    threads: int,
) -> None:
    """Kullback-Leibler divergence of predicted from true probabilities.

    Row i of the n = outer * inner rows is ``x[i // inner, :, i % inner]``; the formulas stand at
    the top of this module.

    Parameters
    ----------
    x : (outer, classes, inner) float32 or float64, int16 or uint16 (see `half`)
        Predicted probabilities. Any strides; may be read-only.
    targets : (outer, classes, inner), loss's dtype
        True probabilities t. Any strides, 0 included.
    eps : float
        Both are clipped to [eps, 1]; a normal number of the dtype.
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
    Error of a term: at most 2 ulp. Outside the bounds the loss is that of the bound and the
    gradient 0; NaN gives NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from fastloss_kernels import kullback_leibler
    >>> x = np.array([[0.5, 0.5]], np.float32).reshape(1, 2, 1)
    >>> loss, grad = np.empty(1, np.float32), np.empty_like(x)
    >>> one, all_rows = np.ones(1), np.ones(1, bool)
    >>> t = np.array([[[0.75], [0.25]]], np.float32)
    >>> kullback_leibler(x, t, 1e-7, one, all_rows, loss, grad, 1)
    >>> loss.round(5)
    array([0.13081], dtype=float32)
    >>> grad.ravel()
    array([-1.5, -0.5], dtype=float32)
    """
    run_part(None, columns, threads, (x, targets, (eps,), scale, keep, loss, grad))
