"""How close values and gradients come to the truth, in relative terms and in last places."""

import numpy as np
import pytest

import fastloss as fl
from benchmarks.accuracy import truth
from benchmarks.cases import ALL_CASES as CASES
from fastloss.selfcheck import reference

sparse, dense = fl.sparse_categorical_crossentropy, fl.categorical_crossentropy
DTYPES = [np.float32, np.float64]
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
both_dtypes = pytest.mark.parametrize("dtype", DTYPES)
both_forms = pytest.mark.parametrize("form", ["sparse", "one-hot"])


def targets(form, labels, classes, dtype):
    return labels if form == "sparse" else np.eye(classes, dtype=dtype)[labels]


def rows_and_gradient(form, labels, x, **options):
    function = sparse if form == "sparse" else dense
    y = targets(form, labels, x.shape[1], x.dtype)
    return fl.value_and_grad(function)(y, x, **options)


@both_dtypes
@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("smoothing", [1e-6, 0.1])
def test_what_smoothing_adds_to_the_other_class_has_all_its_digits(dtype, from_logits, smoothing):
    # hard targets: the small part of each is s / 2, not what rounding left of 1 - (1 - s / 2)
    p = np.array([[0.3, 0.9, 0.3, 0.9]])
    x = (np.log(p / (1 - p)) if from_logits else p).astype(dtype)
    t = np.array([[1, 1, 0, 0]], dtype)
    z = np.longdouble(x)
    p = 1 / (1 + np.exp(-z)) if from_logits else z
    s = np.longdouble(dtype(smoothing))
    v, u = t * (1 - s) + s / 2, (1 - t) * (1 - s) + s / 2
    terms = -v * np.log(p) - u * np.log1p(-p)
    divisor = 1 if from_logits else p * (1 - p)
    slopes, size = (p * u - v * (1 - p)) / divisor, (p * u + v * (1 - p)) / divisor
    options = {"from_logits": from_logits, "label_smoothing": float(s), "axis": 1}
    for k in range(4):
        one = slice(k, k + 1)
        rows, gradient = fl.value_and_grad(fl.binary_crossentropy)(t[:, one], x[:, one], **options)
        np.testing.assert_array_max_ulp(rows, terms[:, k].astype(dtype), maxulp=4)
        error = np.abs(gradient - slopes[:, one])  # soft targets: ulps of the larger of two terms
        assert (error <= 4 * np.spacing(size[:, one].astype(dtype))).all()


@both_dtypes
def test_tiny_targets_on_large_logits_keep_their_gradient(dtype):
    # 1e-24 e^40 / e^50 is a normal float32, but 1e-24 / e^50 is none
    x = np.array([[40.67, -30.6, 50.02, -50.9]], dtype)
    t = np.array([[0, 0, 1.3e-24, 0]], dtype)
    if dtype is np.float64:
        x, t = x * 6.5, t * 1e-200
    gradient = fl.value_and_grad(dense)(t, x, from_logits=True)[1]
    shares = np.exp(np.longdouble(x) - np.longdouble(x).max())
    truth = (np.longdouble(t).sum() * shares / shares.sum())[0, 0]
    np.testing.assert_allclose(np.longdouble(gradient[0, 0]), truth, rtol=1e-6)


@pytest.mark.parametrize("classes", [1000, 100_000])
def test_many_equal_probabilities_divide_by_their_whole_sum(classes):
    x = np.full((1, classes), 0.1)
    gradient = fl.value_and_grad(sparse)(np.array([3]), x)[1]
    truth = np.full(classes, float(1 / (np.longdouble(0.1) * classes)))
    np.testing.assert_array_max_ulp(gradient[0, :3], truth[:3], maxulp=2)


@both_dtypes
@pytest.mark.parametrize("classes", [2, 8, 100])
def test_hopeless_rows_among_logits_that_need_no_maximum(dtype, classes):
    # 730 below the top e^x is a normal float64, but what the top is of it is infinite
    for height in np.linspace(20, 370, 71):
        x = np.full((1, classes), -height, dtype)
        x[0, -1] = height
        rows, _ = rows_and_gradient("sparse", np.array([0]), x, from_logits=True)
        np.testing.assert_array_max_ulp(rows, [dtype(2 * dtype(height))], maxulp=2)


@both_forms
@both_dtypes
@pytest.mark.parametrize("classes", [2, 3, 17, 1000])
@pytest.mark.parametrize("loss", [1e-5, 1e-10, 1e-20, 1e-30])
def test_tiny_losses_of_confident_rows_keep_their_digits(form, dtype, classes, loss):
    # the others are 0, the label stands log((C - 1) / loss) above: the loss is log1p(about `loss`)
    x = np.zeros((3, classes), dtype)
    labels = np.array([0, classes // 2, classes - 1])
    x[np.arange(3), labels] = np.log((classes - 1) / loss)
    others = (classes - 1) * np.exp(-np.float64(x[0, 0]))
    rows, gradient = rows_and_gradient(form, labels, x, from_logits=True)
    np.testing.assert_allclose(rows, np.log1p(others), rtol=1e-5 if dtype is np.float32 else 1e-13)
    at_label = gradient[np.arange(3), labels]
    np.testing.assert_allclose(at_label, -others / (1 + others), rtol=2e-6)


@both_dtypes
@pytest.mark.parametrize("gap", [80, 90, 110, 640, 665, 708, 710, 733, 745, 760, 9999])
def test_hopeless_rows_lose_as_much_as_the_label_is_below_the_top(dtype, gap):
    x = np.array([[0, -gap, -50], [gap, 0, gap - 50]], dtype)
    rows, gradient = rows_and_gradient("sparse", np.array([1, 1]), x, from_logits=True)
    np.testing.assert_array_max_ulp(rows, np.full(2, gap, dtype), maxulp=2)
    np.testing.assert_array_equal(gradient[:, 1], [-1, -1])


@both_dtypes
@pytest.mark.parametrize("classes", [3, 20])
@pytest.mark.parametrize("gap", [80, 101, 679, 681, 709, 710, 748])
def test_hopeless_rows_around_0(dtype, gap, classes):
    # so near 0 that no maximum is looked for, and e^gap may be no float64
    x = np.zeros((1, classes), dtype)
    x[0, :2] = gap / 2, -gap / 2
    for form in ("sparse", "one-hot"):
        rows, gradient = rows_and_gradient(form, np.array([1]), x, from_logits=True)
        np.testing.assert_array_max_ulp(rows, np.full(1, gap, dtype), maxulp=2)
        assert gradient[0, 1] == -1


@both_dtypes
@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("classes", [1, 2, 5, 64, 1000])
def test_sparse_equals_one_hot_within_two_last_places(dtype, from_logits, classes):
    rng = np.random.default_rng(classes)
    x = rng.normal(size=(40, classes)) * rng.choice([1, 30], (40, 1))
    if not from_logits:
        x = np.exp(x - x.max(axis=1, keepdims=True))
    x = x.astype(dtype)
    labels = rng.integers(0, classes, 40)
    by_label = rows_and_gradient("sparse", labels, x, from_logits=from_logits)
    by_row = rows_and_gradient("one-hot", labels, x, from_logits=from_logits)
    for a, b in zip(by_label, by_row, strict=True):
        np.testing.assert_array_max_ulp(a, b, maxulp=2)


@both_dtypes
@pytest.mark.parametrize("bound", [0, 1])
def test_sparse_and_one_hot_clip_the_same_rows(dtype, bound):
    # shares a few last places on either side of a clip bound
    edge = dtype(reference.clip_bounds(dtype)[bound])
    rng = np.random.default_rng(4)
    others = rng.random((400, 4))
    others /= others.sum(axis=1, keepdims=True)
    share = edge + np.spacing(edge) * rng.integers(-3, 4, 400)
    x = np.column_stack([share, others * (1 - share[:, np.newaxis])]).astype(dtype)
    labels = np.zeros(400, np.int64)
    by_label = rows_and_gradient("sparse", labels, x)
    by_row = rows_and_gradient("one-hot", labels, x)
    clipped = (by_label[1] == 0).all(axis=1)
    assert 0.1 < clipped.mean() < 0.9
    np.testing.assert_array_equal((by_row[1] == 0).all(axis=1), clipped)
    np.testing.assert_array_max_ulp(by_label[0], by_row[0], maxulp=2)


@every_case
def test_float64_gradients_equal_the_closed_forms(case):
    y_true, y_pred = case.data(60, 23, np.float64)
    rows, gradient = fl.value_and_grad(case.function)(y_true, y_pred, **case.options)
    true_rows, true_gradient = case.plain(y_true, y_pred)
    np.testing.assert_allclose(rows, true_rows, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(gradient, true_gradient, rtol=1e-12, atol=1e-15)


SMOOTH = {"label_smoothing": 0.2}
WITH_OPTIONS = [(case, {}) for case in CASES] + [
    (case, SMOOTH) for case in CASES if case.function in (fl.binary_crossentropy, dense)
]


@pytest.mark.parametrize(("case", "more"), WITH_OPTIONS, ids=lambda item: getattr(item, "name", ""))
def test_gradients_equal_differences_of_the_fourth_order(case, more):
    options = case.options | more
    y_true, y_pred = case.data(30, 5, np.float64, seed=3)
    if {"from_logits", "log_input"} & options.keys():
        y_pred = np.clip(y_pred, -20, 20)
        step = np.full_like(y_pred, 2e-3)
    else:
        y_pred = np.clip(y_pred, 0.01, 0.99)
        step = 1e-3 * np.minimum(y_pred, 1 - y_pred)
    _, gradient = fl.value_and_grad(case.function)(y_true, y_pred, **options)
    for c in range(y_pred.shape[1]):
        h = np.where(np.arange(y_pred.shape[1]) == c, step, 0.0)
        f = {k: case.function(y_true, y_pred + k * h, **options) for k in (-2, -1, 1, 2)}
        difference = (8 * (f[1] - f[-1]) - (f[2] - f[-2])) / (12 * step[:, c])
        np.testing.assert_allclose(gradient[:, c], difference, rtol=1e-8, atol=1e-8)


def logits(kind, rng, labels, classes):
    """Return logits, all of them or the label's, of the size and kind that is named."""
    at_label = np.eye(classes)[labels]
    normal = rng.normal(size=(len(labels), classes))
    return {
        "around 0": normal,
        "to 100": 40 * normal,
        "to 10,000": rng.uniform(-1e4, 1e4, normal.shape),
        "confident to 1e-30": normal + at_label * rng.uniform(0, 80, (len(labels), 1)),
        "hopeless": normal - at_label * rng.uniform(0, 1e4, (len(labels), 1)),
        "equal": np.full(normal.shape, 3.7),
        "equal and far out": np.full(normal.shape, -9e3),
        "subnormal": normal * 1e-310,
        "two at the top": normal + 50 * (at_label + np.roll(at_label, 1, axis=1)),
    }[kind]


KINDS = ["around 0", "to 100", "to 10,000", "confident to 1e-30", "hopeless", "equal",
         "equal and far out", "subnormal", "two at the top"]  # fmt: skip
LOGIT_ULPS = 4.0


@both_forms
@both_dtypes
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("rows", "classes"), [(12, 2), (8, 3), (4, 17), (2, 100), (1, 1000)])
def test_crossentropy_from_logits_against_the_truth(form, dtype, kind, rows, classes):
    rng = np.random.default_rng(classes)
    labels = rng.integers(0, classes, rows)
    x = logits(kind, rng, labels, classes).astype(dtype)
    right = truth.rows(truth.softmax_crossentropy, labels, x)
    values, gradient = rows_and_gradient(form, labels, x, from_logits=True)
    check_rows(values, gradient, right, LOGIT_ULPS)


@both_dtypes
@pytest.mark.parametrize("kind", ["around 0", "to 100", "to 10,000", "subnormal"])
def test_soft_targets_from_logits_against_the_truth(dtype, kind):
    rng = np.random.default_rng(8)
    x = logits(kind, rng, np.zeros(6, int), 11).astype(dtype)
    y = rng.dirichlet(np.ones(11), 6).astype(dtype)
    y[:, 3] = 0
    values, gradient = fl.value_and_grad(dense)(y, x, from_logits=True)
    check_rows(values, gradient, truth.rows(truth.softmax_crossentropy, y, x), LOGIT_ULPS)


@both_dtypes
@pytest.mark.parametrize("size", [1e-310, 1e-3, 1.0, 30.0, 1e4])
def test_binary_crossentropy_from_logits_against_the_truth(dtype, size):
    rng = np.random.default_rng(9)
    x = (size * rng.normal(size=(20, 3))).astype(dtype)
    y = rng.integers(0, 2, x.shape).astype(dtype)
    values, gradient = fl.value_and_grad(fl.binary_crossentropy)(y, x, from_logits=True)
    check_rows(values, gradient, truth.rows(truth.logistic_crossentropy, y, x), LOGIT_ULPS)


PROBABILITIES = [case for case in CASES if not case.options]
PROBABILITY_ULPS = 8.0


@pytest.mark.parametrize("case", PROBABILITIES, ids=lambda case: case.name)
@both_dtypes
@pytest.mark.parametrize("classes", [2, 9, 100])
def test_losses_of_probabilities_and_rates_against_the_truth(case, dtype, classes):
    y_true, y_pred = case.data(6, classes, dtype)
    values, gradient = fl.value_and_grad(case.function)(y_true, y_pred)
    check_rows(values, gradient, truth.of_case(case, y_true, y_pred), PROBABILITY_ULPS)


def check_rows(values, gradient, right, limit):
    of_values, of_gradient = truth.errors(values, gradient, right)
    assert of_values <= limit, f"values are {of_values:.1f} last places off"
    assert of_gradient <= limit, f"gradients are {of_gradient:.1f} last places off"


@both_dtypes
def test_rows_whose_shares_are_subnormal_numbers(dtype):
    """Shares are ratios: a row is worth as much as the same row times a power of two."""
    x = np.random.default_rng(0).random((40, 33)).astype(dtype) ** 3
    x[:, 0] = 0
    tiny = x * np.finfo(dtype).tiny
    x = tiny * dtype(2.0**50)
    soft = np.random.default_rng(1).random((40, 33)).astype(dtype)
    scale = np.full(40, float(np.finfo(dtype).tiny))
    rows, gradient = fl.value_and_grad(dense)(soft, tiny, upstream=scale)
    expected, slope = fl.value_and_grad(dense)(soft, x, upstream=scale * 2.0**50)
    np.testing.assert_array_max_ulp(rows, expected, maxulp=2)
    np.testing.assert_array_max_ulp(gradient, slope, maxulp=2)


@pytest.mark.parametrize("classes", [4095, 5003])
def test_the_sums_of_thousands_of_float64_are_rounded_once(classes):
    rng = np.random.default_rng(classes)
    x = rng.random((20, classes)) ** 3
    x[:10] = rng.choice([1e-7, 0.5, 0.9999999], (10, classes))
    x[:, 0], x[:, 1] = 0.5, 0
    total = x.sum(axis=1, dtype=np.longdouble)
    _, gradient = rows_and_gradient("sparse", np.zeros(20, int), x)
    np.testing.assert_array_max_ulp(gradient[:, 1], (1 / total).astype(float), maxulp=1)
    soft = rng.random((20, classes))
    passed = soft * (x / total[:, np.newaxis] >= np.float64(1e-7))
    _, gradient = fl.value_and_grad(dense)(soft, x)
    expected = passed.sum(axis=1, dtype=np.longdouble) / total
    np.testing.assert_array_max_ulp(gradient[:, 1], expected.astype(float), maxulp=2)


@both_dtypes
def test_rates_and_counts_near_epsilon(dtype):
    """There x + eps is a difference away from t that neither x - t nor x + eps may round."""
    eps = np.longdouble(dtype(1e-7))
    x = np.repeat(dtype([2e-15, 1e-12, 3e-9, 5e-8, 9e-8, -3e-9, -6e-8]), 9)
    close = np.tile(np.linspace(0.9, 1.1, 9), 7)
    t = (close * (np.float64(x) + 1e-7)).astype(dtype)
    _, gradient = fl.value_and_grad(fl.poisson)(t[:, np.newaxis], x[:, np.newaxis])
    z = x.astype(np.longdouble) + eps
    expected = ((eps - t + x) / z).astype(dtype)  # eps - t is exact
    np.testing.assert_array_max_ulp(gradient[:, 0], expected, maxulp=4)
