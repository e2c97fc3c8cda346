"""Array-likes become what kernels take: views where possible, and clear refusals."""

import re

import ml_dtypes
import numpy as np
import pytest

from fastloss.arguments import arrays
from fastloss.arguments.arrays import FLOAT32, FLOAT64
from fastloss.arguments.labels import class_labels
from fastloss.arguments.layout import layout_for

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)


def nested(value, depth):
    """Return `value` in so many lists."""
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("depth", [1, 2, 3, 64])
def test_a_masked_array_is_found_as_deep_as_numpy_looks(depth):
    hidden = nested(np.ma.array(1.0, mask=True), depth)
    with pytest.raises(TypeError, match="y_pred must be a plain array, got a masked array"):
        arrays.as_array("y_pred", hidden)


def test_a_list_that_holds_itself_is_refused():
    endless = [1.0]
    endless.append(endless)
    with pytest.raises(ValueError, match="y_pred must be a rectangular array of numbers"):
        arrays.as_array("y_pred", endless)


def test_what_the_strings_came_from_is_said():
    with pytest.raises(TypeError, match=r"got dtype <U1$"):
        arrays.as_array("y_pred", np.array(["a"]))
    with pytest.raises(TypeError, match=r"got dtype <U1 from a list$"):
        arrays.as_array("y_pred", ["a"])


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (np.ma.masked_array([1.0, 2.0]), TypeError, "masked array"),
        (np.array(["a"]), TypeError, "dtype <U1"),
        (np.array([1j]), TypeError, "complex128"),
        (np.array([None]), TypeError, "object"),
        (None, TypeError, "object"),
        (np.array(["2020-01-01"], "M8[D]"), TypeError, "datetime64"),
        (np.zeros(2, [("a", "f4")]), TypeError, "'a'"),
        ([[1.0, 2.0], [3.0]], ValueError, "rectangular"),
    ],
)
def test_what_is_no_array_of_real_numbers_is_refused_by_name(value, error, text):
    with pytest.raises(error, match=text) as caught:
        arrays.as_array("y_pred", value)
    assert str(caught.value).startswith("y_pred must")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.zeros(2, np.float64), FLOAT64),
        (np.zeros(2, ">f8"), FLOAT64),
        (np.zeros(2, np.longdouble), FLOAT64),
        (np.zeros(2, np.float32), FLOAT32),
        (np.zeros(2, np.float16), FLOAT32),
        (np.zeros(2, BFLOAT16), FLOAT32),
        (np.zeros(2, np.int64), FLOAT32),
        (np.zeros(2, np.bool_), FLOAT32),
        ([0.5, 0.5], FLOAT32),
        ((np.float64(0.5), 1), FLOAT32),
    ],
)
def test_the_predictions_decide_the_type_of_the_result(value, expected):
    assert arrays.result_dtype(value, np.asarray(value)) == expected


def test_convert_gives_native_aligned_arrays():
    swapped = np.array([1.0, -2.5], ">f4")
    packed = np.zeros(2, np.dtype([("pad", "i1"), ("x", "f4")]))
    packed["x"] = [1.0, -2.5]
    for odd in (swapped, packed["x"], np.array([1.0, -2.5], BFLOAT16)):
        array = arrays.convert(odd, FLOAT32)
        assert array.dtype == FLOAT32
        assert array.flags.aligned
        np.testing.assert_array_equal(array, [1.0, -2.5])


def test_what_is_too_large_for_the_dtype_becomes_infinite_without_a_warning():
    np.testing.assert_array_equal(arrays.convert(np.array([1e300]), FLOAT32), [np.inf])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (None, None),
        ("float16", "float16"),
        ("mixed_float16", "float16"),
        ("bfloat16", "bfloat16"),
        ("mixed_bfloat16", "bfloat16"),
        (np.float32, "float32"),
        (np.dtype("f8"), "float64"),
    ],
)
def test_float_dtype_knows_names_and_policies(name, expected):
    dtype = arrays.float_dtype(name)
    assert dtype is None if expected is None else dtype.name == expected


@pytest.mark.parametrize(
    "name", ["junk", "int32", "float", "mixed_float32", np.int8, np.floating, 7, ["f4"]]
)
def test_float_dtype_refuses_everything_else(name):
    with pytest.raises(ValueError, match="dtype must be None or one of"):
        arrays.float_dtype(name)


@pytest.mark.parametrize(
    ("truth", "prediction", "labels", "expected"),
    [
        ((4,), (4, 1), False, ((4, 1), (4, 1))),
        ((4, 1), (4,), False, ((4, 1), (4, 1))),
        ((3, 2, 1), (3, 2), False, ((3, 2), (3, 2))),
        ((3, 2), (3, 2, 1), False, ((3, 2), (3, 2))),
        ((3, 2), (3, 2, 1), True, ((3, 2), (3, 2, 1))),
        ((3, 1, 1), (3, 5), True, ((3, 1), (3, 5))),
        ((3, 2), (3, 2), False, ((3, 2), (3, 2))),
        ((3,), (3, 2), False, ((3,), (3, 2))),
        ((), (1,), False, ((), (1,))),
        ((3,), (3, 2, 1), False, ((3,), (3, 2, 1))),
    ],
)
def test_ranks_are_repaired_as_keras_does(truth, prediction, labels, expected):
    array, shape = arrays.squeeze_or_expand_to_same_rank(np.zeros(truth), prediction, labels)
    assert (array.shape, shape) == expected


def test_dense_targets_have_the_shape_of_the_predictions():
    targets = arrays.dense_targets(np.zeros((4, 3), np.int8), (4, 3), FLOAT32, False)
    assert targets.dtype == FLOAT32
    for shape in [(4, 1), (3,), (4, 3, 1)]:
        with pytest.raises(ValueError, match="must have the same shape, got") as caught:
            arrays.dense_targets(np.zeros(shape), (4, 3), FLOAT64, False)
        message, _, hint = str(caught.value).partition("; ")
        assert message.endswith(f"got {shape} and (4, 3): y_true of shape (4, 3) fits")
        assert ("labels" in hint) == (shape != (4, 3, 1))


def test_targets_may_broadcast_where_allowed_and_are_not_copied_for_it():
    truth = np.arange(4.0)[:, None]
    rows = arrays.dense_targets(truth, (4, 3), FLOAT64, True)
    assert rows.shape == (4, 3)
    assert np.shares_memory(rows, truth)
    for shape in [(2, 3), (4, 2), (5, 4, 3)]:
        with pytest.raises(ValueError, match="must have the same shape"):
            arrays.dense_targets(np.zeros(shape), (4, 3), FLOAT64, True)


@pytest.mark.parametrize(
    "dtype", ["?", "b", "B", "h", "H", "i", "I", "q", "Q", ">i4", ">u8", "e", "f", "d", "g", "bf"]
)
def test_every_real_dtype_holds_labels(dtype):
    dtype = BFLOAT16 if dtype == "bf" else np.dtype(dtype)
    labels = class_labels(np.array([1, 0, 1], dtype), layout_for((3, 2), -1), None)
    assert labels.ids.dtype == np.int64
    np.testing.assert_array_equal(labels.ids, [1, 0, 1])


def test_float_labels_that_are_no_whole_numbers_are_no_labels():
    given = np.array([1.7, -0.5, 1.0, -1.0, -0.0])
    labels = class_labels(given, layout_for((5, 3), -1), 1)
    np.testing.assert_array_equal(labels.ids, [-1, -1, 1, -1, 0])
    np.testing.assert_array_equal(labels.ignored, [False, False, True, False, False])


def test_float_labels_of_63_bits_are_exact():
    given = np.array([127.0, 2.0**52 + 1, 2.0**62, -(2.0**62)])
    labels = class_labels(given, layout_for((4, 3), -1), None)
    np.testing.assert_array_equal(labels.ids, [127, 2**52 + 1, 2**62, -(2**62)])


def test_half_labels_are_not_rounded_onto_ignore_class():
    given = np.array([256.0, 2.0], BFLOAT16)
    labels = class_labels(given, layout_for((2, 300), -1), 257)
    assert not labels.ignored.any()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_labels_lack_the_class_axis_or_have_length_one_there(axis):
    layout = layout_for((2, 3, 4), axis)
    keepdims = list(layout.shape)
    keepdims[axis] = 1
    expected = np.arange(layout.row_count) % 2
    for shape in (layout.loss_shape, tuple(keepdims)):
        labels = class_labels(expected.reshape(shape), layout, None)
        np.testing.assert_array_equal(labels.ids, expected)
    for wrong in (expected, np.zeros(layout.shape, int)):
        with pytest.raises(ValueError, match="must have the same shape apart from") as caught:
            class_labels(wrong, layout, None)
        fits = (
            f"{layout.shape}: y_true of shape {layout.loss_shape} or {layout.keepdims_shape} fits"
        )
        assert f"got {wrong.shape} and {fits}" in str(caught.value)
    assert str(caught.value).endswith("; one-hot targets are for categorical_crossentropy")


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (np.array([0, -7]), "-7"),
        (np.array([0, 3], np.uint8), "3"),
        (np.array([0, 10**11]), "100000000000"),
        (np.array([0, 2**63], np.uint64), "9223372036854775808"),
        (np.array([0, 2**64 - 1], np.uint64), "18446744073709551615"),
        (np.asarray([0, 2**63]), "9223372036854775808"),
        (np.array([0.0, np.nan]), "nan"),
        (np.array([0.0, -np.inf]), "-inf"),
        (np.array([0.0, 3.5]), "3.5"),
        (np.array([0.0, 1e300]), str(int(1e300))),
    ],
)
def test_a_label_that_is_no_class_is_named_as_given(given, shown):
    layout = layout_for((2, 3), -1)
    labels = class_labels(given, layout, None)
    assert not 0 <= labels.ids[1] < 3
    with pytest.raises(ValueError, match="3 classes") as caught:
        labels.check_classes(layout, None)
    assert re.search(rf"got {re.escape(shown)} at row 1($|; labels are whole)", str(caught.value))


def test_a_label_of_a_higher_rank_is_located():
    layout = layout_for((2, 3, 2), -1)
    labels = class_labels(np.array([[0, 1, 0], [0, 5, 9]]), layout, None)
    with pytest.raises(ValueError, match=r"got 5 at row 4, index \(1, 1\)"):
        labels.check_classes(layout, None)
    with pytest.raises(ValueError, match="got 9 at row 5"):
        labels.check_classes(layout, np.array([1, 1, 1, 1, 0, 1], bool))
    labels.check_classes(layout, np.array([1, 1, 1, 1, 0, 0], bool))


def out_of(x, out, working=FLOAT32, **others):
    arrays.check_out(out, x, working, {"y_pred": x, **others})


def test_out_is_the_predictions_or_apart_from_every_input():
    store = np.zeros((4, 6), np.float32)
    x = store[:, ::2]
    out_of(x, x)
    out_of(x, store[:, ::2])
    out_of(x, store[:, 1::2])
    out_of(x, np.zeros((4, 3), np.float32), mask=None)
    with pytest.raises(ValueError, match="overlaps y_pred"):
        out_of(x, x[::-1])
    with pytest.raises(ValueError, match="overlaps y_pred"):
        out_of(store[1:], store[:-1])
    for name in ("y_true", "sample_weight", "mask", "upstream"):
        with pytest.raises(ValueError, match=f"overlaps {name}"):
            out_of(x, x, **{name: x})


@pytest.mark.parametrize(
    ("own", "working", "good", "bad"),
    [
        ("f4", FLOAT32, ["f4"], ["f8", "f2", ">f4", "i4"]),
        ("f8", FLOAT32, ["f4", "f8"], ["f2"]),
        ("f2", FLOAT32, ["f2", "f4"], ["f8"]),
        (">f4", FLOAT32, ["f4"], [">f4"]),
        ("i4", FLOAT32, ["f4"], ["i4"]),
    ],
)
def test_out_has_the_working_dtype_or_that_of_the_predictions(own, working, good, bad):
    x = np.zeros((2, 3), own)
    for dtype in good:
        out_of(x, np.zeros((2, 3), dtype), working)
    for dtype in bad:
        with pytest.raises(ValueError, match="out must have native dtype"):
            out_of(x, np.zeros((2, 3), dtype), working)


def test_the_dtypes_of_out_are_named():
    cases = [("f4", "f8", "float32, got float64"), ("f2", "f8", "float32 or float16, got float64")]
    for own, wrong, text in [*cases, ("f4", ">f4", "float32, got >f4")]:
        with pytest.raises(ValueError, match=f"out must have native dtype {text}$"):
            out_of(np.zeros((2, 3), own), np.zeros((2, 3), wrong))


def test_an_axis_of_length_one_may_step_anywhere():
    out = np.lib.stride_tricks.as_strided(np.zeros(6)[::2], (1, 3), (0, 16))
    out_of(np.zeros((1, 3)), out, FLOAT64)


@pytest.mark.parametrize("dtype", [np.float16, BFLOAT16])
def test_halves_are_read_as_bits_where_they_lie(dtype):
    x = np.array([1.0, -2.0], dtype)
    found = arrays.half_bits(x)
    assert found.dtype == (np.int16 if dtype is np.float16 else np.uint16)
    assert np.shares_memory(found, x)
    unaligned = np.zeros(5, np.uint8)[1:].view(dtype)
    for other in (unaligned, np.zeros(2, ">f2"), np.zeros(2, np.int16), np.zeros(2, np.float32)):
        assert arrays.half_bits(other) is None


@pytest.mark.parametrize(
    ("dtype", "working", "axis", "direct"),
    [
        (np.float32, FLOAT32, -1, True),
        (np.float64, FLOAT64, (0, 1), True),
        (np.float16, FLOAT32, -1, True),
        (BFLOAT16, FLOAT32, -1, True),
        (np.float16, FLOAT32, (0, 2), False),
        (np.float16, FLOAT64, -1, False),
        (np.float32, FLOAT64, -1, False),
    ],
)
def test_the_kernel_writes_into_the_gradient_itself_where_it_can(dtype, working, axis, direct):
    target = np.zeros((2, 3, 4), dtype)
    output = arrays.kernel_output(target, layout_for((2, 3, 4), axis), working)
    assert np.may_share_memory(output, target) is direct
    if not direct:
        assert output.dtype == working


def test_out_is_a_writeable_array_of_the_right_shape():
    x = np.zeros((2, 3), np.float32)
    with pytest.raises(ValueError, match=r"shape of y_pred, \(2, 3\), got \(3, 2\)"):
        out_of(x, np.zeros((3, 2), np.float32))
    with pytest.raises(ValueError, match="writeable"):
        out_of(x, np.broadcast_to(np.float32(0), (2, 3)))
    for wrong in ([[0.0] * 3] * 2, np.ma.zeros((2, 3), np.float32)):
        with pytest.raises(TypeError, match="must be a NumPy array"):
            out_of(x, wrong)


def test_out_of_odd_kinds():
    import fastloss as fl

    both = fl.value_and_grad(fl.sparse_categorical_crossentropy)
    x = np.array([[1.0, 2.0, 3.0], [0.0, 1.0, 0.0]])
    value, grad = both([0, 1], x, True)
    matrix = np.full((2, 3), 7.0).view(np.matrix)
    other, received = both([0, 1], x, True, out=matrix)
    assert received is matrix
    np.testing.assert_array_equal(np.asarray(matrix), grad)
    np.testing.assert_array_equal(other, value)
    for strides in ((0, 8), (8, 8), (16, 8)):
        overlapping = np.lib.stride_tricks.as_strided(np.zeros(7), (2, 3), strides)
        with pytest.raises(ValueError, match="overlap itself"):
            both([0, 1], x, True, out=overlapping)
        assert not overlapping.any()
    buffer = np.ones(6)
    with pytest.raises(ValueError, match="overlaps class_weight"):
        both([0, 1], x, True, class_weight=buffer[:3], out=buffer.reshape(2, 3))


def test_out_with_steps_between_its_elements():
    import fastloss as fl

    both = fl.value_and_grad(fl.poisson)
    x = np.array([[1.0, 2.0, 3.0], [4.0, 1.0, 2.0]])
    _, grad = both(x, x[::-1], out=None)
    wide = np.zeros((3, 5, 4))
    for out in (wide[::2, 1:4, 0], wide[::-2, ::2, 1][:2], wide.T[0, :3, :2].T[:, ::-1]):
        both(x, x[::-1], out=out)
        np.testing.assert_array_equal(out, grad)
