"""Odd numbers and shapes that have a documented value: infinities, NaN, clip bounds, empty batches."""

from math import exp, inf, log, log1p, nan
from typing import Any

import numpy as np

from corpus.cases import Odd

ODD: list[Odd] = []


def _odd(
    name: str, loss: str, y_true: Any, y_pred: Any, value: Any, grad: Any = None, **given: Any
) -> None:
    """Add a case in float32 and in float64; `value` and `grad` may be functions of the dtype."""
    for dtype in (np.float32, np.float64):
        x = np.asarray(y_pred, dtype)
        truth = y_true if loss == "scce" else np.asarray(y_true, dtype)
        expected = [part(dtype) if callable(part) else part for part in (value, grad)]
        given = {"reduction": None, **given}
        ODD.append(
            Odd(
                f"{loss}: {name}, {x.dtype}",
                loss,
                {"y_true": truth, "y_pred": x, **given},
                *expected,
            )
        )


# Softmax crossentropy from logits. sigma(1) stands for the softmax of two logits 1 apart.
SIGMA = 1 / (1 + exp(-1))
for loss, first, second in (("scce", [0], [1]), ("cce", [[1, 0, 0]], [[0, 1, 0]])):
    logits: dict[str, Any] = {"from_logits": True}
    for a in (1e4, -1e4, 1e30, 3e38, 1e-40, -0.0):
        _odd(
            f"all logits {a}",
            loss,
            first,
            [[a, a, a]],
            [log(3)],
            [[-2 / 3, 1 / 3, 1 / 3]],
            **logits,
        )
    for a in (1e3, 1e4, 1e30):
        _odd(f"confident by {a}", loss, first, [[a, 0, 0]], [0], [[0, 0, 0]], **logits)
        _odd(
            f"hopeless by {a}",
            loss,
            second,
            [[a, 0, -a]],
            lambda d, a=a: [d(a)],
            [[1, -1, 0]],
            **logits,
        )
    _odd("confident by 60", loss, first, [[60, 0, 0]], [2 * exp(-60)],
         [[-2 * exp(-60), exp(-60), exp(-60)]], **logits)  # fmt: skip
    _odd("-inf elsewhere", loss, first, [[1, -inf, 0]], [log1p(exp(-1))],
         [[SIGMA - 1, 0, 1 - SIGMA]], **logits)  # fmt: skip
    _odd("-inf everywhere else", loss, first, [[5, -inf, -inf]], [0], [[0, 0, 0]], **logits)
    _odd(
        "-inf at the label", loss, second, [[1, -inf, 0]], [inf], [[SIGMA, -1, 1 - SIGMA]], **logits
    )
    for spoilt in (
        [inf, 0, 0],
        [0, inf, 0],
        [inf, inf, 0],
        [nan, 0, 0],
        [0, 0, nan],
        [-inf] * 3,
        [inf, -inf, 0],
    ):
        _odd(f"logits {spoilt}", loss, first, [spoilt], [nan], [[nan] * 3], **logits)
        _odd(f"logits {spoilt} in one row", loss, [*first, *first], [spoilt, [0, 0, 0]],
             [nan, log(3)], [[nan] * 3, [-2 / 3, 1 / 3, 1 / 3]], **logits)  # fmt: skip
    one = [0] if loss == "scce" else [[1]]
    for a in (0, 7, -1e4, 3e38):
        _odd(f"one class, logit {a}", loss, one, [[a]], [0], [[0]], **logits)
_odd(
    "targets 0 on -inf, smoothed",
    "cce",
    [[1, 0, 0]],
    [[1, -inf, 0]],
    [inf],
    from_logits=True,
    label_smoothing=0.1,
)
_odd("targets 0", "cce", [[0, 0, 0]], [[1, 2, 3]], [0], [[0, 0, 0]], from_logits=True)
_odd("targets 2", "cce", [[2, 2, 2]], [[0, 0, 0]], [6 * log(3)], [[0, 0, 0]], from_logits=True)
_odd("NaN target", "cce", [[nan, 0, 0]], [[0, 0, 0]], [nan], from_logits=True)


# Crossentropy from probabilities: normalised, then clipped.
def bounds(dtype: Any) -> tuple[float, float]:
    low = dtype(1e-7)
    return float(low), float(dtype(1) - low)


for loss, first in (("scce", [0]), ("cce", [[1, 0, 0]])):
    _odd(
        "probability 0 at the label",
        loss,
        first,
        [[0, 0.5, 0.5]],
        lambda d: [-log(bounds(d)[0])],
        [[0, 0, 0]],
    )
    _odd(
        "probability 1 at the label",
        loss,
        first,
        [[1, 0, 0]],
        lambda d: [-log(bounds(d)[1])],
        [[0, 0, 0]],
    )
    for size in (1e-30, 1e-3, 1, 1e4, 1e30):
        _odd(f"a row of {size}", loss, first, [[size] * 3], [log(3)],
             lambda d, s=size: np.array([[-2, 1, 1]]) / (3 * d(s)))  # fmt: skip
    for spoilt in ([0, 0, 0], [nan, 0.5, 0.5], [inf, 0, 0]):
        _odd(f"a row of {spoilt}", loss, first, [spoilt], [nan])
    _odd("negative everywhere", loss, first, [[-1, -1, -2]], [log(4)])
    _odd(
        "one class",
        loss,
        [0] if loss == "scce" else [[1]],
        [[0.3]],
        lambda d: [-log(bounds(d)[1])],
        [[0]],
    )

# Binary crossentropy.
for a in (800, 1e4, 1e30, inf):
    for target, sign in ((1, 1), (0, -1)):
        _odd(
            f"logit {sign * a} for {target}",
            "bce",
            [[target]],
            [[sign * a]],
            [0],
            [[0]],
            from_logits=True,
        )
        _odd(f"logit {-sign * a} for {target}", "bce", [[target]], [[-sign * a]],
             lambda d, a=a: [d(a)], [[-sign]], from_logits=True)  # fmt: skip
_odd("logit 0", "bce", [[0, 1]], [[0, -0.0]], [log(2)], [[0.25, -0.25]], from_logits=True)
_odd("logit NaN", "bce", [[0, 1]], [[nan, 0]], [nan], [[nan, -0.25]], from_logits=True)
_odd("target NaN", "bce", [[nan, 1]], [[0, 0]], [nan], [[nan, -0.25]], from_logits=True)
_odd("target 1.3", "bce", [[1.3]], [[0.0]], [log(2)], [[-0.8]], from_logits=True)
_odd("target -0.5", "bce", [[-0.5]], [[0.0]], [log(2)], [[1.0]], from_logits=True)
_odd("logit 60 for 1", "bce", [[1]], [[60]], [exp(-60)], [[-exp(-60)]], from_logits=True)
for x in (0.0, -0.2, -inf):
    _odd(f"probability {x} for 1", "bce", [[1]], [[x]], lambda d: [-log(bounds(d)[0])], [[0]])
    _odd(f"probability {x} for 0", "bce", [[0]], [[x]], lambda d: [-log1p(-bounds(d)[0])], [[0]])
for x in (1.0, 1.5, inf):
    _odd(f"probability {x} for 0", "bce", [[0]], [[x]], lambda d: [-log1p(-bounds(d)[1])], [[0]])
    _odd(f"probability {x} for 1", "bce", [[1]], [[x]], lambda d: [-log(bounds(d)[1])], [[0]])
_odd("probability NaN", "bce", [[1, 1]], [[nan, 0.5]], [nan])

# Poisson and Kullback-Leibler divergence.
_odd("rate -1", "poisson", [[1]], [[-1]], [nan])
_odd("rate 0, count 0", "poisson", [[0]], [[0]], [0], [[1]])
_odd(
    "rate 0, count 3",
    "poisson",
    [[3]],
    [[0]],
    lambda d: [-3 * log(d(1e-7))],
    lambda d: [[1 - 3 / float(d(1e-7))]],
)
_odd("rate inf", "poisson", [[0]], [[inf]], [nan])
_odd("rate NaN", "poisson", [[1, 1]], [[nan, 1]], [nan])
_odd("rate 1e30", "poisson", [[0]], [[1e30]], lambda d: [d(1e30)], [[1]])
_odd("count NaN", "poisson", [[nan]], [[1]], [nan])
_odd("count -1", "poisson", [[-1]], [[1]], lambda d: [1 + log(1 + float(d(1e-7)))])
low = lambda d: float(d(1e-7))  # noqa: E731
_odd("equal", "kld", [[0.3, 0.7]], [[0.3, 0.7]], [0], [[-1, -1]])
_odd(
    "target 0",
    "kld",
    [[0.0]],
    [[0.5]],
    lambda d: [low(d) * log(low(d) / 0.5)],
    lambda d: [[-low(d) / 0.5]],
)
_odd("prediction 0", "kld", [[1.0]], [[0.0]], lambda d: [-log(low(d))], [[0]])
for x in (1.5, 1e30, inf):
    _odd(f"prediction {x}", "kld", [[0.5]], [[x]], [0.5 * log(0.5)], [[0]])
for x in (-0.5, -inf):
    _odd(f"prediction {x}", "kld", [[0.5]], [[x]], lambda d: [0.5 * log(0.5 / low(d))], [[0]])
_odd("prediction NaN", "kld", [[0.5, 0.5]], [[nan, 0.5]], [nan])
_odd("target NaN", "kld", [[nan, 0.5]], [[0.5, 0.5]], [nan])

# Nothing to average, and nothing to sum over.
for loss, empty in {"bce": nan, "cce": 0, "poisson": nan, "kld": 0}.items():
    for shape in [(0, 3), (0, 0)]:
        _odd(f"no rows {shape}", loss, np.ones(shape), np.ones(shape), np.zeros(0), np.zeros(shape))
        for reduction in ("sum", "mean", "mean_with_sample_weight"):
            _odd(f"no rows {shape}, {reduction}", loss, np.ones(shape), np.ones(shape), 0.0,
                 np.zeros(shape), reduction=reduction)  # fmt: skip
    _odd("rows of nothing", loss, np.ones((2, 0)), np.ones((2, 0)), [empty] * 2, np.ones((2, 0)))
for shape in [(0, 3), (0, 0), (4, 0, 3)]:
    for reduction in ("sum", "mean", "mean_with_sample_weight"):
        _odd(f"no rows {shape}, {reduction}", "scce", np.zeros(shape[:-1], int), np.ones(shape), 0.0,
             np.zeros(shape), reduction=reduction)  # fmt: skip
_odd(
    "no classes, ignored", "scce", [5, 5], np.ones((2, 0)), [0, 0], np.ones((2, 0)), ignore_class=5
)
