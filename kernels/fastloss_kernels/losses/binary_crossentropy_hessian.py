"""Second derivatives of binary crossentropy, from probabilities and from logits.

With v = w t, where w is the weight of the positive class (1 unless given), and u = 1 - t, the mean
over C classes has the diagonal Hessian

    from probabilities   m (v / x^2 + u / (1 - x)^2) / C
    from logits          (u + v) sigmoid(x) sigmoid(-x) / C

where m = 1 where x is inside the closed bounds [eps, 1 - eps], else 0. With e = e^-|x| the product
of the logistic functions is e / (1 + e)^2, of which nothing cancels or overflows.
"""

from typing import Any

from fastloss_kernels.compiler.jit import block
from fastloss_kernels.elementary.exp import exp_nonpositive
from fastloss_kernels.loops.elementwise import elementwise
from fastloss_kernels.loops.kernel import kernel, run_part
from fastloss_kernels.simd.scalar import fma
from fastloss_kernels.typing import Array, Scalar


@block
def _probability(
    x: Scalar, t: Scalar, targets: Any, scaled: Any, plain: bool, low: Scalar, high: Scalar
) -> Any:
    v, u = scaled
    zero, rest = low - low, low / low - x
    curvature = v / (x * x) + u / (rest * rest)
    return zero, (zero if x < low or x > high else curvature)


@block
def _probability_bounds(options: Any) -> tuple[float, float]:
    return options[2], 1.0 - options[2]


@block
def _logit(
    x: Scalar, t: Scalar, targets: Any, scaled: Any, plain: bool, zero: Scalar, one: Scalar
) -> Any:
    v, u = scaled
    e = exp_nonpositive(-abs(x))
    both = one + (t - t) if plain else u + v  # t - t is 0, or the NaN that would be lost
    return zero, both * e / fma(e, e + (one + one), one)


@block
def _logit_bounds(options: Any) -> tuple[float, float]:
    return 0.0, 1.0


rows, packed, _ = elementwise(__name__, _probability, _probability_bounds, weighted=True, mean=True)
logit_rows, logit_packed, _ = elementwise(
    __name__, _logit, _logit_bounds, weighted=True, mean=True, prefix="logit_"
)


@kernel(rows, packed, packed)
def binary_crossentropy_hessian(
    x: Array,
    targets: Array,
    pos_weight: Array,
    smoothing: float,
    eps: float,
    scale: Array,
    keep: Array,
    loss: Array,
    grad: Array | None,
    threads: int,
) -> None:
    """Hessian of `binary_crossentropy`, whose arguments it takes; it is diagonal.

    `grad` receives ``scale * d^2 loss / d x_j^2``, and `loss` 0. The formulas stand at the top of
    this module.

    Notes
    -----
    Error of an element: at most 4 ulp where 0 <= t <= 1. Outside the bounds it is 0; NaN gives NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from fastloss_kernels import binary_crossentropy_hessian
    >>> x = np.array([[0.5, 0.25]], np.float32).reshape(1, 2, 1)
    >>> none, hessian = np.empty(1, np.float32), np.empty_like(x)
    >>> one, all_rows = np.ones(1), np.ones(1, bool)
    >>> t, no_weight = np.array([[[1.0], [0.0]]], np.float32), np.empty(0, np.float32)
    >>> binary_crossentropy_hessian(x, t, no_weight, 0.0, 1e-7, one, all_rows, none, hessian, 1)
    >>> hessian.ravel().round(5)
    array([2.     , 0.88889], dtype=float32)
    """
    options = (pos_weight, smoothing, eps)
    run_part(None, packed, threads, (x, targets, options, scale, keep, loss, grad))


@kernel(logit_rows, logit_packed, logit_packed)
def binary_crossentropy_logits_hessian(
    x: Array,
    targets: Array,
    pos_weight: Array,
    smoothing: float,
    scale: Array,
    keep: Array,
    loss: Array,
    grad: Array | None,
    threads: int,
) -> None:
    """Hessian of `binary_crossentropy_logits`, whose arguments it takes; it is diagonal.

    `grad` receives ``scale * d^2 loss / d x_j^2``, and `loss` 0. The formulas stand at the top of
    this module.

    Notes
    -----
    Error of an element: at most 4 ulp where 0 <= t <= 1. Infinite logits give 0; NaN gives NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from fastloss_kernels import binary_crossentropy_logits_hessian
    >>> x = np.array([[0.0, -1.0]], np.float32).reshape(1, 2, 1)
    >>> none, hessian = np.empty(1, np.float32), np.empty_like(x)
    >>> one, all_rows = np.ones(1), np.ones(1, bool)
    >>> t, no_weight = np.array([[[1.0], [0.0]]], np.float32), np.empty(0, np.float32)
    >>> binary_crossentropy_logits_hessian(x, t, no_weight, 0.0, one, all_rows, none, hessian, 1)
    >>> hessian.ravel().round(5)
    array([0.125  , 0.09831], dtype=float32)
    """
    options = (pos_weight, smoothing)
    run_part(None, logit_packed, threads, (x, targets, options, scale, keep, loss, grad))
