"""The kernels by name, and arguments that fit each of them."""

import numpy as np

EPS = 1e-7
ONE, ALL = np.ones(1), np.ones(1, bool)
LABELS = {
    "softmax_crossentropy_sparse": (),
    "probability_crossentropy_sparse": (EPS,),
}
DENSE = {
    "softmax_crossentropy_dense": (np.empty(0), 0.1),
    "probability_crossentropy_dense": (np.empty(0), 0.1, EPS),
    "binary_crossentropy_logits": (np.empty(0), 0.1),
    "binary_crossentropy": (np.empty(0), 0.1, EPS),
    "poisson": (EPS,),
    "kullback_leibler": (EPS,),
}
KERNELS = {**LABELS, **DENSE}


def arguments(name, shape, dtype):
    """Return (x, targets, options) for a kernel."""
    rng = np.random.default_rng(len(name))
    x = rng.uniform(0.01, 0.99, shape).astype(dtype)
    if name.startswith("softmax") or name.endswith("logits"):
        x = (rng.standard_normal(shape) * 5).astype(dtype)
    if name in LABELS:
        targets = rng.integers(0, shape[1], shape[0] * shape[2])
    else:
        targets = rng.uniform(0, 1, shape).astype(dtype)
    options = [o.astype(dtype) if isinstance(o, np.ndarray) else o for o in KERNELS[name]]
    return x, targets, options
