"""The file of a picture: images and pages, whole or absent, and the same at any time."""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from typer.testing import CliRunner

from fastloss.cli.commands import app
from fastloss.cli.plot.groups import group_panel
from fastloss.cli.plot.picture import Picture, open_picture
from fastloss.cli.plot.theme import DARK, LIGHT

RNG = np.random.default_rng(5)
SPARSE = ["--loss", "sparse_categorical_crossentropy", "--from-logits"]
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(autouse=True)
def _files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", RNG.normal(size=(60, 4)).astype("f4"))
    np.save("y.npy", RNG.integers(0, 4, 60))
    np.save("g.npy", RNG.integers(0, 3, 60))
    np.save("none.npy", np.zeros(60, bool))


def plotted(name, *more, code=0):
    arguments = ["evaluate", "x.npy", "y.npy", *SPARSE, "--plot", name, *more]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == code, result.output
    return result


class Elements(HTMLParser):
    """The elements of a page; it must close what it opens."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "wbr"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_png():
    plotted("p.png", "--groups", "g.npy")
    assert Path("p.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_svg_has_text_and_no_date():
    plotted("p.svg", "--groups", "g.npy")
    content = Path("p.svg").read_bytes()
    texts = {element.text for element in ElementTree.fromstring(content).iter(f"{SVG}text")}
    assert {"Row losses", "Loss by group", "share correct", "mean over 60 rows of x.npy"} <= texts
    assert any(re.fullmatch(r"Calibration error 0\.\d+ \(15 bins\)", text or "") for text in texts)
    plotted("p.svg", "--groups", "g.npy")
    assert Path("p.svg").read_bytes() == content


def test_page_stands_alone_in_both_themes():
    plotted("p.html", "--groups", "g.npy")
    content = Path("p.html").read_text()
    page = Elements(content)
    names = [tag for tag, _ in page.tags]
    assert (names.count("section"), names.count("svg"), names.count("table")) == (3, 3, 3)
    assert not {"script", "link", "img", "iframe"} & set(names)
    assert not re.search(r"""(?:src|href)=["'](?!#)|url\((?!#)|@import""", content)
    head, body = content.split("<body>")
    assert "prefers-color-scheme: dark" in head
    for light, dark in zip(LIGHT, DARK, strict=True):
        assert light in head
        assert dark in head
        assert light not in body
    assert set(re.findall(r"#[0-9a-fA-F]{6}\b", body)) == set()
    assert set(re.findall(r"var\(--(\w+)\)", body)) <= set(LIGHT._fields)
    ids = [given["id"] for _, given in page.tags if "id" in given]
    assert len(ids) == len(set(ids))
    used = set(re.findall(r'(?:href="|url\()#([\w-]+)', body))
    assert used
    assert used <= set(ids)


def test_panels_without_data_are_left_out():
    plotted("p.html")
    page = Elements(Path("p.html").read_text())
    assert [tag for tag, _ in page.tags].count("section") == 2
    plotted("p.html", "--mask", "none.npy")
    text = " ".join(Elements(Path("p.html").read_text()).text)
    assert "no row has a finite loss" in text
    for name in ("p.png", "p.svg"):
        plotted(name, "--mask", "none.npy")
    assert "no row has a finite loss" in Path("p.svg").read_text()


@pytest.mark.parametrize("key", ["<b>&\"'", "$\\frac$ $", "語", "a\nb\x00", "x" * 300])
@pytest.mark.parametrize("suffix", [".png", ".svg", ".html"])
def test_any_key_of_a_group_can_be_shown(key, suffix):
    columns = {"group": np.array([key, "z"]), "loss": np.ones(2), "count": np.ones(2, int)}
    columns["group"] = np.array([key, "z"], object)
    panel = group_panel(columns, None, 1.0)
    with open_picture(Path(f"p{suffix}")) as write:
        write(Picture("a", "b", [panel]))
    if suffix == ".svg":
        ElementTree.parse("p.svg")
    if suffix == ".html":
        rows = Elements(Path("p.html").read_text()).text
        assert any(text.startswith(key[:1]) for text in rows)


def test_settings_of_matplotlib_stay_and_do_not_matter(monkeypatch):
    plotted("a.svg")
    monkeypatch.setitem(matplotlib.rcParams, "font.size", 40)
    monkeypatch.setitem(matplotlib.rcParams, "axes.facecolor", "red")
    before = dict(matplotlib.rcParams)
    plotted("b.svg")
    assert dict(matplotlib.rcParams) == before
    assert Path("a.svg").read_bytes() == Path("b.svg").read_bytes()


@pytest.mark.parametrize("name", ["p.pdf", "p", "p.npy", "-"])
def test_another_suffix_is_refused_before_work_begins(name, monkeypatch):
    monkeypatch.setattr("fastloss.cli.evaluate.evaluate_in_blocks", pytest.fail)
    stderr = plotted(name, code=2).stderr
    assert stderr.count("\n") == 1
    assert "must be one of .png, .svg, .html" in stderr


def test_a_file_that_cannot_be_written_is_refused_before_work_begins(monkeypatch):
    monkeypatch.setattr("fastloss.cli.evaluate.evaluate_in_blocks", pytest.fail)
    assert "cannot be written" in plotted("no/p.png", code=2).stderr
    Path("link.svg").symlink_to("x.npy")
    assert "is also an input" in plotted("link.svg", code=2).stderr


def test_without_matplotlib_one_line_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setattr("fastloss.cli.evaluate.evaluate_in_blocks", pytest.fail)
    stderr = plotted("p.png", code=2).stderr
    assert stderr.count("\n") == 1
    assert "pip install matplotlib (fastloss's extra plot)" in stderr


def test_a_failed_run_leaves_the_older_picture():
    Path("p.svg").write_text("older")
    np.save("y.npy", np.full(60, 9))
    plotted("p.svg", code=2)
    assert Path("p.svg").read_text() == "older"
