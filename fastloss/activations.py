"""Softmax, logistic function and their logarithms: what the losses from logits compute on the way.

For NumPy arrays of any layout; in place with ``out=x``. Values have the same bits in every layout,
in place or not, and for any number of threads.
"""

from __future__ import annotations

from collections.abc import Sequence

import fastloss_kernels as kernels
from numpy.typing import ArrayLike

from fastloss.activate import of_elements, of_rows, row_values
from fastloss.typing import DTypeName, FloatArray


def softmax(
    x: ArrayLike,
    axis: int | Sequence[int] | None = -1,
    *,
    out: FloatArray | None = None,
    dtype: DTypeName | None = None,
) -> FloatArray:
    """Return e^x / sum(e^x), the sum over `axis`.

    Parameters
    ----------
    x : array_like
        Logits, of any shape but ().
    axis : int, sequence of int or None
        The axes that sum to 1; None: all axes.
    out : array of x's shape, optional
        Receives the result, and is returned. x itself, or an array that shares no memory with it;
        of x's dtype or that of the result.
    dtype : "float16", "bfloat16", "float32", "float64", optional
        Of the result. By default float64 for a float64 array, else float32.

    Returns
    -------
    array of x's shape
        Numbers in [0, 1].

    Raises
    ------
    ValueError
        For an axis that x does not have, a dtype that is not listed, or an `out` that does not fit.
    TypeError
        For anything but real numbers, for masked arrays, and if `out` is not an array.

    Notes
    -----
    Error: at most 4 ulp. Half precision is computed in float32 and rounded once. A logit -inf gives
    0. NaN, +inf or -inf only along `axis` give NaN, as in SciPy. Source: `scipy.special.softmax`.

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.softmax([[0, 0], [1, -1]]).round(4)
    array([[0.5   , 0.5   ],
           [0.8808, 0.1192]], dtype=float32)
    """
    return of_rows(kernels.softmax, x, axis, out, dtype)


def log_softmax(
    x: ArrayLike,
    axis: int | Sequence[int] | None = -1,
    *,
    out: FloatArray | None = None,
    dtype: DTypeName | None = None,
) -> FloatArray:
    """Return x - log(sum(e^x)), the sum over `axis`.

    Parameters
    ----------
    x, axis, out, dtype
        As in `softmax`.

    Returns
    -------
    array of x's shape
        Numbers <= 0.

    Raises
    ------
    ValueError, TypeError
        As in `softmax`.

    Notes
    -----
    Error: at most 4 ulp, also where a probability is nearly 1 and its logarithm nearly 0. Half
    precision is computed in float32 and rounded once. A logit -inf gives -inf. Beside +inf others
    give -inf, and +inf itself NaN; NaN and -inf only give NaN, as in SciPy. Source:
    `scipy.special.log_softmax`.

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.log_softmax([20.0, 0.0])
    array([-2.0611537e-09, -2.0000000e+01], dtype=float32)
    """
    return of_rows(kernels.log_softmax, x, axis, out, dtype)


def logsumexp(
    x: ArrayLike,
    axis: int | Sequence[int] | None = -1,
    *,
    out: FloatArray | None = None,
    dtype: DTypeName | None = None,
) -> FloatArray:
    """Return log(sum(e^x)), the sum over `axis`.

    Parameters
    ----------
    x, axis, dtype
        As in `softmax`.
    out : array of x's shape without `axis`, optional
        Receives the result, and is returned. It shares no memory with x, and is of x's dtype or
        that of the result.

    Returns
    -------
    array of x's shape without `axis`, or scalar

    Raises
    ------
    ValueError, TypeError
        As in `softmax`.

    Notes
    -----
    Error: at most 4 ulp of the result or of the largest logit, whichever is more. Half precision is
    computed in float32 and rounded once. -inf only, and no element at all, give -inf, +inf gives
    inf, NaN gives NaN, as in SciPy. Source: `scipy.special.logsumexp`.

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.logsumexp([[1000.0, 1000.0], [0.0, 0.0]])
    array([1.0006932e+03, 6.9314718e-01], dtype=float32)
    """
    return row_values(kernels.log_softmax, x, axis, out, dtype)


def sigmoid(
    x: ArrayLike, *, out: FloatArray | None = None, dtype: DTypeName | None = None
) -> FloatArray:
    """Return the logistic function 1 / (1 + e^-x) of each element.

    Parameters
    ----------
    x : array_like
        Numbers, of any shape.
    out, dtype
        As in `softmax`.

    Returns
    -------
    array of x's shape, or scalar
        Numbers in [0, 1].

    Raises
    ------
    ValueError, TypeError
        As in `softmax`.

    Notes
    -----
    Error: at most 4 ulp. Half precision is computed in float32 and rounded once. -inf gives 0, +inf
    1, NaN NaN. Source: `scipy.special.expit`.

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.sigmoid([-1.0, 0.0, 1.0]).round(4)
    array([0.2689, 0.5   , 0.7311], dtype=float32)
    """
    return of_elements(kernels.sigmoid, x, out, dtype)


def log_sigmoid(
    x: ArrayLike, *, out: FloatArray | None = None, dtype: DTypeName | None = None
) -> FloatArray:
    """Return log(1 / (1 + e^-x)) of each element.

    Parameters
    ----------
    x : array_like
        Numbers, of any shape.
    out, dtype
        As in `softmax`.

    Returns
    -------
    array of x's shape, or scalar
        Numbers <= 0.

    Raises
    ------
    ValueError, TypeError
        As in `softmax`.

    Notes
    -----
    Error: at most 4 ulp. Half precision is computed in float32 and rounded once. -inf gives -inf,
    +inf 0, NaN NaN. Source: `scipy.special.log_expit`.

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.log_sigmoid([-1000.0, 0.0, 20.0])
    array([-1.0000000e+03, -6.9314718e-01, -2.0611537e-09], dtype=float32)
    """
    return of_elements(kernels.log_sigmoid, x, out, dtype)
