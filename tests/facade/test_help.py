"""What `help()` and a prompt show of the public names: words for types, options that were set."""

import inspect
import io
import pydoc
import re

import pytest
from rich.console import Console
from rich.pretty import pretty_repr

import fastloss as fl
import fastloss.boosting

DOCUMENTED = {
    **{name: thing for name in fl.__all__ if callable(thing := getattr(fl, name))},
    **{name: getattr(fastloss.boosting, name) for name in fastloss.boosting.__all__},
}


@pytest.mark.parametrize("name", DOCUMENTED)
def test_help_names_types_and_does_not_spell_them_out(name):
    text = pydoc.plain(pydoc.render_doc(DOCUMENTED[name]))
    for spelled_out in ("numpy._typing", "numpy.ndarray[", "typing.Any"):
        assert spelled_out not in text


LOSSES = {
    fl.BinaryCrossentropy: "mean( -w t log p - (1 - t) log(1 - p) )",
    fl.CategoricalCrossentropy: "-sum( w t log p )",
    fl.SparseCategoricalCrossentropy: "-w log p at the label",
    fl.Poisson: "mean( y_pred - y_true log(y_pred + 1e-7) )",
    fl.KLDivergence: "sum( t log(t / p) )",
    fl.LinearCrossentropy: "sparse_categorical_crossentropy(y_true, inputs @ kernel + bias",
}


@pytest.mark.parametrize("loss", LOSSES)
def test_help_of_a_class_sends_nobody_elsewhere(loss):
    """It has the formula, and describes each option and each argument of a call itself."""
    text = loss.__doc__
    assert LOSSES[loss] in text
    options = [*inspect.signature(loss).parameters, *inspect.signature(loss.__call__).parameters]
    for name in options:
        if name not in ("self", "legacy"):
            assert re.search(rf"^{name} : .+\n    \S", text, re.MULTILINE), name
    assert "As for `" not in text
    assert "see `" not in text


@pytest.mark.parametrize("function", [fl.value_grad_and_hessian, fl.hessian_vector_product])
def test_help_of_a_transform_describes_its_keywords(function):
    for name in ("sample_weight", "mask", "reduction", "upstream", "dtype"):
        assert re.search(rf"^ *{name} : .+\n +\S", function.__doc__, re.MULTILINE), name
    assert "As for `" not in function.__doc__


@pytest.mark.parametrize("function", [fl.bce, fl.softmax, fl.Poisson.__call__])
def test_array_likes_are_called_so(function):
    annotations = [p.annotation for p in inspect.signature(function).parameters.values()]
    assert "ArrayLike" in annotations


def test_the_options_of_a_reduction_can_be_read():
    parameter = inspect.signature(fl.Poisson).parameters["reduction"]
    assert parameter.annotation == "Reduction"
    assert parameter.default == "sum_over_batch_size"


@pytest.mark.parametrize(
    ("loss", "text"),
    [
        (fl.Poisson(), "Poisson()"),
        (fl.Poisson("sum_over_batch_size", name="poisson"), "Poisson()"),
        (fl.Poisson("sum", name="mine"), "Poisson(reduction='sum', name='mine')"),
        (
            fl.SparseCategoricalCrossentropy(from_logits=True),
            "SparseCategoricalCrossentropy(from_logits=True)",
        ),
        (
            fl.CategoricalCrossentropy(class_weight=[1, 2], reduction=None),
            "CategoricalCrossentropy(reduction=None, class_weight=(1, 2))",
        ),
        (fl.LinearCrossentropy(block_rows=8), "LinearCrossentropy(block_rows=8)"),
    ],
)
def test_a_loss_shows_what_differs_from_the_defaults(loss, text):
    assert repr(loss) == text
    assert pretty_repr(loss, max_width=200) == text


def test_rich_folds_a_long_loss():
    loss = fl.BinaryCrossentropy(from_logits=True, label_smoothing=0.1, reduction="sum")
    console = Console(width=40, record=True, file=io.StringIO())
    console.print(loss)
    assert console.export_text().splitlines() == [
        "BinaryCrossentropy(",
        "    from_logits=True,",
        "    label_smoothing=0.1,",
        "    reduction='sum'",
        ")",
    ]
