"""What steps cost, and what ports allow: the steps compute, the loop that counts is found."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import costs, port_bounds
from benchmarks.steps import STEPS

ROOT = Path(__file__).parents[2]
x86 = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="the loops are read as x86's"
)


@pytest.mark.parametrize("step", STEPS)
def test_every_step_runs_as_it_is_called_in_the_kernels(step):
    x, t, w, terms = np.full((4, costs.SIZE), 0.25, np.float32)
    w[:] = 0.75
    STEPS[step](x, t, w, terms, np.float32(1e-7), np.float32(1 - 1e-7))
    if "sum" in step and "unrounded" not in step:
        assert w[0] == 0.25 * costs.SIZE  # and is not left out because nobody reads it
        return
    assert not (w == 0.75).any()
    if "term" in step:
        assert not (terms == 0.25).any()


MAIN = """\
	vmovups	(%rcx,%r9,4), %zmm17
	vmovups	64(%rcx,%r9,4), %zmm16
	vmulps	(%rdx){1to16}, %zmm16, %zmm16
	vaddps	.LC0(%rip), %zmm17, %zmm17
	vaddps	-56(%rsp), %zmm17, %zmm17
	vmovups	%zmm17, (%rax,%r9,4)
	vmovups	%zmm16, 64(%rax,%r9,4)
	addq	$32, %r9
	jne	.LBB0_2"""
ASSEMBLY = f"""\
f:
.LBB0_1:
	xorl	%r9d, %r9d
	.p2align	4
.LBB0_2:
{MAIN}
.LBB0_3:
	vmovups	(%rcx,%r9,4), %ymm1
	vmulps	%ymm1, %ymm1, %ymm1
	vmulps	%ymm1, %ymm1, %ymm1
	vmulps	%ymm1, %ymm1, %ymm1
	vmulps	%ymm1, %ymm1, %ymm1
	vmulps	%ymm1, %ymm1, %ymm1
	vmovups	%ymm1, (%rax,%r9,4)
	jne	.LBB0_3
.LBB0_4:
	vmovss	(%rcx,%r9,4), %xmm1
	jne	.LBB0_4
	decq	%r10
	jne	.LBB0_1
	je	.LBB0_5
.LBB0_5:
	retq
"""


def test_the_loop_that_takes_most_is_found():
    assert port_bounds.hottest(ASSEMBLY) == MAIN.splitlines()
    assert port_bounds.hottest("f:\n.LBB0_1:\n\taddq\t$1, %rax\n\tjne\t.LBB0_1\n") == []


@pytest.mark.parametrize(
    ("loop", "lines"),
    [
        (MAIN, 2),
        (MAIN.replace("zmm", "ymm").replace("\t64(", "\t32("), 1),
        ("\tvcvtps2pd\t(%rdi), %zmm1\n\tvcvtps2pd\t32(%rdi), %zmm2", 1),
        ("\tvaddps\t(%rdi), %zmm1, %zmm1\n\tvmovaps\t(%rsp), %zmm2", 1),
    ],
)
def test_lines_are_those_of_one_array(loop, lines):
    assert port_bounds.lines_of(loop.splitlines()) == lines


@x86
def test_every_step_has_a_loop_of_vector_code_for_another_processor():
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.port_bounds"],
        env={**os.environ, "NUMBA_CPU_NAME": "skylake-avx512", "NUMBA_CPU_FEATURES": ""},
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    compiled = json.loads(run.stdout)
    assert compiled["cpu"] == "skylake-avx512"
    assert list(compiled["steps"]) == list(STEPS)
    for code in compiled["steps"].values():
        assert port_bounds.lines_of(port_bounds.hottest(code)) in (0.5, 1, 2, 4, 8)


TOOL = """\
#!/bin/sh
case "$*" in
  *--version*) echo "Debian LLVM version 99.1" ;;
  *unknown*) echo "'unknown' is not a recognized processor for this target" >&2; echo "Block RThroughput: 1.0" ;;
  *) cat > "$0.given"; echo "Block RThroughput: 12.0" ;;
esac
"""  # noqa: E501


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands for llvm-mca")
def test_bounds_are_what_llvm_mca_says_for_a_line(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    tool = tmp_path / f"llvm-mca-{port_bounds.NEWEST}"
    tool.write_text(TOOL)
    tool.chmod(0o755)
    assert port_bounds.version() == "llvm-mca 99.1"
    asked = []

    def compiled(command, **how):
        if command[0] != sys.executable:
            return run(command, **how)
        asked.append(how["env"]["NUMBA_CPU_NAME"])
        steps = {"a": ASSEMBLY, "no loop": "f:\n\tretq\n"}
        text = json.dumps({"cpu": how["env"]["NUMBA_CPU_NAME"], "steps": steps})
        return subprocess.CompletedProcess(command, 0, stdout=text)

    run = subprocess.run
    monkeypatch.setattr(port_bounds.subprocess, "run", compiled)
    assert port_bounds.bounds("znver9") == {"a": (4.5, 6.0)}  # 9 instructions, 12 cycles, 2 lines
    assert tool.with_suffix(".given").read_text().splitlines() == MAIN.splitlines()
    assert port_bounds.bounds("unknown") == {}
    assert asked == ["znver9", "unknown"]


def test_without_llvm_mca_there_are_no_bounds(monkeypatch):
    monkeypatch.setattr(port_bounds.shutil, "which", lambda name: None)
    assert port_bounds.version() == ""
    assert port_bounds.bounds() == {}


def kept(**more):
    return {"place": "2026-01-02; Some CPU (znver9); numba 1", "ns": {"a": 2.0, "m": 5.0}, **more}


def test_a_table_holds_what_was_reached_of_the_bound():
    bounds = {costs.HERE: {"a": [5.0, 4.0]}, "znver4": {"a": [3.0, 2.5]}, "other": {}}
    text = costs.table(kept(GHz=3.0, bounds=bounds, **{"bounds by": "llvm-mca 99"}))
    head, _, step, memory = text.splitlines()[:4]
    assert head.endswith("| cycles | this processor | reached / bound | znver4 |")
    assert step == "| a | 2.00 | 6.0 | 5.0 / 4.0 | 1.50 | 3.0 / 2.5 |"
    assert memory == "| m | 5.00 |  |  |  |  |"
    assert "3.00 cycles" in text
    assert "llvm-mca 99" in text


def test_without_bounds_their_columns_are_left_out():
    bare = costs.table(kept(GHz=3.0, bounds={costs.HERE: {}, "znver4": {}}, **{"bounds by": ""}))
    assert bare.splitlines()[0] == "| step | ns for 64 bytes |"
    assert "apt-get install llvm" in bare
    assert "llvm" not in costs.table(kept())  # of a table from before there were bounds


def test_other_processors_tables_are_kept(tmp_path):
    path = tmp_path / "costs.json"
    path.write_text(json.dumps({"old": kept(), "znver9": kept(ns={"a": 7.0})}), encoding="utf-8")
    text = costs.publish(kept(), path)
    assert [line for line in text.splitlines() if line.startswith("**")] == [
        "**znver9**",
        "**old**",
    ]
    assert "7.00" not in text
    assert list(json.loads(path.read_text("utf-8"))) == ["znver9", "old"]
