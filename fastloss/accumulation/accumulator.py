"""The loss of many batches, as of one call: `Accumulator`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastloss.accumulation.partial_loss import PartialLoss, partial_loss
from fastloss.arguments.arrays import scalar
from fastloss.identifiers import get
from fastloss.linear_layer.loss import LinearCrossentropy
from fastloss.loss_base import Loss

_KEYS = ("class_name", "config", "sum", "count", "weight_sum", "losses_of")


class Accumulator:
    """The loss of everything seen, as if all batches had been one.

    Batches may differ in size, and have weights or masks or none. Of batches b, the result is

    - "sum": sum_b sum( w loss ),
    - "sum_over_batch_size" (or "mean", "auto"): that, divided by `count`,
    - "mean_with_sample_weight": that, divided by `weight_sum`,

    and 0.0 where the divisor is 0. The methods are those of Keras' metrics. An accumulator can be
    copied and pickled, to be merged with those of other processes.

    Parameters
    ----------
    loss : Loss
        An instance of one of the five loss classes, with any reduction but None. Its `dtype`, if it
        has one, is that of the result.

    Raises
    ------
    ValueError
        For a loss that does not reduce.
    TypeError
        For anything but a loss.

    Notes
    -----
    The value of a single batch has the bits of a call, but for weights beyond the limits below.
    Sums of batches are added exactly and rounded once: neither the order of batches nor that of
    merging changes a bit. The value differs from that of one call by what its float64 sums lose
    within a batch, usually 1 ulp at most. An infinite loss makes the result infinite; NaN, or
    infinities of both signs, make it NaN for good.

    Each row of predictions is a loss, in every batch: predictions of rank 1 without weights are a
    single row. ``axis=()`` makes each element a loss, and so do weights or masks of elements, which
    all batches have or none.

    The weighted mean of a call rescales weights near 1e308 and 1e-308, an accumulator does not:
    w loss, summed over a batch, must be within float64's range, and is exact from 1e-308 up.

    An accumulator is not locked: use one for each thread, and merge them.

    Examples
    --------
    >>> import fastloss as fl
    >>> seen = fl.Accumulator(fl.Poisson())
    >>> seen.update_state([[2.0, 0.0], [1.0, 1.0]], [[1.0, 1.0], [1.0, 2.0]])
    >>> seen.update_state([[3.0, 1.0]], [[2.0, 2.0]], sample_weight=[0.5])
    >>> print(f"{seen.result():.4f}", seen.count, seen.weight_sum)
    0.8201 3 2.5

    Merged with the accumulators of other processes, which came as JSON:

    >>> import json
    >>> text = json.dumps(seen.to_dict())
    >>> total = fl.Accumulator(fl.Poisson())
    >>> total.merge_state([seen, fl.Accumulator.from_dict(json.loads(text))])
    >>> total.count, bool(total.result() == seen.result())
    (6, True)
    """

    def __init__(self, loss: Loss) -> None:
        given: object = loss
        if not isinstance(given, Loss):
            hint = ""
            if isinstance(given, LinearCrossentropy):
                hint = (
                    ": pass SparseCategoricalCrossentropy(from_logits=True), and the logits inputs"
                    " @ kernel + bias of each batch"
                )
            raise TypeError(
                "loss must be an instance of a loss class that takes y_true and y_pred, as"
                f" fl.Poisson() (functions do not reduce); got {loss!r}{hint}"
            )
        if loss.reduction in (None, "none"):
            raise ValueError(
                'loss must have the reduction "sum", "sum_over_batch_size" or'
                f' "mean_with_sample_weight": got {loss.reduction!r}, which keeps all losses'
            )
        self._loss = loss
        self._seen = PartialLoss()

    @property
    def loss(self) -> Loss:
        """The loss that is accumulated."""
        return self._loss

    @property
    def count(self) -> int:
        """The number of losses seen that are neither masked nor ignored; weight 0 counts."""
        return self._seen.count

    @property
    def weight_sum(self) -> float:
        """The sum of their weights: sample weights times class weights of labels, 1 without."""
        return float(self._seen.weight_sum)

    def update_state(
        self,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        sample_weight: ArrayLike | None = None,
        mask: ArrayLike | None = None,
    ) -> None:
        """Add a batch. The arguments, and errors for them, are those of a call of the loss.

        After an error the state is what it was.
        """
        loss = self._loss
        self._seen += partial_loss(
            loss._spec, y_true, y_pred, sample_weight, mask, dtype=loss._output_dtype
        )

    def result(self) -> float:
        """Return the loss of everything seen, 0.0 of nothing: a float64, or of the loss's dtype."""
        value = self._seen.result(self._loss.reduction)
        dtype = self._loss._output_dtype
        number: float = np.float64(value) if dtype is None else scalar(value, dtype)
        return number

    def reset_state(self) -> None:
        """Forget everything seen."""
        self._seen = PartialLoss()

    def merge_state(self, others: Iterable[Accumulator]) -> None:
        """Add what other accumulators have seen, which stay as they are.

        Parameters
        ----------
        others : iterable of Accumulator
            Their losses have the configuration of this one; names may differ.

        Raises
        ------
        TypeError
            For anything but accumulators.
        ValueError
            For one of another loss. The state is then what it was.
        """
        if isinstance(others, Accumulator):
            raise TypeError("others must be an iterable of accumulators, got one: pass a list")
        seen = self._seen
        for other in others:
            if not isinstance(other, Accumulator):
                raise TypeError(f"others must hold accumulators, got {other!r}")
            if _identity(other._loss) != _identity(self._loss):
                raise ValueError(
                    f"others must hold accumulators of {self._loss!r}, got one of {other._loss!r}"
                )
            seen += other._seen
        self._seen = seen

    def to_dict(self) -> dict[str, Any]:
        """Return the loss and the state as values that JSON can write, for `from_dict`.

        Each sum is a list of numbers, whose exact sum it is; infinities and NaN, which JSON lacks,
        are the strings "Infinity", "-Infinity" and "NaN".
        """
        return {
            "class_name": type(self._loss).__name__,
            "config": self._loss.get_config(),
            **self._seen.to_dict(),
        }

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Accumulator:
        """Return the accumulator that `to_dict` described, bit for bit.

        Raises
        ------
        ValueError, TypeError
            For anything that `to_dict` does not return.
        """
        given: object = state
        if not isinstance(given, dict) or set(given) != set(_KEYS):
            wanted = ", ".join(_KEYS)
            raise ValueError(f"state must be a dict with the keys {wanted}; got {state!r}")
        loss: Any = get({"class_name": state["class_name"], "config": state["config"]})
        accumulator = cls(loss)
        accumulator._seen = PartialLoss.from_dict(state)
        return accumulator

    def __repr__(self) -> str:
        return f"Accumulator({self._loss!r}): {self.result()} of {self.count} losses"


def _identity(loss: Loss) -> tuple[type[Loss], dict[str, Any]]:
    """Return what two losses have in common whose values are the same: all but the name."""
    return type(loss), {**loss.get_config(), "name": None}
