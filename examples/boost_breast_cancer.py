# %% [markdown]
"""Boost trees on the breast cancer data with LightGBM and a loss of fastloss.

`fl.boosting.lightgbm(loss)` makes an objective and a metric of a loss. With the plain binary
crossentropy the trees must be those of LightGBM's own objective. With an option that LightGBM's own
objective does not have, smoothed labels here, they are others.

    python examples/boost_breast_cancer.py
"""

# %%
from importlib.util import find_spec

import numpy as np

import fastloss as fl
import fastloss.boosting

try:
    import lightgbm as lgb
    from sklearn.datasets import load_breast_cancer
except ImportError as error:
    raise SystemExit(f"{error}; install: pip install lightgbm scikit-learn") from None

ROUNDS, TOLERANCE = 200, 1e-6
x, benign = load_breast_cancer(return_X_y=True)
test = np.arange(len(x)) % 3 == 0
OPTIONS = {"num_threads": 1, "verbosity": -1, "deterministic": True, "learning_rate": 0.05}
measure = fl.BinaryCrossentropy(from_logits=True)

# %% [markdown]
# LightGBM starts at the average for its own objectives alone, so that is turned off. Its own
# objective predicts probabilities unless it is asked for raw scores; ours predicts raw scores.


# %%
def boost(objective: object) -> tuple[np.ndarray, list[float]]:
    """Return the margins of the test rows, and their loss after each round."""
    options = {**OPTIONS, "objective": objective, "boost_from_average": False}
    booster = lgb.train(options, lgb.Dataset(x[~test], benign[~test]), ROUNDS)
    losses = []
    for rounds in range(1, ROUNDS + 1):
        margins = booster.predict(x[test], raw_score=True, num_iteration=rounds)
        losses.append(measure(benign[test], margins))
    return margins, losses


smoothed = fl.BinaryCrossentropy(from_logits=True, label_smoothing=0.05)
runs = {
    "LightGBM's own": boost("binary"),
    "fastloss": boost(fl.boosting.lightgbm(measure)[0]),
    "fastloss, labels smoothed": boost(fl.boosting.lightgbm(smoothed)[0]),
}
for name, (margins, losses) in runs.items():
    right = np.mean((margins > 0) == benign[test])
    print(f"{name:26s} loss {losses[-1]:.4f}, least {min(losses):.4f}   accuracy {right:.4f}")
own, ours, _ = (margins for margins, _ in runs.values())
worst = np.abs(own - ours).max()
print(f"largest difference of a margin between the first two {worst:.1e}")
assert worst < TOLERANCE, f"the margins differ from LightGBM's own by more than {TOLERANCE}"

# %% [markdown]
# The loss of the test rows. Smoothed labels keep margins small where the trees are sure.

# %%
if find_spec("matplotlib"):
    import matplotlib.pyplot as plt

    for (name, (_, losses)), line in zip(runs.items(), ("-", "--", "-"), strict=True):
        plt.plot(range(1, ROUNDS + 1), losses, line, label=name)
    plt.xlabel("rounds")
    plt.ylabel("loss of the test rows")
    plt.legend()
    plt.show()
