"""The names of the losses, and `get`, which is Keras': the loss that an identifier stands for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastloss import functional
from fastloss.loss_base import Loss
from fastloss.losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    KLDivergence,
    Poisson,
    SparseCategoricalCrossentropy,
)
from fastloss.typing import FloatArray

FUNCTIONS: dict[str, Callable[..., FloatArray]] = {
    "binary_crossentropy": functional.binary_crossentropy,
    "bce": functional.binary_crossentropy,
    "BCE": functional.binary_crossentropy,
    "categorical_crossentropy": functional.categorical_crossentropy,
    "sparse_categorical_crossentropy": functional.sparse_categorical_crossentropy,
    "poisson": functional.poisson,
    "kl_divergence": functional.kl_divergence,
    "kld": functional.kl_divergence,
    "KLD": functional.kl_divergence,
}
CLASSES: dict[str, type[Loss[Any]]] = {
    cls.__name__: cls
    for cls in (
        BinaryCrossentropy,
        CategoricalCrossentropy,
        SparseCategoricalCrossentropy,
        Poisson,
        KLDivergence,
    )
}


def get(identifier: Any) -> Loss[Any] | Callable[..., FloatArray] | None:
    """Return the loss an identifier stands for.

    Parameters
    ----------
    identifier : None, str, dict, class, Loss or function
        The name of a function (or bce, BCE, kld, KLD) gives that function. A class or its name
        gives an instance with default options. {"class_name": ..., "config": ...} gives an
        instance with that configuration; the further keys that Keras writes are ignored. None,
        losses and the functions are returned unchanged.

    Returns
    -------
    Loss, function or None
        A callable of (y_true, y_pred), or None.

    Raises
    ------
    ValueError
        For anything else, `LinearCrossentropy` too: its calls take inputs and a kernel in place of
        y_pred.

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.get("kld").__name__
    'kl_divergence'
    >>> fl.get({"class_name": "Poisson", "config": {"reduction": "sum"}})
    Poisson(reduction='sum')
    """
    if identifier is None or isinstance(identifier, Loss):
        return identifier
    if isinstance(identifier, str):
        if identifier in FUNCTIONS:
            return FUNCTIONS[identifier]
        if identifier in CLASSES:
            return CLASSES[identifier]()
    elif isinstance(identifier, dict):
        cls = CLASSES.get(str(identifier.get("class_name")))
        config = identifier.get("config", {})
        if cls is not None and isinstance(config, dict):
            return cls.from_config(config)
    elif isinstance(identifier, type) and issubclass(identifier, Loss) and identifier is not Loss:
        return identifier()
    elif any(identifier is function for function in FUNCTIONS.values()):
        function: Callable[..., FloatArray] = identifier
        return function
    hint = ""
    if "linearcrossentropy" in repr(identifier).replace("_", "").lower():  # also in a dict
        hint = ": call LinearCrossentropy itself, which takes inputs and kernel in place of y_pred"
    raise ValueError(
        f"identifier must be None, a loss, or the name, class or config of one of"
        f" {', '.join(CLASSES)}; got {identifier!r}{hint}"
    )
