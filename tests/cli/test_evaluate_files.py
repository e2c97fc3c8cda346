"""`fastloss evaluate` on the files that people have: every format, shards, outputs by suffix."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import array_files
import ml_dtypes
import numpy as np
import pandas as pd
import pytest
from npy_header import header
from processes import environment
from typer.testing import CliRunner

import fastloss as fl
from fastloss.cli.commands import app
from fastloss.formats import reader

RNG = np.random.default_rng(4)
LOGITS = RNG.normal(size=(40, 6)).astype("f4")
LABELS = RNG.integers(0, 6, 40)
WEIGHTS = RNG.uniform(0.5, 2, 40)
MASK = RNG.random(40) < 0.7
SPARSE = ["--loss", "sparse_categorical_crossentropy", "--from-logits", "--quiet"]
ROWS = fl.sparse_categorical_crossentropy(LABELS, LOGITS, from_logits=True)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with shards of uneven lengths, decoded in small pieces."""
    monkeypatch.setattr(reader, "PIECE_BYTES", 200)
    monkeypatch.chdir(tmp_path)
    for number, part in zip((1, 2, 10), np.split(np.arange(40), [7, 30]), strict=True):
        np.save(f"logits-{number}.npy", LOGITS[part])
        np.save(f"labels-{number}.npy", LABELS[part])
        np.save(f"weights-{number}.npy", WEIGHTS[part])
        np.save(f"mask-{number}.npy", MASK[part])
    np.save("labels.npy", LABELS)
    return tmp_path


def run(*arguments: str | int, code: int = 0) -> Any:
    result = CliRunner().invoke(app, ["evaluate", *map(str, arguments), *SPARSE])
    assert result.exit_code == code, result.output
    return result


def evaluate(*arguments: str | int) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(run(*arguments, "--json").stdout)
    return answer


def refused(*arguments: str | int) -> str:
    """Return the one line that is left of an evaluation of bad input."""
    before = sorted(os.listdir())
    result = run(*arguments, "--rows-out", "r.csv", "--grad-out", "g.parquet", code=2)
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("fastloss: error: ")
    assert sorted(os.listdir()) == before
    return str(result.stderr)


@pytest.mark.parametrize("block_rows", [3, 1000])
@pytest.mark.parametrize("write", array_files.TWO_AXES)
def test_every_format_gives_the_loss_of_the_array(write, block_rows: int) -> None:
    Path("inputs").mkdir()
    predictions = write(Path("inputs"), LOGITS)
    table = pd.DataFrame({"label": LABELS, "weight": WEIGHTS, "valid": MASK})
    table.to_parquet("t.parquet")
    table.to_csv("t.csv", index=False)
    options = ["--block-rows", block_rows, "--rows-out", "r.npy"]
    for table_name in ("t.parquet", "t.csv"):
        columns = ["--weights", f"{table_name}:weight", "--mask", f"{table_name}:valid"]
        answer = evaluate(predictions, f"{table_name}:label", *columns, *options)
        assert (answer["rows"], answer["masked_rows"]) == (40, np.sum(~MASK))
        expected = np.average(ROWS.astype(float) * WEIGHTS, weights=MASK)
        assert answer["value"] == pytest.approx(expected, rel=1e-6)
        np.testing.assert_allclose(np.load("r.npy"), ROWS * MASK, rtol=1e-6)


def test_shards_are_one_data_set() -> None:
    files = ["--predictions", "logits-*.npy", "--targets", "labels-*.npy"]
    more = ["--weights", "weights-*.npy", "--mask", "mask-*.npy"]
    for block_rows in (1, 4, 100):
        options = ["--block-rows", block_rows, "--rows-out", "r.npy", "--grad-out", "g.npy"]
        answer = evaluate(*files, *more, *options)
        loss = fl.SparseCategoricalCrossentropy(from_logits=True)
        value, grad = loss.value_and_grad(LABELS, LOGITS, WEIGHTS, MASK)
        assert answer["value"] == pytest.approx(float(value), rel=1e-12)
        assert np.load("r.npy").tobytes() == (ROWS * MASK).tobytes()
        assert np.load("g.npy").tobytes() == grad.tobytes()
        assert answer["rows"] == 40
    assert "logits-1.npy ... logits-10.npy" in run(*files).stdout


def test_one_target_file_directories_and_repeated_options() -> None:
    Path("all").mkdir()
    for path in Path().glob("logits-*.npy"):
        path.rename(Path("all") / path)
    expected = pytest.approx(ROWS.mean(dtype=float), rel=1e-12)
    assert evaluate("all", "labels.npy")["value"] == expected
    assert evaluate("--targets", "labels.npy", "all/*.npy")["value"] == expected
    parts = [f"--predictions=all/logits-{number}.npy" for number in (1, 2, 10)]
    assert evaluate(*parts, "--targets", "labels.npy")["value"] == expected


def test_bfloat16() -> None:
    half = LOGITS.astype(ml_dtypes.bfloat16)
    expected = fl.SparseCategoricalCrossentropy(from_logits=True)(LABELS, half)
    for write in (array_files.npy, array_files.compressed_npz, array_files.safe):
        answer = evaluate(write(Path(), half), "labels.npy")
        assert answer["dtype"] == "float32"
        assert answer["value"] == pytest.approx(float(expected), rel=1e-7)


def test_shards_that_do_not_fit_are_refused_before_the_work() -> None:
    np.save("logits-2.npy", LOGITS[:20, :5])
    assert "logits-2.npy: shape (20, 5) must be that of logits-1.npy" in refused(
        "logits-*.npy", "labels.npy"
    )
    np.save("logits-2.npy", LOGITS[:20])
    assert "(40,) and (37, 6)" in refused("logits-*.npy", "labels.npy")
    Path("logits-2.npy").write_bytes(header(shape="(23, 6)") + bytes(8))
    assert "logits-2.npy: shape (23, 6)" in refused("logits-*.npy", "labels.npy")
    assert "z-*.npy: no file has a name like this" in refused("z-*.npy", "labels.npy")


def test_bad_labels_name_the_file_and_the_row_in_it() -> None:
    labels = LABELS[7:30].copy()
    labels[5] = 6
    np.save("labels-2.npy", labels)
    message = refused("logits-*.npy", "labels-*.npy", "--block-rows", 4)
    assert "got 6 at row 12, in labels-2.npy, row 5 of it" in message
    np.save("labels.npy", np.where(np.arange(40) == 33, -1, LABELS))
    assert "got -1 at row 33, in labels.npy" in refused("logits-*.npy", "labels.npy")


def test_missing_and_doubled_arguments() -> None:
    assert "predictions are missing" in refused()
    assert "targets are missing" in refused("logits-1.npy")
    both = ["logits-1.npy", "labels-1.npy", "--predictions", "logits-2.npy"]
    assert "not by both" in refused(*both)


def test_damaged_files_of_every_format() -> None:
    for suffix in ("npz", "safetensors", "parquet", "csv"):
        Path(f"bad.{suffix}").write_bytes(b"\x00\xff" * 100)
        for files in ([f"bad.{suffix}", "labels.npy"], ["logits-*.npy", f"bad.{suffix}"]):
            assert f"error: bad.{suffix}: not a readable .{suffix} file" in refused(*files)
        for option in ("--weights", "--mask", "--class-weight"):
            assert f"error: bad.{suffix}: " in refused(
                "logits-*.npy", "labels.npy", option, f"bad.{suffix}"
            )


def test_a_class_weight_of_a_gigabyte_is_refused() -> None:
    start = header(shape="(600000000,)")
    with open("vast.npy", "wb") as file:
        file.write(start)
        file.truncate(len(start) + 2_400_000_000)
    words = "2,400,000,000 bytes are too many for weights of classes"
    assert words in refused("logits-*.npy", "labels.npy", "--class-weight", "vast.npy")


@pytest.mark.parametrize("suffix", ["npy", "csv", "parquet"])
def test_rows_by_suffix(suffix: str) -> None:
    evaluate("logits-*.npy", "labels.npy", "--rows-out", f"r.{suffix}")
    found = {
        "npy": lambda: np.load("r.npy"),
        "csv": lambda: pd.read_csv("r.csv", dtype="f4")["loss"],
        "parquet": lambda: pd.read_parquet("r.parquet")["loss"],
    }[suffix]()
    np.testing.assert_array_equal(found, ROWS)


@pytest.mark.parametrize("json_too", [True, False])
def test_rows_on_standard_output_and_the_result_on_stderr(json_too: bool) -> None:
    more = ["--json"] if json_too else []
    result = run("logits-*.npy", "labels.npy", "--rows-out", "-", *more)
    name, *rows = result.stdout.splitlines()
    assert name == "loss"
    assert [np.float32(row) for row in rows] == list(ROWS)
    assert not os.path.exists("-")
    if json_too:
        assert json.loads(result.stderr)["rows"] == 40
    else:
        assert "worst rows" in result.stderr


def test_outputs_are_checked_before_the_inputs_are_read() -> None:
    for output in ("r", "r.txt", "r.npz"):
        for option in ("--rows-out", "--grad-out"):
            shown = run("gone.npy", "labels.npy", option, output, code=2).stderr
            assert f"{output}: the suffix must be .npy, .csv or .parquet" in shown
    shown = run("logits-*.npy", "labels.npy", "--rows-out", "logits-2.npy", code=2).stderr
    assert "logits-2.npy: is also an input" in shown
    pd.DataFrame({"label": LABELS}).to_csv("t.csv", index=False)
    shown = run("logits-*.npy", "t.csv:label", "--rows-out", "t.csv", code=2).stderr
    assert "t.csv: is also an input" in shown


def test_a_reader_of_the_rows_that_goes_away() -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "fastloss", "evaluate", "logits-1.npy", "labels-1.npy"]
    result = subprocess.run(
        [*command, *SPARSE, "--rows-out", "-"],
        stdout=write, stderr=subprocess.PIPE, text=True, env=environment(), check=False,
    )  # fmt: skip
    os.close(write)
    assert (result.returncode, result.stderr) == (1, "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--predictions", "logits-1.npy", "logits-2.npy", "--targets", "labels-1.npy"],
        ["--predictions", "logits-1.npy", "logits-2.npy", "logits-10.npy", "labels-1.npy"],
        ["logits-1.npy", "logits-2.npy", "labels-1.npy", "labels-2.npy"],
        ["logits-1.npy", "labels-1.npy", "--weights", "weights-1.npy", "weights-2.npy"],
    ],
)
def test_a_pattern_that_the_shell_expanded_is_to_be_quoted(arguments: list[str]) -> None:
    message = refused(*arguments)
    assert "in quotes" in message
    assert "logits-*.npy'" in message or "predictions-*.npy'" in message


def test_several_top_k_in_one_option_or_many() -> None:
    files = ["--predictions", "logits-*.npy", "--targets", "labels.npy"]
    joined = evaluate(*files, "--top", "3,1")["top_k"]
    assert list(joined) == ["1", "3"]
    assert joined == evaluate(*files, "--top", "1", "--top", "3")["top_k"]
    for wrong in ("0", "-1", "2,", "1.5", "x"):
        assert "--top must be whole numbers from 1 up, as 5 or 1,5, got " in refused(
            *files, "--top", wrong
        )


def test_row_counts_that_differ_name_the_files() -> None:
    shards = ["--predictions", "logits-*.npy", "--targets", "labels-*.npy"]
    whole = ["logits.npy", "labels.npy"]
    np.save("logits.npy", LOGITS)
    for name in ("labels", "weights", "mask", "groups"):
        np.save(f"few-{name}.npy", np.ones(39, int))
    counts = "few-labels.npy has 39 rows, logits.npy has 40 rows"
    assert refused("logits.npy", "few-labels.npy").endswith(counts + "\n")
    for option in ("weights", "mask"):
        counts = f"labels.npy has 40 rows, logits.npy has 40 rows, few-{option}.npy has 39 rows"
        assert refused(*whole, f"--{option}", f"few-{option}.npy").endswith(counts + "\n")
    assert refused(*whole, "--groups", "few-groups.npy").endswith("few-groups.npy has 39 rows\n")
    np.save("labels-10.npy", LABELS[30:-1])
    assert refused(*shards).endswith("labels-10.npy has 9 rows, logits-10.npy has 10 rows\n")
    assert " rows" not in refused("labels.npy", "logits.npy")
    together = "logits-1.npy ... (3 files) has 40 rows"
    assert together in refused("--predictions", "logits-*.npy", "--targets", "few-labels.npy")
