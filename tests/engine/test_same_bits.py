"""The same bits always: whatever shares the batch, the work or the memory with a row.

`test_properties` varies small inputs; here they are large enough to be cut into blocks, pieces and
threads. What needs a setting of its own (threads, layer, cache) runs in a new process.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from processes import LAYERS, on_layers, run

import fastloss as fl
from benchmarks.cases import ALL_CASES as CASES

some = settings(deadline=None, max_examples=10, derandomize=True)
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
LENGTHS = (1, 2, 3, 7, 10, 17, 33, 64, 257, 1000, 4095, 4096, 4097, 8192, 8193, 16_000)
# Up to two blocks, so that no thread wakes here: what threads do is compared in `test_settings`.
SHAPES = st.sampled_from(LENGTHS).flatmap(
    lambda classes: st.tuples(st.integers(1, min(700, 16_000 // classes)), st.just(classes))
)
batches = {
    "shape": SHAPES,
    "seed": st.integers(0, 2**32 - 1),
    "dtype": st.sampled_from([np.float32, np.float64]),
}


def ask(case, y_true, y_pred, **more):
    return fl.value_and_grad(case.function)(y_true, y_pred, **case.options, **more)


def assert_same_bits(first, second):
    for a, b in zip(first, second, strict=True):
        assert (np.shape(a), a.dtype) == (np.shape(b), b.dtype)
        assert a.tobytes() == b.tobytes()


# What may stand beside a row in its block: each sends the block down another way of computing.
NEIGHBOURS = {
    "nan": np.nan,
    "inf": np.inf,
    "-inf": -np.inf,
    "large": 200.0,
    "far": -1e4,
    "huge": 3e38,
    "subnormal": 1e-40,
    "zero": 0.0,
}


@every_case
@pytest.mark.parametrize("wild", NEIGHBOURS.values(), ids=NEIGHBOURS)
@some
@given(**batches)
def test_neighbours_do_not_matter(case, wild, shape, seed, dtype):
    y_true, y_pred = case.data(*shape, dtype, seed)
    alone = ask(case, y_true, y_pred)
    rng = np.random.default_rng(seed)
    others = rng.random(shape[0]) < 0.5
    crowd = y_pred.copy()
    crowd[others, rng.integers(0, shape[1])] = wild
    together = ask(case, y_true, crowd)
    assert_same_bits([part[~others] for part in together], [part[~others] for part in alone])


@every_case
@some
@given(**batches)
def test_a_row_does_not_know_its_place(case, shape, seed, dtype):
    y_true, y_pred = case.data(*shape, dtype, seed)
    whole = ask(case, y_true, y_pred)
    row = seed % shape[0]
    alone = ask(case, y_true[row : row + 1], y_pred[row : row + 1])
    assert_same_bits(alone, [part[row : row + 1] for part in whole])


@every_case
@some
@given(**batches)
def test_scales_and_absent_rows_do_not_matter(case, shape, seed, dtype):
    y_true, y_pred = case.data(*shape, dtype, seed)
    rng = np.random.default_rng(seed)
    mask = rng.random(shape[0]) < 0.5
    upstream = rng.choice([1e-30, 1.0, -3.5, 0.0], shape[0])
    values, gradient = ask(case, y_true, y_pred, upstream=upstream)
    again, masked = ask(case, y_true, y_pred, upstream=upstream, mask=mask)
    assert_same_bits((again[mask], masked[mask]), (values[mask], gradient[mask]))
    assert not masked[~mask].any()
    assert_same_bits([values], [ask(case, y_true, y_pred)[0]])


@every_case
@some
@given(**batches)
def test_with_and_without_gradient_in_place_or_not(case, shape, seed, dtype):
    y_true, y_pred = case.data(*shape, dtype, seed)
    value, gradient = ask(case, y_true, y_pred)
    assert_same_bits([case.function(y_true, y_pred, **case.options)], [value])
    out = np.full_like(y_pred, 7)
    assert_same_bits(ask(case, y_true, y_pred, out=out), (value, gradient))
    scores = y_pred.copy()
    again, received = ask(case, y_true, scores, out=scores)
    assert received is scores
    assert_same_bits((again, scores), (value, gradient))
    wide = np.zeros((shape[0], 2 * shape[1]), dtype)
    assert_same_bits(ask(case, y_true, y_pred, out=wide[:, ::2]), (value, gradient))
    strided = np.ascontiguousarray(np.repeat(y_pred, 2, axis=1))[:, ::2]
    assert_same_bits(ask(case, y_true, strided, out=strided), (value, gradient))


def gaps(a, rng):
    """Return `a` with gaps between its rows, and something in them that must not be read."""
    wide = np.full((len(a), a.shape[1] + int(rng.integers(1, 9))), np.nan, a.dtype)
    wide[:, : a.shape[1]] = a
    return wide[:, : a.shape[1]]


STRIDES = {
    "gaps between rows": gaps,
    "every other element": lambda a, rng: np.repeat(a, 2, axis=1)[:, ::2],
    "rows backwards": lambda a, rng: a[::-1].copy()[::-1],
    "classes backwards": lambda a, rng: a[:, ::-1].copy()[:, ::-1],
    "columns": lambda a, rng: np.asfortranarray(a),
    "inside of a cube": lambda a, rng: np.stack([a, a, a], axis=1)[:, 1],
    "unaligned": lambda a, rng: np.frombuffer(b"x" + a.tobytes(), a.dtype, offset=1).reshape(
        a.shape
    ),
}


@every_case
@pytest.mark.parametrize("lay", STRIDES.values(), ids=STRIDES)
@some
@given(**batches)
def test_strides_do_not_matter(case, lay, shape, seed, dtype):
    y_true, y_pred = case.data(*shape, dtype, seed)
    rng = np.random.default_rng(seed)
    truth = y_true if case.sparse else lay(y_true, rng)
    value, gradient = ask(case, y_true, y_pred)
    assert_same_bits(ask(case, truth, lay(y_pred, rng)), (value, gradient))
    assert_same_bits([case.function(truth, lay(y_pred, rng), **case.options)], [value])


def units(a, b):
    """Return the largest distance of a from b, in units of the last place of b."""
    with np.errstate(invalid="ignore"):
        away = np.abs(a.astype(np.float64) - b.astype(np.float64))
        return np.max(away / np.spacing(np.abs(b)).astype(np.float64), initial=0.0)


@pytest.mark.parametrize(
    "case", [c for c in CASES if c.loss not in (fl.Poisson, fl.KLDivergence)], ids=lambda c: c.name
)
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("order", ["C", "F"])
@some
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 17), st.integers(1, 300)),
    seed=batches["seed"],
    dtype=batches["dtype"],
)
def test_other_class_axes_within_2_ulp(case, axis, order, shape, seed, dtype):
    y_true, y_pred = case.data(shape[0] * shape[1], shape[2], dtype, seed)
    y_true, y_pred = y_true.reshape(shape[: 2 if case.sparse else 3]), y_pred.reshape(shape)
    value, gradient = ask(case, y_true, y_pred)
    truth = y_true if case.sparse else np.moveaxis(y_true, -1, axis)
    laid_out = [np.array(a, order=order) for a in (truth, np.moveaxis(y_pred, -1, axis))]
    other, turned = ask(case, *laid_out, axis=axis)
    assert units(other, value) <= 2
    assert units(np.moveaxis(turned, axis, -1), gradient) <= 2


@pytest.mark.parametrize(
    "case", [c for c in CASES if c.loss not in (fl.Poisson, fl.KLDivergence)], ids=lambda c: c.name
)
@pytest.mark.parametrize("classes", [4096, 4097, 9000])
@pytest.mark.parametrize("large", [1.0, 100.0])
def test_rows_of_several_pieces_side_by_side(case, classes, large):
    """No block of more than one such row: its pieces would be taken from other rows."""
    y_true, y_pred = case.data(70, classes, np.float32)
    y_pred *= np.float32(large)
    value, gradient = ask(case, y_true, y_pred)
    turned = ask(case, np.ascontiguousarray(y_true.T), np.ascontiguousarray(y_pred.T), axis=0)
    assert units(turned[0], value) <= 2
    assert units(turned[1].T, gradient) <= 2


@pytest.mark.parametrize("classes", [3, 30])
@pytest.mark.parametrize(
    ("dtype", "gap", "scale"),
    [(np.float32, 95, 1e-30), (np.float32, 101, 1e-36), (np.float64, 730, 1e-300)],
)
@pytest.mark.parametrize("form", ["sparse", "dense"])
def test_a_loss_does_not_know_how_tiny_its_scale_is(form, classes, dtype, gap, scale):
    x = np.zeros((1, classes), dtype)
    x[0, :2] = gap / 2 + 0.1, -gap / 2
    function = fl.sparse_categorical_crossentropy
    y_true = np.array([1])
    if form == "dense":
        function, y_true = fl.categorical_crossentropy, np.eye(classes, dtype=dtype)[1:2]
    options = {"from_logits": True}
    value, gradient = fl.value_and_grad(function)(y_true, x, **options, upstream=[scale])
    assert_same_bits([function(y_true, x, **options)], [value])
    assert gradient[0, 1] == dtype(-scale)
    np.testing.assert_allclose(gradient[0, 0], scale, rtol=3e-7)


@pytest.mark.parametrize("size", [1e-10, 1e-20, 1e-37])
def test_neighbours_of_rows_with_tiny_targets_do_not_matter(size):
    """What the softmax is multiplied by is the sum of the targets times the scale."""
    x = np.float32([[50, 49, 48, 50.5], [0, 1, 2, 3], [0, 0, 0, 0]])
    y_true = np.float32(size) * np.float32([[1, 0, 0, 0], [0.3, 0.2, 0.4, 0.1], [0, 0, 0, 1]])
    both = fl.value_and_grad(fl.categorical_crossentropy)
    alone = both(y_true[:2], x[:2], from_logits=True, upstream=[1.0, 1e-5])
    x[2] = np.nan
    crowd = both(y_true, x, from_logits=True, upstream=[1.0, 1e-5, 1.0])
    assert_same_bits([part[:2] for part in crowd], alone)
    shares = np.exp(x[0] - 50.5, dtype=np.float64)
    expected = size * (shares / shares.sum() - [1, 0, 0, 0])
    np.testing.assert_allclose(alone[1][0], expected, rtol=3e-7)


PROGRAM = """
from bits import digest
print(digest({everything}))
"""
# On these the work does not divide evenly, and there are more threads than cores.
THREADS = ("1", "2", "3", "7")


def digests(everything, layer, **settings):
    code = PROGRAM.format(everything=everything)
    return {n: run(code, layer=layer, NUMBA_NUM_THREADS=n, **settings) for n in THREADS}


@on_layers("workqueue")
def test_threads_do_not_matter(layer):
    found = digests(False, layer)
    assert len(set(found.values())) == 1, found


@on_layers("omp", of=LAYERS[1:])
def test_the_layer_does_not_matter(layer):
    code = PROGRAM.format(everything=False)
    settings = {"NUMBA_NUM_THREADS": "2"}
    assert run(code, layer=layer, **settings) == run(code, layer="workqueue", **settings)


@pytest.mark.hardening
@on_layers("workqueue", "omp", "tbb")
def test_nothing_of_all_this_matters_to_any_kernel(layer, tmp_path_factory):
    """Every kernel and dtype; the code compiled by this test, then read from the cache."""
    cache = str(tmp_path_factory.getbasetemp() / "cache")  # the first of the layers compiles
    found = digests(True, layer, NUMBA_CACHE_DIR=cache)
    found["default"] = run(PROGRAM.format(everything=True))
    assert len(set(found.values())) == 1, found
