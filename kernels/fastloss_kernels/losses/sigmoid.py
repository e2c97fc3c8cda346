"""The logistic function and its logarithm.

    sigmoid(x) = 1 / (1 + e^-x)          log_sigmoid(x) = -log(1 + e^-x)

With e = e^-|x| the first is 1 / (1 + e) for x >= 0 and e / (1 + e) below, the second is
min(x, 0) - log1p(e), a sum of two numbers <= 0.
"""

from typing import Any

from fastloss_kernels.compiler.jit import block
from fastloss_kernels.elementary.exp import exp_nonpositive
from fastloss_kernels.elementary.log import log1p_01
from fastloss_kernels.loops.activation import run_map
from fastloss_kernels.loops.elementwise_map import elementwise_map
from fastloss_kernels.loops.kernel import kernel
from fastloss_kernels.typing import Array, Scalar


@block
def _sigmoid(x: Scalar, zero: Scalar, one: Scalar) -> Any:
    e = exp_nonpositive(-abs(x))
    return (one if x >= zero else e) / (one + e)


@block
def _log_sigmoid(x: Scalar, zero: Scalar, one: Scalar) -> Any:
    softplus = log1p_01(exp_nonpositive(-abs(x)))
    return (x if x < zero else zero) - softplus


rows, packed = elementwise_map(__name__, _sigmoid)
log_rows, log_packed = elementwise_map(__name__, _log_sigmoid, prefix="log_")


@kernel(rows, packed, packed)
def sigmoid(x: Array, out: Array, threads: int) -> None:
    """Logistic function of every element.

    Parameters
    ----------
    x : (outer, classes, inner) float32 or float64, int16 or uint16 (see `half`)
        Any numbers. Any strides; may be read-only. The axes mean nothing.
    out : (outer, classes, inner), x's or the working dtype: float64 for a float64 x, else float32
        Receives sigmoid(x). It is x itself, or shares no memory with it.
    threads : int
        How many threads share the rows; 1 is a plain loop. No result depends on it.

    Notes
    -----
    Error: at most 4 ulp. -inf gives 0, inf 1, NaN NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from fastloss_kernels import sigmoid
    >>> x = np.array([[-1.0, 0.0, 1.0]], np.float32).reshape(1, 3, 1)
    >>> sigmoid(x, x, 1)
    >>> x.ravel()
    array([0.26894143, 0.5       , 0.7310586 ], dtype=float32)
    """
    run_map(packed, threads, x, out)


@kernel(log_rows, log_packed, log_packed)
def log_sigmoid(x: Array, out: Array, threads: int) -> None:
    """Logarithm of the logistic function of every element.

    Parameters
    ----------
    x : (outer, classes, inner) float32 or float64, int16 or uint16 (see `half`)
        Any numbers. Any strides; may be read-only. The axes mean nothing.
    out : (outer, classes, inner), x's or the working dtype: float64 for a float64 x, else float32
        Receives log(sigmoid(x)). It is x itself, or shares no memory with it.
    threads : int
        How many threads share the rows; 1 is a plain loop. No result depends on it.

    Notes
    -----
    Error: at most 4 ulp. -inf gives -inf, inf 0, NaN NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from fastloss_kernels import log_sigmoid
    >>> x = np.array([[-1.0, 0.0, 1.0]], np.float32).reshape(1, 3, 1)
    >>> log_sigmoid(x, x, 1)
    >>> x.ravel()
    array([-1.3132617, -0.6931472, -0.3132617], dtype=float32)
    """
    run_map(log_packed, threads, x, out)
