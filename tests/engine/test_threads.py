"""Many Python threads, every threading layer, forked children: no abort, no hang, the same bits.

Each case is a process of its own, because an unsafe layer kills the process it is in.
"""

import os
import subprocess
import sys
import textwrap

import pytest

PRELUDE = """
import os, sys, threading
import numpy as np
import fastloss as fl

rng = np.random.default_rng(0)
x = rng.standard_normal((4000, 10)).astype(np.float32)
y = rng.integers(0, 10, 4000)
loss = fl.SparseCategoricalCrossentropy(from_logits=True)

def bits():
    value, grad = loss.value_and_grad(y, x)
    return value.tobytes() + grad.tobytes()
"""


def run(code, **environment):
    """Run the prelude and `code` in a new process; return what it prints."""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", PRELUDE + textwrap.dedent(code)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("layer", ["workqueue", "omp"])
def test_many_python_threads(layer):
    out = run(
        """
        expected = bits()
        results = []
        def work():
            for _ in range(20):
                results.append(bits() == expected)
        workers = [threading.Thread(target=work) for _ in range(6)]
        for worker in workers: worker.start()
        for worker in workers: worker.join()
        print(len(results), all(results))
        """,
        NUMBA_THREADING_LAYER=layer,
        NUMBA_NUM_THREADS="2",
    )
    assert out.split() == ["120", "True"]


@pytest.mark.parametrize("layer", ["workqueue", "omp"])
def test_forked_child(layer):
    out = run(
        """
        expected = bits()
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            os._exit(0 if bits() == expected else 1)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), bits() == expected)
        """,
        NUMBA_THREADING_LAYER=layer,
        NUMBA_NUM_THREADS="2",
    )
    assert out.split() == ["0", "True"]


def test_number_of_threads_does_not_change_bits():
    digests = {
        run("import hashlib; print(hashlib.sha256(bits()).hexdigest())", NUMBA_NUM_THREADS=n)
        for n in ("1", "2", "3")
    }
    assert len(digests) == 1


def test_small_work_starts_no_threads():
    code = """
        import numba
        x, y = x[:30], y[:30]
        bits()
        try:
            print(numba.threading_layer())
        except ValueError:
            print("none")
        """
    assert run(code).strip() == "none"
