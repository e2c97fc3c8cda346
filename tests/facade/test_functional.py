"""The five functions and value_and_grad, against the formulas written out in float64."""

import json

import numpy as np
import pytest
from formulas import EPS, FUNCTIONS, RNG, WITH_AXIS, differences, draw, formula

import fastloss as fl
from fastloss import loss_specs
from fastloss.evaluate import evaluate

every_function = pytest.mark.parametrize("fn", FUNCTIONS, ids=lambda fn: fn.__name__)
every_axis = pytest.mark.parametrize("fn", WITH_AXIS, ids=lambda fn: fn.__name__)


@every_function
@pytest.mark.parametrize("shape", [(5,), (6, 4), (2, 3, 4)])
def test_values_and_gradients_of_the_sum(fn, shape):
    y, x = draw(fn, shape)
    expected = formula(fn, y, x)
    value, gradient = fl.value_and_grad(fn)(y, x)
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    np.testing.assert_array_equal(fn(y, x), value)
    assert np.shape(value) == shape[:-1]
    slopes = differences(lambda moved: formula(fn, y, moved), x)
    np.testing.assert_allclose(gradient, slopes, rtol=1e-5, atol=1e-5)


@every_axis
@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize("axis", [-1, 0, 1, -2])
def test_every_axis_and_input_kind(fn, from_logits, axis):
    y, x = draw(fn, (2, 3, 4), axis, from_logits)
    options = {"from_logits": from_logits, "axis": axis}
    value, gradient = fl.value_and_grad(fn)(y, x, **options)
    np.testing.assert_allclose(value, formula(fn, y, x, **options), rtol=1e-11)
    slopes = differences(lambda moved: formula(fn, y, moved, **options), x)
    np.testing.assert_allclose(gradient, slopes, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("axis", [[1, 2], (0, 2), [2, 0], None, [-1], ()])
def test_binary_averages_over_several_axes(axis):
    y, x = draw(fl.binary_crossentropy, (2, 3, 4))
    value, gradient = fl.value_and_grad(fl.bce)(y, x, axis=axis)
    np.testing.assert_allclose(value, formula(fl.bce, y, x, axis=axis), rtol=1e-12)
    assert gradient.shape == x.shape
    slopes = differences(lambda moved: formula(fl.bce, y, moved, axis=axis), x)
    np.testing.assert_allclose(gradient, slopes, rtol=1e-5, atol=1e-5)
    in_place = x.copy()
    assert fl.value_and_grad(fl.bce)(y, in_place, axis=axis, out=in_place)[1] is in_place
    np.testing.assert_array_equal(in_place, gradient)


@pytest.mark.parametrize("fn", WITH_AXIS[:2], ids=lambda fn: fn.__name__)
@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize("smoothing", [0.1, 1, np.float32(0.5)])
def test_label_smoothing(fn, from_logits, smoothing):
    y, x = draw(fn, from_logits=from_logits)
    expected = formula(fn, y, x, from_logits, smoothing)
    np.testing.assert_allclose(fn(y, x, from_logits, smoothing), expected, rtol=1e-11)


@every_axis
@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize("axis", [-1, 1])
def test_class_and_positive_weights(fn, from_logits, axis):
    y, x = draw(fn, (2, 3, 4), axis, from_logits)
    weights = np.array([0.5, 0.0, 2.0, 3.0])[: x.shape[axis]]
    option = "pos_weight" if fn is fl.binary_crossentropy else "class_weight"
    along = weights if axis == -1 else weights[:, None]
    options = {"from_logits": from_logits, "axis": axis}
    value, gradient = fl.value_and_grad(fn)(y, x, **options, **{option: list(weights)})
    np.testing.assert_allclose(value, formula(fn, y, x, weights=along, **options), rtol=1e-11)
    slopes = differences(lambda moved: formula(fn, y, moved, weights=along, **options), x)
    np.testing.assert_allclose(gradient, slopes, rtol=1e-5, atol=1e-5)


def test_pos_weight_broadcasts_to_the_averaged_axes():
    y, x = draw(fl.bce, (2, 3, 4))
    for pos_weight in (2.5, [1.0, 2.0, 3.0, 4.0], [[1.0], [2.0], [3.0]]):
        expected = formula(fl.bce, y, x, axis=[1, 2], weights=np.array(pos_weight))
        value = fl.bce(y, x, axis=[1, 2], pos_weight=pos_weight)
        np.testing.assert_allclose(value, expected, rtol=1e-12)
    text = (
        r"pos_weight must be a number or broadcast to the averaged axes, \(4,\), got shape \(2,\)"
    )
    with pytest.raises(ValueError, match=text):
        fl.bce(y, x, pos_weight=[1.0, 2.0])


@pytest.mark.parametrize("reduction", ["sum", "mean", "mean_with_sample_weight", None])
def test_a_class_weight_of_a_label_is_a_sample_weight(reduction):
    y, x = draw(fl.sparse_categorical_crossentropy, (8, 3))
    y[2] = -1
    class_weight, sample_weight = np.array([0.2, 1.5, 0.0]), RNG.random(8)
    fn = fl.value_and_grad(fl.sparse_categorical_crossentropy)
    options = {"ignore_class": -1, "reduction": reduction}
    value, gradient = fn(y, x, class_weight=class_weight, sample_weight=sample_weight, **options)
    expected, slopes = fn(y, x, sample_weight=sample_weight * class_weight[y], **options)
    np.testing.assert_array_equal(value, expected)
    np.testing.assert_array_equal(gradient, slopes)


@pytest.mark.parametrize("fn", WITH_AXIS[1:], ids=lambda fn: fn.__name__)
@pytest.mark.parametrize("wrong", [[1.0, 2.0], [[1.0, 2.0, 3.0, 4.0]], 2.0, [], np.ones(5)])
def test_class_weight_has_one_weight_a_class(fn, wrong):
    with pytest.raises(ValueError, match="class_weight must"):
        fn(*draw(fn), class_weight=wrong)


def test_one_class_has_one_weight():
    value = fl.categorical_crossentropy([[1.0]], np.array([[0.5]]), class_weight=[2.0])
    np.testing.assert_allclose(value, [-2 * np.log(1 - EPS)], rtol=1e-9)


def test_the_class_weight_of_a_label_is_a_float64():
    x = np.float32([[10, -10]])
    value = fl.sparse_categorical_crossentropy([0], x, from_logits=True, class_weight=[1e39, 1.0])
    np.testing.assert_allclose(value, 1e39 * np.log1p(np.exp(-20.0)), rtol=3e-7)
    with pytest.raises(ValueError, match="class_weight must be finite in float32, got 1e\\+39"):
        fl.categorical_crossentropy([[1, 0]], x, from_logits=True, class_weight=[1e39, 1.0])


@pytest.mark.parametrize("wrong", [-1.0, np.nan, np.inf])
def test_class_weights_are_finite_and_not_negative(wrong):
    weights = [1.0, wrong, 1.0, 1.0]
    for fn in WITH_AXIS[1:]:
        with pytest.raises(ValueError, match="finite and not negative"):
            fn(*draw(fn), class_weight=weights)
    with pytest.raises(ValueError, match="finite and not negative"):
        fl.bce(*draw(fl.bce), pos_weight=weights)


@every_function
def test_lists_give_float32(fn):
    y, x = draw(fn)
    value, gradient = fl.value_and_grad(fn)(y.tolist(), x.tolist())
    assert value.dtype == gradient.dtype == np.float32
    np.testing.assert_allclose(value, formula(fn, y, x), rtol=2e-6)
    assert fn(y.tolist()[0], x.tolist()[0]).dtype == np.float32
    assert isinstance(fn(y[0], x[0]), np.float64)


@every_function
@pytest.mark.parametrize("dtype", ["f2", ">f4", ">f8", "f4"])
def test_every_float_dtype_of_predictions(fn, dtype):
    y, x = draw(fn)
    x = x.astype(dtype)
    value, gradient = fl.value_and_grad(fn)(y, x)
    assert value.dtype == gradient.dtype == (np.float64 if dtype == ">f8" else np.float32)
    np.testing.assert_allclose(value, formula(fn, y, x.astype(float)), rtol=2e-6)
    if dtype == "f2":
        out = np.empty_like(x)
        assert fl.value_and_grad(fn)(y, x, out=out)[1] is out
        np.testing.assert_allclose(out, gradient, rtol=1e-3, atol=1e-7)
        np.testing.assert_array_equal(out, gradient.astype(np.float16))


@every_function
@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32", "float64"])
def test_dtype_fixes_the_type_of_value_and_gradient(fn, name):
    y, x = draw(fn)
    value, gradient = fl.value_and_grad(fn)(y, x, reduction="mean", dtype=name)
    assert value.dtype.name == gradient.dtype.name == name
    tolerance = {"float16": 1e-3, "bfloat16": 8e-3, "float32": 2e-6, "float64": 1e-12}[name]
    np.testing.assert_allclose(float(value), formula(fn, y, x).mean(), rtol=tolerance)


def test_a_value_beyond_the_dtype_is_infinite_without_a_warning():
    y, x = [[1e6, 1e6]], [[0.0, 0.0]]
    assert fl.value_and_grad(fl.poisson)(y, x, reduction="sum", dtype="float16")[0] == np.inf
    wide = np.full((4, 2), 3e38, np.float32)
    total = fl.value_and_grad(fl.poisson)
    assert total(np.zeros((4, 2)), wide, reduction="sum", dtype="float32")[0] == np.inf
    assert total(np.zeros((4, 2)), wide, reduction="sum")[0] == 4 * np.float64(np.float32(3e38))


@every_function
@pytest.mark.parametrize("reduction", ["sum", "mean", "mean_with_sample_weight"])
def test_reduced_values_are_python_floats(fn, reduction):
    y, x = draw(fn)
    value, gradient = fl.value_and_grad(fn)(y, x.astype(np.float32), reduction=reduction)
    assert type(value) is np.float64
    assert gradient.dtype == np.float32
    assert json.loads(json.dumps({"loss": value})) == {"loss": value}
    total = 0.0
    total += value
    assert type(total) is not np.float32
    assert total == value


@every_function
def test_memory_order_strides_and_read_only_do_not_matter(fn):
    y, x = draw(fn, (2, 3, 4))
    value, gradient = fl.value_and_grad(fn)(y, x)
    padded = np.zeros((4, 6, 4))
    padded[::2, ::2, ::-1] = x
    read_only = x.copy()
    read_only.flags.writeable = False
    for other in (np.asfortranarray(x), padded[::2, ::2, ::-1], read_only):
        again, slopes = fl.value_and_grad(fn)(np.asfortranarray(y), other)
        np.testing.assert_array_equal(again, value)
        np.testing.assert_array_equal(slopes, gradient)


@every_function
@pytest.mark.parametrize("kind", ["fresh", "fortran", "strided", "in place", "other dtype"])
def test_out_receives_the_gradient(fn, kind):
    y, x = draw(fn, (2, 3, 4))
    x = x.astype(np.float32)
    value, gradient = fl.value_and_grad(fn)(y, x)
    out = {
        "fresh": np.empty_like(x),
        "fortran": np.empty((4, 3, 2), np.float32).T,
        "strided": np.empty((2, 6, 8), np.float32)[:, ::2, ::-2],
        "in place": x,
        "other dtype": np.empty((2, 3, 4), np.float64),
    }[kind]
    if kind == "other dtype":
        x = x.astype(np.float64)
        again, filled = fl.value_and_grad(fn)(y, x, out=out, dtype="float32")
    else:
        again, filled = fl.value_and_grad(fn)(y, x, out=out)
    assert filled is out
    np.testing.assert_array_equal(again, value)
    np.testing.assert_array_equal(filled, gradient)


def test_out_may_not_overlap_any_input_but_be_the_predictions():
    x = np.full((3, 2), 0.5)
    store = np.zeros((4, 2))
    y, weight, upstream = store[:3], store[:3, 0], store[1:, 1]
    both = fl.value_and_grad(fl.kl_divergence)
    for arguments, name in (
        ({}, "y_true"),
        ({"y_true": x + 0, "sample_weight": weight}, "sample_weight"),
        ({"y_true": x + 0, "mask": weight}, "mask"),
        ({"y_true": x + 0, "upstream": upstream}, "upstream"),
        ({"y_true": x + 0, "y_pred": store[1:]}, "y_pred"),
    ):
        with pytest.raises(ValueError, match=f"overlap no input, but overlaps {name}"):
            both(**{"y_true": y, "y_pred": x, "out": store[:3]} | arguments)
    with pytest.raises(ValueError, match="overlaps y_true"):
        both(x, x, out=x)
    np.testing.assert_array_equal(store, 0.0)


def test_out_keeps_what_it_held_when_anything_raises():
    x = np.full((3, 2), 0.5)
    out = np.full((3, 2), 7.0)
    fn = fl.value_and_grad(fl.sparse_categorical_crossentropy)
    bad = [
        {"y_true": [0, 1, 2]},
        {"y_true": [0, 1, -7], "reduction": "sum"},
        {"y_true": [0, 1, 2], "class_weight": [1.0, 1.0]},
        {"y_true": [0, 1]},
        {"sample_weight": [1.0, 2.0]},
        {"mask": [[True, False]]},
        {"upstream": 1.0},
        {"axis": 2},
        {"reduction": "junk"},
        {"dtype": "junk"},
        {"class_weight": [1.0]},
    ]
    for arguments in bad:
        with pytest.raises(ValueError, match="must"):
            fn(**{"y_true": [0, 1, 1], "y_pred": x, "out": out} | arguments)
    np.testing.assert_array_equal(out, 7.0)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("kind", ["sample_weight", "mask"])
def test_rows_of_weight_zero_and_masked_rows_may_hold_anything(axis, kind):
    x = np.array([[1.0, np.nan, 2.0], [3.0, np.inf, 1.0]])
    x = x.T if axis == 1 else x
    value, gradient = fl.value_and_grad(fl.sparse_categorical_crossentropy)(
        [0, 0, 1], x, from_logits=True, axis=axis, reduction="sum", **{kind: [1, 0, 1]}
    )
    good = np.take(x, [0, 2], 1 - axis)
    expected, slopes = fl.value_and_grad(fl.sparse_categorical_crossentropy)(
        [0, 1], good, from_logits=True, axis=axis, reduction="sum"
    )
    assert value == expected
    np.testing.assert_array_equal(np.take(gradient, [0, 2], 1 - axis), slopes)
    np.testing.assert_array_equal(np.take(gradient, 1, 1 - axis), 0.0)


def test_bad_labels_hide_behind_a_mask_and_ignore_class_but_not_behind_a_weight():
    x = np.full((3, 2), 0.5)
    fn = fl.value_and_grad(fl.sparse_categorical_crossentropy)
    for label in (9, 2**63, np.nan):
        y = np.array([0, label, 1])
        value, _ = fn(y, x, mask=[1, 0, 1], reduction="mean")
        np.testing.assert_allclose(value, np.log(2))
        for arguments in ({}, {"sample_weight": [1, 0, 1]}, {"class_weight": [1.0, 1.0]}):
            with pytest.raises(ValueError, match="row 1"):
                fn(y, x, **arguments)
    value, gradient = fn([0, 9, 1], x, ignore_class=9, reduction="mean")
    np.testing.assert_allclose(value, np.log(2))
    np.testing.assert_array_equal(gradient[1], 0.0)


@pytest.mark.parametrize("label", [-7, 3, 10**11, 2**63])
def test_a_label_out_of_range_is_named_with_row_and_class_count(label):
    with pytest.raises(ValueError, match=rf"3 classes: got {label} at row 1"):
        fl.sparse_categorical_crossentropy(np.array([0, label]), np.ones((2, 3)))


@pytest.mark.parametrize("from_logits", [False, True])
def test_a_bad_label_in_the_first_row_is_found(from_logits):
    with pytest.raises(ValueError, match=r"got 3 at row 0$"):
        fl.sparse_categorical_crossentropy([3, 0], np.ones((2, 3)), from_logits)


@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize("label", [-1, 3])
def test_a_single_row_with_a_bad_label_is_refused(from_logits, label):
    with pytest.raises(ValueError, match=f"got {label} at row 0$"):
        fl.sparse_categorical_crossentropy([label], np.ones((1, 3)), from_logits)


@pytest.mark.parametrize("from_logits", [False, True])
def test_a_row_that_is_left_out_of_one_class(from_logits):
    call = fl.value_and_grad(fl.sparse_categorical_crossentropy)
    value, gradient = call([0, 9], np.array([[2.0], [3.0]]), from_logits, mask=[True, False])
    expected = 0.0 if from_logits else -np.log(1 - EPS)
    np.testing.assert_allclose(value, [expected, 0.0], rtol=1e-9)
    np.testing.assert_array_equal(gradient, np.zeros((2, 1)))


def test_small_shares_beside_a_large_logit_keep_their_digits():
    call = fl.value_and_grad(fl.sparse_categorical_crossentropy)
    _, gradient = call([0], np.float32([[500, 425, 0]]), from_logits=True)
    np.testing.assert_allclose(gradient[0, 1], np.exp(-75.0), rtol=5e-7)
    x, small = np.full((1, 4000), 500, np.float32), np.array([1e-18])
    _, gradient = call([0], x, from_logits=True, upstream=small)
    np.testing.assert_allclose(gradient[0, 1:], 1e-18 / 4000, rtol=5e-7)


def test_ignore_class_has_64_bits():
    largest = 2**64 - 1
    labels = np.array([largest, 0], np.uint64)
    assert fl.sparse_categorical_crossentropy(labels, np.ones((2, 3)), ignore_class=largest)[0] == 0
    with pytest.raises(ValueError, match=r"must be an integer of 64 bits, got one of 65$"):
        fl.sparse_categorical_crossentropy(labels, np.ones((2, 3)), ignore_class=2**64)


def test_a_value_alone_has_no_gradient():
    spec = loss_specs.poisson_spec()
    assert evaluate(spec, [1.0], [2.0])[1] is None
    assert evaluate(spec, [1.0], [2.0], gradient=True)[1] is not None


def test_poisson_and_divergence_broadcast_targets_never_predictions():
    for fn in (fl.poisson, fl.kl_divergence):
        y, x = draw(fn, (3, 4))
        for truth in (y[:, :1], y[0], y[0, 0]):
            np.testing.assert_allclose(fn(truth, x), formula(fn, truth, x), rtol=1e-12)
        with pytest.raises(ValueError, match="must have the same shape"):
            fn(y, x[:, :1])
        with pytest.raises(ValueError, match="must have the same shape"):
            fn(y, x[0])


@pytest.mark.parametrize("fn", WITH_AXIS[:2], ids=lambda fn: fn.__name__)
def test_the_functions_do_not_repair_ranks(fn):
    with pytest.raises(ValueError, match="must have the same shape"):
        fn(np.ones(4), np.ones((4, 1)))


@every_function
def test_upstream_is_the_cotangent_of_the_value(fn):
    y, x = draw(fn)
    weight, upstream = RNG.random(6), RNG.normal(size=6)
    both = fl.value_and_grad(fn)
    _, gradient = both(y, x, sample_weight=weight, upstream=upstream)
    _, expected = both(y, x, sample_weight=weight * upstream)
    np.testing.assert_allclose(gradient, expected, rtol=1e-12)
    _, gradient = both(y, x, reduction="mean", upstream=-3.0)
    np.testing.assert_allclose(gradient, both(y, x, reduction="mean")[1] * -3.0, rtol=1e-12)


def test_a_broadcast_upstream_of_zero_still_gives_the_value():
    y, x = draw(fl.poisson)
    value, gradient = fl.value_and_grad(fl.poisson)(y, x, upstream=np.zeros(6))
    np.testing.assert_allclose(value, formula(fl.poisson, y, x), rtol=1e-12)
    np.testing.assert_array_equal(gradient, 0.0)


@every_axis
@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"from_logits": "sum"}, "from_logits must be True or False, got 'sum'"),
        ({"from_logits": 1}, "from_logits must"),
        ({"axis": True}, "axis must be an integer, got True"),
        ({"axis": 1.0}, "axis must be an integer, got 1.0"),
        ({"axis": "sum"}, "reduction and name go by keyword"),
        ({"axis": 2}, "axis must lie in"),
    ],
)
def test_bad_options_are_refused(fn, options, text):
    y, x = draw(fn)
    with pytest.raises(ValueError, match=text):
        fn(y, x, **options)


@pytest.mark.parametrize("fn", WITH_AXIS[:2], ids=lambda fn: fn.__name__)
@pytest.mark.parametrize("smoothing", [-0.1, 1.5, 10**400, np.nan, None, True, "0.1", 1j])
def test_label_smoothing_is_a_number_from_0_to_1(fn, smoothing):
    with pytest.raises(ValueError, match=r"label_smoothing must be a number in \[0, 1\]"):
        fn(*draw(fn), label_smoothing=smoothing)


@pytest.mark.parametrize("value", [True, 1.5, "sum", [1]])
def test_ignore_class_is_an_integer(value):
    with pytest.raises(ValueError, match="ignore_class must be an integer"):
        fl.sparse_categorical_crossentropy([0], [[0.5, 0.5]], ignore_class=value)


@every_function
def test_predictions_that_cannot_be_right_are_refused(fn):
    with pytest.raises(ValueError, match="at least one axis"):
        fn(1, np.float32(0.5))
    for wrong in ("text", [[1j]], np.ma.ones((1, 1)), object()):
        with pytest.raises(TypeError, match="y_pred must"):
            fn([[1]], wrong)
        with pytest.raises(TypeError, match="y_true must"):
            fn(wrong, [[0.5]])


@pytest.mark.parametrize("wrong", [sum, None, "bce", [], fl.Poisson, fl.Poisson()])
def test_value_and_grad_takes_the_five_functions_only(wrong):
    with pytest.raises(TypeError):
        fl.value_and_grad(wrong)


@every_function
def test_unknown_options_are_refused(fn):
    with pytest.raises(TypeError, match="nonsense"):
        fl.value_and_grad(fn)([[1]], [[0.5]], nonsense=1)


def test_one_class_gives_no_warning():
    value = fl.categorical_crossentropy(np.ones((2, 1)), np.ones((2, 1)))
    np.testing.assert_allclose(value, -np.log(1 - EPS), rtol=1e-6)


@every_function
def test_empty_batches(fn):
    y = np.empty((0,) if fn is fl.sparse_categorical_crossentropy else (0, 3), int)
    for reduction in ("sum", "mean", "mean_with_sample_weight"):
        value, gradient = fl.value_and_grad(fn)(y, np.empty((0, 3)), reduction=reduction)
        assert value == 0.0
        assert gradient.shape == (0, 3)
    assert fn(y, np.empty((0, 3))).shape == (0,)


@pytest.mark.parametrize("from_logits", [False, True])
def test_labels_may_lie_apart(from_logits):
    x = np.random.default_rng(0).uniform(0.1, 1, (5, 4)).astype(np.float32)
    labels = np.array([3, 9, 0, 9, 2, 9, 1, 9, 0, 9])[::2]
    call = fl.value_and_grad(fl.sparse_categorical_crossentropy)
    rows, gradient = call(labels, x, from_logits=from_logits)
    expected, slopes = call(labels.copy(), x, from_logits=from_logits)
    np.testing.assert_array_equal(rows, expected)
    np.testing.assert_array_equal(gradient, slopes)
