"""Every index inside its array: all kernels as plain Python, and under NUMBA_BOUNDSCHECK=1.

`test_guards` has the arrays stand against pages that may not be touched; here NumPy, or Numba,
looks at every index. NumPy sees more: the arrays that kernels lay over the memory of others have an
end in Python, and none in compiled code.
"""

import pytest
from processes import run

PROGRAM = """
import sys
import numpy as np
import fastloss_kernels as kernels

rng = np.random.default_rng(0)
one, every = np.ones(1), np.ones(1, bool)
sizes = [(1, 6, 1), (7, 3, 1), (3, 1, 1), (2, 5, 4), (0, 3, 1), (3, 0, 1)]
sizes += [(1, 9000, 1), (2, 4097, 1)]  # longer than a block, longer than a piece
sizes += [(1, 33, 64)]  # side by side: columns
for dtype in map(np.dtype, sys.argv[1:]):
    none = np.empty(0, dtype)
    for outer, classes, inner in sizes:
        rows, weights = outer * inner, rng.random(classes).astype(dtype)
        x, t = rng.uniform(0.1, 1, (2, outer, classes, inner)).astype(dtype)
        labels = rng.integers(0, max(classes, 1), rows)
        some = rng.random(rows) < 0.5 if classes else np.zeros(rows, bool)
        for kernel, y, options in (
            (kernels.softmax_crossentropy_sparse, labels, ()),
            (kernels.softmax_crossentropy_dense, t, (weights, 0.1)),
            (kernels.probability_crossentropy_sparse, labels, (1e-7,)),
            (kernels.probability_crossentropy_dense, t, (none, 0.1, 1e-7)),
            (kernels.binary_crossentropy_logits, t, (weights, 0.0)),
            (kernels.binary_crossentropy, t, (none, 0.1, 1e-7)),
            (kernels.poisson, t, (1e-7,)),
            (kernels.kullback_leibler, t, (1e-7,)),
        ):
            for scale, keep in ((one, some), (rng.random(rows), some)):
                grad = np.empty_like(x)
                for z in (x, 1000 * x):
                    loss = np.empty(rows, dtype)
                    bad = kernels.run(kernel, z, y, *options, scale, keep, loss, grad)
                    assert bad in (None, -1), kernel
                    kernels.run(kernel, z, y, *options, scale, keep, loss, None)
print("inside")
"""


def test_as_plain_python():
    code = f"import sys; sys.argv[1:] = ['float32', 'float64']\n{PROGRAM.replace('9000', '900')}"
    assert run(code.replace("4097", "97"), NUMBA_DISABLE_JIT="1") == "inside\n"


@pytest.mark.hardening
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_under_bounds_checks(dtype, tmp_path):
    settings = {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    assert run(f"import sys; sys.argv[1:] = [{dtype!r}]\n{PROGRAM}", **settings) == "inside\n"
