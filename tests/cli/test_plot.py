"""`fastloss evaluate --plot`: the numbers that are drawn, and the files."""

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import fastloss as fl
from fastloss.cli.commands import app
from fastloss.cli.plot.groups import MOST, group_panel
from fastloss.cli.plot.reliability import reliability_panel
from fastloss.cli.plot.row_losses import row_loss_panel
from fastloss.out_of_core.evaluation import evaluate_in_blocks
from fastloss.out_of_core.row_statistics import EXACT_ROWS, RowStatistics

RNG = np.random.default_rng(34)
LOGITS, LABELS = RNG.normal(size=(300, 4)), RNG.integers(0, 4, 300)
KEYS = RNG.choice(["<b>", "a$b", "ä"], 300)
SPARSE = ["--loss", "sparse_categorical_crossentropy", "--from-logits", "--quiet"]


@pytest.fixture
def _files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, array in {"x": LOGITS, "y": LABELS, "g": KEYS}.items():
        np.save(f"{name}.npy", array)


def run(*arguments):
    return CliRunner().invoke(app, ["evaluate", "x.npy", "y.npy", *SPARSE, *arguments])


@pytest.mark.usefixtures("_files")
def test_every_suffix():
    for suffix, start in {
        ".png": b"\x89PNG",
        ".svg": b"<?xml",
        ".html": b"<!DOCTYPE html>",
    }.items():
        name = f"picture{suffix}"
        done = run("--groups", "g.npy", "--plot", name)
        assert done.exit_code == 0, done.output
        assert Path(name).read_bytes().startswith(start)
    ET.parse("picture.svg")
    page = Path("picture.html").read_text(encoding="utf-8")
    assert page.count("<svg ") == 3
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert "prefers-color-scheme: dark" in page
    assert "http" not in page.replace("http://www.w3.org", "")  # one file, which loads nothing


@pytest.mark.usefixtures("_files")
def test_no_other_suffix():
    done = run("--plot", "picture.pdf", "--rows-out", "r.npy")
    assert done.exit_code == 2
    assert "picture.pdf: the suffix of a plot must be one of .png, .svg, .html" in done.stderr
    assert not Path("r.npy").exists()


def test_panels_hold_the_numbers():
    loss = fl.SparseCategoricalCrossentropy(from_logits=True)
    summary = evaluate_in_blocks(loss, LABELS, LOGITS, groups=KEYS)
    rows = fl.sparse_categorical_crossentropy(LABELS, LOGITS, from_logits=True)
    histogram = row_loss_panel(summary.losses)
    assert histogram.counts.sum() == 300
    np.testing.assert_array_equal(histogram.counts, np.histogram(rows, histogram.edges)[0])
    assert histogram.mean == pytest.approx(rows.mean())
    calibration = reliability_panel(summary.scores, False)
    p = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
    correct = p.argmax(axis=1) == LABELS
    assert np.sum(calibration.share * calibration.outcome) == pytest.approx(correct.mean())
    assert np.sum(calibration.share * calibration.confidence) == pytest.approx(p.max(1).mean())
    groups = group_panel(summary.groups.columns(None, False), None, summary.value)
    assert sorted(groups.keys) == sorted(set(KEYS.tolist()))
    assert sum(groups.counts) == 300


def test_panels_without_data_are_left_out():
    nothing = RowStatistics()
    assert row_loss_panel(nothing) is None
    nothing.add(np.arange(2), np.array([np.inf, np.nan]))
    assert row_loss_panel(nothing) is None
    assert reliability_panel(None, False) is None
    assert group_panel({}, None, 1.0) is None


def test_a_few_rows_far_out_are_counted_in_words():
    statistics = RowStatistics()
    losses = np.concatenate([np.linspace(0, 1, 1000), [1e6]])
    statistics.add(np.arange(1001), losses)
    panel = row_loss_panel(statistics)
    assert panel.edges[-1] < 2
    assert panel.counts.sum() < 1001
    assert any("1e+06" in text for text in panel.outside)


def test_many_groups_are_the_worst_ones():
    keys = np.arange(300) % 50
    summary = evaluate_in_blocks(
        fl.Poisson(axis=()), LOGITS[:, 0] ** 2, LOGITS[:, 1] ** 2, groups=keys
    )
    columns = summary.groups.columns(None, False)
    panel = group_panel(columns, None, summary.value)
    assert panel.losses == columns["loss"][:MOST].tolist()
    assert panel.title == f"Loss by group: worst {MOST} of 50"


@pytest.mark.parametrize("rows", [1000, EXACT_ROWS + 1000])
def test_histograms_of_few_and_of_many_losses(rows):
    losses = np.random.default_rng(rows).exponential(size=rows).astype(np.float32)
    statistics = RowStatistics()
    statistics.add(np.arange(rows), losses)
    edges = np.array([0.0, 0.25, 1.0, 4.0, 100.0])  # powers of two are edges of the stored bins
    np.testing.assert_array_equal(statistics.histogram(edges), np.histogram(losses, edges)[0])
