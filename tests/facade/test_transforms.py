"""What `value_and_grad` returns can be pickled, and shows what it takes."""

import copy
import inspect
import pickle
import pydoc
import subprocess
import sys

import numpy as np
import pytest
from formulas import FUNCTIONS, draw

import fastloss as fl
from fastloss.transforms import TransformedLoss

every_function = pytest.mark.parametrize("fn", FUNCTIONS, ids=lambda fn: fn.__name__)
KEYWORDS = ["sample_weight", "mask", "reduction", "upstream", "out", "dtype"]


@every_function
def test_it_is_one_object_which_pickle_and_copy_keep(fn):
    both = fl.value_and_grad(fn)
    assert fl.value_and_grad(fn) is both
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(both, protocol)) is both
    assert copy.copy(both) is copy.deepcopy(both) is both


def test_another_process_gets_the_same_function():
    both = fl.value_and_grad(fl.poisson)
    code = (
        "import pickle, sys; both = pickle.load(sys.stdin.buffer);"
        "print(repr(both), float(both([[1.0]], [[2.0]], reduction='sum')[0]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps(both), capture_output=True, check=True
    )
    value = float(both([[1.0]], [[2.0]], reduction="sum")[0])
    assert done.stdout.decode().split() == ["fastloss.value_and_grad(poisson)", str(value)]


@every_function
def test_its_signature_is_that_of_the_function_and_the_keywords(fn):
    own = inspect.signature(fn).parameters
    signature = inspect.signature(fl.value_and_grad(fn))
    assert list(signature.parameters) == [*own, *KEYWORDS]
    for name, parameter in signature.parameters.items():
        assert parameter == own.get(name, parameter)
        if name in KEYWORDS:
            assert parameter.kind is parameter.KEYWORD_ONLY
            assert parameter.default is None


@every_function
def test_it_takes_every_argument_of_its_signature_by_name(fn):
    y, x = draw(fn)
    both = fl.value_and_grad(fn)
    bound = inspect.signature(both).bind(y, x)
    bound.apply_defaults()
    value, gradient = both(**bound.arguments)
    expected, slopes = both(y, x)
    np.testing.assert_array_equal(value, expected)
    np.testing.assert_array_equal(gradient, slopes)


@every_function
def test_help_says_what_it_takes(fn):
    both = fl.value_and_grad(fn)
    text = pydoc.render_doc(both, renderer=pydoc.plaintext)
    assert repr(both) == f"fastloss.value_and_grad({fn.__name__})"
    assert f"value_and_grad({fn.__name__})(y_true, y_pred, " in text
    assert ", sample_weight=None, mask=None, reduction=None, upstream=None, out=None" in text
    assert "_typing" not in text
    assert both.__doc__ != TransformedLoss.__doc__


@pytest.mark.parametrize("thing", [*FUNCTIONS, fl.value_and_grad, fl.BinaryCrossentropy, fl.Loss])
def test_help_names_types_instead_of_spelling_them_out(thing):
    text = pydoc.render_doc(thing, renderer=pydoc.plaintext)
    assert "_typing" not in text
    assert "Union" not in text


@every_function
def test_no_attribute_of_the_function_is_lost_by_the_transform(fn):
    both = fl.value_and_grad(fn)
    assert both.__name__ == f"value_and_grad({fn.__name__})"
    assert both.recipe == (fl.value_and_grad, (fn,))
    assert callable(both)
