"""Blocks, pieces and chunks of a few elements, so that small arrays have many of each.

In plain Python alone, where these sizes are variables; compiled code holds them as constants.
"""

import fastloss_kernels as kernels
import numba
import numpy as np
import pytest
from fastloss_kernels import launch, tuning
from fastloss_kernels.memory.layout import rows_per_tile
from formulas import FUNCTIONS, WITH_AXIS, differences, draw, formula

import fastloss as fl
from benchmarks.cases import CASES as BENCHED

if not numba.config.DISABLE_JIT:
    pytest.skip("compiled kernels have their blocks built in", allow_module_level=True)

for _name in kernels.__all__:  # imported when first asked for: not while sizes are others
    getattr(kernels, _name)

NO_WEIGHT = np.empty(0)
# The kernel of each case, and its arguments between the targets and the scale.
KERNELS = {
    "sparse_logits": (kernels.softmax_crossentropy_sparse, ()),
    "sparse_probabilities": (kernels.probability_crossentropy_sparse, (1e-7,)),
    "dense_logits": (kernels.softmax_crossentropy_dense, (NO_WEIGHT, 0.1)),
    "dense_probabilities": (kernels.probability_crossentropy_dense, (NO_WEIGHT, 0.1, 1e-7)),
    "binary_logits": (kernels.binary_crossentropy_logits, (NO_WEIGHT, 0.1)),
    "binary_probabilities": (kernels.binary_crossentropy, (NO_WEIGHT, 0.1, 1e-7)),
    "poisson": (kernels.poisson, (1e-7,)),
    "kl_divergence": (kernels.kullback_leibler, (1e-7,)),
}
SPARSE = fl.value_and_grad(fl.sparse_categorical_crossentropy)
CASES = [(fn, False) for fn in FUNCTIONS] + [(fn, True) for fn in WITH_AXIS]
every_case = pytest.mark.parametrize(("fn", "from_logits"), CASES)


@pytest.fixture(autouse=True, params=[(8, 512, 256), (16, 3, 32), (40, 512, 32)], ids=str)
def _sizes(request, monkeypatch):
    """Set the elements and the rows of a block, and the elements of a chunk, at least a cache line.

    Class-major rows are packed by up to six, those longer than a piece by two. From two on they are
    processed as columns, in tiles of at most five.
    """
    block, rows, chunk = request.param
    sizes = {
        "BLOCK": block,
        "BLOCK_ROWS": rows,
        "ROW_MULTIPLE": 2,
        "CHUNK": chunk,
        "PACK_ROWS": 6,
        "PACK_ROWS_WIDE": 2,
        "PACK_ELEMENTS": 30,
        "LONG_ROW": 8 * block,  # rows of more are stored past the caches at once
        "DIRECT_ROW": 400,  # and of more not
        "TILE_ROWS": 5,
        "TILE_ROWS_LEAST": 2,
        "TILE_CHUNK": 3,
    }
    if rows == 3:  # gradients go past the caches
        sizes["STREAM"] = 64
    for name, size in sizes.items():
        monkeypatch.setattr(tuning, name, size)


@every_case
@pytest.mark.parametrize(
    ("shape", "axis"),
    [((7, 3), -1), ((3, 21), -1), ((3, 5), 0), ((45, 4), 0)],
)
def test_values_and_gradients(fn, from_logits, shape, axis):
    y, x = draw(fn, shape, axis, from_logits)
    options = {"from_logits": from_logits, "axis": axis} if fn in WITH_AXIS else {}
    if fn not in WITH_AXIS and axis == 0:
        y, x = y.T, x.T
    value, gradient = fl.value_and_grad(fn)(y, x, **options)
    np.testing.assert_allclose(value, formula(fn, y, x, **options), rtol=1e-12)
    slopes = differences(lambda moved: formula(fn, y, moved, **options), x)
    np.testing.assert_allclose(gradient, slopes, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(fn(y, x, **options), value)
    inside = x.copy()
    fl.value_and_grad(fn)(y, inside, out=inside, **options)
    np.testing.assert_array_equal(inside, gradient)


@every_case
@pytest.mark.parametrize(("shape", "axis"), [((7, 3), -1), ((3, 21), -1), ((3, 5), 0)])
def test_second_derivatives(fn, from_logits, shape, axis):
    y, x = draw(fn, shape, axis, from_logits)
    options = {"from_logits": from_logits, "axis": axis} if fn in WITH_AXIS else {}
    if fn not in WITH_AXIS and axis == 0:
        y, x = y.T, x.T
    alone, vector = fl.value_and_grad(fn), np.random.default_rng(1).normal(size=x.shape)
    value, gradient, hessian = fl.value_grad_and_hessian(fn)(y, x, **options)
    product = fl.hessian_vector_product(fn)(y, x, vector, **options)
    for a, b in zip((value, gradient), alone(y, x, **options), strict=True):
        np.testing.assert_array_equal(a, b)
    step = 1e-5
    for i in np.ndindex(x.shape):
        there, back = x.copy(), x.copy()
        there[i] += step
        back[i] -= step
        row = (alone(y, there, **options)[1] - alone(y, back, **options)[1]) / (2 * step)
        np.testing.assert_allclose(hessian[i], row[i], rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(product[i], np.sum(row * vector), rtol=1e-4, atol=1e-4)
    inside = x.copy()
    fl.hessian_vector_product(fn)(y, inside, vector, **options, out=inside)
    np.testing.assert_array_equal(inside, product)


@every_case
@pytest.mark.parametrize("width", [3, 21, 70])
@pytest.mark.parametrize("step", [1, 2, -1])
def test_rows_apart_from_each_other(fn, from_logits, width, step):
    y, x = draw(fn, (7, width), -1, from_logits)
    options = {"from_logits": from_logits} if fn in WITH_AXIS else {}
    call = fl.value_and_grad(fn)
    value, gradient = call(y, x, **options)
    view, out = (np.full((14, width + 2), 7.0)[::step, :width][:7] for _ in range(2))
    view[...] = x
    for given, room in ((view, out), (x, out), (view, None), (view, view)):
        same, slopes = call(y, given, **options, out=room)
        np.testing.assert_array_equal(same, value)
        np.testing.assert_array_equal(slopes, gradient)
        np.testing.assert_array_equal(out.base[:, width:], 7)


@every_case
@pytest.mark.parametrize("width", [3, 21])
@pytest.mark.parametrize("kept", [(1, 7), (2, 3), (7, 1), (3, 4)])
def test_rows_apart_along_two_axes(fn, from_logits, width, kept):
    y, x = draw(fn, (kept[0] * kept[1], width), -1, from_logits)
    options = {"from_logits": from_logits} if fn in WITH_AXIS else {}
    call = fl.value_and_grad(fn)
    value, gradient = call(y, x, **options)
    y = y.reshape(*kept, *y.shape[1:])
    for more, step in (((0, 1, 0), 1), ((1, 0, 1), 1), ((2, 2, 2), 1), ((0, 0, 0), -1)):
        memory = np.full([n + extra for n, extra in zip((*kept, width), more, strict=True)], 7.0)
        view = memory[: kept[0], : kept[1], :width][:, ::step]
        view[...] = x.reshape(*kept, width)
        same, slopes = call(y, view, **options)
        np.testing.assert_array_equal(same.reshape(value.shape), value)
        np.testing.assert_array_equal(slopes.reshape(gradient.shape), gradient)


@pytest.mark.parametrize("case", BENCHED, ids=lambda case: case.name)
@pytest.mark.parametrize("order", ["rows", "apart", "side by side"])
@pytest.mark.parametrize("share", [(0, 23), (5, 17), (11, 12)])
def test_a_share_of_the_rows(case, order, share):
    """One thread's rows lie anywhere between those of others, and alone are written."""
    classes, (first, last) = 10, share
    y, x = case.data(23, classes, np.float64)
    rng = np.random.default_rng(2)
    kept = rng.random(23) < 0.9
    calls = []
    for rows in (slice(0, 23), slice(first, last)):
        loss, grad = np.full(23, 7.0), laid(np.full((23, classes), 7.0), order)
        given = (laid(x, order), y if case.sparse else laid(y, order))
        kernel, options = KERNELS[case.name]
        part = launch.select_part(kernel.parts, given[0], loss)
        part(rows.start, rows.stop, *given, options, np.ones(1), kept, loss, grad)
        calls.append((loss, grad.reshape(-1, classes) if order != "side by side" else grad[0].T))
    (loss, grad), (some, slopes) = calls
    inside = np.zeros(23, bool)
    inside[first:last] = True
    np.testing.assert_array_equal(some, np.where(inside, loss, 7))
    np.testing.assert_array_equal(slopes, np.where(inside[:, None], grad, 7))


def laid(rows, order):
    """Return (outer, classes, inner) of rows of classes."""
    if order == "side by side":
        return np.ascontiguousarray(rows.T)[None]
    wide = np.full((len(rows), rows.shape[1] + (3 if order == "apart" else 0)), 7.0)
    wide[:, : rows.shape[1]] = rows
    return wide[:, : rows.shape[1], None]


@every_case
@pytest.mark.parametrize("width", [3, 21])
def test_rows_that_are_left_out(fn, from_logits, width):
    y, x = draw(fn, (7, width), -1, from_logits)
    options = {"from_logits": from_logits} if fn in WITH_AXIS else {}
    keep = np.array([True, False, True, True, False, False, True])
    expected = np.where(keep, formula(fn, y, x, **options), 0.0)
    x[~keep] = np.nan
    if fn is fl.sparse_categorical_crossentropy:
        y[~keep] = -9
    value, gradient = fl.value_and_grad(fn)(y, x, mask=keep, **options)
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    assert not gradient[~keep].any()
    assert gradient[keep].any(axis=1).all()


@pytest.mark.parametrize("width", [3, 21])
@pytest.mark.parametrize("row", range(7))
@pytest.mark.parametrize("label", [-1, 0])
def test_stray_labels(width, row, label):
    labels = np.arange(7) % width
    labels[row] = label or width
    with pytest.raises(ValueError, match=f"at row {row}$"):
        SPARSE(labels, np.ones((7, width)), from_logits=True)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1e2, 3e3, 4e6, 1e14])
@pytest.mark.parametrize("width", [3, 21])
@pytest.mark.parametrize("upstream", [1.0, 0.0, -(2.0**-70), 2.0**-110])
def test_large_logits(dtype, size, width, upstream):
    rng = np.random.default_rng(5)
    x = (rng.uniform(-size, size, (7, width)) + rng.normal(0, 2, (7, width))).astype(dtype)
    x[:, 1] = x[:, 0] + np.spacing(x[:, 0])  # two that are nearly the same
    x[3:5] = rng.normal(0, 2, (2, width))
    labels = np.array([0, 1, 2, 0, 2, 1, 0])
    wide = x.astype(np.float64)
    apart = wide - wide.max(axis=1, keepdims=True)
    shares = np.exp(apart) / np.exp(apart).sum(axis=1, keepdims=True)
    expected = np.log(np.exp(apart).sum(axis=1)) - apart[np.arange(7), labels]
    slopes = upstream * (shares - np.eye(width)[labels])
    value, gradient = SPARSE(labels, x, from_logits=True, upstream=np.full(7, upstream))
    exact = 1e-6 if dtype is np.float32 else 1e-13
    np.testing.assert_allclose(value, expected, rtol=exact, atol=exact * 1e-2)
    np.testing.assert_allclose(gradient, slopes, rtol=exact, atol=abs(upstream) * exact)
    dense = fl.value_and_grad(fl.categorical_crossentropy)
    targets = np.eye(width, dtype=dtype)[labels]
    value, gradient = dense(targets, x, from_logits=True, upstream=np.full(7, upstream))
    np.testing.assert_allclose(value, expected, rtol=exact, atol=exact * 1e-2)
    np.testing.assert_allclose(gradient, slopes, rtol=exact, atol=abs(upstream) * exact)


def of_rows(x, labels, scale, keep, grad):
    loss = np.full(labels.size, 7, x.dtype)
    kernels.run(kernels.softmax_crossentropy_sparse, x, labels, scale, keep, loss, grad)
    return loss


wild = pytest.mark.parametrize("size", [3.0, 1e3])
steps = pytest.mark.parametrize("step", [1, 2])


@wild
@steps
@pytest.mark.parametrize(
    ("dtype", "classes"),
    [(np.float32, 3), (np.float64, 1), (np.float64, 8)],
)
def test_columns_of_a_few_classes(dtype, classes, size, step):
    assert_columns_have_the_bits_of_rows(dtype, classes, size, step)


@wild
@steps
@pytest.mark.parametrize(("dtype", "classes"), [(np.float32, 17), (np.float64, 9)])
def test_columns_of_more_than_a_register(dtype, classes, size, step):
    assert_columns_have_the_bits_of_rows(dtype, classes, size, step)


@steps
@pytest.mark.parametrize(("dtype", "classes"), [(np.float32, 133), (np.float64, 71)])
def test_columns_of_more_than_four_registers(dtype, classes, step):
    assert_columns_have_the_bits_of_rows(dtype, classes, 3.0, step)


def assert_columns_have_the_bits_of_rows(dtype, classes, size, step):
    rng = np.random.default_rng(classes)
    x = rng.normal(0, 2, (2, classes, 6 * step)).astype(dtype)[:, :, ::step]
    x[0, :, 3] *= dtype(size)
    labels, scale = rng.integers(0, classes, 12), rng.choice([1.0, -2.5, 0.0, 2.0**-100], 12)
    keep = np.arange(12) % 5 != 1
    rows = np.ascontiguousarray(np.moveaxis(x, 1, 2)).reshape(-1, classes, 1)
    assert rows_per_tile(x, x) == 5
    assert rows_per_tile(rows, rows) == 0 or classes == 1
    slopes = np.full_like(rows, 7)
    grad = np.full((2, classes, 6 * step), 7, dtype)[:, :, ::step]
    loss = of_rows(x, labels, scale, keep, grad)
    np.testing.assert_array_equal(loss, of_rows(rows, labels, scale, keep, slopes))
    np.testing.assert_array_equal(np.moveaxis(grad, 1, 2).reshape(slopes.shape), slopes)
    np.testing.assert_array_equal(of_rows(x, labels, scale, keep, None), loss)
    inside = x.copy()
    np.testing.assert_array_equal(of_rows(inside, labels, scale, keep, inside), loss)
    np.testing.assert_array_equal(inside, grad)
    turned = np.asfortranarray(rows)
    np.testing.assert_array_equal(of_rows(turned, labels, scale, keep, turned), loss)
    np.testing.assert_array_equal(turned, slopes)
    wide = rows[:, :, 0].astype(np.float64)
    top = wide.max(axis=1)
    expected = np.log(np.exp(wide.T - top).sum(axis=0)) + top - wide[np.arange(12), labels]
    np.testing.assert_allclose(loss, np.where(keep, expected, 0), rtol=2e-6, atol=1e-6)


@steps
@pytest.mark.parametrize("classes", [3, 40])
def test_columns_of_half_precision(classes, step):
    rng = np.random.default_rng(classes)
    half = rng.normal(0, 2, (2, classes, 6 * step)).astype(np.float16)[:, :, ::step]
    labels, one, every = rng.integers(0, classes, 12), np.ones(1), np.ones(1, bool)
    x, bits = half.astype(np.float32), half.view(np.int16)
    (loss, grad), (same, rounded) = (
        (np.empty(12, np.float32), np.empty_like(a)) for a in (x, bits)
    )
    run = kernels.run
    run(kernels.softmax_crossentropy_sparse, x, labels, one, every, loss, grad)
    run(kernels.softmax_crossentropy_sparse, bits, labels, one, every, same, rounded)
    np.testing.assert_array_equal(same, loss)
    np.testing.assert_array_equal(rounded.view(np.float16), grad.astype(np.float16))


@pytest.mark.parametrize("width", [3, 21])
@pytest.mark.parametrize("fn", [fl.sparse_categorical_crossentropy, fl.categorical_crossentropy])
@pytest.mark.parametrize("from_logits", [False, True])
def test_rows_of_half_precision(fn, from_logits, width):
    y, x = draw(fn, (7, width), -1, from_logits)
    half = x.astype(np.float16)
    y = y if y.ndim == 1 else y.astype(np.float32)
    call = fl.value_and_grad(fn)
    value, gradient = call(y, half.astype(np.float32), from_logits=from_logits)
    for order in "CF":
        out = np.empty_like(half)
        same, slopes = call(y, np.asarray(half, order=order), from_logits=from_logits, out=out)
        np.testing.assert_array_equal(same, value)
        np.testing.assert_array_equal(slopes, gradient.astype(np.float16))


def test_many_classes_leave_less_room_for_small_scales():
    """The factor scale / S is a normal number only where the bound takes the classes in."""
    rng = np.random.default_rng(0)
    x = rng.uniform(42.2, 42.8, (1, 133, 6)).astype(np.float32)
    labels, scale, keep = np.arange(6), rng.uniform(1, 2, 6) * 2.0**-60, np.ones(1, bool)
    rows = np.ascontiguousarray(x[0].T)[:, :, None]
    grad, slopes = np.empty_like(x), np.empty_like(rows)
    loss = of_rows(x, labels, scale, keep, grad)
    np.testing.assert_array_equal(loss, of_rows(rows, labels, scale, keep, slopes))
    np.testing.assert_array_equal(grad[0].T, slopes[:, :, 0])
    e = np.exp(rows[:, :, 0].astype(np.float64))
    expected = scale[:, None] * (e / e.sum(axis=1, keepdims=True) - np.eye(133)[:6])
    np.testing.assert_allclose(slopes[:, :, 0], expected, rtol=3e-7)


LABELLED = [
    (kernels.softmax_crossentropy_sparse, ()),
    (kernels.probability_crossentropy_sparse, (1e-7,)),
]


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("threads", [1, 2, 3, 20])
@pytest.mark.parametrize(("kernel", "numbers"), LABELLED)
def test_labels_are_looked_at_by_all_threads_before_anything_is_written(
    kernel, numbers, threads, order
):
    rng = np.random.default_rng(threads)
    x, labels = rng.uniform(0.1, 1, (13, 21, 1)), rng.integers(0, 21, 13)
    x = np.asarray(x, order=order)
    one, keep = np.ones(1), np.arange(13) != 6
    loss, grad = np.full(13, 7.0), np.full_like(x, 7)
    for bad in [(12,), (9, 4), (0, 1, 2), (6, 8)]:
        wrong = labels.copy()
        wrong[list(bad)] = 21
        found = kernel(x, wrong, *numbers, one, keep, loss, grad, threads)
        assert found == min(row for row in bad if keep[row])
        assert np.all(loss == 7)
        assert np.all(grad == 7)
    wrong = np.where(keep, labels, -5)
    assert kernel(x, wrong, *numbers, one, keep, loss, grad, threads) == -1
    again, same = np.empty(13), np.empty_like(x)
    kernels.run(kernel, x, wrong, *numbers, one, keep, again, same)
    np.testing.assert_array_equal(loss, again)
    np.testing.assert_array_equal(grad, same)
    given = x.copy()
    kernels.run(kernel, x, wrong, *numbers, one, keep, again, None)
    np.testing.assert_array_equal(loss, again)
    np.testing.assert_array_equal(x, given)
    assert np.all(loss[keep] > 0)
    assert loss[6] == 0


@pytest.mark.parametrize(("kernel", "numbers"), LABELLED)
def test_no_classes_and_no_row_that_counts(kernel, numbers):
    labels, one, none = np.zeros(3, np.int64), np.ones(1), np.zeros(1, bool)
    x, loss = np.empty((3, 0, 1)), np.full(3, 7.0)
    assert kernels.run(kernel, x, labels, *numbers, one, none, loss, np.empty_like(x)) == -1
    assert not loss.any()


@pytest.mark.parametrize("classes", [3, 21])
def test_weights_of_classes_count_where_terms_are_subnormal(classes):
    rng = np.random.default_rng(classes)
    x = rng.normal(size=(7, classes)).astype(np.float32)
    t = (rng.uniform(1, 2, x.shape) * 2.0**-124).astype(np.float32)
    weight = rng.uniform(0.5, 2, classes).astype(np.float32)
    loss = fl.categorical_crossentropy(t, x, from_logits=True, class_weight=weight)
    e = np.exp(x.astype(np.float64))
    expected = -(np.float64(weight) * t * np.log(e / e.sum(axis=1, keepdims=True))).sum(axis=1)
    np.testing.assert_allclose(loss, expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", "CF")
def test_an_infinite_term_makes_an_infinite_loss(order, dtype):
    """Also where a row has several pieces, whose sums keep what rounding took from them."""
    x, t = np.zeros((7, 45), dtype, order), np.zeros((7, 45), dtype, order)
    x[3, 1], x[4, 0], t[4, 0] = np.inf, -np.inf, 0.5
    loss = fl.binary_crossentropy(t, x, from_logits=True)
    assert np.isposinf(loss).tolist() == [r in (3, 4) for r in range(7)]
    x[3] = 0
    loss = fl.categorical_crossentropy(t, x, from_logits=True)
    assert np.isposinf(loss).tolist() == [r == 4 for r in range(7)]
    assert not np.isnan(loss).any()


TARGETS = {
    "dense_logits": (kernels.softmax_crossentropy_dense, ()),
    "binary_logits": (kernels.binary_crossentropy_logits, ()),
    "binary_probabilities": (kernels.binary_crossentropy, (1e-3,)),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("classes", [3, 41])
@pytest.mark.parametrize(("weighted", "smoothing"), [(False, 0.0), (True, 0.0), (True, 0.1)])
@pytest.mark.parametrize("name", TARGETS)
def test_columns_with_targets(name, weighted, smoothing, classes, dtype):
    """Smoothed and weighted, rows left out and scaled, and in the first of the tiles large ones."""
    kernel, numbers = TARGETS[name]
    rng = np.random.default_rng(classes)
    size = 1.0 if name == "binary_probabilities" else 3.0
    x, t = rng.uniform(-size, size, (2, classes, 6)), rng.uniform(0, 1, (2, classes, 6))
    x[0, 1, 0] = 500
    weight = rng.uniform(0.5, 2, classes if weighted else 0).astype(dtype)
    t, x = t.astype(dtype), x.astype(dtype)
    for scale in (np.ones(1), rng.choice([1.0, -2.5, 0.0, 2.0**-60], 12)):
        for keep in (np.ones(1, bool), np.arange(12) % 5 != 1):
            found = []
            for whole in (x, np.moveaxis(x, 1, 2).copy().reshape(12, classes, 1)):
                targets = np.moveaxis(t, 1, 2).reshape(whole.shape) if whole is not x else t
                loss, grad = np.full(12, 7, dtype), np.full_like(whole, 7)
                kernels.run(
                    kernel, whole, targets, weight, smoothing, *numbers, scale, keep, loss, grad
                )
                found.append((loss, grad if whole is not x else np.moveaxis(grad, 1, 2)))
            (loss, grad), (expected, slopes) = found
            np.testing.assert_array_equal(loss, expected)
            np.testing.assert_array_equal(grad.reshape(slopes.shape), slopes)
            assert loss[np.broadcast_to(keep, 12)].all()
            assert not loss[~np.broadcast_to(keep, 12)].any()


@pytest.mark.parametrize("name", TARGETS)
def test_no_classes_with_targets(name):
    kernel, numbers = TARGETS[name]
    x, loss, one = np.empty((2, 0, 6)), np.full(12, 7.0), np.ones(1)
    none, every = np.empty(0), np.ones(1, bool)
    kernels.run(kernel, x, x, none, 0.0, *numbers, one, every, loss, np.empty_like(x))
    assert np.array_equal(loss, np.zeros(12)) if name == "dense_logits" else np.isnan(loss).all()
