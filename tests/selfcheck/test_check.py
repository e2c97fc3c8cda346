"""The printed examples come out, `check` finds them right, and it finds a wrong kernel."""

import dataclasses
from collections import Counter

import fastloss_kernels
import numpy as np
import pytest

import fastloss as fl
from fastloss import evaluate
from fastloss.selfcheck import documented_examples as documented
from fastloss.selfcheck.check import Entry, Report, relative_error

EXAMPLES = list(documented.examples())


@pytest.mark.parametrize(
    "example", EXAMPLES, ids=[f"{i}-{e.page[:12]}-{e.printed[0]}" for i, e in enumerate(EXAMPLES)]
)
def test_an_example_prints_what_its_page_prints(example):
    computed = example.compute()
    assert example.agrees(computed), (computed, example.printed)
    other = float(example.printed[0]) * 1.01 + 0.001
    assert not example.agrees(np.full(computed.shape, other))
    assert not example.agrees(np.append(computed, 1.0))


def test_every_page_is_there():
    count = Counter(example.page for example in EXAMPLES)
    assert count == {
        documented.TF_1_15: 1,
        documented.KERAS_3: 16,
        documented.TF_BINARY: 4,
        documented.TF_2_5: 4,
        documented.KERAS_R: 5,
    }
    assert sum(example.rounding == documented.TRUNCATED for example in EXAMPLES) == 3


def test_a_truncated_number_is_not_a_rounded_one():
    (example,) = (example for example in EXAMPLES if example.page == documented.TF_1_15)
    assert not dataclasses.replace(example, rounding=documented.ROUNDED).agrees(example.compute())


def test_everything_a_page_asserts_holds():
    statements = list(documented.assertions())
    assert len(statements) == 4
    assert all(holds is True for _, _, holds in statements)


def test_check_is_right_and_says_what_it_saw(capsys):
    report = fl.check()
    assert capsys.readouterr().out == ""
    wrong = [entry for entry in report.entries if not entry.ok]
    assert not wrong
    assert report.ok
    assert len(report.entries) > 100
    assert {entry.source for entry in report.entries} >= {example.page for example in EXAMPLES}


def test_a_report_prints_one_line_an_entry():
    entry = Entry("a page", "a call", "1.0", "2.0", ok=False)
    report = Report((entry, dataclasses.replace(entry, ok=True)))
    assert not report.ok
    assert str(report).splitlines() == [
        "OFF  a page: a call: 1.0, got 2.0",
        "ok   a page: a call: 1.0, got 2.0",
        "1 of 2 right",
    ]


def test_relative_error():
    nan, inf = np.nan, np.inf
    assert relative_error(np.array([1.0, inf, nan, 0.0]), np.array([1.0, inf, nan, 0.0]), 0.0) == 0
    assert relative_error(np.array([1e-20]), np.array([2e-20]), 0.0) == pytest.approx(0.5)
    assert relative_error(np.array([1e-20]), np.array([2e-20]), 1.0) < 1e-19
    assert relative_error(np.array([3.0]), np.array([2.0]), 1.0) == pytest.approx(0.5)
    assert relative_error(np.array([1.0]), np.array([nan]), 1.0) == inf
    assert relative_error(np.array([nan]), np.array([1.0]), 1.0) == inf
    assert relative_error(np.array([]), np.array([]), 1.0) == 0


KERNELS = ["softmax_crossentropy_sparse", "softmax_crossentropy_dense",
           "probability_crossentropy_sparse", "probability_crossentropy_dense",
           "binary_crossentropy_logits", "binary_crossentropy", "poisson",
           "kullback_leibler"]  # fmt: skip


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("output", ["loss", "gradient"])
def test_check_finds_a_kernel_that_is_a_little_wrong(name, output, monkeypatch):
    right = evaluate.launch

    def wrong(kernel, x, *rest):
        bad_row = right(kernel, x, *rest)
        loss, gradient = rest[-2:]
        if kernel is getattr(fastloss_kernels, name):
            if output == "loss":
                loss *= loss.dtype.type(1 + 3e-5)
            elif gradient is not None:
                gradient *= gradient.dtype.type(1 + 3e-5)
        return bad_row

    monkeypatch.setattr(evaluate, "launch", wrong)
    assert not fl.check().ok
