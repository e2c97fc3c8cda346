"""Threads, nested regions, processes, workers and interrupts: no abort, no hang, the same bits.

`test_threads` has the first of these cases. Each runs in a process of its own, because an unsafe
threading layer kills the process it is in.
"""

import signal
import subprocess
import sys

import pytest
from processes import LAYERS, TIMEOUT, environment, mostly, needs, on_layers, run

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
TWO = {"NUMBA_NUM_THREADS": "2"}


@on_layers("tbb")
def test_many_threads_that_begin_together(layer):
    """No call came before: the threads load and start everything at the same moment."""
    out = run(
        PRELUDE
        + """
results, barrier = [], threading.Barrier(8)
def work(number):
    barrier.wait()
    for turn in range(10):
        size = 4000 if (number + turn) % 2 else 100  # with threads, and without
        value, grad = loss.value_and_grad(y[:size], x[:size])
        results.append((size, value.tobytes() + grad.tobytes()))
workers = [threading.Thread(target=work, args=(number,)) for number in range(8)]
for worker in workers: worker.start()
for worker in workers: worker.join()
print(len(results), len(set(results)))
""",
        layer=layer,
        **TWO,
    )
    assert out.split() == ["80", "2"]


NESTED = """
import numpy as np, numba
from numba import njit, prange
import fastloss_kernels as kernels

@njit(parallel=True)
def chunks(x, loss, grad, parts, threads):
    n = x.shape[0]
    for p in prange(parts):
        a, b = p * n // parts, (p + 1) * n // parts
        one, every = np.ones(1), np.ones(1, np.bool_)
        kernels.poisson(x[a:b], x[a:b], 1e-7, one, every, loss[a:b], grad[a:b], threads)

x = np.random.default_rng(0).random((4000, 10, 1)).astype(np.float32)
loss, grad = np.empty((2, 4000), np.float32), np.empty((2, *x.shape), np.float32)
kernels.run(kernels.poisson, x, x, 1e-7, np.ones(1), np.ones(1, bool), loss[0], grad[0])
chunks(x, loss[1], grad[1], 8, THREADS)
print(numba.threading_layer(), (loss[0] == loss[1]).all(), (grad[0] == grad[1]).all())
"""


@on_layers("workqueue")
def test_a_kernel_inside_a_parallel_loop_of_the_user(layer):
    out = run(NESTED.replace("THREADS", "1"), layer=layer, **TWO)
    assert out.split() == [layer, "True", "True"]


@on_layers(of=LAYERS[1:])
def test_a_parallel_kernel_inside_a_parallel_loop(layer):
    """workqueue would abort, by its own rule; README says to pass threads=1 there."""
    out = run(NESTED.replace("THREADS", "2"), layer=layer, **TWO)
    assert out.split() == [layer, "True", "True"]


@on_layers("workqueue")
@pytest.mark.parametrize("before", ["", "threading.current_thread()"], ids=["new", "named"])
def test_the_facade_inside_a_parallel_loop_of_the_user(layer, before):
    """Python may know a worker of the layer by a name that it made up, as logging makes it do."""
    out = run(
        PRELUDE
        + f"""
import numba
@numba.njit(parallel=True)
def loop(right):
    for i in numba.prange(right.size):
        with numba.objmode(same="boolean"):
            {before}
            same = bits() == expected
        right[i] = same
expected = bits()
right = np.zeros(8, np.bool_)
loop(right)
print(numba.threading_layer(), right.all(), bits() == expected)
""",
        layer=layer,
        **TWO,
    )
    assert out.split() == [layer, "True", "True"]


@on_layers("workqueue")
def test_every_thread_of_python_may_share_its_work(layer):
    out = run(
        PRELUDE
        + """
from fastloss_kernels import launch
found = []
def work():
    bits()
    found.append(launch._threads())
for _ in range(2):
    work()
    worker = threading.Thread(target=work)
    worker.start(); worker.join()
print(*found)
""",
        layer=layer,
        **TWO,
    )
    assert out.split() == ["2"] * 4


@on_layers("omp")
def test_forks_of_forks_and_forks_beside_threads(layer):
    out = run(
        PRELUDE
        + """
expected = bits()
going = True
def work():
    while going:
        assert bits() == expected
worker = threading.Thread(target=work)
worker.start()
codes = []
for _ in range(4):  # while the other thread may hold any lock of ours
    pid = os.fork()
    if pid == 0:
        right = bits() == expected
        grandchild = os.fork()
        if grandchild == 0:
            os._exit(0 if bits() == expected else 1)
        right &= os.waitpid(grandchild, 0)[1] == 0
        os._exit(0 if right else 1)
    codes.append(os.waitpid(pid, 0)[1])
going = False
worker.join()
print(codes, bits() == expected)
""",
        layer=layer,
        **TWO,
    )
    assert out.endswith("[0, 0, 0, 0] True\n")  # tbb says that it could not stop its threads


@on_layers("omp")
@pytest.mark.parametrize("method", mostly("forkserver", "spawn", "fork"))
def test_a_pool_of_processes_after_use(layer, method):
    out = run(
        PRELUDE
        + f"""
import multiprocessing
if __name__ == "__main__":
    value, grad = loss.value_and_grad(y, x)
    with multiprocessing.get_context({method!r}).Pool(2) as pool:
        found = pool.starmap(loss.value_and_grad, [(y, x)] * 4)
    print([v == value and g.tobytes() == grad.tobytes() for v, g in found])
""",
        layer=layer,
        **TWO,
    )
    assert out == f"{[True] * 4}\n"


@needs("joblib")
@pytest.mark.parametrize("backend", mostly("loky", "threading", "multiprocessing"))
def test_joblib_workers(backend):
    out = run(
        PRELUDE
        + f"""
import joblib
if __name__ == "__main__":
    value, grad = loss.value_and_grad(y, x)
    ask = joblib.delayed(loss.value_and_grad)
    found = joblib.Parallel(n_jobs=2, backend={backend!r})(ask(y, x) for _ in range(4))
    print([v == value and g.tobytes() == grad.tobytes() for v, g in found])
""",
        **TWO,
    )
    assert out == f"{[True] * 4}\n"


@needs("distributed")
@pytest.mark.parametrize("where", mostly("processes", "threads"))
def test_dask_workers(where):
    cluster = {
        "processes": 'n_workers=2, host="127.0.0.1"',
        "threads": "n_workers=1, processes=False",
    }[where]
    out = run(
        PRELUDE
        + f"""
from distributed import Client, LocalCluster
if __name__ == "__main__":
    value, grad = loss.value_and_grad(y, x)
    with LocalCluster({cluster}, threads_per_worker=2, dashboard_address=None) as cluster:
        with Client(cluster) as client:
            tasks = [client.submit(loss.value_and_grad, y, x, pure=False) for _ in range(8)]
            found = client.gather(tasks)
    print([v == value and g.tobytes() == grad.tobytes() for v, g in found])
""",
        **TWO,
    )
    assert out == f"{[True] * 8}\n"


@needs("threadpoolctl", "sklearn")
@on_layers("workqueue")
def test_thread_settings_of_others_stay(layer):
    out = run(
        PRELUDE
        + """
import sklearn.ensemble, sklearn.linear_model
import numba, threadpoolctl
def settings():
    found = threadpoolctl.threadpool_info()
    return {entry["filepath"]: entry["num_threads"] for entry in found}
fl.poisson([[1.0]], [[1.0]])  # Numba loads SciPy's BLAS with its first compiled function
with threadpoolctl.threadpool_limits(1):
    before = settings()
    bits()
    after = settings()
print(numba.threading_layer(), len(before) > 1, {name: after[name] for name in before} == before)
""",
        layer=layer,
        **TWO,
    )
    assert out.split() == [layer, "True", "True"]


@needs("torch")
@on_layers(of=("workqueue", "tbb"))
def test_thread_settings_of_torch_stay(layer):
    """Under omp they do not: torch shares the libgomp whose count Numba sets. README says so."""
    out = run(
        f"""
import torch
torch.set_num_threads(1)
{PRELUDE}
print(torch.get_num_threads(), end=" ")
bits()
print(torch.get_num_threads())
""",
        layer=layer,
        **TWO,
    )
    assert out == "1 1\n"


@on_layers("omp")
def test_number_of_threads_of_the_user_stays(layer):
    out = run(
        "import numba\nnumba.set_num_threads(1)"
        + PRELUDE
        + """
one = bits()
numba.set_num_threads(2)
two = bits()
found = []
worker = threading.Thread(target=lambda: found.append((numba.get_num_threads(), bits() == one)))
worker.start(); worker.join()
print(one == two, numba.get_num_threads(), *found[0])
""",
        layer=layer,
        **TWO,
    )
    assert out.split() == ["True", "2", "2", "True"]


LONG = """
rows = np.broadcast_to(rng.random(1 << 20, np.float32), (256, 1 << 20))  # the memory of one row
fl.poisson(rows[:1], rows[:1])
expected = bits()
try:
    print("ready", flush=True)
    while True:
        fl.poisson(rows, rows)
except KeyboardInterrupt:
    print("interrupted", bits() == expected, flush=True)
    work = []
    worker = threading.Thread(target=lambda: work.append(bits() == expected))
    worker.start(); worker.join()
    print(*work, bits() == expected)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGINT")
@on_layers("omp")
def test_interrupt_during_a_long_call(layer):
    program = subprocess.Popen(
        [sys.executable, "-c", PRELUDE + LONG],
        env=environment(layer, **TWO),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with program:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        program.send_signal(signal.SIGINT)
        out, errors = program.communicate(timeout=TIMEOUT)
    assert (program.returncode, out.split()) == (0, ["interrupted", *["True"] * 3]), errors
