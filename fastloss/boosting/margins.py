"""Losses of what boosters predict, which are margins: log-odds, logits or log rates."""

from typing import Any, TypeAlias

from numpy.typing import ArrayLike

from fastloss.loss_base import Loss
from fastloss.losses import BinaryCrossentropy, Poisson, SparseCategoricalCrossentropy

Arguments: TypeAlias = tuple[ArrayLike, ArrayLike, ArrayLike | None]
"""y_true, y_pred and sample_weight."""

_OPTIONS: dict[type[Loss], str] = {
    BinaryCrossentropy: "from_logits",
    SparseCategoricalCrossentropy: "from_logits",
    Poisson: "log_input",
}
"""What makes predictions margins."""


def of_margins(loss: Loss, **changes: Any) -> Loss:
    """Return a loss with a term of its own for each label, and with the changed options.

    Raises TypeError or ValueError if `loss` takes no margins or has no number as its value.
    """
    kind = next((kind for kind in _OPTIONS if isinstance(loss, kind)), None)
    if kind is None:
        losses = ", ".join(f"{kind.__name__}({option}=True)" for kind, option in _OPTIONS.items())
        raise TypeError(f"loss must be one of {losses}; got {loss!r}")
    if not getattr(loss, _OPTIONS[kind]):
        raise ValueError(
            "loss must take margins, which is what boosters predict: pass"
            f" {_OPTIONS[kind]}=True to {kind.__name__}"
        )
    if loss.reduction in (None, "none"):
        raise ValueError(
            "loss must have a number as its value, for the metric: pass"
            f' reduction="mean_with_sample_weight" to {kind.__name__}, for instance'
        )
    # A vector of predictions would be one row, whose loss is a mean.
    axis = -1 if kind is SparseCategoricalCrossentropy else ()
    return type(loss).from_config({**loss.get_config(), "axis": axis, **changes})


def has_labels(data: object) -> bool:
    """Return whether `data` is a Dataset or DMatrix, from the native interface, and no array."""
    return hasattr(data, "get_label")


def loss_arguments(
    loss: Loss, first: Any, second: Any, sample_weight: ArrayLike | None
) -> Arguments:
    """Return the loss's arguments from those of a native or a scikit-learn interface.

    That is (predictions, data) or (y_true, y_pred, sample_weight).
    """
    arguments: Arguments = (first, second, sample_weight)
    if has_labels(second):
        weight = second.get_weight()
        if weight is not None and len(weight) == 0:  # XGBoost's word for no weights
            weight = None
        arguments = (second.get_label(), first, weight)
    shape = getattr(arguments[1], "shape", None)
    if isinstance(loss, SparseCategoricalCrossentropy) and shape is not None and len(shape) == 1:
        raise ValueError(
            f"{type(loss).__name__} needs margins of shape (rows, classes), got {shape}: set"
            " num_class among the booster's parameters, or use BinaryCrossentropy"
        )
    return arguments
