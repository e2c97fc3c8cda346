"""Keywords that a loss does not take: the error says what to write."""

import inspect
import pickle

import pytest

import fastloss as fl
from fastloss.functional import SPEC_FUNCTIONS
from fastloss.identifiers import CLASSES

Y_TRUE, Y_PRED = [[0.0, 1.0]], [[0.5, 0.5]]
LOSS_CLASSES = [*CLASSES.values(), fl.LinearCrossentropy]
FUNCTIONS = [*SPEC_FUNCTIONS, fl.linear_crossentropy]


def message_of(call, *args, **keywords):
    with pytest.raises(TypeError) as caught:
        call(*args, **keywords)
    assert caught.value.__context__ is None
    return str(caught.value)


@pytest.mark.parametrize(
    ("function", "keyword", "message"),
    [
        (fl.poisson, "mask", "poisson() takes no mask: use Poisson()(y_true, y_pred, mask=...)"),
        (
            fl.bce,
            "sample_weight",
            "binary_crossentropy() takes no sample_weight: use BinaryCrossentropy()(y_true, y_pred,"
            " sample_weight=...)",
        ),
        (
            fl.kld,
            "reduction",
            "kl_divergence() takes no reduction: use KLDivergence(reduction=...)",
        ),
        (
            fl.poisson,
            "out",
            "poisson() takes no out: use Poisson().value_and_grad(y_true, y_pred, out=...)",
        ),
        (
            fl.sparse_categorical_crossentropy,
            "ignore_index",
            "sparse_categorical_crossentropy() takes no ignore_index: it is called ignore_class"
            " here",
        ),
        (
            fl.categorical_crossentropy,
            "ignore_index",
            "categorical_crossentropy() takes no ignore_index: its arguments are y_true, y_pred,"
            " from_logits, label_smoothing, axis, class_weight",
        ),
        (
            fl.categorical_crossentropy,
            "weight",
            "categorical_crossentropy() takes no weight: it is called class_weight here",
        ),
        (
            fl.bce,
            "weight",
            "binary_crossentropy() takes no weight: use BinaryCrossentropy()(y_true, y_pred,"
            " sample_weight=...)",
        ),
        (
            fl.bce,
            "label_smothing",
            "binary_crossentropy() takes no label_smothing: it is called label_smoothing here",
        ),
        (
            fl.poisson,
            "full",
            "poisson() takes no full: its arguments are y_true, y_pred, axis, log_input",
        ),
        (
            fl.linear_crossentropy,
            "sample_weights",
            "linear_crossentropy() takes no sample_weights:"
            " use LinearCrossentropy()(y_true, inputs, kernel, sample_weight=...)",
        ),
    ],
)
def test_a_function_names_the_remedy(function, keyword, message):
    assert message_of(function, Y_TRUE, Y_PRED, **{keyword: 1}) == message


@pytest.mark.parametrize(
    ("cls", "keyword", "message"),
    [
        (
            fl.SparseCategoricalCrossentropy,
            "ignore_index",
            "SparseCategoricalCrossentropy() takes no ignore_index: it is called ignore_class here",
        ),
        (
            fl.Poisson,
            "ignore_index",
            "Poisson() takes no ignore_index: its arguments are reduction, name, axis, log_input,"
            " dtype",
        ),
        (
            fl.CategoricalCrossentropy,
            "weight",
            "CategoricalCrossentropy() takes no weight: it is called class_weight here",
        ),
        (
            fl.Poisson,
            "mask",
            "Poisson() takes no mask: use Poisson()(y_true, y_pred, mask=...)",
        ),
        (
            fl.KLDivergence,
            "from_logits",
            "KLDivergence() takes no from_logits: its arguments are reduction, name, axis, dtype",
        ),
        (
            fl.LinearCrossentropy,
            "reducton",
            "LinearCrossentropy() takes no reducton: it is called reduction here",
        ),
    ],
)
def test_a_class_names_the_remedy(cls, keyword, message):
    assert message_of(cls, **{keyword: 1}) == message


@pytest.mark.parametrize("method", ["__call__", "value_and_grad"])
@pytest.mark.parametrize(
    ("keyword", "remedy"),
    [
        ("weight", "it is called sample_weight here"),
        ("where", "it is called mask here"),
        ("reduction", "use Poisson(reduction=...)"),
        ("log_input", "use Poisson(log_input=...)"),
    ],
)
def test_a_call_names_the_remedy(method, keyword, remedy):
    loss = fl.Poisson("sum")
    message = message_of(getattr(loss, method), Y_TRUE, Y_PRED, **{keyword: 1})
    assert message == f"Poisson.{method}() takes no {keyword}: {remedy}"


@pytest.mark.parametrize(
    "transform", [fl.value_and_grad, fl.value_grad_and_hessian, fl.hessian_vector_product]
)
def test_a_transformed_function_names_the_remedy(transform):
    function = transform(fl.sparse_categorical_crossentropy)
    vector = [Y_PRED] if transform is fl.hessian_vector_product else []
    assert message_of(function, [0], Y_PRED, *vector, ignore_index=1) == (
        "sparse_categorical_crossentropy() takes no ignore_index: it is called ignore_class here"
    )


def test_the_gradients_of_a_linear_layer_name_the_remedy():
    function = fl.value_and_grad(fl.linear_crossentropy)
    assert message_of(function, [0], Y_PRED, Y_PRED, ignore_index=1) == (
        "linear_crossentropy_value_and_grad() takes no ignore_index: it is called ignore_class here"
    )


@pytest.mark.parametrize("cls", LOSS_CLASSES)
def test_every_class_and_its_calls_explain(cls):
    assert "takes no nonsense" in message_of(cls, nonsense=1)
    for method in ("__call__", "value_and_grad"):
        assert "takes no nonsense" in message_of(getattr(cls(), method), nonsense=1)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_function_explains_and_stays_a_function(function):
    assert "takes no nonsense" in message_of(function, nonsense=1)
    assert inspect.isfunction(function)
    assert pickle.loads(pickle.dumps(function)) is function
    kinds = {p.kind for p in inspect.signature(function).parameters.values()}
    assert not kinds & {inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL}


def test_other_errors_of_type_keep_their_words():
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'y_pred'"):
        fl.poisson(Y_TRUE)
    with pytest.raises(TypeError, match="y_pred must hold real numbers"):
        fl.Poisson()(Y_TRUE, [["a", "b"]])
