"""Losses as objectives and metrics of LightGBM and XGBoost, neither of which is imported.

Of a booster's two interfaces the native one calls with (predictions, data), that of scikit-learn
with (y_true, y_pred) and the weights, if there are any. One callable serves both.
"""

from __future__ import annotations

from typing import NamedTuple

from fastloss.boosting.callables import (
    Hessian,
    LightGBMMetric,
    Objective,
    XGBoostMetric,
    objective,
)
from fastloss.boosting.margins import of_margins
from fastloss.loss_base import Loss

__all__ = ["LightGBMLoss", "XGBoostLoss", "lightgbm", "xgboost"]


class LightGBMLoss(NamedTuple):
    """What `lightgbm` returns."""

    objective: Objective
    metric: LightGBMMetric


class XGBoostLoss(NamedTuple):
    """What `xgboost` returns."""

    objective: Objective
    metric: XGBoostMetric


def lightgbm(loss: Loss, hessian: Hessian = "lightgbm") -> LightGBMLoss:
    """Return the objective and the metric of a loss for LightGBM.

    Parameters
    ----------
    loss : Loss
        BinaryCrossentropy(from_logits=True), SparseCategoricalCrossentropy(from_logits=True) or
        Poisson(log_input=True), with any further options. Its reduction is that of the metric, and
        must give a number. Each row, or for binary crossentropy and Poisson each prediction, has a
        loss of its own: `axis` is not used.
    hessian : {"lightgbm", "diagonal", "xgboost"}
        With h the second derivative of the loss with respect to a margin, weights included:

        - "diagonal": h
        - "lightgbm": what LightGBM's own objectives use: h, K / (K - 1) h for K classes, and
          e^0.7 h for Poisson (its `poisson_max_delta_step`)
        - "xgboost": what XGBoost's own objectives use: h, 2 h for classes, and e^0.7 h for Poisson
          (its `max_delta_step`); at least 1e-16

    Returns
    -------
    LightGBMLoss
        A named tuple of two callables, each for the native and the scikit-learn interface:

        - objective : returns (grad, hessian), float32 arrays of the margins' shape and order, of
          the sum of the losses, as boosters want it, whatever the reduction is
        - metric : returns (name, value, False): loss.name, and the value of the loss with the
          weights of the data. It takes margins, so it belongs to this or another own objective

    Raises
    ------
    TypeError
        If `loss` is none of these three.
    ValueError
        If the loss is one of probabilities or rates, if its reduction gives no number, or for
        another `hessian`. The callables raise ValueError where margins of several classes are
        missing, and as the loss does, for a label that is no class for instance.

    Notes
    -----
    Rows of weight 0 and ignored rows have gradient 0, and Hessian 0 or 1e-16 with "xgboost".
    LightGBM's `boost_from_average` is not for own objectives: the first margins are 0, or the
    `init_score` of the data. docs/how-to/boosting.md has more of what differs from built-in
    objectives.

    Examples
    --------
    >>> import fastloss as fl
    >>> from fastloss.boosting import lightgbm
    >>> objective, metric = lightgbm(fl.BinaryCrossentropy(from_logits=True))
    >>> grad, hessian = objective([0, 1], [0.0, 0.0])
    >>> print(grad, hessian)
    [ 0.5 -0.5] [0.25 0.25]
    >>> name, value, higher_is_better = metric([0, 1], [0.0, 0.0])
    >>> print(f"{name} {value:.4f} {higher_is_better}")
    binary_crossentropy 0.6931 False
    """
    return LightGBMLoss(objective(loss, hessian), LightGBMMetric(of_margins(loss)))


def xgboost(loss: Loss, hessian: Hessian = "xgboost") -> XGBoostLoss:
    """Return the objective and the metric of a loss for XGBoost.

    Parameters
    ----------
    loss, hessian
        As for `lightgbm`.

    Returns
    -------
    XGBoostLoss
        A named tuple of two callables, each for the native and the scikit-learn interface:

        - objective : as from `lightgbm`
        - metric : returns (name, value) to the native interface and the value to that of
          scikit-learn, which takes the name from `metric.__name__`: see `lightgbm`

    Raises
    ------
    TypeError, ValueError
        As from `lightgbm`, and for a loss.name that XGBoost misreads: with colons or spaces, or
        with the beginning of a metric that it maximises.

    Notes
    -----
    XGBoost estimates no `base_score` for own objectives: give it. A built-in objective in its
    parameters (`binary:logistic`, `multi:softprob`, `count:poisson`) tells what to make of margins
    in predictions, beside an own one. docs/how-to/boosting.md has more.

    Examples
    --------
    >>> import fastloss as fl
    >>> from fastloss.boosting import xgboost
    >>> loss = fl.SparseCategoricalCrossentropy(from_logits=True)
    >>> objective, metric = xgboost(loss)
    >>> grad, hessian = objective([1], [[0.0, 0.0]])
    >>> print(grad, hessian)
    [[ 0.5 -0.5]] [[0.5 0.5]]
    >>> print(f"{metric.__name__} {metric([1], [[0.0, 0.0]]):.4f}")
    sparse_categorical_crossentropy 0.6931
    """
    return XGBoostLoss(objective(loss, hessian), XGBoostMetric(of_margins(loss)))
