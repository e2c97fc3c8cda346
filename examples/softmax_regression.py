"""Fit a softmax regression to handwritten digits, and compare with scikit-learn.

The rows are two noisy copies of the 1,797 digits of `examples/digits`, 64 pixels each. SciPy's
L-BFGS minimises the mean crossentropy of the logits plus scikit-learn's default penalty;
`fl.LinearCrossentropy` gives the loss and the gradients of kernel and bias, without an array of all
logits. Both must find the same optimum; time and memory of both are printed.

    python examples/softmax_regression.py
"""

import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

import fastloss as fl

DIGITS = Path(__file__).parent / "digits"
COPIES = 2
CLASSES = 10
TOLERANCE = 1e-4


def fit(x: np.ndarray, digits: np.ndarray) -> np.ndarray:
    """Return kernel and bias, the bias as the last row, of the penalised softmax regression."""
    loss = fl.LinearCrossentropy()
    shape = (x.shape[1] + 1, CLASSES)
    # scikit-learn's C=1: half the sum of squared weights, against the sum of the losses.
    decay = 1 / len(x)
    grad = np.empty(shape)
    out = fl.LinearGradients(kernel=grad[:-1], bias=grad[-1])

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        params = flat.reshape(shape)
        kernel = params[:-1]
        value, _ = loss.value_and_grad(
            digits, x, kernel, params[-1], wrt=("kernel", "bias"), out=out
        )
        grad[:-1] += decay * kernel
        return float(value) + 0.5 * decay * np.sum(kernel**2), grad.reshape(-1)

    options = {"gtol": 1e-8, "ftol": 1e-14, "maxiter": 2000, "maxfun": 5000}
    start = np.zeros(shape).reshape(-1)
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options=options)
    return found.x.reshape(shape)


def fit_scikit_learn(x: np.ndarray, digits: np.ndarray) -> np.ndarray:
    """Return the same of scikit-learn."""
    model = LogisticRegression(tol=1e-8, max_iter=2000).fit(x, digits)
    return np.vstack([model.coef_.T, model.intercept_])


def measured(function: Callable[..., np.ndarray], *arguments: np.ndarray) -> np.ndarray:
    """Return the function's result, and print how long it took and how much memory it held."""
    start = time.perf_counter()
    result = function(*arguments)
    seconds = time.perf_counter() - start
    tracemalloc.start()  # slows down, so in a run of its own
    function(*arguments)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    print(f"{function.__name__:16s} {seconds:6.2f} s  {peak / 1e6:6.1f} MB at most")
    return result


def main() -> None:
    """Fit both ways, print what differs, and fail if it is more than the tolerance."""
    images = np.load(DIGITS / "images.npy") / 16.0
    rng = np.random.default_rng(0)
    x = np.concatenate([images + rng.normal(0, 0.3, images.shape) for _ in range(COPIES)])
    digits = np.tile(np.load(DIGITS / "labels.npy"), COPIES).astype(np.int64)

    print(f"{len(x):,} images, {x.shape[1]} pixels each, {CLASSES} classes")
    fl.LinearCrossentropy().value_and_grad(digits[:1], x[:1], np.zeros((64, 10)))  # compiles
    ours = measured(fit, x, digits)
    theirs = measured(fit_scikit_learn, x, digits)
    ours[-1] -= ours[-1].mean()  # the same number may be added to every bias
    theirs[-1] -= theirs[-1].mean()
    worst = np.abs(ours - theirs).max()
    print(f"largest difference of a weight {worst:.1e}, largest {np.abs(theirs).max():.3f}")
    if not worst < TOLERANCE:
        raise SystemExit(f"the weights differ from scikit-learn's by more than {TOLERANCE}")


if __name__ == "__main__":
    main()
