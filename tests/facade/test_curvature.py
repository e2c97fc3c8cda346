"""Second derivatives against mpmath, against differences of the gradient, and what must hold."""

import inspect
import pickle

import numpy as np
import pytest
from formulas import FUNCTIONS, RNG, WITH_AXIS, draw
from hypothesis import given, settings
from hypothesis import strategies as st
from second_derivatives import diagonal, products, row_hessian, ulps

import fastloss as fl

# Whether y_pred holds logits, or for Poisson log rates.
CASES = [(fn, False) for fn in FUNCTIONS] + [(fn, True) for fn in (*WITH_AXIS, fl.poisson)]
every_case = pytest.mark.parametrize(
    ("fn", "from_logits"), CASES, ids=lambda v: getattr(v, "__name__", "logits" if v else "")
)
SPARSE, DENSE, BINARY = WITH_AXIS[2], WITH_AXIS[1], WITH_AXIS[0]
SCCE = fl.SparseCategoricalCrossentropy(from_logits=True)


def options(fn, from_logits, **more):
    name = "log_input" if fn is fl.poisson else "from_logits"
    return {**({name: True} if from_logits else {}), **more}


def both(fn, y, x, vector, **more):
    """Return (value, grad, hessian, product)."""
    out = more.pop("out", None)
    product = fl.hessian_vector_product(fn)(y, x, vector, **more)
    return *fl.value_grad_and_hessian(fn)(y, x, out=out, **more), product


def assert_same_bits(first, second):
    for a, b in zip(first, second, strict=True):
        assert (np.shape(a), a.dtype) == (np.shape(b), b.dtype)
        assert a.tobytes() == b.tobytes()


def drawn_rows(fn, from_logits, dtype, rng):
    """Return (targets, predictions) of rows, near and far from what is right."""
    rows, classes = 6, int(rng.integers(1, 8))
    shape, spread = (rows, classes), rng.choice([0.1, 1, 3])
    if from_logits:
        x = rng.normal(0, (5 if fn is fl.poisson else 20) * spread, shape)
    elif fn in (SPARSE, DENSE):
        # A multiple of 2^-20, so that no share is next to the bounds 1e-7 and 1 - 1e-7.
        x = np.rint(rng.dirichlet(np.full(classes, spread / 3), rows) * 2**20) + 0.5
        x *= rng.choice([1, 2.0**-50, 2.0**40])
    else:
        x = rng.gamma(spread, 5, shape) if fn is fl.poisson else rng.beta(spread, spread, shape)
    if fn is SPARSE:
        return rng.integers(0, classes, rows), x.astype(dtype)
    if fn is DENSE:
        t = rng.dirichlet(np.full(classes, spread / 3), rows)
    else:
        t = rng.poisson(3, shape) if fn is fl.poisson else rng.random(shape)
    return t.astype(dtype), x.astype(dtype)


@every_case
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_against_mpmath(fn, from_logits, dtype):
    rng = np.random.default_rng(7)
    for round_ in range(6):
        t, x = drawn_rows(fn, from_logits, dtype, rng)
        given, scale = options(fn, from_logits), np.ones(len(x))
        known = {"from_logits": from_logits}
        weights = rng.uniform(0.5, 2, x.shape[1]).astype(dtype)
        if round_ % 2 and fn in WITH_AXIS:
            given["label_smoothing"] = known["smoothing"] = 0.125
        if round_ % 3 and fn in WITH_AXIS:
            given["pos_weight" if fn is BINARY else "class_weight"] = weights
            known["weights"] = weights
        if round_ > 3:
            scale = 2.0 ** rng.integers(-9, 1, len(x))
            given["sample_weight"] = scale
        vector = rng.normal(size=x.shape).astype(dtype)
        _, _, hessian, product = both(fn, t, x, vector, **given)
        for r in range(len(x)):
            found = row_hessian(fn, t[r], x[r], **known)
            right, terms = diagonal(*found)
            cancels = fn in (SPARSE, DENSE) and not from_logits
            goal = 6 if cancels else 4
            sizes = terms if cancels else right
            assert ulps(hessian[r], *times(scale[r], right, sizes)) <= goal
            assert ulps(product[r], *times(scale[r], *products(*found, vector[r]))) <= goal


def times(scale, *lists):
    return [[scale * value for value in values] for values in lists]


def hessian_by_differences(gradient, x, step=1e-5):
    """Return the whole Hessian, whose gradient is a function of y_pred, by central differences."""
    columns = []
    for i in np.ndindex(x.shape):
        there, back = x.copy(), x.copy()
        there[i] += step
        back[i] -= step
        columns.append(((gradient(there) - gradient(back)) / (2 * step)).ravel())
    return np.array(columns)


@every_case
@settings(deadline=None, max_examples=20, derandomize=True)
@given(data=st.data())
def test_against_differences_of_the_gradient(fn, from_logits, data):
    pick = lambda *these: data.draw(st.sampled_from(these))  # noqa: E731
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    shape, axis = pick((3, 4), (2, 3, 4)), pick(-1, -2) if fn in WITH_AXIS else -1
    y, x = draw(fn, shape, axis, from_logits, rng)
    more = options(fn, from_logits)
    if fn in WITH_AXIS:
        more["axis"] = axis
        name = "pos_weight" if fn is BINARY else "class_weight"
        more |= pick({}, {name: rng.uniform(0.5, 2, shape[axis])})
        more["label_smoothing"] = pick(0.0, 0.1, 1.0)
    if fn is SPARSE:
        more |= pick({}, {"ignore_class": 1})
    losses = tuple(np.delete(shape, axis))
    if fn in (BINARY, fl.poisson) and pick(False, True):  # each element is a loss
        losses = shape
        more["sample_weight"] = rng.uniform(0, 2, losses)
    more |= pick({}, {"sample_weight": rng.uniform(0, 2, losses)})
    more |= pick({}, {"mask": rng.random(losses) < 0.7})
    reduction = pick(None, "sum", "mean", "mean_with_sample_weight")
    result = losses if reduction is None else ()
    more |= {"reduction": reduction, **pick({}, {"upstream": rng.normal(size=result)})}
    vector = rng.normal(size=shape)
    value, grad, hessian, product = both(fn, y, x, vector, **more)
    alone = fl.value_and_grad(fn)
    assert_same_bits((value, grad), alone(y, x, **more))
    whole = hessian_by_differences(lambda moved: alone(y, moved, **more)[1], x)
    near = {"rtol": 1e-5, "atol": 1e-6 * abs(whole).max()}
    np.testing.assert_allclose(hessian.ravel(), np.diag(whole), **near)
    np.testing.assert_allclose(product.ravel(), whole @ vector.ravel(), **near)


@every_case
@pytest.mark.parametrize("shape", [(700, 1000), (300_000, 2), (600_000, 1), (3, 200_000), (90, 9)])
def test_many_rows(fn, from_logits, shape):
    """Value and gradient have the bits of `value_and_grad`, and rows depend on themselves alone."""
    y, x = draw(fn, shape, -1, from_logits)
    x = x.astype(np.float32)
    more = options(fn, from_logits, reduction="mean")
    vector = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    value, grad, hessian, product = both(fn, y, x, vector, **more)
    assert_same_bits((value, grad), fl.value_and_grad(fn)(y, x, **more))
    some = [0, len(x) // 2, len(x) - 1]
    part = both(fn, y[some], x[some], vector[some], **more, upstream=len(some) / len(x))
    for whole, few in zip((grad, hessian, product), part[1:], strict=True):
        np.testing.assert_allclose(whole[some], few, rtol=1e-6, atol=0)
    inside, own = x.copy(), np.empty_like(x)
    same = fl.value_grad_and_hessian(fn)(y, inside, **more, out=inside, hessian_out=own)
    assert same[1] is inside
    assert same[2] is own
    assert_same_bits(same, (value, grad, hessian))
    inside = x.copy()
    fl.hessian_vector_product(fn)(y, inside, vector, **more, out=inside)
    assert_same_bits((inside,), (product,))


LAYOUTS = {
    "every other": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "backwards": lambda a: a[::-1, ..., ::-1].copy()[::-1, ..., ::-1],
    "fortran": np.asfortranarray,
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
}


@every_case
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(9, 5), (3, 70, 5), (2, 300, 3)])
def test_layouts_do_not_matter(fn, from_logits, layout, shape):
    axis = 1 if fn in WITH_AXIS else -1
    y, x = draw(fn, shape, axis, from_logits)
    more = options(fn, from_logits, **({"axis": axis} if fn in WITH_AXIS else {}))
    vector, change = np.random.default_rng(1).normal(size=shape), LAYOUTS[layout]
    plain = both(fn, y, x, vector, **more)
    moved = change(x)
    moved.flags.writeable = False
    other = both(fn, change(y) if y.ndim == x.ndim else y, moved, change(vector), **more)
    for a, b in zip(plain, other, strict=True):
        np.testing.assert_array_equal(a, b)
    if layout != "big-endian":
        out, own = change(np.empty_like(x)), change(np.empty_like(x))
        fl.value_grad_and_hessian(fn)(y, x, **more, out=out, hessian_out=own)
        np.testing.assert_array_equal(out, plain[1])
        np.testing.assert_array_equal(own, plain[2])
        fl.hessian_vector_product(fn)(y, x, vector, **more, out=own)
        np.testing.assert_array_equal(own, plain[3])


@every_case
def test_half_precision(fn, from_logits):
    """One of the two for each kernel: they differ where the loops read and write them alone."""
    pytest.importorskip("ml_dtypes")
    name = "float16" if from_logits else "bfloat16"
    y, x = draw(fn, (40, 6), -1, from_logits)
    half = x.astype(np.float32).astype(name)
    vector = np.random.default_rng(1).normal(size=x.shape).astype(np.float32)
    more = options(fn, from_logits)
    plain = both(fn, y, half.astype(np.float32), vector, **more)
    assert_same_bits(both(fn, y, half, vector, **more), plain)
    hessian, product = np.empty_like(half), np.empty_like(half)
    fl.value_grad_and_hessian(fn)(y, half, **more, hessian_out=hessian)
    fl.hessian_vector_product(fn)(y, half, vector, **more, out=product)
    assert_same_bits((hessian, product), [a.astype(name) for a in plain[2:]])
    inside = half.copy()
    fl.value_grad_and_hessian(fn)(y, inside, **more, out=inside, dtype=name)
    assert_same_bits((inside,), (plain[1].astype(name),))


@every_case
def test_rows_that_do_not_count_give_exactly_0(fn, from_logits):
    y, x = draw(fn, (4, 5), -1, from_logits)
    x[1], vector = np.nan, np.full(x.shape, np.inf)
    vector[[0, 2, 3]] = 1.0
    for more in ({"mask": [1, 0, 1, 1]}, {"sample_weight": [1.0, 0.0, 2.0, 3.0]}):
        results = both(fn, y, x, vector, **more, **options(fn, from_logits))
        for found in results[1:]:
            assert found[1].tobytes() == bytes(found[1].nbytes)
            assert np.isfinite(found).all()
            assert from_logits or found[0].any()


@every_case
def test_nan_stays_in_its_row(fn, from_logits):
    y, x = draw(fn, (3, 5), -1, from_logits)
    x[1, 2] = np.nan
    _, _, hessian, product = both(fn, y, x, np.ones_like(x), **options(fn, from_logits))
    for found in (hessian, product):
        assert np.isnan(found[1, 2])
        assert np.isfinite(found[[0, 2]]).all()
        if "categorical" in fn.__name__:
            assert np.isnan(found[1]).all()


@pytest.mark.parametrize(
    ("fn", "y", "x"),
    [
        (BINARY, [[0.0, 1.0, 1.0, 0.0]], [[0.0, 0.0, 1.0, 1.5]]),
        (fl.kl_divergence, [[0.5, 0.5, 0.1]], [[0.0, -1.0, 1.5]]),
        (DENSE, [[0.0, 1.0, 0.0]], [[1e-40, 1.0, 0.0]]),
        (DENSE, [[1.0, 0.0, 0.0]], [[0.0, 1e-40, 1e-40]]),
        (SPARSE, [1], [[0.0, 1.0, 0.0]]),
        (SPARSE, [1], [[1.0, 1e-9, 2.0]]),
        (SPARSE, [0], [[3.0]]),
    ],
)
def test_where_a_clip_makes_it_flat_it_is_0(fn, y, x):
    for dtype in (np.float32, np.float64):
        given = np.array(x, dtype)
        _, _, hessian, product = both(fn, y, given, np.ones_like(given))
        assert not hessian.any()
        assert not product.any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_clip_bounds_are_closed(dtype):
    kind = dtype
    bounds = np.array([[kind(1e-7), kind(1 - 1e-7)]])
    hessian = fl.value_grad_and_hessian(BINARY)([[0.0, 1.0]], bounds, axis=())[2]
    np.testing.assert_allclose(hessian, 1 / np.float64([1 - bounds[0, 0], bounds[0, 1]])[None] ** 2)
    hessian = fl.value_grad_and_hessian(fl.kl_divergence)(
        [[1.0, 1.0]], np.array([[kind(1e-7), 1]], kind)
    )[2]
    np.testing.assert_allclose(hessian, [[1e14, 1]], rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
class TestSoftmax:
    def test_confident_rows(self, dtype):
        """1 - p of the largest class is the sum of the others, far below the last place of p."""
        gaps = np.array([30.0, 60.0, 100.0, 700.0 if dtype == np.float64 else 87.0])
        x = np.stack([np.zeros(4), -gaps], axis=1).astype(dtype)
        right = np.exp(-gaps) / (1 + np.exp(-gaps)) ** 2
        vector = np.tile(np.array([1.0, 3.0], dtype), (4, 1))
        _, _, hessian, product = both(SPARSE, [0] * 4, x, vector, from_logits=True)
        small = {"rtol": 4 * np.finfo(dtype).eps, "atol": 2 * np.finfo(dtype).smallest_subnormal}
        np.testing.assert_allclose(hessian, np.stack([right, right], axis=1), **small)
        np.testing.assert_allclose(product, np.stack([-2 * right, 2 * right], axis=1), **small)

    def test_far_logits(self, dtype):
        x = np.array([[0.0, -np.inf, 1.0], [1e30, 1e30, -1e30], [-500.0, -500.0, -501.0]], dtype)
        _, _, hessian, product = both(SPARSE, [0, 0, 0], x, np.ones_like(x), from_logits=True)
        p = 1 / (1 + np.e)
        last = np.exp(np.array([0.0, 0.0, -1.0])) / (2 + np.exp(-1.0))
        right = [[p * (1 - p), 0, p * (1 - p)], [0.25, 0.25, 0], last * (1 - last)]
        np.testing.assert_allclose(hessian, right, rtol=1e-6)
        assert not product.any()  # exactly: the rows of H add up to 0

    @pytest.mark.parametrize("row", [[np.inf, 0.0], [-np.inf, -np.inf], [0.0, np.nan]])
    def test_hopeless_rows(self, dtype, row):
        for found in both(SPARSE, [0], np.array([row], dtype), np.ones((1, 2)), from_logits=True)[
            2:
        ]:
            assert np.isnan(found).all()

    @pytest.mark.parametrize("scale", [1e-30, 1e30])
    def test_scales_far_from_1(self, dtype, scale):
        x = np.array([[0.0, 50.0, -20.0], [3.0, 2.0, 1.0]], dtype)
        vector = np.array([[1.0, 2.0, 3.0]] * 2, dtype)
        e = np.exp(np.float64(x) - x.max(axis=1, keepdims=True).astype(np.float64))
        p = e / e.sum(axis=1, keepdims=True)
        rest = np.array([[e[r][np.arange(3) != k].sum() for k in range(3)] for r in range(2)])
        right = scale * p * rest / e.sum(axis=1, keepdims=True)
        _, _, hessian, product = both(
            SPARSE, [0, 0], x, vector, from_logits=True, sample_weight=[scale] * 2
        )
        floor = 2 * np.finfo(dtype).smallest_subnormal
        np.testing.assert_allclose(hessian, right, rtol=1e-6, atol=floor)
        pairs = [
            [scale * p[r] @ (p[r, j] * (vector[r, j] - vector[r])) for j in range(3)]
            for r in (0, 1)
        ]
        np.testing.assert_allclose(product, pairs, rtol=2e-6, atol=floor)

    def test_128_thousand_classes(self, dtype):
        rng = np.random.default_rng(3)
        x = rng.normal(0, 3, (3, 128_256)).astype(dtype)
        vector = rng.normal(size=x.shape).astype(dtype)
        _, _, hessian, product = both(SPARSE, [0, 5, 9], x, vector, from_logits=True)
        p = np.exp(np.float64(x))
        p /= p.sum(axis=1, keepdims=True)
        near = {"rtol": 1e-5 if dtype == np.float32 else 1e-12}
        np.testing.assert_allclose(hessian, p * (1 - p), **near)
        top = np.take_along_axis(vector, x.argmax(axis=1, keepdims=True), 1)  # taken out of sums
        above, mean = vector - np.float64(top), (p * (vector - np.float64(top))).sum(1)[:, None]
        size = p * (abs(above) + abs(mean))
        assert (abs(product - p * (above - mean)) <= 6 * np.finfo(dtype).eps * size).all()


@every_case
def test_products_are_symmetric(fn, from_logits):
    y, x = draw(fn, (5, 7), -1, from_logits)
    a, b = np.random.default_rng(2).normal(size=(2, *x.shape))
    times = fl.hessian_vector_product(fn)
    more = options(fn, from_logits)
    left, right = np.sum(a * times(y, x, b, **more)), np.sum(b * times(y, x, a, **more))
    np.testing.assert_allclose(left, right, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("sums", [1.0, -3.0, 1e-40, 1e-300])
def test_sums_of_probabilities_far_from_1(sums):
    """A negative or subnormal sum: shares are the same, and second derivatives go with 1 / S^2."""
    shares = np.array([[0.25, 0.5, 0.25]])
    for dtype in (np.float32, np.float64):
        with np.errstate(over="ignore", under="ignore"):
            x, t = (shares * sums).astype(dtype), np.array([[0.5, 0.5, 0.0]], dtype)
            if not x.any():
                continue
            right = (np.array([[8.0, 2.0, 0.0]]) - 1) / sums / sums
            expected = right.astype(dtype)
        found = fl.value_grad_and_hessian(DENSE)(t, x)[2]
        np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_rows_without_a_sum_are_nan():
    for fn, y in ((SPARSE, [0]), (DENSE, [[1.0, 0.0]])):
        _, _, hessian, product = both(fn, y, np.array([[0.0, 0.0]]), np.ones((1, 2)))
        assert np.isnan(hessian).all()
        assert np.isnan(product).all()


@every_case
@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0), (1, 1)])
def test_empty_and_single(fn, from_logits, shape):
    if fn is SPARSE and shape[1] == 0:
        shape = (0, 0)
    x = np.full(shape, 0.5)
    y = np.zeros(shape[0], int) if fn is SPARSE else np.ones(shape)
    found = both(fn, y, x, np.ones(shape), **options(fn, from_logits, reduction="sum"))
    assert [a.shape for a in found[1:]] == [shape] * 3


def test_classes_do_what_functions_do():
    for fn, from_logits in CASES:
        y, x = draw(fn, (6, 4), -1, from_logits)
        vector, weight = RNG.normal(size=x.shape), np.arange(6.0)
        loss = fl.get("".join(map(str.capitalize, fn.__name__.split("_"))).replace("Kl", "KL"))
        loss = type(loss)(**options(fn, from_logits), reduction="sum")
        more = options(fn, from_logits, reduction="sum", sample_weight=weight, upstream=2.0)
        value, grad, hessian, product = both(fn, y, x, vector, **more)
        same = loss.value_grad_and_hessian(y, x, weight, upstream=2.0)
        assert_same_bits(same, (value, grad, hessian))
        assert_same_bits(
            (loss.hessian_vector_product(y, x, vector, weight, upstream=2.0),), (product,)
        )


def test_classes_repair_ranks_as_elsewhere():
    loss = fl.BinaryCrossentropy(from_logits=True, dtype="float64")
    x = np.zeros((3, 1), np.float32)
    _, grad, hessian = loss.value_grad_and_hessian([0, 1, 0], x)
    assert grad.shape == hessian.shape == (3, 1)
    assert hessian.dtype == np.float64
    np.testing.assert_allclose(hessian, 1 / 12)
    np.testing.assert_allclose(loss.hessian_vector_product([0, 1, 0], x, x + 2), 1 / 6)


@pytest.mark.parametrize("transform", [fl.value_grad_and_hessian, fl.hessian_vector_product])
class TestTransforms:
    def test_can_be_pickled_and_are_named(self, transform):
        made = transform(fl.poisson)
        again = pickle.loads(pickle.dumps(made))
        x = np.array([[1.0, 2.0]])
        more = (x,) if transform is fl.hessian_vector_product else ()
        for a, b in zip(made(x, x, *more), again(x, x, *more), strict=True):
            np.testing.assert_array_equal(a, b)
        assert made.__name__ == again.__name__ == f"{transform.__name__}(poisson)"
        names = list(inspect.signature(made).parameters)
        assert names[:2] == ["y_true", "y_pred"]
        assert (names[2] == "vector") == (transform is fl.hessian_vector_product)
        assert {"axis", "log_input", "sample_weight", "upstream", "out"} < set(names)

    def test_take_losses_alone(self, transform):
        with pytest.raises(TypeError, match="fn must be one of binary_crossentropy"):
            transform(np.sum)


class TestErrors:
    X, Y = np.zeros((2, 3)), np.array([0, 1])

    @pytest.mark.parametrize(
        ("hessian_out", "error", "words"),
        [
            ([1], TypeError, "hessian_out must be a NumPy array, got list"),
            (np.zeros((3, 2)), ValueError, r"hessian_out must have the shape of y_pred, \(2, 3\)"),
            (np.zeros((2, 3), int), ValueError, "hessian_out must have native dtype float64"),
            (np.broadcast_to(0.0, (2, 3)), ValueError, "hessian_out must be writeable"),
        ],
    )
    def test_of_hessian_out(self, hessian_out, error, words):
        with pytest.raises(error, match=words):
            SCCE.value_grad_and_hessian(self.Y, self.X, hessian_out=hessian_out)

    def test_outputs_overlap_nothing(self):
        x, out = self.X.copy(), np.zeros((2, 3))
        for other, name in ((x, "y_pred"), (out, "out")):
            words = f"hessian_out must overlap no other argument, but overlaps {name}"
            with pytest.raises(ValueError, match=words):
                SCCE.value_grad_and_hessian(self.Y, x, out=out, hessian_out=other)
        with pytest.raises(
            ValueError, match="out must be y_pred itself or overlap no input, but o"
        ):
            SCCE.hessian_vector_product(self.Y, x, out, out=out)

    def test_of_vector(self):
        with pytest.raises(
            ValueError, match=r"vector must have the shape of y_pred, \(2, 3\), got"
        ):
            SCCE.hessian_vector_product(self.Y, self.X, np.ones(3))
        with pytest.raises(TypeError, match="vector must hold real numbers"):
            SCCE.hessian_vector_product(self.Y, self.X, self.X + 1j)

    def test_nothing_is_written_for_a_bad_label(self):
        rows = 300_000  # more than one block
        y, out, own = np.zeros(rows, int), np.full((rows, 2), 7.0), np.full((rows, 2), 7.0)
        y[-1], x = 2, np.zeros((rows, 2))
        words = r"y_true must hold labels in \[0, 2\), as y_pred has 2 classes: got 2 at row 299999"
        with pytest.raises(ValueError, match=words):
            SCCE.value_grad_and_hessian(y, x, out=out, hessian_out=own)
        with pytest.raises(ValueError, match=words):
            SCCE.hessian_vector_product(y, x, x, out=out)
        assert (out == 7).all()
        assert (own == 7).all()
