"""Pictures show what the library returns, are read on a phone, and are the same drawn twice."""

import re
from pathlib import Path

import curves
import numpy as np
import pytest

from benchmarks import first_call, loss_sizes

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs" / "pictures"
PHONE, SMALLEST = 390, 10  # pixels: a phone's width, and its smallest text


@pytest.mark.parametrize("name", curves.CURVES)
def test_the_slope_is_that_of_the_curve(name):
    x, losses, slopes = curves.CURVES[name].values()
    np.testing.assert_allclose(np.gradient(losses, x)[1:-1], slopes[1:-1], rtol=0.02, atol=2e-3)


def test_a_curve_is_the_same_drawn_twice(tmp_path):
    pictures = [curves.draw("poisson", tmp_path / folder).read_bytes() for folder in "ab"]
    assert pictures[0] == pictures[1]
    assert b"rate x; count 3" in pictures[0]


@pytest.mark.parametrize("path", sorted(PICTURES.glob("*.svg")), ids=lambda path: path.name)
def test_text_is_large_enough_on_a_phone(path):
    text = path.read_text(encoding="utf-8")
    width = float(re.search(r'viewBox="0 0 ([\d.]+) ', text)[1])
    sizes = [float(size) for size in re.findall(r"<text style=\"[^\"]*?([\d.]+)px", text)]
    assert sizes
    assert min(sizes) * PHONE / width >= SMALLEST
    assert "#000000" not in text  # what is black cannot be read on dark paper


def test_every_picture_is_drawn_and_shown():
    names = {f"loss-{name}.svg" for name in curves.CURVES} | {"error.svg", "first-call.svg"}
    assert {path.name for path in PICTURES.iterdir()} == names
    for page, picture in (("accuracy.md", "error.svg"), ("first-call.md", "first-call.svg")):
        assert f"(pictures/{picture})" in (ROOT / "docs" / page).read_text(encoding="utf-8")


def test_errors_are_relative_to_the_truth(monkeypatch):
    monkeypatch.setattr(loss_sizes, "EACH", 2)
    d = loss_sizes.differences()
    naive = np.log(1 + np.exp(-d, dtype=np.float32))
    found = {"ours": loss_sizes.computed(d)["fastloss"], "naive": naive.ravel()}
    monkeypatch.setattr(loss_sizes, "computed", lambda d: found)
    errors = loss_sizes.errors()
    assert errors["ours"].max() < 4 * np.finfo(np.float32).eps
    small = loss_sizes.sizes() < -9
    assert (errors["naive"][small] == 1).all()


def test_first_calls_are_read_from_the_page(tmp_path):
    page = "\n".join([
        "| way | for whom |", "|---|---|", "| a wheel | all |",
        "| first call, float32 | compiles | from the cache |", "|---|---:|---:|",
        "| poisson, value | 2.50 s | 0.05 s |", "| poisson, gradient | 3.00 s | 0.06 s |",
    ])  # fmt: skip
    assert first_call.published(page) == {"compiles": [2.5, 3.0], "from the cache": [0.05, 0.06]}
    first_call.draw(page, tmp_path / "picture.svg")
    assert "from the cache" in (tmp_path / "picture.svg").read_text(encoding="utf-8")
