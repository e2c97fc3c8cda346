# %% [markdown]
"""Fit a logistic regression to the Wisconsin breast cancer data, and compare with scikit-learn.

569 biopsies, 30 measurements each, malignant or benign. SciPy's L-BFGS minimises the mean binary
crossentropy of the logits plus scikit-learn's default penalty; fastloss gives the loss and
d loss / d logits, written over the logits (`out=logits`).

    python examples/fit_breast_cancer.py
"""

# %%
from importlib.util import find_spec

import numpy as np

import fastloss as fl

try:
    from scipy.optimize import minimize
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression
except ImportError as error:
    raise SystemExit(f"{error}; install: pip install scipy scikit-learn") from None

TOLERANCE = 1e-5
x, benign = load_breast_cancer(return_X_y=True)
x = (x - x.mean(axis=0)) / x.std(axis=0)
print(f"{len(x)} biopsies, {x.shape[1]} measurements each")

# %% [markdown]
# The parameters are the coefficients and, last, the intercept. scikit-learn's `C=1` is half the sum
# of squared coefficients, against the sum of the losses; the intercept is free.

# %%
loss_and_grad = fl.value_and_grad(fl.binary_crossentropy)
inputs = np.column_stack([x, np.ones(len(x))])
decay = np.full(inputs.shape[1], 1 / len(x))
decay[-1] = 0


def objective(params: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the penalised loss and its gradient."""
    logits = inputs @ params
    # A vector of logits is one row: its loss is the mean over the biopsies.
    value, grad = loss_and_grad(benign, logits, from_logits=True, out=logits)
    penalty = 0.5 * np.sum(decay * params**2)
    return float(value) + penalty, inputs.T @ grad + decay * params


options = {"gtol": 1e-9, "ftol": 1e-15, "maxiter": 1000}
start = np.zeros(inputs.shape[1])
ours = minimize(objective, start, jac=True, method="L-BFGS-B", options=options).x

# %% [markdown]
# scikit-learn must find the same coefficients.

# %%
model = LogisticRegression(tol=1e-10, max_iter=10_000).fit(x, benign)
theirs = np.append(model.coef_, model.intercept_)
worst = np.abs(ours - theirs).max()
logits = inputs @ ours
right = np.mean((logits > 0) == benign)
print(f"training accuracy   fastloss {right:.4f}   scikit-learn {model.score(x, benign):.4f}")
print(f"largest difference of a coefficient {worst:.1e}, largest {np.abs(theirs).max():.3f}")
assert worst < TOLERANCE, f"the coefficients differ from scikit-learn's by more than {TOLERANCE}"

# %%
if find_spec("matplotlib"):
    import matplotlib.pyplot as plt

    bins = np.linspace(logits.min(), logits.max(), 40)
    plt.hist(logits[benign == 0], bins, alpha=0.7, label="malignant")
    plt.hist(logits[benign == 1], bins, alpha=0.7, label="benign")
    plt.xlabel("logit")
    plt.ylabel("biopsies")
    plt.legend()
    plt.show()
