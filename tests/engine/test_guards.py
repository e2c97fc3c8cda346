"""No kernel touches memory beyond its arrays: they stand against pages that may not be touched.

In a process of its own, which a single access outside would kill.
"""

import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, mmap, sys
import numpy as np
import fastloss_kernels as fk

libc = ctypes.CDLL(None, use_errno=True)
PAGE, maps = mmap.PAGESIZE, []

def guarded(array, at_end):
    size = -(-max(array.nbytes, 1) // PAGE) * PAGE
    memory = mmap.mmap(-1, size + 2 * PAGE)
    maps.append(memory)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    for offset in (0, size + PAGE):
        assert libc.mprotect(ctypes.c_void_p(start + offset), PAGE, 0) == 0
    copy = np.ndarray(array.shape, array.dtype, memory, PAGE + at_end * (size - array.nbytes))
    copy[...] = array
    return copy

rng = np.random.default_rng(0)
one, every = np.ones(1), np.ones(1, bool)
dtype = np.dtype(sys.argv[1])
none = np.empty(0, dtype)
for n, c in ((1, 6), (40, 6), (3, 1000), (2, 4099), (1, 8193), (1, 1), (5, 64), (700, 13)):
    x, t = rng.uniform(0.1, 1, (2, n, c, 1)).astype(dtype)
    labels = rng.integers(0, c, n)
    for kernel, y, options in (
        (fk.softmax_crossentropy_sparse, labels, ()),
        (fk.softmax_crossentropy_dense, t, (none, 0.0)),
        (fk.probability_crossentropy_sparse, labels, (1e-7,)),
        (fk.probability_crossentropy_dense, t, (none, 0.1, 1e-7)),
        (fk.binary_crossentropy_logits, t, (none, 0.0)),
        (fk.binary_crossentropy, t, (none, 0.1, 1e-7)),
        (fk.poisson, t, (1e-7,)),
        (fk.kullback_leibler, t, (1e-7,)),
    ):
        for end in (True, False):
            loss = guarded(np.zeros(n, dtype), end)
            predictions = guarded(x, end)
            print(n, c, kernel.__name__, end, file=sys.stderr, flush=True)
            for grad in (None, guarded(x, end), predictions):
                targets = guarded(y, end)
                bad = fk.run(kernel, predictions, targets, *options, one, every, loss, grad)
                assert bad in (None, -1)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs mprotect")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nothing_outside_is_touched(dtype):
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, dtype], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr[-500:]
