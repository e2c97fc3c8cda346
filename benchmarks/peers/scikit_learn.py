"""scikit-learn's private _loss: compiled loops with the gradient written out, on logits only."""

from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..cases import Case
from ..contest import Call, Contestant, Ways

Array = NDArray[Any]


def contestants() -> list[Contestant]:
    """Return scikit-learn."""
    sklearn: Any = import_module("sklearn._loss")

    def prepare(case: Case, y_true: Array, y_pred: Array, threads: int) -> dict[str, Ways]:
        # Its losses come one a row (or element), its gradient is that of their sum.
        if case.name == "sparse_logits":
            loss, x = sklearn.HalfMultinomialLoss(n_classes=y_pred.shape[1]), y_pred
        elif case.name == "binary_logits":
            loss, x = sklearn.HalfBinomialLoss(), y_pred.reshape(-1)
        else:  # its Poisson loss takes logarithms of rates: another function
            return {}
        t = y_true.reshape(-1).astype(y_pred.dtype)  # it wants labels as floats
        arguments = {"y_true": t, "raw_prediction": x, "n_threads": threads}
        losses, gradient = np.empty_like(t), np.empty_like(x)

        def numbers(result: Any) -> tuple[float, Array]:
            return result[0].mean(dtype=np.float64), result[1].reshape(y_pred.shape) / t.size

        def mean(result: Any) -> tuple[float, None]:
            return result.mean(dtype=np.float64), None

        return {
            "value": Ways(
                Call(lambda: loss.loss(**arguments), mean),
                Call(lambda: loss.loss(**arguments, loss_out=losses), mean),
            ),
            "value_and_grad": Ways(
                Call(lambda: loss.loss_gradient(**arguments), numbers),
                Call(
                    lambda: loss.loss_gradient(**arguments, loss_out=losses, gradient_out=gradient),
                    numbers,
                ),
            ),
        }

    return [
        Contestant(
            "scikit-learn",
            ("scikit-learn",),
            value="the losses of all rows, not their mean",
            gradient="of the sum, by hand, one pass with the value",
            threads="n_threads",
            has_out=True,
            prepare=prepare,
        )
    ]
