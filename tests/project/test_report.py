"""What is written of a comparison: its tables and its plot say what was measured."""

from pathlib import Path

import numpy as np
import pytest
from compared import comparison

from benchmarks import plot, report
from tools.fill_docs import fill

ROOT = Path(__file__).parents[2]


@pytest.fixture
def result():
    return comparison()


def columns(table, row):
    """Return a row of a Markdown table as a dictionary."""
    lines = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("|")]
    return {k.strip(): v.strip() for k, v in zip(lines[0], lines[2 + row], strict=True)}


def test_headline(result):
    table = report.headline(result)
    large, small = columns(table, 0), columns(table, 1)
    assert large["batch"] == "32,000 × 1,000"
    assert large["fastloss"] == "8 / 4"
    assert large["of memory's speed"] == "0.75"
    assert large["torch"] == "60 / 30"
    assert small["torch"] == "60 µs / 30 µs"
    assert small["of memory's speed"] == ""
    assert "JAX jit" not in large
    for said in (
        "2026-01-02",
        "Some CPU (znver9)",
        "torch 2.13.0",
        "2 threads",
        "least of 7 rounds",
        "commit v9",
        "load average 0.1",
    ):
        assert said in table


def test_full_report(result):
    text = report.full(result, plot="znver9.svg")
    sections = dict(part.split("\n\n", 1) for part in text.split("## ")[1:])
    assert list(sections) == [
        "Value and gradient, float32, reused", "Value and gradient, float32, fresh",
        "Value, float32, reused", "Value, float32, fresh",
        "Value and gradient, float64, reused", "Value, float64, reused",
        "Who took part", "Left out",
    ]  # fmt: skip
    row = columns(sections["Value, float32, fresh"], 0)
    assert (row["limit"], row["fastloss"], row["of limit"], row["torch"]) == (
        "6",
        "8",
        "0.75",
        "60",
    )
    assert row["best peer takes"] == "7.5 ×"
    assert "JAX jit" not in row
    row = columns(sections["Value, float64, reused"], 0)
    assert (row["of limit"], row["torch"], row["best peer takes"]) == ("0.75", "60", "15.0 ×")
    assert "JAX jit, table sparse_logits: Mismatch: value 0" in sections["Left out"]
    assert "(znver9.svg)" in text
    assert "4 s, but of 3" in text
    assert "20 ms of rest" in text
    assert "more than 10 %" in text


def test_the_tables_of_the_old_way_say_so(result):
    for key in ("rest", "budget", "agree", "commit"):
        del result[key]
    text = report.full(result)
    assert "medians of 7 rounds in fixed order" in text
    assert "old way" in text
    assert "least" not in text


def test_disturbed_cells_are_marked(result):
    clean = report.full(result)
    result["cells"][0]["taken"] = {"reused": {"disturbed": True}, "fresh": {"disturbed": False}}
    marked = report.full(result).splitlines()
    lines = [line for line in marked if line not in clean.splitlines()]
    assert [line.split("|")[2] for line in lines] == [" 32,000 × 1,000 † "]
    assert "†" not in report.headline(result)  # that is about another form
    result["cells"][1]["taken"] = result["cells"][0]["taken"]
    assert "†" in report.headline(result)


def test_without_peers_the_tables_hold_us_alone(result):
    for entry in result["cells"]:
        for way in {"fresh", "reused"} & set(entry):
            entry[way].pop("torch", None)
    assert "torch" not in columns(report.headline(result), 0)
    row = columns(report.full(result).split("## ")[1], 0)
    assert row["best peer takes"] == ""
    assert list(row)[:5] == ["loss", "batch", "limit", "fastloss", "of limit"]


def test_a_block_is_replaced_and_nothing_else(result):
    text = "before\n<!-- benchmark:begin -->\nold\n<!-- benchmark:end -->\nafter\n"
    once = fill(text, "benchmark", report.headline(result))
    assert once.startswith("before\n")
    assert once.endswith("after\n")
    assert "old" not in once
    assert fill(once, "benchmark", report.headline(result)) == once
    with pytest.raises(SystemExit, match="exactly one block"):
        fill("no block", "benchmark", "")


def test_documents_have_a_block_each():
    for path, block in (
        ("README.md", "benchmark"),
        ("docs/performance.md", "processors"),
        ("docs/performance.md", "history"),
        ("docs/performance.md", "costs"),
    ):
        fill((ROOT / path).read_text(encoding="utf-8"), block, "")


def test_plot_draws_whom_it_has_and_is_reproducible(result, tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    for name in ("a.svg", "b.svg", "a.png"):
        plot.draw(result, tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    drawn = (tmp_path / "a.svg").read_text(encoding="utf-8")
    for label in ("fastloss", "torch", "parallel copy", "parallel read"):
        assert f"<!-- {label} -->" in drawn
    assert "<!-- JAX jit -->" not in drawn
    assert (tmp_path / "a.png").stat().st_size > 10_000


@pytest.mark.parametrize("wanted", [[0.1], [0.1, 0.9], [0.5, 0.5, 0.5], [0.1, 0.12, 0.14, 0.8]])
def test_labels_keep_their_distance_and_order(wanted):
    heights = plot.spread(wanted, 0.05)
    assert np.all(np.diff(heights) >= 0.05 - 1e-12)
    assert np.mean(heights) == pytest.approx(np.mean(wanted))
