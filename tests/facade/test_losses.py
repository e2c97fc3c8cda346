"""The classes: construction, configuration, identity, ranks, and agreement with the functions."""

import copy
import inspect
import json
import pickle
import sys

import numpy as np
import pytest

import fastloss as fl

CLASSES = {
    fl.BinaryCrossentropy: fl.binary_crossentropy,
    fl.CategoricalCrossentropy: fl.categorical_crossentropy,
    fl.SparseCategoricalCrossentropy: fl.sparse_categorical_crossentropy,
    fl.Poisson: fl.poisson,
    fl.KLDivergence: fl.kl_divergence,
}
every_class = pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)

OPTIONED = [
    fl.BinaryCrossentropy(True, 0.1, [1, 2], "sum", "mine", pos_weight=[1.0, 2.0]),
    fl.BinaryCrossentropy(axis=None, dtype="mixed_float16", pos_weight=np.float32(2)),
    fl.CategoricalCrossentropy(True, 0.2, 1, None, "mine", class_weight=np.array([1.0, 2.0])),
    fl.SparseCategoricalCrossentropy(True, -1, axis=np.int64(1), reduction="none", name="mine"),
    fl.SparseCategoricalCrossentropy(class_weight=(1, 2), dtype="bfloat16"),
    fl.SparseCategoricalCrossentropy(True, label_smoothing=0.1),
    fl.Poisson("mean", "mine", dtype="float64"),
    fl.Poisson(axis=(0, -1), log_input=True),
    fl.KLDivergence("mean_with_sample_weight"),
    fl.KLDivergence(axis=0),
]
every_option = pytest.mark.parametrize("loss", OPTIONED, ids=repr)


def batch(cls, n=5, c=4):
    rng = np.random.default_rng(5)
    x = rng.uniform(0.05, 0.95, (n, c))
    if cls is fl.SparseCategoricalCrossentropy:
        return rng.integers(0, c, n), x
    return rng.integers(0, 2, (n, c)).astype(float), x


@every_class
def test_defaults_are_those_of_keras(cls):
    loss = cls()
    expected = {"reduction": "sum_over_batch_size", "name": CLASSES[cls].__name__}
    if cls in (fl.BinaryCrossentropy, fl.CategoricalCrossentropy):
        expected |= {"from_logits": False, "label_smoothing": 0.0, "axis": -1}
    if cls is fl.SparseCategoricalCrossentropy:
        expected |= {"from_logits": False, "ignore_class": None, "axis": -1}
    assert loss.get_config() == expected
    assert loss.dtype is None


@every_class
@pytest.mark.parametrize("reduction", ["sum", "mean", "mean_with_sample_weight", None])
def test_a_call_reduces_what_the_function_returns(cls, reduction):
    y, x = batch(cls)
    weight, mask = np.arange(5.0), np.array([1, 1, 0, 1, 1], bool)
    rows = CLASSES[cls](y, x)
    loss = cls(reduction=reduction)
    products = np.where(mask, rows * weight, 0.0)
    divisor = {"sum": 1.0, "mean": 4.0, "mean_with_sample_weight": weight[mask].sum(), None: 1.0}
    expected = products if reduction is None else products.sum() / divisor[reduction]
    np.testing.assert_allclose(loss(y, x, weight, mask), expected, rtol=1e-13)
    value, gradient = loss.value_and_grad(y, x, weight, mask)
    np.testing.assert_array_equal(value, loss(y, x, sample_weight=weight, mask=mask))
    options = {"sample_weight": weight, "mask": mask, "reduction": reduction}
    again, slopes = fl.value_and_grad(CLASSES[cls])(y, x, **options)
    np.testing.assert_array_equal(again, value)
    np.testing.assert_array_equal(slopes, gradient)


@every_class
def test_value_and_grad_takes_upstream_and_out(cls):
    y, x = batch(cls)
    loss = cls()
    value, gradient = loss.value_and_grad(y, x)
    again, out = loss.value_and_grad(y, x, upstream=2.0, out=x)
    assert out is x
    assert again == value
    np.testing.assert_allclose(x, 2.0 * gradient, rtol=1e-14)


@pytest.mark.parametrize("cls", [fl.BinaryCrossentropy, fl.Poisson, fl.KLDivergence])
@pytest.mark.parametrize(
    ("truth", "prediction", "as_one"),
    [((4,), (4, 1), (4, 1)), ((4, 1), (4,), (4, 1)), ((2, 3, 1), (2, 3), (2, 3))],
)
def test_ranks_that_differ_by_a_last_one_are_repaired(cls, truth, prediction, as_one):
    rng = np.random.default_rng(6)
    y = rng.integers(0, 2, truth).astype(float)
    x = rng.uniform(0.1, 0.9, prediction)
    value, gradient = cls(reduction=None).value_and_grad(y, x)
    expected, slopes = fl.value_and_grad(CLASSES[cls])(y.reshape(as_one), x.reshape(as_one))
    np.testing.assert_array_equal(value, expected)
    np.testing.assert_array_equal(gradient, slopes.reshape(prediction))
    in_place = x.copy()
    assert cls(reduction=None).value_and_grad(y, in_place, out=in_place)[1] is in_place
    np.testing.assert_array_equal(in_place, gradient)


@pytest.mark.parametrize("shape", [(4,), (4, 1), (4, 1, 1)])
def test_labels_may_have_axes_of_length_one_at_the_end(shape):
    y, x = np.array([0, 1, 2, 1]), np.full((4, 3), 0.2)
    loss = fl.SparseCategoricalCrossentropy(reduction=None)
    np.testing.assert_array_equal(loss(y.reshape(shape), x), loss(y, x))


def test_sequences_of_one_class_are_not_taken_for_wrong_ranks():
    loss = fl.SparseCategoricalCrossentropy(from_logits=True)
    assert loss(np.zeros((2, 3), int), np.ones((2, 3, 1))) == 0.0


@pytest.mark.parametrize("reduction", ["abc", "NONE", "batch_mean", 1, ["sum"]])
@every_class
def test_a_bad_reduction_is_refused_at_once(cls, reduction):
    with pytest.raises(ValueError, match="reduction must be"):
        cls(reduction=reduction)


@every_class
def test_bad_keywords_and_dtypes_are_refused_at_once(cls):
    with pytest.raises(TypeError, match="nonsense"):
        cls(nonsense=1)
    for dtype in ("junk", "int32", int):
        with pytest.raises(ValueError, match="dtype must be"):
            cls(dtype=dtype)


@pytest.mark.parametrize("cls", [fl.BinaryCrossentropy, fl.CategoricalCrossentropy])
@pytest.mark.parametrize("options", [{"label_smoothing": 1.1}, {"axis": True}, {"from_logits": 2}])
def test_bad_options_are_refused_at_once(cls, options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be"):
        cls(**options)


def test_the_legacy_order_of_the_sparse_loss_is_named():
    with pytest.raises(ValueError, match=r"legacy order \(from_logits, reduction, name\)"):
        fl.SparseCategoricalCrossentropy(True, "sum")
    with pytest.raises(TypeError, match=r"legacy order is \(from_logits, reduction, name\)"):
        fl.SparseCategoricalCrossentropy(True, None, "sum")


def test_positions_are_those_of_keras():
    assert fl.BinaryCrossentropy(True, 0.1, 1, "sum", "b") == fl.BinaryCrossentropy(
        from_logits=True, label_smoothing=0.1, axis=1, reduction="sum", name="b"
    )
    assert fl.Poisson("sum", "p") == fl.Poisson(reduction="sum", name="p")
    with pytest.raises(TypeError):
        fl.Poisson("sum", "p", "float32")


@every_class
def test_what_is_not_of_keras_goes_by_keyword(cls):
    parameters = inspect.signature(cls).parameters
    for option in {"dtype", "class_weight", "pos_weight"} & parameters.keys():
        assert parameters[option].kind is inspect.Parameter.KEYWORD_ONLY
    with pytest.raises(TypeError, match="abstract"):
        fl.Loss()


@every_option
def test_a_configuration_makes_an_equal_loss(loss):
    config = loss.get_config()
    again = type(loss).from_config(config)
    assert again == loss
    assert hash(again) == hash(loss)
    assert again.get_config() == config
    assert type(loss).from_config(json.loads(json.dumps(config))) == loss
    assert type(loss).from_config(config | {"fn": "ignored"}) == loss
    assert fl.get({"class_name": type(loss).__name__, "config": config}) == loss


KERAS_CONFIGS = {  # what Keras 3.16 writes
    fl.BinaryCrossentropy: {"from_logits": True, "label_smoothing": 0.1, "axis": -1},
    fl.CategoricalCrossentropy: {"from_logits": True, "label_smoothing": 0.1, "axis": 1},
    fl.SparseCategoricalCrossentropy: {
        "from_logits": True,
        "ignore_class": -1,
        "axis": 1,
        "label_smoothing": 0.1,
    },
    fl.Poisson: {},
    fl.KLDivergence: {},
}


@every_class
def test_a_configuration_of_keras_loads(cls):
    config = {"name": "mine", "reduction": "sum", **KERAS_CONFIGS[cls]}
    loss = cls.from_config(config)
    assert loss == cls(**config)
    assert loss.get_config().items() >= config.items()
    written = {"module": "keras.losses", "class_name": cls.__name__, "registered_name": None}
    assert fl.get(json.loads(json.dumps(written | {"config": config}))) == loss


@every_class
def test_a_key_that_is_no_option_is_named(cls):
    text = f"config must hold options of {cls.__name__}, .*; got 'nonsense', 'fns'$"
    config = {"nonsense": 1, "reduction": "sum", "fns": 2}
    with pytest.raises(ValueError, match=text) as caught:
        cls.from_config(config)
    assert all(option in str(caught.value) for option in cls().get_config())
    with pytest.raises(ValueError, match=text):
        fl.get({"class_name": cls.__name__, "config": config})


@every_class
@pytest.mark.parametrize(
    "wrong",
    [
        {"reduction": "junk"},
        {"reduction": ["sum"]},
        {"name": 3},
        {"dtype": "junk"},
        {"axis": "x"},
        {"from_logits": "yes"},
        {"label_smoothing": 2},
        {"ignore_class": 0.5},
        {"class_weight": "balanced"},
        {"class_weight": {"cat": 1.0}},
        {"class_weight": [-1.0]},
        {"pos_weight": -1.0},
    ],
    ids=repr,
)
def test_a_wrong_value_in_a_configuration_is_a_value_error(cls, wrong):
    for call in (cls.from_config, lambda c: fl.get({"class_name": cls.__name__, "config": c})):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            call(wrong)


@every_option
def test_losses_can_be_pickled_and_copied(loss):
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(loss, protocol)) == loss
    assert copy.copy(loss) == loss
    assert copy.deepcopy(loss) == loss


@every_option
def test_the_repr_is_the_constructor_call(loss):
    assert eval(repr(loss), vars(fl)) == loss


@every_option
def test_losses_cannot_be_changed(loss):
    for attribute in ("reduction", "name", "dtype", "axis", "new"):
        with pytest.raises(AttributeError):
            setattr(loss, attribute, 1)
    with pytest.raises(AttributeError):
        del loss.reduction


def test_losses_of_other_options_differ():
    assert fl.Poisson() != fl.Poisson("sum")
    assert fl.Poisson(name="a") != fl.KLDivergence(name="a")
    assert len({fl.Poisson(), fl.Poisson(), fl.KLDivergence()}) == 2


def test_auto_takes_its_present_name():
    assert fl.Poisson(reduction="auto").reduction == "sum_over_batch_size"


def test_options_given_as_arrays_are_copied():
    weights = np.ones(2)
    loss = fl.CategoricalCrossentropy(class_weight=weights, reduction="sum")
    weights[:] = 100
    assert loss.class_weight == (1.0, 1.0)
    np.testing.assert_allclose(loss([[0.0, 1.0]], [[0.5, 0.5]]), np.log(2), rtol=1e-6)


@every_class
def test_names_are_made_up_and_unique(cls):
    names = [cls(name=name).name for name in (None, "", None)]
    assert len(set(names)) == 3
    assert all(name.startswith(CLASSES[cls].__name__) for name in names)
    assert cls(name="mine").name == "mine"


@every_class
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_dtype_fixes_the_results(cls, dtype):
    y, x = batch(cls)
    loss = cls(dtype=dtype)
    value, gradient = loss.value_and_grad(y, x.astype(np.float32))
    assert loss.dtype == value.dtype.name == gradient.dtype.name == dtype
    # half precision is computed in float32 and rounded once
    if dtype in ("float16", "bfloat16"):
        full, slopes = cls(dtype="float32").value_and_grad(y, x)
        assert value == full.astype(value.dtype)
        np.testing.assert_array_equal(gradient, slopes.astype(gradient.dtype))


def test_labels_never_become_floats():
    x = np.zeros((1, 300), np.float32)
    x[0, 257] = 50.0
    loss = fl.SparseCategoricalCrossentropy(from_logits=True, dtype="bfloat16")
    assert loss([257], x) < 1e-10


def test_bfloat16_without_ml_dtypes_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    with pytest.raises(ImportError, match="needs the package ml_dtypes"):
        fl.Poisson(dtype="bfloat16")


@pytest.mark.parametrize(
    ("identifier", "expected"),
    [
        (None, None),
        ("bce", fl.binary_crossentropy),
        ("BCE", fl.binary_crossentropy),
        ("kld", fl.kl_divergence),
        ("KLD", fl.kl_divergence),
        *((function.__name__, function) for function in CLASSES.values()),
        *((function, function) for function in CLASSES.values()),
        *((cls.__name__, cls()) for cls in CLASSES),
        *((cls, cls()) for cls in CLASSES),
        (OPTIONED[0], OPTIONED[0]),
        ({"class_name": "Poisson", "config": {}}, fl.Poisson()),
        (
            {
                "module": "keras.losses",
                "class_name": "SparseCategoricalCrossentropy",
                "config": {"name": "s", "reduction": "auto", "fn": "x", "ignore_class": 0},
                "registered_name": None,
            },
            fl.SparseCategoricalCrossentropy(name="s", ignore_class=0),
        ),
    ],
)
def test_get_knows_names_classes_and_configurations(identifier, expected):
    assert fl.get(identifier) == expected


@pytest.mark.parametrize(
    "identifier",
    ["scce", "kullback_leibler_divergence", "Loss", "", 3, [], {}, {"class_name": "x"}, sum, int],
)
def test_get_refuses_everything_else(identifier):
    with pytest.raises(ValueError, match="identifier must be") as caught:
        fl.get(identifier)
    assert "LinearCrossentropy" not in str(caught.value)


@pytest.mark.parametrize(
    "identifier",
    [
        "linear_crossentropy",
        "LinearCrossentropy",
        fl.linear_crossentropy,
        fl.LinearCrossentropy,
        fl.LinearCrossentropy(),
        {"class_name": "LinearCrossentropy", "config": {}},
    ],
)
def test_get_says_how_calls_of_a_linear_layer_differ(identifier):
    with pytest.raises(ValueError, match=r"takes inputs and kernel in place of y_pred$"):
        fl.get(identifier)


def test_the_base_class_is_abstract():
    assert all(issubclass(cls, fl.Loss) for cls in CLASSES)
    with pytest.raises(TypeError, match="abstract"):
        fl.Loss()
