"""The five losses as classes: frozen configurations that are called like functions.

Names, keywords, defaults, `get_config` and `from_config` are those of Keras.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Never

from numpy.typing import ArrayLike

from fastloss import functional, loss_specs
from fastloss.docstrings import completes_docstring
from fastloss.keywords import class_explains_keywords
from fastloss.loss_base import Loss
from fastloss.loss_config import LossConfig, extension
from fastloss.loss_specs import LossSpec
from fastloss.typing import DTypeName, Reduction


@completes_docstring(functional.binary_crossentropy, Loss.__call__, LossConfig)
@class_explains_keywords(functional.binary_crossentropy)
@dataclass(frozen=True, repr=False)
class BinaryCrossentropy(Loss[Reduction]):
    """Binary crossentropy, with weights, masks and a reduction.

    As for `binary_crossentropy`. The other parameters are the arguments of a call.

    Parameters
    ----------
    from_logits, label_smoothing, axis, pos_weight
        As for `binary_crossentropy`.
    reduction, name, dtype
        As for `LossConfig`.

    Other Parameters
    ----------------
    y_true, y_pred
        As for `binary_crossentropy`.
    sample_weight, mask
        As for `Loss.__call__`.

    Raises
    ------
    ValueError
        For an option out of range.

    Examples
    --------
    >>> import fastloss as fl
    >>> bce = fl.BinaryCrossentropy(from_logits=True)
    >>> value = bce([0, 1, 0, 0], [-18.6, 0.51, 2.94, -12.8])
    >>> print(f"{value:.3f}")
    0.865
    """

    from_logits: bool = False
    label_smoothing: float = 0.0
    axis: int | Sequence[int] | None = -1
    reduction: Reduction = "sum_over_batch_size"  # type: ignore[assignment]
    name: str | None = "binary_crossentropy"
    dtype: DTypeName | None = extension(None)
    pos_weight: ArrayLike | None = extension(None)

    def _make_spec(self) -> LossSpec:
        return loss_specs.binary_crossentropy_spec(
            self.from_logits, self.label_smoothing, self.axis, pos_weight=self.pos_weight
        )


@completes_docstring(functional.categorical_crossentropy, Loss.__call__, LossConfig)
@class_explains_keywords(functional.categorical_crossentropy)
@dataclass(frozen=True, repr=False)
class CategoricalCrossentropy(Loss[Reduction]):
    """Crossentropy of probability targets, with weights, masks and a reduction.

    As for `categorical_crossentropy`. The other parameters are the arguments of a call.

    Parameters
    ----------
    from_logits, label_smoothing, axis, class_weight
        As for `categorical_crossentropy`.
    reduction, name, dtype
        As for `LossConfig`.

    Other Parameters
    ----------------
    y_true, y_pred
        As for `categorical_crossentropy`.
    sample_weight, mask
        As for `Loss.__call__`.

    Raises
    ------
    ValueError
        For an option out of range.

    Examples
    --------
    >>> import fastloss as fl
    >>> cce = fl.CategoricalCrossentropy()
    >>> value = cce([[0, 1, 0], [0, 0, 1]], [[0.05, 0.95, 0], [0.1, 0.8, 0.1]])
    >>> print(f"{value:.3f}")
    1.177
    """

    from_logits: bool = False
    label_smoothing: float = 0.0
    axis: int = -1
    reduction: Reduction = "sum_over_batch_size"  # type: ignore[assignment]
    name: str | None = "categorical_crossentropy"
    dtype: DTypeName | None = extension(None)
    class_weight: ArrayLike | Mapping[int, float] | None = extension(None)

    def _make_spec(self) -> LossSpec:
        return loss_specs.categorical_crossentropy_spec(
            self.from_logits, self.label_smoothing, self.axis, class_weight=self.class_weight
        )


@completes_docstring(functional.sparse_categorical_crossentropy, Loss.__call__, LossConfig)
@class_explains_keywords(functional.sparse_categorical_crossentropy)
@dataclass(frozen=True, init=False, repr=False)
class SparseCategoricalCrossentropy(Loss[Reduction]):
    """Crossentropy of integer labels, with weights, masks and a reduction.

    As for `sparse_categorical_crossentropy`. The other parameters are the arguments of a call.

    Versions of Keras differ in the order of the parameters, so only the first two are positional.
    Ignored rows do not count in a mean.

    Parameters
    ----------
    from_logits, ignore_class, axis, label_smoothing, class_weight
        As for `sparse_categorical_crossentropy`.
    reduction, name, dtype
        As for `LossConfig`.

    Other Parameters
    ----------------
    y_true, y_pred
        As for `sparse_categorical_crossentropy`.
    sample_weight, mask
        As for `Loss.__call__`.

    Raises
    ------
    ValueError
        For an option out of range.
    TypeError
        For more than two positional arguments.

    Examples
    --------
    >>> import fastloss as fl
    >>> scce = fl.SparseCategoricalCrossentropy(ignore_class=-1)
    >>> value = scce([1, -1, 2], [[0.05, 0.95, 0], [0.3, 0.3, 0.4], [0.1, 0.8, 0.1]])
    >>> print(f"{value:.3f}")
    1.177
    """

    from_logits: bool = False
    ignore_class: int | None = None
    reduction: Reduction = "sum_over_batch_size"  # type: ignore[assignment]
    axis: int = -1
    name: str | None = "sparse_categorical_crossentropy"
    label_smoothing: float = extension(0.0)
    dtype: DTypeName | None = extension(None)
    class_weight: ArrayLike | Mapping[int, float] | None = extension(None)

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        *legacy: Never,
        reduction: Reduction = "sum_over_batch_size",  # type: ignore[assignment]
        axis: int = -1,
        name: str | None = "sparse_categorical_crossentropy",
        label_smoothing: float = 0.0,
        dtype: DTypeName | None = None,
        class_weight: ArrayLike | Mapping[int, float] | None = None,
    ) -> None:
        if legacy:
            raise TypeError(
                "SparseCategoricalCrossentropy takes from_logits and ignore_class by position,"
                f" and reduction, axis and name by keyword; got {legacy} as well. The legacy order"
                " is (from_logits, reduction, name), that of Keras 3 (from_logits, ignore_class,"
                " reduction, axis or name)"
            )
        self._set(from_logits=from_logits, ignore_class=ignore_class, reduction=reduction)
        self._set(axis=axis, name=name, label_smoothing=label_smoothing)
        self._set(dtype=dtype, class_weight=class_weight)
        self.__post_init__()

    def _make_spec(self) -> LossSpec:
        return loss_specs.sparse_categorical_crossentropy_spec(
            self.from_logits,
            self.ignore_class,
            self.axis,
            self.label_smoothing,
            class_weight=self.class_weight,
        )


@completes_docstring(functional.poisson, Loss.__call__, LossConfig)
@class_explains_keywords(functional.poisson)
@dataclass(frozen=True, repr=False)
class Poisson(Loss[Reduction]):
    """Poisson loss, with weights, masks and a reduction.

    As for `poisson`. The other parameters are the arguments of a call.

    Parameters
    ----------
    axis, log_input
        As for `poisson`.
    reduction, name, dtype
        As for `LossConfig`.

    Other Parameters
    ----------------
    y_true, y_pred
        As for `poisson`.
    sample_weight, mask
        As for `Loss.__call__`.

    Raises
    ------
    ValueError
        For an option out of range.

    Examples
    --------
    >>> import fastloss as fl
    >>> value = fl.Poisson()([[0, 1], [3, 0]], [[0.5, 1.0], [2.5, 0.1]])
    >>> print(f"{value:.3f}")
    0.338
    """

    reduction: Reduction = "sum_over_batch_size"  # type: ignore[assignment]
    name: str | None = "poisson"
    axis: int | Sequence[int] | None = extension(-1)
    log_input: bool = extension(False)
    dtype: DTypeName | None = extension(None)

    def _make_spec(self) -> LossSpec:
        return loss_specs.poisson_spec(axis=self.axis, log_input=self.log_input)


@completes_docstring(functional.kl_divergence, Loss.__call__, LossConfig)
@class_explains_keywords(functional.kl_divergence)
@dataclass(frozen=True, repr=False)
class KLDivergence(Loss[Reduction]):
    """Kullback-Leibler divergence, with weights, masks and a reduction.

    As for `kl_divergence`. The other parameters are the arguments of a call.

    Parameters
    ----------
    axis
        As for `kl_divergence`.
    reduction, name, dtype
        As for `LossConfig`.

    Other Parameters
    ----------------
    y_true, y_pred
        As for `kl_divergence`.
    sample_weight, mask
        As for `Loss.__call__`.

    Raises
    ------
    ValueError
        For an option out of range.

    Examples
    --------
    >>> import fastloss as fl
    >>> value = fl.KLDivergence()([[0.5, 0.5], [1.0, 0.0]], [[0.25, 0.75], [0.8, 0.2]])
    >>> print(f"{value:.3f}")
    0.183
    """

    reduction: Reduction = "sum_over_batch_size"  # type: ignore[assignment]
    name: str | None = "kl_divergence"
    axis: int = extension(-1)
    dtype: DTypeName | None = extension(None)

    def _make_spec(self) -> LossSpec:
        return loss_specs.kl_divergence_spec(axis=self.axis)
