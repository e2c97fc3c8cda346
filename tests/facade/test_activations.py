"""Activations: exact to 4 ulp, SciPy's values at infinities, the same bits in every layout."""

import numba
import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp, mpf

import fastloss as fl

ml_dtypes = pytest.importorskip("ml_dtypes")
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
OF_ROWS = (fl.softmax, fl.log_softmax, fl.logsumexp)
OF_ELEMENTS = (fl.sigmoid, fl.log_sigmoid)
EVERY = (*OF_ROWS, *OF_ELEMENTS)
PEERS = {
    fl.softmax: scipy.special.softmax,
    fl.log_softmax: scipy.special.log_softmax,
    fl.logsumexp: scipy.special.logsumexp,
    fl.sigmoid: scipy.special.expit,
    fl.log_sigmoid: scipy.special.log_expit,
}
every = pytest.mark.parametrize("function", EVERY, ids=lambda f: f.__name__)
of_rows = pytest.mark.parametrize("function", OF_ROWS, ids=lambda f: f.__name__)
of_elements = pytest.mark.parametrize("function", OF_ELEMENTS, ids=lambda f: f.__name__)
maps = pytest.mark.parametrize(
    "function", [f for f in EVERY if f is not fl.logsumexp], ids=lambda f: f.__name__
)
floats = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def along(function, axis):
    """Return the arguments that have a function work along an axis, if it has one."""
    return {} if function in OF_ELEMENTS else {"axis": axis}


def ulps(got, truth, sizes=None):
    """Return the errors of floats in ulp of the numbers `truth`, or of `sizes` where larger."""
    info = np.finfo(got.dtype)
    digits = info.nmant
    errors = []
    for k, (value, exact) in enumerate(zip(got.ravel(), truth, strict=True)):
        size = max(abs(exact), mpf(float(info.tiny)), 0 if sizes is None else abs(sizes[k]))
        ulp = mpf(2) ** (mp.frexp(size)[1] - 1 - digits)
        errors.append(float(abs(mpf(float(value)) - exact) / ulp))
    return max(errors)


def rows(dtype):
    """Yield rows of logits: ordinary, confident, far apart, huge, all alike, tiny."""
    rng = np.random.default_rng(0)
    for size in (1, 2, 3, 10, 17, 70, 300):
        yield 3 * rng.standard_normal(size)
        yield -np.abs(30 * rng.standard_normal(size))
        confident = rng.standard_normal(size)
        for above in (10, 30, 45, 60, 300):
            confident[size // 2] = above
            yield confident.copy()
        yield 1000 * rng.standard_normal(size)
        yield np.full(size, 3.7)
    largest = float(np.finfo(dtype).max)
    tiny = float(np.finfo(dtype).smallest_subnormal)
    yield np.array([largest, 0.0, largest / 2])
    yield np.array([-largest, -largest])
    yield np.array([1e30, 1e30, -5.0])
    yield np.array([70000.5, 70000.25, 69999.0])
    yield np.array([tiny, -tiny, 0.0, -0.0])
    yield np.array([0.0, -80.0, -100.0, -103.0, -700.0, -740.0])
    yield np.linspace(-0.7, 0.7, 2)
    yield 0.001 * rng.standard_normal(5000)  # longer than a block


@floats
def test_values_along_an_axis_are_exact_to_4_ulp(dtype):
    mp.dps = 50
    for x in rows(dtype):
        x = x.astype(dtype)
        exact = [mpf(float(item)) for item in x]
        top = max(exact)
        e = [mp.exp(item - top) for item in exact]
        k = e.index(1)
        above = mp.log1p(mp.fsum(e[:k] + e[k + 1 :]))
        total = mp.fsum(e)
        assert ulps(fl.softmax(x), [item / total for item in e]) <= 4
        assert ulps(fl.logsumexp(x), [top + above], [top]) <= 4
        if max(abs(item - top) for item in exact) < np.finfo(dtype).max:
            assert ulps(fl.log_softmax(x), [item - top - above for item in exact]) <= 4


@floats
def test_values_of_elements_are_exact_to_4_ulp(dtype):
    mp.dps = 50
    rng = np.random.default_rng(1)
    x = np.concatenate([scale * rng.standard_normal(300) for scale in (1e-30, 0.1, 1, 10, 100)])
    x = np.concatenate([x, [0, -0.0, 87, -87, -88, -103.9, 709, -745, 1e30, -1e30]]).astype(dtype)
    e = [mp.exp(-mpf(float(item))) if item > -2000 else mpf("1e9999") for item in x]
    assert ulps(fl.sigmoid(x), [1 / (1 + item) for item in e]) <= 4
    truth = [
        -mp.log1p(c) if item > -2000 else mpf(float(item)) for c, item in zip(e, x, strict=True)
    ]
    assert ulps(fl.log_sigmoid(x), truth) <= 4


@pytest.mark.parametrize("classes", [1, 2, 3, 7, 100, 1001])
@floats
def test_equal_logits_have_equal_probabilities(classes, dtype):
    rng = np.random.default_rng(classes)
    x = np.repeat(rng.uniform(-60, 60, (50, 1)), classes, axis=1).astype(dtype)
    np.testing.assert_array_equal(fl.softmax(x), fl.softmax(x)[:, :1] * np.ones(classes, dtype))
    if classes < 3:
        np.testing.assert_array_equal(fl.softmax(x), dtype(1 / classes))
    assert (fl.softmax(rng.uniform(-90, 90, (50, classes)).astype(dtype)) <= 1).all()


INF, NAN = np.inf, np.nan
SPECIAL = np.array(
    [
        [-INF, -INF, -INF],
        [INF, 0, -INF],
        [INF, INF, 0],
        [INF, INF, INF],
        [NAN, 1, 2],
        [-NAN, 1, 2],  # what processors make of inf - inf
        [1, 2, NAN],
        [-NAN, INF, 0],
        [NAN, INF, 0],
        [-NAN, -INF, -INF],
        [0, -INF, 1],
        [-INF, -INF, 700],
        [INF, -NAN, NAN],
    ]
)


@floats
@every
def test_scipys_values_at_infinities(function, dtype):
    x = SPECIAL.astype(dtype)
    with np.errstate(all="ignore"):
        wanted = PEERS[function](x, **along(function, 1))
    for array in (x, np.asfortranarray(x), np.tile(x, (400, 1))[-len(x) :]):
        got = function(array)
        np.testing.assert_allclose(got, wanted, rtol=1e-6)
        np.testing.assert_array_equal(np.isnan(got), np.isnan(wanted))
    if function is not fl.logsumexp:
        np.testing.assert_array_equal(function(x, out=x), got)


@floats
def test_one_row_spoils_no_other(dtype):
    x = np.random.default_rng(0).standard_normal((600, 30)).astype(dtype)
    spoiled = x.copy()
    spoiled[::7, 3] = np.nan
    spoiled[1::7] *= 1000
    same = np.arange(600) % 7 > 1
    for function in OF_ROWS:
        np.testing.assert_array_equal(function(spoiled)[same], function(x)[same])
        assert np.isnan(function(spoiled)[::7]).all()


def layouts(x):
    """Yield arrays equal to x, most of which lie otherwise in memory; none shares x's."""
    yield x.copy()
    yield x.copy(order="F")
    yield x[::-1, ::-1].copy()[::-1, ::-1]
    yield np.repeat(np.repeat(x, 2, axis=-1), 3, axis=0)[::3, ..., ::2]
    yield np.moveaxis(np.moveaxis(x, 1, 0).copy(), 0, 1)
    yield x.astype(x.dtype.newbyteorder())
    unaligned = np.frombuffer(b"." + x.tobytes(), np.uint8)[1:].view(x.dtype)
    yield unaligned.reshape(x.shape)
    frozen = x.copy()
    frozen.flags.writeable = False
    yield frozen


@every
@floats
def test_same_bits_in_every_layout_and_in_place(function, dtype):
    rng = np.random.default_rng(3)
    for shape in ((70, 5, 40), (3, 9000), (7, 1, 3), (2, 300, 70)):
        x = (20 * rng.standard_normal(shape)).astype(dtype)
        for axis in range(len(shape)):
            last = np.ascontiguousarray(np.moveaxis(x, axis, -1))
            wanted = function(last)
            if function is not fl.logsumexp:
                wanted = np.moveaxis(wanted, -1, axis)
            where = along(function, axis)
            for array in layouts(x):
                np.testing.assert_array_equal(function(array, **where), wanted)
                if function is fl.logsumexp:
                    continue
                if array.flags.writeable and array.dtype.isnative:
                    other = np.full(shape[::-1], np.nan, dtype).T
                    assert function(array, **where, out=other) is other
                    np.testing.assert_array_equal(other, wanted)
                    assert function(array, **where, out=array) is array
                    np.testing.assert_array_equal(array, wanted)


@settings(max_examples=60, deadline=None)
@given(
    shape=st.lists(st.integers(0, 6), min_size=1, max_size=4),
    seed=st.integers(0, 2**32 - 1),
    data=st.data(),
)
def test_any_shape_and_axes(shape, seed, data):
    rng = np.random.default_rng(seed)
    order = data.draw(st.permutations(range(len(shape))))
    x = 5 * rng.standard_normal([shape[k] for k in order]).transpose(np.argsort(order))
    axes = data.draw(st.sets(st.integers(0, len(shape) - 1)))
    axis = data.draw(st.sampled_from([tuple(axes), list(axes), *axes, None]))
    over = tuple(range(x.ndim)) if axis is None else tuple(axis) if np.ndim(axis) else (axis,)
    with np.errstate(divide="ignore"):
        total = np.sum(np.exp(x), axis=over, keepdims=True)
        log = np.log(total)
    np.testing.assert_allclose(fl.softmax(x, axis), np.exp(x) / total, rtol=1e-12)
    np.testing.assert_allclose(fl.log_softmax(x, axis), x - log, rtol=1e-10, atol=1e-12)
    wanted = np.squeeze(log, over)
    np.testing.assert_allclose(fl.logsumexp(x, axis), wanted, rtol=1e-10, atol=1e-12)
    assert np.shape(fl.logsumexp(x, axis)) == wanted.shape
    np.testing.assert_allclose(fl.sigmoid(x), 1 / (1 + np.exp(-x)), rtol=1e-12)
    np.testing.assert_allclose(fl.log_sigmoid(x), -np.log1p(np.exp(-x)), rtol=1e-12)
    assert fl.sigmoid(x).shape == x.shape


@every
@pytest.mark.parametrize("dtype", [np.float16, BFLOAT16])
def test_halves_are_computed_in_float32_and_rounded_once(function, dtype):
    for shape in ((50, 33), (9, 700), (3, 9000)):
        x = (4 * np.random.default_rng(5).standard_normal(shape)).astype(dtype)
        wide = function(x.astype(np.float32))
        for array in (x, x.copy(order="F"), np.repeat(x, 2, axis=1)[:, ::2]):
            got = function(array)
            assert got.dtype == np.float32
            np.testing.assert_array_equal(got, wide)
            rounded = function(array, dtype=dtype)
            assert rounded.dtype == dtype
            np.testing.assert_array_equal(rounded, wide.astype(dtype))
        if function is not fl.logsumexp:
            assert function(x, out=x) is x
            np.testing.assert_array_equal(x, wide.astype(dtype))


@every
def test_dtypes(function):
    rng = np.random.default_rng(2)
    x = rng.standard_normal((6, 8))
    single = x.astype(np.float32)
    assert function(x).dtype == np.float64
    assert function(single).dtype == function(x.tolist()).dtype == np.float32
    np.testing.assert_array_equal(function(x, dtype="float32"), function(single))
    np.testing.assert_array_equal(function(single, dtype=float), function(single.astype(float)))
    whole = rng.integers(-5, 5, (6, 8))
    np.testing.assert_array_equal(function(whole), function(whole.astype(np.float32)))
    with pytest.raises(ValueError, match="dtype must be None or one of"):
        function(x, dtype="int32")
    for wrong in (["a"], [1j], np.ma.zeros(3), None):
        with pytest.raises(TypeError, match="x must"):
            function(wrong)


@every
def test_out_of_another_dtype_is_converted(function):
    x = np.random.default_rng(2).standard_normal((6, 5000)).astype(np.float32)
    out = np.empty(np.shape(function(x)), np.float32)
    assert function(x, out=out, dtype="float64") is out
    np.testing.assert_array_equal(out, function(x.astype(float)).astype(np.float32))


@maps
def test_out_that_does_not_fit_is_refused_and_kept(function):
    x = np.zeros((4, 6), np.float32)
    frozen = np.zeros_like(x)
    frozen.flags.writeable = False
    wide = np.zeros((5, 6), np.float32)
    for out, match in (
        (np.zeros((6, 4), np.float32), r"out must have the shape of x, \(4, 6\), got \(6, 4\)"),
        (np.zeros((4, 6)), "out must have native dtype float32, got float64"),
        (frozen, "out must be writeable"),
        (np.lib.stride_tricks.as_strided(wide, x.shape, (4, 4)), "out must not overlap itself"),
    ):
        with pytest.raises(ValueError, match=match):
            function(x, out=out)
        assert not out.any()
    with pytest.raises(ValueError, match="out must be x itself or overlap no input, but overlaps"):
        function(wide[:4], out=wide[1:])
    with pytest.raises(TypeError, match="out must be a NumPy array, got list"):
        function(x, out=[0.0])


def test_out_of_logsumexp():
    x = np.random.default_rng(2).standard_normal((4, 6, 5))
    wanted = fl.logsumexp(x, axis=1)
    out = np.empty((5, 4)).T
    assert fl.logsumexp(x, 1, out=out) is out
    np.testing.assert_array_equal(out, wanted)
    single = np.empty(())
    assert fl.logsumexp(x, None, out=single) is single
    assert single == fl.logsumexp(x, None)
    with pytest.raises(ValueError, match=r"shape of x without axis, \(4, 5\), got \(4, 6\)"):
        fl.logsumexp(x, 1, out=np.empty((4, 6)))
    with pytest.raises(ValueError, match="out must overlap no other argument, but overlaps x"):
        fl.logsumexp(x, 1, out=x[:, 0])


def test_axes_that_are_not_there():
    x = np.zeros((2, 3))
    for function in OF_ROWS:
        with pytest.raises(ValueError, match=r"axis must lie in \[-2, 2\) for x of shape"):
            function(x, 2)
        with pytest.raises(ValueError, match="axis must name each axis once"):
            function(x, (1, -1))
        with pytest.raises(ValueError, match="axis must be an integer, a sequence of integers"):
            function(x, 0.5)
        with pytest.raises(ValueError, match=r"x must have at least one axis, got shape \(\)"):
            function(1.0)


@of_elements
def test_scalars_give_scalars(function):
    assert isinstance(function(0.5), np.float32)
    assert isinstance(function(np.float64(0.5)), np.float64)
    assert function(np.float64(0.5)) == function(np.array([0.5]))[0]
    out = np.empty(())
    assert function(np.array(0.5), out=out) is out
    assert out == function(np.float64(0.5))


def test_empty_axes():
    for function in (fl.softmax, fl.log_softmax):
        for shape in ((3, 0), (0, 3), (0, 0), (0,), (2, 0, 3)):
            assert function(np.empty(shape)).shape == shape
            assert function(np.empty(shape), 0).shape == shape
    np.testing.assert_array_equal(fl.logsumexp(np.empty((3, 0))), [-INF] * 3)
    np.testing.assert_array_equal(fl.logsumexp(np.empty((2, 0, 3)), 1), np.full((2, 3), -INF))
    assert fl.logsumexp(np.empty((0, 3))).shape == (0,)
    assert fl.logsumexp(np.empty(0)) == -INF


@every
def test_no_bit_depends_on_the_number_of_threads(function):
    rng = np.random.default_rng(8)
    before = numba.get_num_threads()
    for shape in ((301, 900), (5, 90_001), (40_000, 7), (1, 300_000)):
        x = 5 * rng.standard_normal(shape, np.float32)
        found = []
        for threads in (1, numba.config.NUMBA_NUM_THREADS):
            numba.set_num_threads(threads)
            found.append(function(x))
        numba.set_num_threads(before)
        np.testing.assert_array_equal(*found)
        np.testing.assert_array_equal(found[0][-1:], function(x[-1:]))
