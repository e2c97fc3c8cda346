"""The command as a user meets it: tables, JSON, exit codes and one line for every mistake."""

import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from fastloss_kernels.compiler import cache_files
from typer.testing import CliRunner

import fastloss as fl
from fastloss.cli import commands, warmup
from fastloss.cli.commands import app
from fastloss.out_of_core import blocks
from fastloss.selfcheck import check

RNG = np.random.default_rng(3)
LOGITS = RNG.normal(size=(40, 6)).astype("f4")
LABELS = RNG.integers(0, 6, 40)
SPARSE = ["--loss", "sparse_categorical_crossentropy", "--from-logits"]
RUN = "from fastloss.cli.main import main; main()"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work where the inputs are."""
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", LOGITS)
    np.save("y.npy", LABELS)
    return tmp_path


def run(*arguments: str | int, code: int = 0) -> Any:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result


def evaluate(*arguments: str | int) -> dict[str, Any]:
    """Return the JSON of an evaluation of the two files."""
    answer = json.loads(run("evaluate", "x.npy", "y.npy", "--json", *arguments).stdout)
    assert isinstance(answer, dict)
    return answer


def refused(*arguments: str | int) -> str:
    """Return the one line that an evaluation of bad input leaves, and check that it is all."""
    before = sorted(os.listdir())
    result = run("evaluate", *arguments, "--rows-out", "r.npy", "--grad-out", "g.npy", code=2)
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("fastloss: error: ")
    assert sorted(os.listdir()) == before
    return str(result.stderr)


def test_table_shows_the_loss_and_the_worst_rows() -> None:
    rows = fl.sparse_categorical_crossentropy(LABELS, LOGITS, from_logits=True)
    shown = run("evaluate", "x.npy", "y.npy", *SPARSE, "--worst", 2).stdout
    assert f"{rows.mean(dtype=float):.6g}" in shown
    assert "GB/s" in shown
    assert "exact" in shown
    worst = shown[shown.index("worst rows") :]
    assert [int(line.split()[0]) for line in worst.splitlines()[2:4]] == list(
        np.argsort(-rows, kind="stable")[:2]
    )


def test_json_says_what_was_computed() -> None:
    answer = evaluate(*SPARSE, "--reduction", "sum", "--worst", 3, "--ignore-class", 2)
    loss = fl.SparseCategoricalCrossentropy(True, 2, reduction="sum")
    rows = fl.sparse_categorical_crossentropy(LABELS, LOGITS, from_logits=True)
    kept = rows[LABELS != 2]
    assert answer["value"] == pytest.approx(float(loss(LABELS, LOGITS)), rel=1e-7)
    assert (answer["loss"], answer["reduction"]) == ("sparse_categorical_crossentropy", "sum")
    assert (answer["rows"], answer["masked_rows"]) == (40, 0)
    assert answer["ignored_rows"] == 40 - kept.size
    assert answer["weight_sum"] == kept.size
    assert answer["dtype"] == "float32"
    summary = answer["row_losses"]
    assert summary["mean"] == pytest.approx(kept.mean(dtype=float), rel=1e-12)
    assert (summary["min"], summary["max"]) == (kept.min(), kept.max())
    assert summary["quantiles"]["0.5"] == np.quantile(kept, 0.5, method="lower")
    assert summary["quantile_error"] == 0
    assert [worst["loss"] for worst in answer["worst"]] == sorted(kept.tolist())[:-4:-1]
    assert rows[answer["worst"][0]["index"]] == kept.max()
    accuracy = np.mean((LOGITS.argmax(1) == LABELS)[LABELS != 2])
    assert answer["accuracy"] == pytest.approx(accuracy, rel=1e-12)


def test_every_option_reaches_the_loss() -> None:
    y_true, weights = np.eye(6)[LABELS], RNG.uniform(0.5, 2, 40)
    mask, classes = RNG.random(40) < 0.5, RNG.uniform(0.5, 2, 6)
    for name, array in (("y", y_true.T), ("x", LOGITS.T), ("w", weights), ("m", mask)):
        np.save(f"{name}.npy", array)
    np.save("c.npy", classes)
    common = ["--from-logits", "--axis", 0, "--label-smoothing", 0.2, "--weights", "w.npy"]
    common += ["--mask", "m.npy", "--dtype", "float64", "--no-mmap", "--block-rows", 7]
    options: dict[str, Any] = {"from_logits": True, "axis": 0, "label_smoothing": 0.2}
    options |= {"dtype": "float64", "reduction": "mean_with_sample_weight"}
    common += ["--reduction", "mean_with_sample_weight", "--grad-out", "g.npy"]
    dense = fl.CategoricalCrossentropy(**options, class_weight=classes)
    binary = fl.BinaryCrossentropy(**options, pos_weight=2.5)
    for loss, more in (
        (dense, ["--loss", "CategoricalCrossentropy", "--class-weight", "c.npy"]),
        (binary, ["--loss", "bce", "--pos-weight", "2.5"]),
    ):
        answer = evaluate(*common, *more)
        value, grad = loss.value_and_grad(y_true.T, LOGITS.T, weights, mask)
        assert answer["value"] == pytest.approx(float(value), rel=1e-13)
        assert answer["masked_rows"] == np.count_nonzero(~mask)
        np.testing.assert_allclose(np.load("g.npy"), grad, rtol=1e-13)


@pytest.mark.parametrize("reduction", ["none", "sum", "mean", "mean_with_sample_weight"])
def test_rows_and_gradient_files(reduction: str) -> None:
    loss = fl.SparseCategoricalCrossentropy(from_logits=True, reduction=reduction)
    _, grad = loss.value_and_grad(LABELS, LOGITS)
    outputs = ["--rows-out", "r.npy", "--grad-out", "g.npy", "--block-rows", 9]
    answer = evaluate(*SPARSE, "--reduction", reduction, *outputs)
    rows = fl.sparse_categorical_crossentropy(LABELS, LOGITS, from_logits=True)
    assert np.load("r.npy").tobytes() == rows.tobytes()
    assert np.load("g.npy").tobytes() == grad.tobytes()
    assert (answer["value"] is None) == (reduction == "none")
    assert sorted(os.listdir()) == ["g.npy", "r.npy", "x.npy", "y.npy"]


def test_numbers_json_has_no_words_for() -> None:
    np.save("x.npy", np.where(np.arange(240).reshape(40, 6) == 0, np.nan, LOGITS))
    answer = evaluate(*SPARSE)
    assert answer["value"] == "NaN"
    assert answer["row_losses"]["nan_rows"] == 1
    assert answer["worst"][0] == {"row": 0, "index": [0], "loss": "NaN"}


def test_bad_files() -> None:
    content = Path("x.npy").read_bytes()
    Path("short.npy").write_bytes(content[:-1])
    Path("huge.npy").write_bytes(content.replace(b"(40, 6), }         ", b"(40000000000, 6), }"))
    np.save("object.npy", np.array([{}], object), allow_pickle=True)
    np.save("complex.npy", np.ones(3, complex))
    Path("text.npy").write_text("1 2 3")
    Path("folder.npy").mkdir()
    for name, words in {
        "short.npy": "takes 960 bytes, the file holds 959",
        "huge.npy": "takes 960,000,000,000 bytes, the file holds 960",
        "object.npy": "dtype must be bool, an integer, float16, bfloat16, float32",
        "complex.npy": "got complex128",
        "text.npy": "not a readable .npy file",
        "missing.npy": "No such file or directory",
        "folder.npy": "not a regular file",
    }.items():
        assert f"error: {name}: " in refused(name, "y.npy", *SPARSE)
        for option in ([], ["--no-mmap"]):
            assert words in refused("x.npy", name, *SPARSE, *option)
        assert words in refused("x.npy", "y.npy", *SPARSE, "--weights", name)
        assert words in refused("x.npy", "y.npy", *SPARSE, "--class-weight", name)


def test_bad_shapes_labels_and_options() -> None:
    np.save("few.npy", LABELS[:39])
    np.save("off.npy", np.where(np.arange(40) == 33, 6, LABELS))
    np.save("scalar.npy", np.float32(1))
    assert "(39,) and (40, 6)" in refused("x.npy", "few.npy", *SPARSE)
    assert "got 6 at row 33" in refused("x.npy", "off.npy", *SPARSE, "--block-rows", 10)
    assert "at least one axis" in refused("scalar.npy", "scalar.npy", "--loss", "poisson")
    assert "must fit" in refused("x.npy", "y.npy", *SPARSE, "--weights", "few.npy")
    assert "--loss must be one of" in refused("x.npy", "y.npy", "--loss", "hinge")
    poisson = ("x.npy", "y.npy", "--loss", "poisson")
    assert "poisson takes no --ignore-class" in refused(*poisson, "--ignore-class", 1)
    assert "--axis must be an integer" in refused("x.npy", "y.npy", *SPARSE, "--axis", "a")
    assert "axis must lie in" in refused("x.npy", "y.npy", *SPARSE, "--axis", -3)
    assert "reduction must be" in refused("x.npy", "y.npy", *SPARSE, "--reduction", "max")
    assert "dtype must be" in refused("x.npy", "y.npy", *SPARSE, "--dtype", "int8")


def test_outputs_that_cannot_be() -> None:
    os.link("x.npy", "hard.npy")
    Path("soft.npy").symlink_to("y.npy")
    content = Path("x.npy").read_bytes()
    for output, words in {
        "x.npy": "is also an input",
        "./y.npy": "is also an input",
        "hard.npy": "is also an input",
        "soft.npy": "is also an input",
        "no/g.npy": "cannot be written",
        "x.npy/g.npy": "cannot be written",
        ".": "not a regular file",
    }.items():
        result = run("evaluate", "x.npy", "y.npy", *SPARSE, "--grad-out", output, code=2)
        assert words in result.stderr
    for output in ("g.txt", "g", "g.npz"):
        result = run("evaluate", "x.npy", "gone.npy", *SPARSE, "--grad-out", output, code=2)
        assert f"{output}: the suffix must be .npy, .csv or .parquet" in result.stderr
    same = ["--rows-out", "new.npy", "--grad-out", "new.npy"]
    result = run("evaluate", "x.npy", "y.npy", *SPARSE, *same, code=2)
    assert "is also another output" in result.stderr
    assert Path("x.npy").read_bytes() == content
    assert sorted(os.listdir()) == ["hard.npy", "soft.npy", "x.npy", "y.npy"]


def test_files_of_rank_one_are_columns_of_rows() -> None:
    p, t, weights = np.array([0.2, 0.9, 0.6]), np.array([0, 1, 0]), np.array([1.0, 2.0, 0.5])
    rows = -np.log(np.where(t, p, 1 - p))
    for name, array in (("x", p), ("y", t), ("w", weights), ("m", [True, False, True])):
        np.save(f"{name}.npy", array)
    answer = evaluate("--loss", "bce", "--rows-out", "r.npy")
    assert answer["rows"] == 3
    assert [worst["index"] for worst in answer["worst"]] == [[2], [0], [1]]
    assert answer["value"] == pytest.approx(rows.mean(), rel=1e-12)
    assert answer["accuracy"] == pytest.approx(2 / 3)
    np.testing.assert_allclose(np.load("r.npy"), rows, rtol=1e-12)
    answer = evaluate("--loss", "bce", "--weights", "w.npy", "--mask", "m.npy")
    assert (answer["rows"], answer["masked_rows"], answer["weight_sum"]) == (3, 1, 1.5)
    assert answer["value"] == pytest.approx((rows[0] + 0.5 * rows[2]) / 2, rel=1e-12)
    rates = p - t * np.log(p + 1e-7)
    answer = evaluate("--loss", "poisson", "--reduction", "sum")
    assert (answer["rows"], answer["value"]) == (3, pytest.approx(rates.sum(), rel=1e-12))


def test_axis_and_losses_of_whole_rows_keep_one_row() -> None:
    np.save("x.npy", np.array([0.2, 0.8]))
    np.save("y.npy", np.array([0, 1]))
    for arguments in (["--loss", "bce", "--axis", "-1"], ["--loss", "kld"]):
        answer = evaluate(*arguments)
        assert answer["rows"] == 1
        assert answer["worst"][0]["index"] == []
        assert "the only one" in run("evaluate", "x.npy", "y.npy", *arguments).stdout
    np.save("y.npy", np.array([[0], [1]]))  # the facade makes two rows of this
    assert evaluate("--loss", "bce")["rows"] == 2


def test_check_exits_by_its_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [check.Entry("page", f"what {ok}", "1", "2", ok) for ok in (True, False)]
    for right in (1, 2):
        monkeypatch.setattr(commands, "entries", lambda right=right: iter(entries[:right]))
        result = run("check", code=right - 1)
        shown = result.stdout
        assert result.stderr.splitlines() == ["ok  what True", "OFF what False"][:right]
        assert f"1 of {right} right" in shown
        assert ("OFF" in shown) == (right == 2)
        answer = json.loads(run("check", "--json", code=right - 1).stdout)
        assert (answer["ok"], len(answer["entries"])) == (right == 1, right)


def test_doctor_names_what_a_report_needs() -> None:
    found = json.loads(run("doctor", "--json").stdout)
    assert list(found) == ["versions", "processor", "threads", "cache", "extras"]
    assert found["versions"]["fastloss"] == fl.__version__
    assert found["versions"]["numpy"] == np.__version__
    assert found["processor"]["name"]
    assert found["threads"]["used"] >= 1
    assert found["extras"]["typer (cli)"]
    shown = run("doctor").stdout
    assert all(section in shown for section in found)


def test_doctor_shows_every_place_of_kernels_in_full(tmp_path, monkeypatch) -> None:
    written, bundles, empty = (tmp_path / ("deep" * 20) / name for name in ("w", "b", "e"))
    written.mkdir(parents=True)
    bundles.mkdir()
    with zipfile.ZipFile(bundles / "one.zip", "w") as archive:
        archive.writestr("kernel", b"")
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(written))
    monkeypatch.setenv("FASTLOSS_PREBUILT", str(bundles))
    places = json.loads(run("doctor", "--json").stdout)["cache"]
    kept, *others = map(str, cache_files.directories(cache_files.ROOT))
    assert places["written to"] == kept
    assert places[kept] == "0 kernels, 0 bytes"
    for other in others:
        assert other in places
    assert places[f"{bundles / 'one.zip'}"].startswith("bundle of 1 kernels, ")
    shown = run("doctor").stdout
    assert all(any(place in line for line in shown.splitlines()) for place in places)
    monkeypatch.setenv("FASTLOSS_PREBUILT", str(empty))
    places = json.loads(run("doctor", "--json").stdout)["cache"]
    assert places[str(empty)] == "not there"
    empty.mkdir()
    assert json.loads(run("doctor", "--json").stdout)["cache"][str(empty)] == "no bundles"
    assert str(cache_files.ROOT / "prebuilt") in places
    monkeypatch.setenv("FASTLOSS_PREBUILT", "")
    places = json.loads(run("doctor", "--json").stdout)["cache"]
    assert str(cache_files.ROOT / "prebuilt") not in places


def test_warmup_compiles_what_was_asked_for(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    command = [sys.executable, "-m", "fastloss", "warmup", "sigmoid", "--dtype", "bfloat16"]

    def started(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, *more], capture_output=True, text=True, check=True)

    first = started()
    assert first.stdout.startswith("6 kernels compiled, 0 found; they are in ")
    assert str(tmp_path / "cache") in first.stdout
    assert first.stderr.count("compiled ") == 6
    second = started("--quiet")
    assert second.stdout.startswith("0 kernels compiled, 6 found; they are in ")
    assert not second.stderr


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("missing/b.zip", "exists and is writeable"),
        ("b.tar", "a .zip file"),
        ("d.zip", "a file in"),
    ],
)
def test_warmup_refuses_a_bundle_it_could_not_write_before_it_compiles(tmp_path, path, why) -> None:
    (tmp_path / "d.zip").mkdir()
    refused = run("warmup", "--export", str(tmp_path / path), code=2)
    assert why in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert "compiled" not in refused.stderr


def test_warmup_takes_a_kernel_alone() -> None:
    (kernel,) = {job.kernel for job in warmup.jobs(["poisson_log_rates"], ["float32"])}
    assert kernel == "poisson_log_rates"
    with pytest.raises(ValueError, match="or one of softmax"):
        warmup.jobs(["run"], ["float32"])


def test_warmup_takes_second_derivatives_if_asked() -> None:
    plain, more = (warmup.jobs(["kl_divergence"], ["float32"], one) for one in (False, True))
    assert {job.kernel for job in plain} == {"kullback_leibler", "total"}
    second = {"kullback_leibler_hessian", "rank_one_product"}
    assert {job.kernel for job in more} == {"kullback_leibler", "total", *second}


def test_warmup_refuses_what_there_is_not() -> None:
    assert "BinaryCrossentropy" in run("warmup", "hinge", code=2).stderr
    assert "dtype must be one of" in run("warmup", "--dtype", "int8", code=2).stderr
    assert "target must be one of" in run("warmup", "--target", "z80", code=2).stderr
    assert "--export" in run("warmup", "--target", "x86-64-v3", code=2).stderr


def test_version_and_help() -> None:
    assert run("--version").stdout == f"{fl.__version__}\n"
    shown = run("--help").stdout
    assert all(name in shown for name in ("evaluate", "check", "warmup", "doctor"))


def test_interrupt_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(blocks.SecondPass, "_compute", interrupted)
    result = run("evaluate", "x.npy", "y.npy", *SPARSE, "--grad-out", "g.npy", code=130)
    assert result.stderr == "fastloss: interrupted\n"
    assert sorted(os.listdir()) == ["x.npy", "y.npy"]


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_killed_in_the_middle(number: signal.Signals, code: int) -> None:
    """The signal comes when half the blocks are written."""
    script = f"""
import os
from fastloss.out_of_core import blocks
take = blocks.SecondPass._read
def read(self, chunk):
    if chunk[0].start >= 20:
        os.kill(os.getpid(), {int(number)})
    return take(self, chunk)
blocks.SecondPass._read = read
blocks.in_order = lambda function, tasks, workers: map(function, tasks)
{RUN}
"""
    Path("g.npy").write_bytes(b"older")
    np.save("y.npy", np.ones((40, 6)))
    arguments = ["evaluate", "x.npy", "y.npy", "--loss", "poisson", "--grad-out", "g.npy"]
    command = [sys.executable, "-c", script, *arguments, "--block-rows", "5"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == code, result.stderr
    assert Path("g.npy").read_bytes() == b"older"
    parts = [name for name in os.listdir() if name.endswith(".part")]
    assert len(parts) == (number == signal.SIGKILL)
    assert "Traceback" not in result.stderr


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_without_the_extra_one_line_says_so() -> None:
    for missing in ("typer", "rich"):
        result = python(f"import sys; sys.modules[{missing!r}] = None; {RUN}")
        assert result.returncode == 2
        assert result.stderr.count("\n") == 1
        assert "pip install typer rich (fastloss's extra cli)" in result.stderr


def test_the_package_needs_none_of_the_extra() -> None:
    extra = "{'typer', 'rich', 'click', 'pydantic'} & set(sys.modules)"
    result = python(f"import sys, fastloss; sys.exit(repr({extra}) if {extra} else 0)")
    assert result.returncode == 0, result.stderr
