"""Second derivatives of the Kullback-Leibler divergence of predicted from true probabilities.

With u = clip(t, eps, 1) the sum over classes has the diagonal Hessian ``m_c u_c / x_c^2``, where m
is 1 where x is inside the closed bounds [eps, 1], else 0.
"""

from typing import Any

from fastloss_kernels.compiler.jit import block
from fastloss_kernels.loops.elementwise import elementwise
from fastloss_kernels.loops.kernel import kernel, run_part
from fastloss_kernels.typing import Array, Scalar


@block
def _divergence(
    x: Scalar, t: Scalar, targets: Any, scaled: Any, plain: bool, eps: Scalar, one: Scalar
) -> Any:
    zero = one - one
    t = eps if t < eps else one if t > one else t
    return zero, (zero if x < eps or x > one else t / (x * x))


@block
def _bounds(options: Any) -> tuple[float, float]:
    return options[0], 1.0


rows, packed, _ = elementwise(__name__, _divergence, _bounds, weighted=False, mean=False)


@kernel(rows, packed, packed)
def kullback_leibler_hessian(
    x: Array,
    targets: Array,
    eps: float,
    scale: Array,
    keep: Array,
    loss: Array,
    grad: Array | None,
    threads: int,
) -> None:
    """Hessian of `kullback_leibler`, whose arguments it takes; it is diagonal.

    `grad` receives ``scale * d^2 loss / d x_j^2``, and `loss` 0. The formulas stand at the top of
    this module.

    Notes
    -----
    Error of an element: at most 4 ulp. Outside the bounds of x it is 0; NaN gives NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from fastloss_kernels import kullback_leibler_hessian
    >>> x = np.array([[0.5, 0.5]], np.float32).reshape(1, 2, 1)
    >>> none, hessian = np.empty(1, np.float32), np.empty_like(x)
    >>> one, all_rows = np.ones(1), np.ones(1, bool)
    >>> t = np.array([[[0.75], [0.25]]], np.float32)
    >>> kullback_leibler_hessian(x, t, 1e-7, one, all_rows, none, hessian, 1)
    >>> hessian.ravel()
    array([3., 1.], dtype=float32)
    """
    run_part(None, packed, threads, (x, targets, (eps,), scale, keep, loss, grad))
