"""A hash of everything computed, for programs that compare settings: see `test_same_bits`."""

import hashlib

import numpy as np

import fastloss as fl
from benchmarks.cases import CASES

SHAPES = ((3, 20_000), (2500, 11), (40, 900), (700, 33))  # long rows, many rows, threads in all
KINDS = ("sparse_logits", "binary_probabilities", "poisson")  # one for each way to cut up rows


def digest(everything: bool) -> str:
    """Return the hash of values and gradients, in place or not, of some kernels or of all."""
    hashed = hashlib.sha256()
    for case in CASES:
        if everything or case.name in KINDS:
            for dtype in (np.float32, np.float64) if everything else (np.float32,):
                for shape in SHAPES:
                    y_true, y_pred = case.data(*shape, dtype)
                    both = fl.value_and_grad(case.function)
                    parts = [*both(y_true, y_pred, **case.options)]
                    if everything:
                        parts.append(case.function(y_true, y_pred, **case.options))
                    parts += both(y_true, y_pred, **case.options, out=y_pred)
                    for part in parts:
                        hashed.update(part.tobytes())
    return hashed.hexdigest()
