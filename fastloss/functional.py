"""The five losses as functions.

A function takes targets, predictions and its options, and returns the unreduced losses, one per
row. `value_and_grad` of it and the class of the same name also take `sample_weight`, `mask`,
`reduction` and `dtype`, and give the gradient.

An array_like is a NumPy array, a number, a list, or what another package makes an array of: a frame
or series of pandas or polars, a table or array of Arrow, an array of xarray, a tensor of torch in
the CPU's memory, anything with `__array__` or `__dlpack__`. Missing values are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from numpy.typing import ArrayLike

from fastloss import loss_specs
from fastloss.evaluate import evaluate
from fastloss.keywords import explains_keywords
from fastloss.loss_specs import LossSpec
from fastloss.typing import FloatArray


@explains_keywords
def binary_crossentropy(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int | Sequence[int] | None = -1,
    *,
    pos_weight: ArrayLike | None = None,
) -> FloatArray:
    """Return the binary crossentropy, averaged over `axis`.

    mean( -w t log p - (1 - t) log(1 - p) ), with t = y_true (1 - s) + s / 2, s the
    label_smoothing, w the pos_weight, and p = y_pred clipped to [1e-7, 1 - 1e-7], or the logistic
    function of y_pred, not clipped, if from_logits.

    Parameters
    ----------
    y_true : array_like
        Targets, usually 0 or 1, of y_pred's shape. Values outside [0, 1] are not refused: the
        formula is applied to them.
    y_pred : array_like
        Probabilities or logits, of any shape but ().
    from_logits : bool
        Whether y_pred holds logits.
    label_smoothing : float in [0, 1]
        Moves the targets towards 1/2.
    axis : int, sequence of int or None
        The axes to average over; None: all axes; (): no axis, every element is a loss.
    pos_weight : array_like, optional
        Weight of the positive term: a scalar, or an array that broadcasts to the averaged axes.

    Returns
    -------
    float32 or float64 array, or scalar
        y_pred's shape without `axis`; float64 for a float64 array y_pred, else float32.

    Raises
    ------
    ValueError
        For an option out of range, shapes that differ or an axis that y_pred does not have.
    TypeError
        For anything but real numbers, and for masked arrays.

    See Also
    --------
    BinaryCrossentropy : The same with weights, masks and a reduction.
    value_and_grad : The same with weights, masks, a reduction and the gradient.

    Notes
    -----
    A logit of +inf for target 1, or -inf for target 0, gives 0. NaN gives NaN. An average over no
    elements is NaN.

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.binary_crossentropy([[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]]).round(3)
    array([0.916, 0.714], dtype=float32)
    """
    spec = loss_specs.binary_crossentropy_spec(
        from_logits, label_smoothing, axis, pos_weight=pos_weight
    )
    losses: FloatArray = evaluate(spec, y_true, y_pred)[0]
    return losses


@explains_keywords
def categorical_crossentropy(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
    *,
    class_weight: ArrayLike | Mapping[int, float] | None = None,
) -> FloatArray:
    """Return the crossentropy of probability (or one-hot) targets, summed over `axis`.

    -sum( w t log p ), with t = y_true (1 - s) + s / C for C classes, s the label_smoothing, w the
    class_weight, and p = softmax(y_pred) if from_logits, else y_pred / sum(y_pred), clipped to
    [1e-7, 1 - 1e-7].

    Parameters
    ----------
    y_true : array_like
        Targets of y_pred's shape. They need not sum to 1, and are not checked: the formula is
        applied to negative ones too.
    y_pred : array_like
        Probabilities or logits, of any shape but ().
    from_logits : bool
        Whether y_pred holds logits.
    label_smoothing : float in [0, 1]
        Moves the targets towards 1 / C.
    axis : int
        The axis of the classes. With length 1 the loss is meaningless; Keras warns.
    class_weight : array_like of shape (C,) or mapping, optional
        The weight of each class. In a mapping {class: weight}, a class left out weighs 1.

    Returns
    -------
    float32 or float64 array, or scalar
        y_pred's shape without `axis`; float64 for a float64 array y_pred, else float32.

    Raises
    ------
    ValueError
        For an option out of range, shapes that differ or an axis that y_pred does not have.
    TypeError
        For anything but real numbers, and for masked arrays.

    See Also
    --------
    CategoricalCrossentropy : The same with weights, masks and a reduction.
    value_and_grad : The same with weights, masks, a reduction and the gradient.

    Notes
    -----
    A target of 0 on a logit of -inf adds 0. Rows with a logit of +inf, or only -inf, give NaN.

    Examples
    --------
    >>> import fastloss as fl
    >>> y_true = [[0, 1, 0], [0, 0, 1]]
    >>> y_pred = [[0.05, 0.95, 0], [0.1, 0.8, 0.1]]
    >>> fl.categorical_crossentropy(y_true, y_pred).round(4)
    array([0.0513, 2.3026], dtype=float32)
    """
    spec = loss_specs.categorical_crossentropy_spec(
        from_logits, label_smoothing, axis, class_weight=class_weight
    )
    losses: FloatArray = evaluate(spec, y_true, y_pred)[0]
    return losses


@explains_keywords
def sparse_categorical_crossentropy(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
    label_smoothing: float = 0.0,
    *,
    class_weight: ArrayLike | Mapping[int, float] | None = None,
) -> FloatArray:
    """Return the crossentropy of integer labels.

    -w log p at the label, with w the class_weight and p = softmax(y_pred) if from_logits, else
    y_pred / sum(y_pred), clipped to [1e-7, 1 - 1e-7]. With a label_smoothing s it is -sum( w t log
    p ) over the C classes, with t = 1 - s + s / C at the label and s / C elsewhere.

    Parameters
    ----------
    y_true : array_like
        Labels 0 ... C - 1, whole numbers of any integer, boolean or float type, of y_pred's shape
        without `axis`, or with length 1 there.
    y_pred : array_like
        Probabilities or logits, of any shape but ().
    from_logits : bool
        Whether y_pred holds logits.
    ignore_class : int, optional
        Rows with this label give 0 and no gradient, whatever they hold.
    axis : int
        The axis of the C classes.
    label_smoothing : float in [0, 1]
        Moves the targets towards 1 / C, without making an array of them.
    class_weight : array_like of shape (C,) or mapping, optional
        The weight of each class. In a mapping {class: weight}, a class left out weighs 1. Without
        smoothing it acts as a sample weight of class_weight[label]. Either way
        "mean_with_sample_weight" divides by the sum of these.

    Returns
    -------
    float32 or float64 array, or scalar
        y_pred's shape without `axis`; float64 for a float64 array y_pred, else float32.

    Raises
    ------
    ValueError
        For a label that is not a class (the message names the first), an option out of range,
        shapes that do not match or an axis that y_pred does not have.
    TypeError
        For anything but real numbers, and for masked arrays.

    See Also
    --------
    SparseCategoricalCrossentropy : The same with weights, masks and a reduction.
    value_and_grad : The same with weights, masks, a reduction and the gradient.

    Notes
    -----
    A logit of -inf whose target is not 0 gives inf. Rows with a logit of +inf, or only -inf, give
    NaN.

    Examples
    --------
    >>> import fastloss as fl
    >>> y_pred = [[0.05, 0.95, 0], [0.1, 0.8, 0.1]]
    >>> fl.sparse_categorical_crossentropy([1, 2], y_pred).round(4)
    array([0.0513, 2.3026], dtype=float32)
    """
    spec = loss_specs.sparse_categorical_crossentropy_spec(
        from_logits, ignore_class, axis, label_smoothing, class_weight=class_weight
    )
    losses: FloatArray = evaluate(spec, y_true, y_pred)[0]
    return losses


@explains_keywords
def poisson(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    axis: int | Sequence[int] | None = -1,
    log_input: bool = False,
) -> FloatArray:
    """Return the Poisson loss, averaged over `axis`.

    mean( y_pred - y_true log(y_pred + 1e-7) ), or mean( e^y_pred - y_true y_pred ) if log_input.

    Parameters
    ----------
    y_true : array_like
        Counts, of a shape that broadcasts to y_pred's. They are not checked: the formula is
        applied to negative and fractional ones too.
    y_pred : array_like
        Expected counts or their logarithms, of any shape but ().
    axis : int, sequence of int or None
        The axes to average over; None: all axes; (): no axis, every element is a loss.
    log_input : bool
        Whether y_pred holds logarithms of the expected counts.

    Returns
    -------
    float32 or float64 array, or scalar
        y_pred's shape without `axis`; float64 for a float64 array y_pred, else float32.

    Raises
    ------
    ValueError
        For an option out of range, shapes that do not match or an axis that y_pred does not have.
    TypeError
        For anything but real numbers, and for masked arrays.

    See Also
    --------
    Poisson : The same with weights, masks and a reduction.
    value_and_grad : The same with weights, masks, a reduction and the gradient.

    Notes
    -----
    An expected count below -1e-7 gives NaN, as its logarithm is undefined. A logarithm of -inf is
    the expected count 0. An average over no elements is NaN.

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.poisson([[0, 1], [3, 0]], [[0.5, 1.0], [2.5, 0.1]]).round(4)
    array([ 0.75  , -0.0744], dtype=float32)
    """
    spec = loss_specs.poisson_spec(axis=axis, log_input=log_input)
    losses: FloatArray = evaluate(spec, y_true, y_pred)[0]
    return losses


@explains_keywords
def kl_divergence(y_true: ArrayLike, y_pred: ArrayLike, *, axis: int = -1) -> FloatArray:
    """Return the Kullback-Leibler divergence, summed over `axis`.

    sum( t log(t / p) ), with t and p being y_true and y_pred clipped to [1e-7, 1].

    Parameters
    ----------
    y_true : array_like
        Probabilities, of a shape that broadcasts to y_pred's.
    y_pred : array_like
        Probabilities, of any shape but (). They are not normalised.
    axis : int
        The axis to sum over.

    Returns
    -------
    float32 or float64 array, or scalar
        y_pred's shape without `axis`; float64 for a float64 array y_pred, else float32.

    Raises
    ------
    ValueError
        For shapes that do not match or an axis that y_pred does not have.
    TypeError
        For anything but real numbers, and for masked arrays.

    See Also
    --------
    KLDivergence : The same with weights, masks and a reduction.
    value_and_grad : The same with weights, masks, a reduction and the gradient.

    Notes
    -----
    A target of 0 or less counts as 1e-7, one above 1 as 1. NaN gives NaN.

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.kl_divergence([[0.5, 0.5], [1.0, 0.0]], [[0.25, 0.75], [0.8, 0.2]]).round(4)
    array([0.1438, 0.2231], dtype=float32)
    """
    losses: FloatArray = evaluate(loss_specs.kl_divergence_spec(axis=axis), y_true, y_pred)[0]
    return losses


SPEC_FUNCTIONS: dict[Callable[..., FloatArray], Callable[..., LossSpec]] = {
    binary_crossentropy: loss_specs.binary_crossentropy_spec,
    categorical_crossentropy: loss_specs.categorical_crossentropy_spec,
    sparse_categorical_crossentropy: loss_specs.sparse_categorical_crossentropy_spec,
    poisson: loss_specs.poisson_spec,
    kl_divergence: loss_specs.kl_divergence_spec,
}
for _loss, _make_spec in SPEC_FUNCTIONS.items():
    _make_spec.__qualname__ = _loss.__qualname__  # in errors for wrong arguments
    SPEC_FUNCTIONS[_loss] = explains_keywords(_make_spec)
