"""Binary crossentropy, from probabilities and from logits, averaged over the classes of a row.

With v = w t, where w is the weight of the positive class (1 unless given), and u = 1 - t:

From probabilities, with p = clip(x, eps, 1 - eps), q = 1 - p, and m = 1 where x is inside the
closed bounds, else 0,

    term = -v log p - u log(1 - p)            slope = m (u p - v q) / (p q)

From logits, with l = u + v,

    term = u x + l softplus(-x)               slope = u - l sigmoid(-x)

Both signs of a logit use ``e = e^-|x|``, which never overflows: softplus(-|x|) = log1p(e). With
(k, o) = (u, -v) for x >= 0 and (-v, u) below, term = k x + l log1p(e) and slope = (k + o e) / (1 +
e): nothing cancels where t is 0 or 1, and elsewhere no more than u sigmoid(x) and v sigmoid(-x) do,
whose difference the slope is. k x is omitted where k = 0, so an infinite logit of the right sign
adds 0.
"""

from typing import Any

from fastloss_kernels.compiler.jit import block
from fastloss_kernels.elementary.exp import exp_nonpositive
from fastloss_kernels.elementary.log import log1p_01, log_double_word, log_normal
from fastloss_kernels.loops.elementwise import elementwise
from fastloss_kernels.loops.kernel import kernel, run_part
from fastloss_kernels.simd.scalar import fma
from fastloss_kernels.typing import Array, Scalar


@block
def _probability(
    x: Scalar, t: Scalar, targets: Any, scaled: Any, plain: bool, low: Scalar, high: Scalar
) -> Any:
    (v, u), (v_scaled, u_scaled) = targets, scaled
    one, none = low / low, low - low
    half = one / (one + one)
    p = low if x < low else high if x > high else x
    rest = one - p
    term = fma(-v, log_normal(p), -u * log_double_word(rest, (one - rest) - p))
    # u p - v (1 - p) is p - t for plain targets: exact where the two nearly cancel. For others it
    # is (u + v) p - v where 1 - p is rounded, so that what it lost does not count.
    below = p < half
    difference = fma(
        u_scaled + v_scaled if below else u_scaled, p, -v_scaled if below else -v_scaled * rest
    )
    difference = p - t if plain else difference
    slope = difference / fma(-p, p, p)  # p (1 - p) rounded once: fma keeps p p whole
    return term, (none if x < low or x > high else slope)


@block
def _probability_bounds(options: Any) -> tuple[float, float]:
    return options[2], 1.0 - options[2]


@block
def _logit(
    x: Scalar, t: Scalar, targets: Any, scaled: Any, plain: bool, low: Scalar, one: Scalar
) -> Any:
    (v, u), (v_scaled, u_scaled) = targets, scaled
    e = exp_nonpositive(-abs(x))
    right = x >= 0
    k = u if right else -v
    linear = k * x if k != 0 else low
    softplus = log1p_01(e)
    term = softplus + linear if plain else fma(u + v, softplus, linear)  # plain: u + v is 1
    k, other = (u_scaled, -v_scaled) if right else (-v_scaled, u_scaled)
    n = fma(other, e, k)
    # n / (1 + e) as n - n (e / (1 + e)) where e is small: there the quotient's two roundings count
    # for little.
    small = e + e < one
    quotient = (e if small else n) / (one + e)
    return term, fma(-n, quotient, n) if small else quotient


@block
def _logit_bounds(options: Any) -> tuple[float, float]:
    return 0.0, 1.0


rows, packed, columns = elementwise(
    __name__, _probability, _probability_bounds, weighted=True, mean=True
)
logit_rows, logit_packed, logit_columns = elementwise(
    __name__, _logit, _logit_bounds, weighted=True, mean=True, prefix="logit_"
)


@kernel(rows, packed, columns)
def binary_crossentropy(
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
    """Binary crossentropy of probabilities, averaged over the classes of a row.

    Row i of the n = outer * inner rows is ``x[i // inner, :, i % inner]``; the formulas stand at
    the top of this module.

    Parameters
    ----------
    x : (outer, classes, inner) float32 or float64, int16 or uint16 (see `half`)
        Probabilities. Any strides; may be read-only.
    targets : (outer, classes, inner), loss's dtype
        Targets t, usually 0 to 1. Any strides, 0 included.
    pos_weight : (0,) or (classes,), loss's dtype; (period,) for rows of one class
        Weights w of the positive class; none if empty. Over rows of one class they repeat.
    smoothing : float
        The targets become ``t (1 - s) + s / 2``.
    eps : float
        Probabilities are clipped to [eps, 1 - eps], rounded to the dtype; a normal number there.
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
    Error of a term: at most 4 ulp where 0 <= t <= 1. Outside the bounds the loss is that of the
    bound and the gradient 0; NaN gives NaN; no class at all gives NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from fastloss_kernels import binary_crossentropy
    >>> x = np.array([[0.75, 0.25]], np.float32).reshape(1, 2, 1)
    >>> loss, grad = np.empty(1, np.float32), np.empty_like(x)
    >>> one, all_rows = np.ones(1), np.ones(1, bool)
    >>> t, none = np.array([[[1.0], [0.0]]], np.float32), np.empty(0, np.float32)
    >>> binary_crossentropy(x, t, none, 0.0, 1e-7, one, all_rows, loss, grad, 1)
    >>> loss
    array([0.28768206], dtype=float32)
    >>> grad.ravel()
    array([-0.6666667,  0.6666667], dtype=float32)
    """
    options = (pos_weight, smoothing, eps)
    run_part(None, columns, threads, (x, targets, options, scale, keep, loss, grad))


@kernel(logit_rows, logit_packed, logit_columns)
def binary_crossentropy_logits(
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
    """Binary crossentropy of logits, averaged over the classes of a row.

    Row i of the n = outer * inner rows is ``x[i // inner, :, i % inner]``; the formulas stand at
    the top of this module.

    Parameters
    ----------
    x : (outer, classes, inner) float32 or float64, int16 or uint16 (see `half`)
        Logits. Any strides; may be read-only.
    targets : (outer, classes, inner), loss's dtype
        Targets t, usually 0 to 1. Any strides, 0 included.
    pos_weight : (0,) or (classes,), loss's dtype; (period,) for rows of one class
        Weights w of the positive class; none if empty. Over rows of one class they repeat.
    smoothing : float
        The targets become ``t (1 - s) + s / 2``.
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
    Error of a term: at most 4 ulp where 0 <= t <= 1. An infinite logit on the right side of t = 0
    or 1 adds 0, any other infinite logit inf; NaN gives NaN; no class at all gives NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from fastloss_kernels import binary_crossentropy_logits
    >>> x = np.array([[2.0, -1.0]], np.float32).reshape(1, 2, 1)
    >>> loss, grad = np.empty(1, np.float32), np.empty_like(x)
    >>> one, all_rows = np.ones(1), np.ones(1, bool)
    >>> t, none = np.array([[[1.0], [0.0]]], np.float32), np.empty(0, np.float32)
    >>> binary_crossentropy_logits(x, t, none, 0.0, one, all_rows, loss, grad, 1)
    >>> loss.round(5)
    array([0.22009], dtype=float32)
    >>> grad.ravel()
    array([-0.05960146,  0.13447072], dtype=float32)
    """
    options = (pos_weight, smoothing)
    run_part(None, logit_columns, threads, (x, targets, options, scale, keep, loss, grad))
