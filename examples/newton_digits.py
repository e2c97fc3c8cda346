"""Fit a softmax regression to 1,797 handwritten digits by Newton's method, and compare with L-BFGS.

SciPy's Newton-CG solves each Newton step by conjugate gradients, and asks for nothing of the
Hessian but its products with vectors. In the logits that is `fl.hessian_vector_product`; the chain
rule through `logits = inputs @ weights` needs two matrix products, as the gradient does.

    python examples/newton_digits.py
"""

from pathlib import Path

import numpy as np
from scipy.optimize import OptimizeResult, minimize

import fastloss as fl

DIGITS = Path(__file__).parent / "digits"
PENALTY, TOLERANCE = 1e-3, 1e-4


def fit(inputs: np.ndarray, labels: np.ndarray, method: str, **options: float) -> OptimizeResult:
    """Return SciPy's result for the mean crossentropy plus an L2 penalty."""
    shape = inputs.shape[1], int(labels.max()) + 1
    loss_and_grad = fl.value_and_grad(fl.sparse_categorical_crossentropy)
    hessian_product = fl.hessian_vector_product(fl.sparse_categorical_crossentropy)

    def objective(params: np.ndarray) -> tuple[float, np.ndarray]:
        logits = inputs @ params.reshape(shape)
        value, grad = loss_and_grad(labels, logits, from_logits=True, reduction="mean", out=logits)
        total = float(value) + 0.5 * PENALTY * float(params @ params)
        return total, (inputs.T @ grad).ravel() + PENALTY * params

    def product(params: np.ndarray, vector: np.ndarray) -> np.ndarray:
        logits, direction = (inputs @ p.reshape(shape) for p in (params, vector))
        curved = hessian_product(
            labels, logits, direction, from_logits=True, reduction="mean", out=logits
        )
        return (inputs.T @ curved).ravel() + PENALTY * vector

    start = np.zeros(shape).ravel()
    hessp = product if method == "Newton-CG" else None
    return minimize(objective, start, jac=True, hessp=hessp, method=method, options=options)


def main() -> None:
    """Fit both ways, print what it took, and fail where the coefficients differ."""
    images = np.load(DIGITS / "images.npy").astype(np.float64) / 16
    labels = np.load(DIGITS / "labels.npy")
    inputs = np.column_stack([images, np.ones(len(images))])

    newton = fit(inputs, labels, "Newton-CG", xtol=1e-8)
    lbfgs = fit(inputs, labels, "L-BFGS-B", gtol=1e-9, ftol=1e-16, maxiter=2000)
    for name, found in (("Newton-CG", newton), ("L-BFGS", lbfgs)):
        accuracy = np.mean((inputs @ found.x.reshape(inputs.shape[1], -1)).argmax(axis=1) == labels)
        steps, products = found.nit, found.get("nhev", 0)
        print(f"{name:10s} loss {found.fun:.12f}   training accuracy {accuracy:.4f}", end="   ")
        print(f"{steps} steps, {found.nfev} gradients, {products} products with the Hessian")
    worst = np.abs(newton.x - lbfgs.x).max()
    print(f"largest difference of a coefficient {worst:.1e}, largest {np.abs(lbfgs.x).max():.3f}")
    if not worst < TOLERANCE:
        raise SystemExit(f"the coefficients differ by more than {TOLERANCE}")


if __name__ == "__main__":
    main()
