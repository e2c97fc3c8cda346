"""A value alone takes O(rows), nothing is kept over 10,000 calls, 2^31 elements are no limit."""

import gc
import tracemalloc

import numba
import numpy as np
import pytest
from processes import run

import fastloss as fl
from benchmarks.cases import ALL_CASES as CASES

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def peak(call):
    """Return the most that NumPy and Python held at once during a call, compiled before."""
    call()
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def held(case, rows, classes, **more):
    """Return the peak of a value alone, and of one with its gradient given room."""
    y_true, y_pred = case.data(rows, classes)
    out = np.empty_like(y_pred)
    both = fl.value_and_grad(case.function)
    options = {**case.options, **more}
    alone = {name: value for name, value in options.items() if name in case.options}
    return (
        peak(lambda: case.function(y_true, y_pred, **alone)),
        peak(lambda: both(y_true, y_pred, **options, out=out)),
    )


SCRATCH = 600_000  # bytes that one thread works in, whatever the shape; y_pred has 8,000,000


@pytest.fixture
def _one_thread():
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    yield
    numba.set_num_threads(threads)


@pytest.mark.usefixtures("_one_thread")
@every_case
@pytest.mark.parametrize("shape", [(50, 40_000), (100_000, 20)])
def test_memory_is_that_of_the_rows(case, shape):
    """The losses, and for labels their copy; with a weight also what becomes of it."""
    rows = shape[0]
    assert max(held(case, *shape)) <= SCRATCH + 16 * rows
    weighted = {"sample_weight": np.ones(rows), "reduction": "mean"}
    assert max(held(case, *shape, **weighted)) <= SCRATCH + 48 * rows


COMPILED = """
import resource, sys
import numpy as np
import fastloss as fl
one = np.random.default_rng(0).random((1, {classes}), np.float32)
rows = np.broadcast_to(one, ({rows}, {classes}))
fl.poisson(one, one)
fl.poisson(rows[:100], rows[:100])
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
value = fl.poisson(rows, rows)
grown = (peak() - before) * (1024 if sys.platform == "linux" else 1)
print(grown, rows.size, value.size, bool((value == fl.poisson(one, one)).all()))
"""


def test_memory_seen_from_outside():
    out = run(COMPILED.format(rows=200_000, classes=1000), NUMBA_NUM_THREADS="2").split()
    grown, elements, losses = map(int, out[:3])
    assert out[3] == "True"
    assert grown < 8 * losses + 4_000_000 < elements / 20


@every_case
def test_nothing_is_kept(case):
    y_true, y_pred = case.data(20, 7)
    both = fl.value_and_grad(case.function)
    out = np.empty_like(y_pred)

    def call():
        both(y_true, y_pred, **case.options, sample_weight=2.0, reduction="mean", out=out)
        with pytest.raises(ValueError, match="must fit"):
            both(y_true, y_pred, **case.options, sample_weight=[1.0, 2.0, 3.0])

    def calls():
        for _ in range(200):
            call()
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        calls()
        first = calls()
        assert calls() - first < 2000  # 10 bytes a call would be as much
    finally:
        tracemalloc.stop()


def test_nothing_is_kept_over_10_000_calls():
    out = run(
        """
        import gc, resource, sys
        import numpy as np
        import fastloss as fl
        loss = fl.SparseCategoricalCrossentropy(from_logits=True)
        x, y = np.random.default_rng(0).random((30, 10), np.float32), np.arange(30) % 10
        def calls(number):
            for _ in range(number):
                loss.value_and_grad(y, x)
        calls(2000)
        gc.collect()
        before, objects = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, len(gc.get_objects())
        calls(10_000)
        gc.collect()
        unit = 1024 if sys.platform == "linux" else 1
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit,
              len(gc.get_objects()) - objects)
        """
    )
    grown, objects = map(int, out.split())
    assert grown < 500_000  # a leak of 100 bytes a call would be 1,000,000
    assert objects < 100


BEYOND = 2**31 + 2**20


def far_apart(rows, classes, dtype):
    """Return numbers of which the last row lies more than 2^31 elements after the first."""
    step = BEYOND // (rows - 1)
    memory = np.zeros(step * (rows - 1) + classes, dtype)  # pages that nobody touches do not exist
    return np.lib.stride_tricks.as_strided(
        memory, (rows, classes), (step * memory.itemsize, memory.itemsize)
    )


@every_case
def test_rows_more_than_2_31_elements_apart(case):
    y_true, y_pred = case.data(3, 10)
    wide = far_apart(3, 10, np.float32)
    wide[...] = y_pred
    value, grad = fl.value_and_grad(case.function)(y_true, y_pred, **case.options)
    np.testing.assert_array_equal(case.function(y_true, wide, **case.options), value)
    again, received = fl.value_and_grad(case.function)(y_true, wide, **case.options, out=wide)
    assert received is wide
    np.testing.assert_array_equal(again, value)
    np.testing.assert_array_equal(wide, grad)


def test_columns_more_than_2_31_elements_apart():
    y_true, y_pred = np.array([2, 0]), np.array([[0.1, 0.2, 0.7], [0.5, 0.2, 0.3]], np.float32)
    wide = far_apart(3, 2, np.float32)
    wide[...] = y_pred.T
    for y_pred_wide, axis in ((wide.T, -1), (wide, 0)):
        value = fl.sparse_categorical_crossentropy(y_true, y_pred_wide, axis=axis)
        np.testing.assert_array_equal(value, fl.sparse_categorical_crossentropy(y_true, y_pred))


def test_more_than_2_31_elements():
    """All rows are one row in memory, so only their losses take any."""
    rows, classes = BEYOND // 4096, 4096
    grown, elements, losses, same = run(COMPILED.format(rows=rows, classes=classes)).split()
    assert int(elements) > 2**31
    assert (int(losses), same) == (rows, "True")
    assert int(grown) < 20_000_000
