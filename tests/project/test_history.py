"""What is kept of comparisons, and that a disturbed one is not published."""

import json

import pytest
from compared import comparison

from benchmarks import history, machine, pages

SPARSE = "sparse_logits"


@pytest.fixture
def result():
    return comparison()


def entry(processor="znver9", date="2026-01-02", commit="v9", **ratios):
    return {
        "date": date, "commit": commit, "version": "1.0", "processor": processor,
        "way": "controlled", "ratios": {form: {SPARSE: shapes} for form, shapes in ratios.items()},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("processor", "name"),
    [
        ("AMD EPYC (znver3)", "znver3"),
        ("Intel(R) Xeon(R) Processor (rocketlake)", "rocketlake"),
        ("AMD EPYC 7763 64-Core Processor (znver3)", "znver3-7763"),
        ("Intel(R) Xeon(R) Platinum 8370C CPU @ 2.80GHz (icelake-server)", "icelake-server-8370c"),
        ("Intel(R) Core(TM) i7-11700K @ 3.60GHz (rocketlake)", "rocketlake-i7-11700k"),
    ],
)
def test_a_processor_has_a_page_of_its_model(processor, name):
    assert machine.slug(processor) == name


def test_the_ratio_of_every_cell_of_the_float32_table_is_kept(result):
    kept = history.entry(result)
    assert kept == entry(
        value={"32000x1000": 7.5, "3200000x10": 0.0075},
        value_and_grad={"32000x1000": 7.5, "3200000x10": 0.0075},
    )
    del result["rest"], result["commit"]
    assert history.entry(result)["way"] == "old way"


def test_disturbed_cells_and_cells_without_peers_are_not_kept(result):
    first, second = result["cells"][:2]
    first["taken"] = {"reused": {"disturbed": True}}
    del second["reused"]["torch"]
    kept = history.entry(result)["ratios"]
    assert [list(kept[form][SPARSE]) for form in ("value", "value_and_grad")] == [
        ["3200000x10"]
    ] * 2


def test_a_commit_is_kept_once_a_processor():
    first, other, again = entry(), entry(processor="old"), entry(date="2026-02-03")
    later = entry(commit="v10")
    entries = history.added([first, other], again)
    assert entries == [other, again]
    assert history.added(entries, later) == [other, again, later]
    assert history.latest([first, other, later]) == [later, other]


def test_means_are_geometric_and_small_batches_stand_apart():
    kept = entry(value={"1000x1000": 8.0, "2000x1000": 2.0, "32x10": 0.5})
    assert history.mean(kept, "value", SPARSE) == pytest.approx(4)
    assert history.mean(kept, "value", SPARSE, small=True) == pytest.approx(0.5)
    assert history.mean(kept, "value") == pytest.approx(4)
    assert history.mean(kept, "value_and_grad") is None
    kept["ratios"]["value"]["poisson"] = {"1000x1000": 1.0}
    assert history.mean(kept, "value") == pytest.approx(2)  # of losses, not of cells


def test_tables_show_the_last_of_each_processor_and_all_of_them():
    old = entry(date="2026-01-01", commit="v8", value={"1000x1000": 9.0})
    new = entry(value={"1000x1000": 3.0}, value_and_grad={"1000x1000": 2.0, "32x10": 0.5})
    index, table = history.processors([old, new]), history.table([old, new])
    assert (
        "[znver9](performance/znver9.md) | 2026-01-02 | controlled | 2.00 / 3.00 | – / –" in index
    )
    assert "v8" not in index
    assert "9.00" not in index
    rows = table.splitlines()[2:]
    assert [row.split(" | ")[1] for row in rows] == ["v9", "v8"]
    assert rows[0].endswith("| 2.00 / 3.00 | 0.50 / – |")


def test_the_plot_is_reproducible_and_names_its_lines(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    entries = [entry(value={"9000x9000": 2.0}), entry("old", value_and_grad={"9000x9000": 1.5})]
    for name in ("a.svg", "b.svg"):
        history.draw(entries, tmp_path / name)
    drawn = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert drawn == (tmp_path / "b.svg").read_text(encoding="utf-8")
    for text in ("znver9, value and gradient", "old, value", "Kullback-Leibler", "v9"):
        assert text in drawn


# Publishing


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "docs" / "performance"
    folder.mkdir(parents=True)
    (folder / "history.json").write_text("[]", encoding="utf-8")
    for path, blocks in (
        ("README.md", ["benchmark"]),
        ("docs/performance.md", ["processors", "history"]),
    ):
        text = "\n".join(f"<!-- {block}:begin -->\n<!-- {block}:end -->" for block in blocks)
        (tmp_path / path).write_text(text, encoding="utf-8")
    return tmp_path


def test_a_run_is_published_as_a_page_a_headline_and_an_entry(result, root):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    pages.publish(result, root)
    folder = root / "docs" / "performance"
    names = sorted(path.name for path in folder.iterdir())
    made = [f"znver9.{suffix}" for suffix in ("json", "md", "png", "svg")]
    assert names == ["history.json", "history.svg", *made]
    assert json.loads((folder / "znver9.json").read_text("utf-8")) == result
    assert "(znver9.svg)" in (folder / "znver9.md").read_text("utf-8")
    assert json.loads((folder / "history.json").read_text("utf-8")) == [history.entry(result)]
    assert "8 / 4" in (root / "README.md").read_text("utf-8")
    assert "performance/znver9.md" in (root / "docs" / "performance.md").read_text("utf-8")


@pytest.mark.parametrize("number", [pages.FEW, pages.FEW + 1])
def test_a_run_with_more_than_a_few_disturbed_cells_is_refused(result, root, number):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    before = {path: path.read_bytes() for path in root.rglob("*.*")}
    for cell in result["cells"][:number]:
        cell["taken"] = {"reused": {"disturbed": True}, "fresh": {"disturbed": False}}
    if number == pages.FEW:
        pages.publish(result, root)
        return
    with pytest.raises(SystemExit, match=r"6 cells were disturbed, at most 5 may be"):
        pages.publish(result, root)
    assert {path: path.read_bytes() for path in root.rglob("*.*")} == before
