"""What XGBoost and LightGBM make of margins: their own metric, and their first trees.

Margins are given as `base_margin` and `init_score`. A first tree splits the rows by a feature that
tells them apart; its leaves show the gradient that the library computed.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np


def xgboost() -> dict[str, Any]:
    """Objectives multi:softprob and binary:logistic."""
    xgb: Any = import_module("xgboost")

    def trained(options: dict[str, Any], t: Any, x: Any, w: Any = None) -> tuple[Any, Any, Any]:
        feature = np.arange(len(t), dtype=np.float32)[:, np.newaxis]
        data = xgb.DMatrix(feature, t, weight=w, base_margin=x)
        options = {"verbosity": 1, "nthread": 1, "min_child_weight": 0, **options}
        history: dict[str, Any] = {}
        booster = xgb.train(
            options, data, 1, evals=[(data, "data")], evals_result=history, verbose_eval=False
        )
        return booster, data, history["data"]

    def sparse(t: Any, x: Any, w: Any = None) -> Any:
        options = {"objective": "multi:softprob", "num_class": x.shape[1], "eta": 0}
        return trained(options, t, x, w)[2]["mlogloss"][0]

    def leaves(t: Any, x: Any) -> Any:
        options = {"objective": "multi:softprob", "num_class": x.shape[1]}
        booster, data, _ = trained(options, t, x)
        return np.abs(booster.predict(data, output_margin=True) - x).sum()

    def binary(t: Any, x: Any) -> Any:
        return trained({"objective": "binary:logistic", "eta": 0}, t, x)[2]["logloss"][0]

    return {
        "sparse": sparse,
        "sparse_weights": sparse,
        "slopes": lambda t, x: leaves(t, x) / leaves(t, x + 200),
        "binary": binary,
    }


def lightgbm() -> dict[str, Any]:
    """Objectives multiclass and binary."""
    lgb: Any = import_module("lightgbm")

    def trained(options: dict[str, Any], t: Any, x: Any, w: Any = None) -> tuple[Any, Any, Any]:
        feature = np.arange(len(t), dtype=np.float64)[:, np.newaxis]
        options = {
            "verbosity": -1, "num_threads": 1, "min_data_in_leaf": 1, "min_data_in_bin": 1,
            "min_sum_hessian_in_leaf": 0, **options,
        }  # fmt: skip
        data = lgb.Dataset(feature, t, weight=w, init_score=np.asarray(x, np.float64))
        history: dict[str, Any] = {}
        booster = lgb.train(
            options, data, 1, valid_sets=[data], valid_names=["data"],
            callbacks=[lgb.record_evaluation(history)],
        )  # fmt: skip
        return booster, feature, history["data"]

    def sparse(t: Any, x: Any, w: Any = None) -> Any:
        options = {"objective": "multiclass", "num_class": x.shape[1], "learning_rate": 1e-30}
        return trained(options, t, x, w)[2]["multi_logloss"][0]

    def leaves(t: Any, x: Any) -> Any:
        options = {"objective": "multiclass", "num_class": x.shape[1]}
        booster, feature, _ = trained(options, t, x)
        return np.abs(booster.predict(feature, raw_score=True)).sum()

    def binary(t: Any, x: Any) -> Any:
        options = {"objective": "binary", "learning_rate": 1e-30}
        return trained(options, t, x)[2]["binary_logloss"][0]

    return {
        "sparse": sparse,
        "sparse_weights": sparse,
        "slopes": lambda t, x: leaves(t, x) / leaves(t, x + 200),
        "binary": binary,
    }
