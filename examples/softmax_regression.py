# %% [markdown]
"""Fit a softmax regression to handwritten digits, and compare with scikit-learn.

The rows are two noisy copies of the 1,797 digits of `examples/digits`, 64 pixels each. SciPy's
L-BFGS minimises the mean crossentropy of the logits plus scikit-learn's default penalty;
`fl.LinearCrossentropy` gives the loss and the gradients of kernel and bias, without an array of all
logits. Both must find the same optimum; time and memory of both are printed.

    python examples/softmax_regression.py
"""

# %%
import time
import tracemalloc
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
from digits.make_digits import HERE

import fastloss as fl

try:
    from scipy.optimize import minimize
    from sklearn.linear_model import LogisticRegression
except ImportError as error:
    raise SystemExit(f"{error}; install: pip install scipy scikit-learn") from None

COPIES, CLASSES, TOLERANCE = 2, 10, 1e-4
images = np.load(HERE / "images.npy") / 16.0
rng = np.random.default_rng(0)
x = np.concatenate([images + rng.normal(0, 0.3, images.shape) for _ in range(COPIES)])
digits = np.tile(np.load(HERE / "labels.npy"), COPIES).astype(np.int64)
print(f"{len(x):,} images, {x.shape[1]} pixels each, {CLASSES} classes")

# %% [markdown]
# Kernel and bias are one array, the bias its last row, and so are their gradients, which fastloss
# writes where `out` says. scikit-learn's `C=1` is half the sum of squared weights, against the sum
# of the losses.


# %%
def fit_fastloss() -> np.ndarray:
    """Return kernel and bias of the penalised softmax regression."""
    loss = fl.LinearCrossentropy()
    shape = (x.shape[1] + 1, CLASSES)
    decay = 1 / len(x)
    grad = np.empty(shape)
    out = fl.LinearGradients(kernel=grad[:-1], bias=grad[-1])

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        *_, bias = params = flat.reshape(shape)
        kernel = params[:-1]
        value, _ = loss.value_and_grad(digits, x, kernel, bias, wrt=("kernel", "bias"), out=out)
        grad[:-1] += decay * kernel
        return float(value) + 0.5 * decay * np.sum(kernel**2), grad.reshape(-1)

    options = {"gtol": 1e-8, "ftol": 1e-14, "maxiter": 2000, "maxfun": 5000}
    start = np.zeros(shape).reshape(-1)
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options=options)
    return found.x.reshape(shape)


def fit_scikit_learn() -> np.ndarray:
    """Return the same of scikit-learn."""
    model = LogisticRegression(tol=1e-8, max_iter=2000).fit(x, digits)
    return np.vstack([model.coef_.T, model.intercept_])


def measured(function: Callable[[], np.ndarray]) -> np.ndarray:
    """Return the function's result, and print how long it took and how much memory it held."""
    start = time.perf_counter()
    result = function()
    seconds = time.perf_counter() - start
    tracemalloc.start()  # slows down, so in a run of its own
    function()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    print(f"{function.__name__:16s} {seconds:6.2f} s  {peak / 1e6:6.1f} MB at most")
    return result


# %%
fl.LinearCrossentropy().value_and_grad(digits[:1], x[:1], np.zeros((64, 10)))  # compiles
ours, theirs = measured(fit_fastloss), measured(fit_scikit_learn)
for weights in (ours, theirs):
    weights[-1] -= weights[-1].mean()  # the same number may be added to every bias
worst = np.abs(ours - theirs).max()
print(f"largest difference of a weight {worst:.1e}, largest {np.abs(theirs).max():.3f}")
assert worst < TOLERANCE, f"the weights differ from scikit-learn's by more than {TOLERANCE}"

# %% [markdown]
# The kernel of each class as an image: where ink speaks for the digit, and where against it.

# %%
if find_spec("matplotlib"):
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(2, 5, figsize=(7, 3.2))
    for digit, axes in enumerate(panels.flat):
        axes.imshow(ours[:-1, digit].reshape(8, 8), cmap="RdBu", vmin=-2, vmax=2)
        axes.set_title(digit)
        axes.axis("off")
    plt.show()
