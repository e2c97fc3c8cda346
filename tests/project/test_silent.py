"""The page of silent wrong answers: cells are run, judged by declared truths, and all shown."""

import math
import re
import signal
from pathlib import Path

import numpy as np
import pytest

from benchmarks.silent import cells, libraries, page
from benchmarks.silent.inputs import BY_NAME, INPUTS, crossentropy, logistic

ROOT = Path(__file__).parents[2]
NAMES = [entry.name for entry in INPUTS]
SMALL = [name for name in NAMES if BY_NAME[name].repeat == 1]


@pytest.fixture(scope="module", params=["fastloss", "NumPy by hand"])
def column(request):
    return {cell.input.name: cell for cell in cells.run(request.param, SMALL)}


def test_every_input_is_answered(column):
    assert list(column) == SMALL
    assert cells.NOT_OFFERED not in {cell.verdict for cell in column.values()}


def test_the_verdicts_of_what_runs_here(column):
    confident = column["confident"]
    if confident.library == "fastloss":
        wrong = {name for name, cell in column.items() if cell.verdict == cells.WRONG}
        assert wrong == {"negative_count"}  # accepted, as by Keras: the page says so
        assert confident.verdict == cells.RIGHT
        assert column["label_out_of_range"].verdict == cells.ERROR
        assert "got 7 at row 1" in column["label_out_of_range"].printed
        assert column["probability_tiny"].word == "documented: clipped to 1e-7"
    else:
        assert confident.word == "wrong: 0"
        assert column["label_minus_one"].verdict == cells.WRONG
        assert column["kl_zero_target"].verdict == cells.WARNED
        assert column["label_out_of_range"].printed.startswith("IndexError: index 7")


def test_truths_agree_with_float64():
    assert crossentropy([[2, 1, 0]], [1]) == pytest.approx(np.log(np.exp([2, 1, 0]).sum()) - 1)
    assert logistic([-3.0, 2.0], [0, 1]) == pytest.approx(np.log1p(np.exp([-3, -2])).mean())
    assert BY_NAME["confident"].truth == pytest.approx(math.exp(-46), rel=1e-15)


@pytest.mark.parametrize(
    ("name", "answer", "word"),
    [
        ("minus_infinity", {"value": "0.6931472", "warning": ""}, "right"),
        ("minus_infinity", {"value": "nan", "warning": ""}, "wrong: NaN"),
        ("minus_infinity", {"value": "nan", "warning": "odd"}, "wrong, with a warning"),
        ("minus_infinity", {"error": "ValueError: no"}, "error"),
        ("minus_infinity", {}, "not offered"),
        ("label_minus_one", {"value": "nan", "warning": ""}, "right"),
        ("all_ignored", {"value": "0.0", "warning": ""}, "right"),
        ("all_ignored", {"value": "0.1", "warning": ""}, "wrong: 0.1"),
        ("probability_zero", {"value": "inf", "warning": ""}, "right"),
        ("probability_zero", {"value": "100.0", "warning": ""}, "documented: clamped at 100"),
        ("probability_zero", {"value": "99.0", "warning": ""}, "wrong: 99"),
    ],
)
def test_judge(name, answer, word):
    assert cells.judge("torch", BY_NAME[name], answer).word == word


def test_a_library_that_dies_costs_its_cell_alone(monkeypatch):
    answers = iter(
        [
            (-signal.SIGSEGV, '{"value": "0.0", "warning": ""}\n'),
            (0, '{"value": "0.69314718", "warning": ""}\n'),
        ]
    )

    def process(command, **_):
        code, printed = next(answers)
        return cells.subprocess.CompletedProcess(command, code, printed, "")

    monkeypatch.setattr(cells.subprocess, "run", process)
    found = list(cells.run("torch", ["confident", "label_minus_one", "minus_infinity"]))
    assert [cell.word for cell in found] == ["wrong: 0", "crashed", "right"]
    assert found[1].printed == "SIGSEGV"


def rows(table):
    """Return the cells of a Markdown table's rows, the head first."""
    lines = [line for line in table.splitlines() if line.startswith("| ")]
    return [line.strip("| ").split(" | ") for line in lines if not line.startswith("| ---")]


def test_the_published_page_is_whole():
    text = (ROOT / "docs/silent.md").read_text(encoding="utf-8")
    block = text.partition("<!-- silent:begin -->")[2].partition("<!-- silent:end -->")[0]
    table, _, details = block.partition("## Input by input")
    head, *body = rows(table)
    assert head == ["input", *libraries.LIBRARIES]
    assert [row[0] for row in body] == [entry.title for entry in INPUTS]
    verdict = re.compile(
        r"right|error|not offered|documented: .+|\*\*wrong: .+\*\*|wrong, .+|.*crashed.*"
    )
    for row in body:
        assert len(row) == len(head)
        assert all(verdict.fullmatch(word) for word in row[1:]), row
    for entry in INPUTS:
        assert f"### {entry.title}\n" in details
        assert all(report.replace("#", "/issues/") in details for report in entry.reports)


def test_the_short_table_shows_what_was_run(column):
    shown = page.short(list(column.values()))
    _, *body = rows(shown)
    assert [row[0] for row in body] == [e.title for e in INPUTS if e.name in page.TELLING]
    assert ("**0**" in shown) == (column["confident"].verdict == cells.WRONG)
