"""Every case of `corpus` through every entry it fits: the documented exception or value, no more.

Nothing else is let pass: a warning is an error here, an output that was not finished keeps what it
held, inputs stay as they were.
"""

import os
import re

import numpy as np
import pytest
from corpus import BAD, ODD, typed
from corpus.entries import ENTRIES
from typer.testing import CliRunner

import fastloss as fl
from fastloss.cli.commands import app
from fastloss.formats import output_file

HELD = 7.0


def ways(cases):
    return pytest.mark.parametrize(
        ("case", "entry"),
        [
            pytest.param(case, entry, id=f"{case.name} @ {entry.name}")
            for case in cases
            for entry in ENTRIES
            if entry.fits(case)
        ],
    )


def typed_ones(cases):
    found = [case for case in cases if typed.words(case) is not None]
    return pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in found])


def test_the_corpus_is_large_and_every_name_is_there_once():
    names = [case.name for case in (*BAD, *ODD)]
    assert len(names) == len(set(names))
    assert len(BAD) >= 500
    assert {case.loss for case in BAD} == {case.loss for case in ODD}


def copies(case):
    return {
        name: value.copy()
        for name, value in case.given.items()
        if isinstance(value, np.ndarray) and value.dtype.kind in "fiub"
    }


def assert_unchanged(case, before):
    for name, value in before.items():
        assert np.asarray(case.given[name]).tobytes() == np.asarray(value).tobytes(), name


@ways(BAD)
def test_bad_input_raises_in_words(case, entry):
    before = copies(case)
    shape = np.shape(case.argument("y_pred")) if "y_pred" not in case.given else None
    out = {} if shape is None else {"out": np.full(shape, HELD, np.float32)}
    error, says = case.error, case.says
    if entry.name == "configuration" and "takes no" in says:
        error, says = ValueError, "^config must hold options of"  # a configuration is data
    with pytest.raises(error) as caught:
        entry.call(case, out)
    assert type(caught.value) is error
    assert re.search(says, str(caught.value), re.DOTALL), str(caught.value)
    assert all((array == HELD).all() for array in out.values())
    assert_unchanged(case, before)


def assert_close(case, found, expected):
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    y_pred = case.argument("y_pred")  # reduced values are float64 of what was computed
    wide = isinstance(y_pred, np.ndarray) and y_pred.dtype.kind == "f" and y_pred.itemsize >= 8
    computed = 8 if wide or case.given.get("dtype") == "float64" else 4
    relative = {2: 1e-3, 4: 1e-6, 8: 1e-14}[min(found.itemsize, computed)]
    np.testing.assert_allclose(np.float64(found), np.float64(expected), rtol=relative, atol=0)


@ways(ODD)
def test_odd_input_has_its_value(case, entry):
    before = copies(case)
    value, grad = entry.call(case, {})
    assert_close(case, value, case.value)
    if grad is not None and case.grad is not None:
        assert_close(case, grad, case.grad)
    assert_unchanged(case, before)


@pytest.fixture
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        output_file.os, "fsync", lambda descriptor: None
    )  # hundreds would take minutes


def evaluate(case):
    arguments = ["evaluate", "x.npy", "y.npy", *typed.words(case), "--json", "--quiet"]
    return CliRunner().invoke(app, [*arguments, "--rows-out", "r.npy", "--grad-out", "g.npy"])


@pytest.mark.usefixtures("_in_a_folder_of_its_own")
@typed_ones(BAD)
def test_bad_files_are_refused_in_one_line(case, tmp_path):
    typed.save(case, tmp_path)
    before = sorted(os.listdir())
    result = evaluate(case)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    start, _, message = result.stderr.rstrip().partition("error: ")
    assert start == "fastloss: "
    # The command adds the file, for a label, and the rows of each file where they differ.
    message = re.sub(
        r"(, in y.npy|; \w+.npy has (\d+|no) rows(, \w+.npy has (\d+|no) rows)*)$", "", message
    )
    assert re.search(case.typed or case.says, message), message
    assert sorted(os.listdir()) == before


@pytest.mark.usefixtures("_in_a_folder_of_its_own")
@typed_ones([case for case in ODD if "sample_weight" not in case.given])
def test_odd_files_have_their_value(case, tmp_path):
    typed.save(case, tmp_path)
    result = evaluate(case)
    assert result.exit_code == 0, result.stderr
    rows = np.load("r.npy")
    if case.given.get("reduction") is None:
        assert_close(case, rows, case.value)
    if case.grad is not None:
        assert_close(case, np.load("g.npy"), case.grad)


def test_exceptions_of_others_are_theirs():
    class Broken:
        def __array__(self, dtype=None, copy=None):
            raise LookupError("on another machine")

    with pytest.raises(LookupError, match="on another machine"):
        fl.poisson(Broken(), [[1.0]])
