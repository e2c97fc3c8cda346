# %% [markdown]
"""Fit a softmax regression to 1,797 handwritten digits by Newton's method, and compare with L-BFGS.

SciPy's Newton-CG solves each Newton step by conjugate gradients, and asks for nothing of the
Hessian but its products with vectors. In the logits that is `fl.hessian_vector_product`; the chain
rule through `logits = inputs @ weights` needs two matrix products, as the gradient does.

    python examples/newton_digits.py
"""

# %%
from importlib.util import find_spec

import numpy as np
from digits.make_digits import HERE

import fastloss as fl

try:
    from scipy.optimize import OptimizeResult, minimize
except ImportError as error:
    raise SystemExit(f"{error}; install: pip install scipy") from None

PENALTY, TOLERANCE = 1e-3, 1e-4
images = np.load(HERE / "images.npy").astype(np.float64) / 16
labels = np.load(HERE / "labels.npy")
inputs = np.column_stack([images, np.ones(len(images))])
shape = inputs.shape[1], int(labels.max()) + 1

# %% [markdown]
# The mean crossentropy plus an L2 penalty: value, gradient, product of the Hessian with a vector.

# %%
loss_and_grad = fl.value_and_grad(fl.sparse_categorical_crossentropy)
hessian_product = fl.hessian_vector_product(fl.sparse_categorical_crossentropy)


def objective(params: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the value and the gradient."""
    logits = inputs @ params.reshape(shape)
    value, grad = loss_and_grad(labels, logits, from_logits=True, reduction="mean", out=logits)
    total = float(value) + 0.5 * PENALTY * float(params @ params)
    return total, (inputs.T @ grad).ravel() + PENALTY * params


def product(params: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Return the product of the Hessian at `params` with a vector."""
    logits, direction = (inputs @ p.reshape(shape) for p in (params, vector))
    curved = hessian_product(
        labels, logits, direction, from_logits=True, reduction="mean", out=logits
    )
    return (inputs.T @ curved).ravel() + PENALTY * vector


def fit(method: str, **options: float) -> tuple[OptimizeResult, list[float]]:
    """Return SciPy's result, and the value after each step."""
    values = []

    def note(intermediate_result: OptimizeResult) -> None:
        values.append(intermediate_result.fun)

    hessp = product if method == "Newton-CG" else None
    start = np.zeros(shape).ravel()
    found = minimize(
        objective, start, jac=True, hessp=hessp, method=method, options=options, callback=note
    )
    return found, values


# %%
runs = {
    "Newton-CG": fit("Newton-CG", xtol=1e-8),
    "L-BFGS": fit("L-BFGS-B", gtol=1e-9, ftol=1e-16, maxiter=2000),
}
for name, (found, _) in runs.items():
    accuracy = np.mean((inputs @ found.x.reshape(shape)).argmax(axis=1) == labels)
    print(f"{name:10s} loss {found.fun:.12f}   training accuracy {accuracy:.4f}", end="   ")
    print(f"{found.nit} steps, {found.nfev} gradients, {found.get('nhev', 0)} Hessian products")
newton, lbfgs = (found.x for found, _ in runs.values())
worst = np.abs(newton - lbfgs).max()
print(f"largest difference of a coefficient {worst:.1e}, largest {np.abs(lbfgs).max():.3f}")
assert worst < TOLERANCE, f"the coefficients differ by more than {TOLERANCE}"

# %% [markdown]
# How far the loss is above the optimum after each step.

# %%
if find_spec("matplotlib"):
    import matplotlib.pyplot as plt

    best = min(found.fun for found, _ in runs.values())
    for name, (_, values) in runs.items():
        gaps = np.array(values) - best
        plt.semilogy(np.flatnonzero(gaps > 0) + 1, gaps[gaps > 0], label=name)
    plt.xlabel("steps")
    plt.ylabel("loss above the optimum")
    plt.legend()
    plt.show()
