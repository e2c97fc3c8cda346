"""Second derivatives of the Poisson loss, of rates and of log rates.

The mean over C classes has the diagonal Hessian

    of rates      t_c / (x_c + eps)^2 / C
    of log rates  e^(x_c) / C

For rates below -eps, where the loss is NaN, that is what the formula says.
"""

from typing import Any

import numpy as np
from fastloss_kernels.compiler.jit import block
from fastloss_kernels.elementary.exp import exp
from fastloss_kernels.loops.elementwise import elementwise
from fastloss_kernels.loops.kernel import kernel, run_part
from fastloss_kernels.typing import Array, Scalar


@block
def _rate(
    x: Scalar, t: Scalar, targets: Any, scaled: Any, plain: bool, eps: Scalar, infinity: Scalar
) -> Any:
    z = x + eps
    return eps - eps, t / z / z  # z z may be infinite where t is as large


@block
def _bounds(options: Any) -> tuple[float, float]:
    return options[0], np.inf


@block
def _log_rate(
    x: Scalar, t: Scalar, targets: Any, scaled: Any, plain: bool, zero: Scalar, infinity: Scalar
) -> Any:
    return zero, exp(x) + (t - t)  # t - t is 0, or the NaN that would be lost


@block
def _log_bounds(options: Any) -> tuple[float, float]:
    return 0.0, np.inf


rows, packed, _ = elementwise(__name__, _rate, _bounds, weighted=False, mean=True)
log_rows, log_packed, _ = elementwise(
    __name__, _log_rate, _log_bounds, weighted=False, mean=True, prefix="log_"
)


@kernel(rows, packed, packed)
def poisson_hessian(
    x: Array,
    targets: Array,
    eps: float,
    scale: Array,
    keep: Array,
    loss: Array,
    grad: Array | None,
    threads: int,
) -> None:
    """Hessian of `poisson`, whose arguments it takes; it is diagonal.

    `grad` receives ``scale * d^2 loss / d x_j^2``, and `loss` 0. The formulas stand at the top of
    this module.

    Notes
    -----
    Error of an element: at most 4 ulp. NaN gives NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from fastloss_kernels import poisson_hessian
    >>> x = np.array([[2.0, 1.0]], np.float32).reshape(1, 2, 1)
    >>> none, hessian = np.empty(1, np.float32), np.empty_like(x)
    >>> one, all_rows = np.ones(1), np.ones(1, bool)
    >>> t = np.array([[[2.0], [0.0]]], np.float32)
    >>> poisson_hessian(x, t, 1e-7, one, all_rows, none, hessian, 1)
    >>> hessian.ravel().round(5)
    array([0.25, 0.  ], dtype=float32)
    """
    run_part(None, packed, threads, (x, targets, (eps,), scale, keep, loss, grad))


@kernel(log_rows, log_packed, log_packed)
def poisson_log_rates_hessian(
    x: Array,
    targets: Array,
    scale: Array,
    keep: Array,
    loss: Array,
    grad: Array | None,
    threads: int,
) -> None:
    """Hessian of `poisson_log_rates`, whose arguments it takes; it is diagonal.

    `grad` receives ``scale * d^2 loss / d x_j^2``, and `loss` 0. The formulas stand at the top of
    this module.

    Notes
    -----
    Error of an element: at most 4 ulp. It is inf where e^x is; NaN gives NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from fastloss_kernels import poisson_log_rates_hessian
    >>> x = np.array([[0.0, 1.0]], np.float32).reshape(1, 2, 1)
    >>> none, hessian = np.empty(1, np.float32), np.empty_like(x)
    >>> one, all_rows = np.ones(1), np.ones(1, bool)
    >>> t = np.array([[[2.0], [0.0]]], np.float32)
    >>> poisson_log_rates_hessian(x, t, one, all_rows, none, hessian, 1)
    >>> hessian.ravel().round(5)
    array([0.5    , 1.35914], dtype=float32)
    """
    run_part(None, log_packed, threads, (x, targets, (), scale, keep, loss, grad))
