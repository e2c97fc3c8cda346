"""Array-likes of other packages: the numbers they hold, or one sentence that says what to do.

torch is not among the packages of the tests: a small class has the part of its protocol we use.
"""

import re
import subprocess
import sys
import warnings

import ml_dtypes
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import fastloss as fl
from fastloss.arguments.array_likes import as_numpy
from fastloss.arguments.arrays import as_array

with warnings.catch_warnings(action="ignore", category=PendingDeprecationWarning):
    MATRIX = np.matrix([[0.5, 1.5]])
X = np.array([[0.5, 0.25, 0.25], [0.125, 0.75, 0.125]])
LISTS = pa.list_(pa.float64(), 3)

FRAMES = {
    "pandas": lambda x: pd.DataFrame(x),
    "pandas, nullable": lambda x: pd.DataFrame(x).astype(x.dtype.name.capitalize()),
    "pandas, Arrow": lambda x: pd.DataFrame(x).astype(f"{x.dtype}[pyarrow]"),
    "pandas, one nullable column": lambda x: pd.DataFrame(x).astype({1: x.dtype.name.capitalize()}),
    "pandas, labels that are methods of others": lambda x: pd.DataFrame(
        x, columns=["dtype", "requires_grad", "null_count"]
    ),
    "pandas, one label for all": lambda x: pd.DataFrame(x, columns=["a"] * 3).astype(
        x.dtype.name.capitalize()
    ),
    "polars": lambda x: pl.DataFrame(x, schema=["a", "b", "c"]),
    "polars, arrays": lambda x: pl.Series(x),
    "Arrow table": lambda x: pa.table(dict(zip("abc", x.T, strict=True))),
    "Arrow batch": lambda x: pa.record_batch(dict(zip("abc", x.T, strict=True))),
    "Arrow, chunked table": lambda x: pa.concat_tables(
        pa.table(dict(zip("abc", row[:, None], strict=True))) for row in x
    ),
    "Arrow, fixed lists": lambda x: pa.FixedSizeListArray.from_arrays(x.ravel(), 3),
    "Arrow, chunks of fixed lists": lambda x: pa.chunked_array(
        [pa.FixedSizeListArray.from_arrays(row, 3) for row in x]
    ),
    "Arrow, tensors": pa.FixedShapeTensorArray.from_numpy_ndarray,
    "Arrow, one tensor": pa.Tensor.from_numpy,
    "xarray": lambda x: xr.DataArray(x, dims=("row", "class")),
    "list of polars": lambda x: [pl.Series(row) for row in x],
    "list of Arrow": lambda x: tuple(pa.array(row) for row in x),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("make", FRAMES.values(), ids=FRAMES)
def test_a_frame_is_an_array_of_rows_and_columns_of_its_own_dtype(make, dtype):
    array = as_array("y_pred", make(X.astype(dtype)))
    assert array.dtype == dtype
    np.testing.assert_array_equal(array, X)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("make", FRAMES.values(), ids=FRAMES)
def test_predictions_of_any_package_give_the_bits_of_the_array(make, dtype):
    x = X.astype(dtype)
    both = fl.value_and_grad(fl.sparse_categorical_crossentropy)
    expected, slopes = both([0, 2], x)
    value, gradient = both([0, 2], make(x))
    lists = isinstance(make(x), list | tuple)
    assert gradient.dtype == (np.float32 if lists else dtype)
    tolerance = 3e-7 if lists and dtype == np.float64 else 0.0  # lists compute in float32
    np.testing.assert_allclose(value, expected, rtol=tolerance)
    np.testing.assert_allclose(gradient, slopes, rtol=10 * tolerance)


COLUMNS = {
    "pandas": pd.Series,
    "pandas, nullable": lambda v: pd.Series(v).convert_dtypes(),
    "pandas, Arrow": lambda v: pd.Series(v).convert_dtypes(dtype_backend="pyarrow"),
    "pandas, extension array": lambda v: pd.array(v),
    "pandas, index": pd.Index,
    "polars": pl.Series,
    "Arrow": pa.array,
    "Arrow, chunked": lambda v: pa.chunked_array([v[:1], v[1:]]),
    "xarray": lambda v: xr.DataArray(v, dims="row"),
}
every_column = pytest.mark.parametrize("make", COLUMNS.values(), ids=COLUMNS)


@every_column
def test_labels_weights_and_masks_may_come_from_any_package(make):
    x = np.concatenate([X, X[:, ::-1]])
    labels, weight = np.array([0, 2, 1, 1]), np.array([0.5, 2.0, 1.0, 3.0])
    mask, class_weight = np.array([True, True, False, True]), np.array([1.0, 2.5, 0.5])
    options = {"reduction": "mean_with_sample_weight", "upstream": 2.0}
    both = fl.value_and_grad(fl.sparse_categorical_crossentropy)
    arguments = {"sample_weight": weight, "mask": mask, "class_weight": class_weight}
    expected, slopes = both(labels, x, **arguments, **options)
    others = {name: make(array) for name, array in arguments.items()}
    value, gradient = both(make(labels), x, **others, **options)
    assert value == expected
    np.testing.assert_array_equal(gradient, slopes)


@every_column
def test_targets_and_positive_weights_may_come_from_any_package(make):
    targets, pos_weight = np.array([0.0, 1.0, 1.0]), np.array([1.0, 2.5, 0.5])
    expected = fl.binary_crossentropy(targets, X[0], pos_weight=pos_weight)
    value = fl.binary_crossentropy(make(targets), make(X[0]), pos_weight=make(pos_weight))
    assert value == expected
    assert value.dtype == np.float64


@every_column
def test_a_loss_keeps_weights_of_any_package_as_plain_numbers(make):
    loss = fl.CategoricalCrossentropy(class_weight=make(np.array([1.0, 2.5, 0.5])))
    assert loss == fl.CategoricalCrossentropy(class_weight=[1.0, 2.5, 0.5])
    assert hash(loss) == hash(fl.CategoricalCrossentropy(class_weight=(1.0, 2.5, 0.5)))


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (pd.Series([1, 2], dtype="Int8"), "int8"),
        (pd.Series([1, 0], dtype="boolean"), "bool"),
        (pd.Series([2, 3], dtype="category"), "int64"),
        (pd.DataFrame({"a": [1, 2], "b": [0.5, 1.5]}).convert_dtypes(), "float64"),
        (pd.DataFrame({"a": [1, 2], "b": [True, False]}), "int64"),
        (pd.DataFrame({"a": [1, 2]}).convert_dtypes(), "int64"),
        (pd.DataFrame({"a": [1, 2]}, index=["x", "y"])[["a"]], "int64"),
        (pl.Series([1, 2], dtype=pl.UInt8), "uint8"),
        (pl.Series([True, False]), "bool"),
        (pl.DataFrame({"a": [1, 2], "b": [0.5, 1.5]}), "float64"),
        (pa.array(np.float16([0.5, 1.5])), "float16"),
        (pa.array([True, False]), "bool"),
        (pa.array([7, 9, 7]).dictionary_encode(), "int64"),
        (xr.DataArray(np.int8([1, 2])), "int8"),
        (xr.Variable("x", [0.5, 1.5]), "float64"),
        (range(3), "int64"),
        (MATRIX, "float64"),
        (np.float32(0.5), "float32"),
        (memoryview(np.float32([0.5, 1.5])), "float32"),
        ([np.float32(0.5), 1], "float64"),
    ],
)
def test_integers_booleans_and_mixed_columns_keep_what_they_mean(value, dtype):
    array = as_array("y_true", value)
    assert array.dtype.name == dtype
    if isinstance(value, pl.DataFrame):
        expected = value.to_numpy()
    else:
        expected = np.array(value.to_pylist() if isinstance(value, pa.Array) else value, float)
    np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        (pd.DataFrame(), (0, 0)),
        (pd.DataFrame(index=range(4)), (4, 0)),
        (pd.DataFrame({"a": []}, dtype="Float64"), (0, 1)),
        (pl.DataFrame(), (0, 0)),
        (pl.DataFrame({"a": []}, schema={"a": pl.Float64}), (0, 1)),
        (pl.Series([[], []], dtype=pl.Array(pl.Float64, 0)), (2, 0)),
        (pa.table({}), (0, 0)),
        (pa.array([], LISTS), (0, 3)),
        (pa.array([[], []], pa.list_(pa.float64(), 0)), (2, 0)),
        (pa.array([[[1.0, 2.0, 3.0]] * 2], pa.list_(LISTS, 2)), (1, 2, 3)),
        (pa.array([[1.0, 2.0, 3.0]] * 4, LISTS)[1:3], (2, 3)),
        (pa.FixedShapeTensorArray.from_numpy_ndarray(np.ones((4, 3, 2)))[1:], (3, 3, 2)),
        (pl.Series(np.ones((2, 3, 4))), (2, 3, 4)),
    ],
)
def test_nothing_and_lists_of_a_fixed_size_have_their_shape(value, shape):
    assert as_array("y_pred", value).shape == shape


def test_a_slice_of_fixed_lists_holds_its_own_rows():
    rows = np.arange(12.0).reshape(4, 3)
    np.testing.assert_array_equal(as_array("x", pa.array(rows.tolist(), LISTS)[1:3]), rows[1:3])
    tensors = pa.FixedShapeTensorArray.from_numpy_ndarray(rows)
    np.testing.assert_array_equal(as_array("x", tensors[1:3]), rows[1:3])


def test_plain_arrays_and_columns_are_not_copied():
    for value in (
        X,
        X.view(np.matrix),
        pd.DataFrame(X, copy=False),
        xr.DataArray(X),
        pa.Tensor.from_numpy(X),
    ):
        assert np.shares_memory(as_array("y_pred", value), X), type(value)
    for column in (pl.Series(X[0]), pa.array(X[0])):
        assert np.shares_memory(as_array("y_pred", column), np.asarray(column)), type(column)


NUMBERS = st.lists(st.floats(width=32) | st.none(), min_size=1, max_size=5)


@given(NUMBERS)
def test_null_is_refused_and_nan_is_not(numbers):
    for make in (lambda v: pl.Series(v, dtype=pl.Float64), lambda v: pa.array(v, pa.float64())):
        if None in numbers:
            with pytest.raises(ValueError, match=f"got {numbers.count(None)} in "):
                as_array("y_pred", make(numbers))
        else:
            np.testing.assert_array_equal(as_array("y_pred", make(numbers)), numbers)


MISSING = {
    "nullable": (pd.Series([0.5, None], dtype="Float64"), "a Series", "fillna"),
    "nullable integer": (pd.Series([1, None], dtype="Int64"), "a Series", "fillna"),
    "nullable boolean": (pd.Series([True, None], dtype="boolean"), "a Series", "fillna"),
    "pandas' array": (pd.array([1, None]), "an IntegerArray", "fillna"),
    "Arrow-backed": (pd.Series([1, None], dtype="int64[pyarrow]"), "a Series", "fillna"),
    "category": (pd.Series([1, None], dtype="category"), "a Series", "fillna"),
    "polars": (pl.Series([0.5, None]), "a Series", "fill_null"),
    "polars boolean": (pl.Series([True, None]), "a Series", "fill_null"),
    "polars row": (
        pl.Series([None, [1.0]], dtype=pl.Array(pl.Float64, 1)),
        "a Series",
        "fill_null",
    ),
    "polars item": (
        pl.Series([[None], [1.0]], dtype=pl.Array(pl.Float64, 1)),
        "a Series",
        "fill_null",
    ),
    "Arrow": (pa.array([1, None]), "an Int64Array", "fill_null"),
    "Arrow, chunked": (pa.chunked_array([[1.0], [None]]), "a DoubleArray", "fill_null"),
    "Arrow row": (pa.array([[1.0, 2, 3], None], LISTS), "a FixedSizeListArray", "fill_null"),
    "Arrow item": (pa.array([[1.0, None, 3]], LISTS), "a DoubleArray", "fill_null"),
    "in a list": ([pl.Series([0.5, None])], "a Series", "fill_null"),
}


@pytest.mark.parametrize(("value", "source", "fill"), MISSING.values(), ids=MISSING)
@pytest.mark.parametrize("name", ["y_true", "y_pred", "sample_weight", "mask"])
def test_missing_values_are_refused_with_the_way_to_fill_them(value, source, fill, name):
    arguments = {"y_true": [[0.5], [0.5]], "y_pred": [[0.5], [0.5]], name: value}
    text = (
        f"{name} must have no missing values, got 1 in {source}: fill them, as with .{fill}(0);"
        " mask= leaves their places out"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        fl.value_and_grad(fl.poisson)(**arguments)


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"a": [0.5, 1.0], "b": [1, None]}).convert_dtypes(),
        pl.DataFrame({"a": [0.5, 1.0], "b": [1, None]}),
        pa.table({"a": [0.5, 1.0], "b": [1, None]}),
    ],
    ids=["pandas", "polars", "Arrow"],
)
def test_the_column_with_missing_values_is_named(frame):
    with pytest.raises(ValueError, match=r"^y_pred\['b'\] must have no missing values, got 1 in"):
        fl.poisson([[1, 2], [3, 4]], frame)


def test_what_was_missing_is_left_out_by_a_mask():
    rates = pd.Series([0.5, None, 2.0], dtype="Float64")
    loss = fl.KLDivergence(reduction="sum")
    value = loss(np.ones((3, 1)), rates.fillna(0).to_frame(), mask=rates.notna())
    np.testing.assert_allclose(value, np.log(2), rtol=1e-12)  # 2 is clipped to 1


def test_nan_in_a_plain_frame_is_a_number():
    frame = pd.DataFrame({"a": [0.5, np.nan]})
    np.testing.assert_array_equal(as_array("y_pred", frame), [[0.5], [np.nan]])
    assert np.isnan(fl.poisson([[1], [1]], frame)[1])


NOT_NUMBERS = [
    (pd.Series(["a", "b"]), r"object from a Series, whose element 0 is 'a'"),
    (pd.Series(["a", "b"], dtype="category"), r"object from a Series, whose element 0 is 'a'"),
    (pd.Series([1, 2.5], dtype=object), r"object from a Series: pass .to_numpy(float)"),
    (pd.Series([X, X]), "whose elements are lists: pass np.stack(np.asarray(...)) of equal"),
    (
        pl.Series([[1.0], [2.0]]),
        "whose elements are lists: pass np.stack(np.asarray(...)) of equal",
    ),
    (pa.array([[1.0], [2.0]]), "whose elements are lists: pass np.stack(np.asarray(...)) of equal"),
    (pa.array([1, 2]).cast(pa.decimal128(25, 2)), "Array: pass np.asarray(..., float)"),
    (np.array([1, 2.5], object), "object: pass np.asarray(..., float)"),
    ([1.0, None], "object from a list, whose element 1 is None"),
    ([[1.0, 2.0], [3.0, pd.NA]], "object from a list, whose element (1, 1) is <NA>"),
    (pd.Series(pd.to_datetime(["2020-01-01"])), "got dtype datetime64"),
    ({0: 1.0}, "object from a dict"),
    (pl.LazyFrame({"a": [1.0]}), "in memory, got a LazyFrame: pass {name}.collect()"),
    (scipy.sparse.csr_array(X), "in memory, got a csr_array: pass {name}.toarray()"),
    (pa.scalar(2.5), "in memory, got a DoubleScalar: pass {name}.as_py()"),
    (xr.Dataset({"a": ("x", [1.0])}), "got a Dataset: cannot directly convert"),
    (
        pd.DataFrame({"a": [1.0], "s": ["x"]}),
        "{name}['s'] must hold real numbers, got dtype object",
    ),
    (pl.DataFrame({"a": [1.0], "s": ["x"]}), "{name}['s'] must hold real numbers, got dtype <U1"),
    (pa.table({"a": pa.array([[1.0, 2, 3]], LISTS)}), "{name}['a'] must hold one number for each"),
]


@pytest.mark.parametrize(("value", "text"), NOT_NUMBERS)
@pytest.mark.parametrize("name", ["y_true", "y_pred", "sample_weight", "mask", "upstream"])
def test_what_holds_no_numbers_is_refused_with_a_remedy(value, text, name):
    arguments = {"y_true": [[0.5]], "y_pred": [[0.5]], name: value}
    with pytest.raises(TypeError, match=re.escape(text.format(name=name))) as caught:
        fl.value_and_grad(fl.poisson)(**arguments)
    assert str(caught.value).startswith(name)


@pytest.mark.parametrize(("value", "text"), NOT_NUMBERS[3:6])
def test_the_remedy_for_lists_works(value, text):
    assert np.stack(np.asarray(value)).dtype == np.float64


class Lazy:
    """Like an array of Dask: NumPy could gather it."""

    def __init__(self, graph):
        self.graph = graph

    def __dask_graph__(self):
        return self.graph

    def __array__(self, dtype=None, copy=None):
        assert self.graph is None, "gathered"
        return X


def test_what_dask_computes_later_is_not_gathered():
    for value in (Lazy({"task": 1}), [Lazy({"task": 1})]):
        with pytest.raises(
            TypeError, match=r"got a Lazy: pass it to fastloss\.dask, .* y_pred\.compute\(\)$"
        ):
            as_array("y_pred", value)
    assert as_array("y_pred", Lazy(None)) is X  # as xarray's arrays in memory


def test_arrays_of_dask_are_not_gathered():
    da = pytest.importorskip("dask.array", reason="the oldest environment is without Dask")
    for value in (da.from_array(X), xr.DataArray(da.from_array(X))):
        with pytest.raises(TypeError, match=r"pass y_pred\.compute\(\)$"):
            fl.poisson(X, value)
        np.testing.assert_array_equal(fl.poisson(X, value.compute()), fl.poisson(X, X))


class Dtype:
    def __init__(self, name):
        self.name = name

    def __str__(self):
        return f"torch.{self.name}"


class Device:
    def __init__(self, name):
        self.type = name.partition(":")[0]
        self.name = name

    def __str__(self):
        return self.name


class Tensor:
    """Has the part of torch.Tensor that fastloss uses; a bfloat16 is stored as its bits."""

    requires_grad = False

    def __init__(self, data, dtype, device="cpu"):
        self.data, self.dtype, self.device = data, Dtype(dtype), Device(device)

    def __array__(self, dtype=None, copy=None):
        if self.dtype.name == "bfloat16":
            raise TypeError("Got unsupported ScalarType BFloat16")
        if self.requires_grad or self.device.type != "cpu":
            raise RuntimeError("Can't call numpy()")
        return self.data

    def new_empty(self, size):
        return Tensor(np.empty(size), self.dtype.name, self.device.name)

    def short(self):
        return Tensor(self.data.astype(np.int16), "int16", self.device.name)

    def view(self, dtype):
        assert dtype.name == "int16"
        return Tensor(self.data.view(np.int16), "int16", self.device.name)

    def numpy(self):
        return self.data


@pytest.mark.parametrize("name", ["float64", "float32", "float16", "int64", "bool"])
def test_a_tensor_is_its_memory(name):
    data = np.arange(6).reshape(2, 3).astype(name)
    assert as_array("y_pred", Tensor(data, name)) is data


@pytest.mark.parametrize("step", [1, -1, 2])
def test_a_bfloat16_tensor_is_read_by_its_bits(step):
    x = np.array([[1.5, -2.0, 3.0, 0.5]], ml_dtypes.bfloat16)[:, ::step]
    array = as_array("y_pred", Tensor(x.view(np.int16), "bfloat16"))
    assert array.dtype == x.dtype
    assert np.shares_memory(array, x)
    np.testing.assert_array_equal(array, x)
    tensors = [Tensor(row.view(np.int16), "bfloat16") for row in x]
    np.testing.assert_array_equal(as_array("y_pred", tensors), x)


def test_a_bfloat16_tensor_without_ml_dtypes_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    text = "y_pred of bfloat16 needs the package ml_dtypes: install it or pass y_pred.float()"
    with pytest.raises(ImportError, match=f"^{re.escape(text)}$"):
        as_array("y_pred", Tensor(np.zeros(2, np.int16), "bfloat16"))


@pytest.mark.parametrize(
    ("gradient", "device", "text"),
    [
        (True, "cpu", "got a Tensor that requires a gradient: pass y_pred.detach()"),
        (False, "cuda:0", "got a Tensor on device cuda:0: pass y_pred.cpu()"),
        (
            True,
            "mps",
            "got a Tensor that requires a gradient and on device mps: pass y_pred.detach().cpu()",
        ),
    ],
)
@pytest.mark.parametrize("name", ["float32", "bfloat16"])
def test_a_tensor_that_numpy_cannot_read_is_refused_with_the_way(gradient, device, text, name):
    tensor = Tensor(np.zeros(2, np.int16), name, device)
    tensor.requires_grad = gradient
    with pytest.raises(TypeError, match=f"{re.escape(text)}$"):
        as_array("y_pred", tensor)
    with pytest.raises(TypeError, match=f"{re.escape(text)}$"):
        as_array("y_pred", [tensor])


def test_a_tensor_is_overwritten_through_its_array():
    x = X.copy()
    tensor = Tensor(x, "float64")
    both = fl.value_and_grad(fl.sparse_categorical_crossentropy)
    with pytest.raises(TypeError, match=r"out must be a NumPy array, got Tensor: pass out\.numpy"):
        both([0, 2], tensor, out=tensor)
    assert both([0, 2], tensor, out=tensor.numpy())[1] is x
    np.testing.assert_array_equal(x, both([0, 2], X)[1])


class Refusing:
    def __array__(self, dtype=None, copy=None):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")


def test_what_another_package_says_is_passed_on():
    with pytest.raises(
        TypeError, match=r"^y_pred must hold real numbers, got a Refusing: Impl.*get"
    ):
        as_array("y_pred", Refusing())


class Exporting:
    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def test_what_has_nothing_but_dlpack_goes_in():
    array = as_array("y_pred", Exporting(X))
    assert np.shares_memory(array, X)
    np.testing.assert_array_equal(as_array("y_pred", [Exporting(row) for row in X]), X)


def test_lists_of_plain_numbers_are_passed_on_as_they_are():
    for items in ([1.0, 2, True], [np.float32(1), 2.0], [[1.0], [2]], [X[0], X[1]]):
        np.testing.assert_array_equal(as_numpy("y_pred", items), np.asarray(items))


def test_no_package_is_imported():
    code = (
        "import sys, fastloss as fl; fl.Poisson(); from fastloss.arguments.arrays import as_array;"
        "as_array('y_pred', [[1.0]]); as_array('y_pred', range(3));"
        "print(*({'pandas', 'polars', 'pyarrow', 'xarray', 'torch', 'dask'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
