"""Fit a logistic regression to the Wisconsin breast cancer data, and compare with scikit-learn.

569 biopsies, 30 measurements each, malignant or benign. SciPy's L-BFGS minimises the mean binary
crossentropy of the logits plus scikit-learn's default penalty; fastloss gives the loss and
d loss / d logits, written over the logits (`out=logits`).

    python examples/fit_breast_cancer.py
"""

import numpy as np
from scipy.optimize import minimize
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression

import fastloss as fl

TOLERANCE = 1e-5


def fit(x: np.ndarray, benign: np.ndarray) -> np.ndarray:
    """Return the coefficients, the intercept last, of the penalised logistic regression."""
    loss_and_grad = fl.value_and_grad(fl.binary_crossentropy)
    inputs = np.column_stack([x, np.ones(len(x))])
    # scikit-learn's C=1: half the sum of squared coefficients, against the sum of the losses.
    decay = np.full(inputs.shape[1], 1 / len(x))
    decay[-1] = 0

    def objective(params: np.ndarray) -> tuple[float, np.ndarray]:
        logits = inputs @ params
        # A vector of logits is one row: its loss is the mean over the biopsies.
        value, grad = loss_and_grad(benign, logits, from_logits=True, out=logits)
        penalty = 0.5 * np.sum(decay * params**2)
        return float(value) + penalty, inputs.T @ grad + decay * params

    options = {"gtol": 1e-9, "ftol": 1e-15, "maxiter": 1000}
    start = np.zeros(inputs.shape[1])
    return minimize(objective, start, jac=True, method="L-BFGS-B", options=options).x


def main() -> None:
    """Fit both ways, print what differs, and fail if it is more than the tolerance."""
    x, benign = load_breast_cancer(return_X_y=True)
    x = (x - x.mean(axis=0)) / x.std(axis=0)

    ours = fit(x, benign)
    model = LogisticRegression(tol=1e-10, max_iter=10_000).fit(x, benign)
    theirs = np.append(model.coef_, model.intercept_)
    worst = np.abs(ours - theirs).max()
    right = np.mean((x @ ours[:-1] + ours[-1] > 0) == benign)
    print(f"{len(x)} biopsies, {x.shape[1]} measurements each")
    print(f"training accuracy   fastloss {right:.4f}   scikit-learn {model.score(x, benign):.4f}")
    print(f"largest difference of a coefficient {worst:.1e}, largest {np.abs(theirs).max():.3f}")
    if not worst < TOLERANCE:
        raise SystemExit(f"the coefficients differ from scikit-learn's by more than {TOLERANCE}")


if __name__ == "__main__":
    main()
