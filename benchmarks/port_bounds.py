"""How fast a processor's ports could run each step of benchmarks/steps.py, by llvm-mca.

Numba compiles the steps for any processor named by NUMBA_CPU_NAME, in a process of its own: nothing
of it is run. llvm-mca looks at the innermost vector loop that takes most of an array in a round:
what is left over has loops of its own, which take less.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

LINE = 64  # bytes
TARGETS = ("skylake-avx512", "icelake-server", "znver4")
NEWEST = 40  # version of LLVM that is looked for
LABEL = re.compile(r"(\.L\w+):")
JUMP = re.compile(r"\tj\w+\t(\.L\w+)")
VECTOR = re.compile(r"%[yz]mm")
# displacement(base,index,scale), and the register beside it; constants are broadcast, lie on the
# stack or at addresses relative to the program's.
ACCESS = re.compile(r"(-?\d*)\((?!%rsp|%rbp\)|%rip)([^)]*)\)(?!\{)")
BYTES = {"x": 16, "y": 32, "z": 64}


class Bound(NamedTuple):
    """What a step is for a processor, for 64 bytes of its first array."""

    instructions: float
    cycles: float
    """At least; by llvm-mca's model of ports and of how many instructions begin in a cycle."""


def bounds(cpu: str | None = None) -> dict[str, Bound]:
    """Return the bound of each step on a processor that LLVM knows by this name, or on this one.

    Steps that have no loop of vector instructions are left out; so are all of them where llvm-mca
    is not installed or has no model of the processor.
    """
    tool = _tool()
    if tool is None:
        return {}
    for_cpu = {} if cpu is None else {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": ""}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.port_bounds"],
        cwd=Path(__file__).parent.parent, env={**os.environ, **for_cpu},
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    compiled = json.loads(done.stdout)
    loops = {step: hottest(code) for step, code in compiled["steps"].items()}
    found = {}
    for step, loop in loops.items():
        if loop and (cycles := _throughput(tool, compiled["cpu"], loop)) is not None:
            lines = lines_of(loop)
            found[step] = Bound(sum(map(_is_instruction, loop)) / lines, cycles / lines)
    return found


def version() -> str:
    """Return which llvm-mca there is; "" if none."""
    tool = _tool()
    if tool is None:
        return ""
    printed = subprocess.run([tool, "--version"], check=True, capture_output=True, text=True).stdout
    number = re.search(r"version (\S+)", printed)
    return f"llvm-mca {number[1]}" if number else "llvm-mca"


def hottest(assembly: str) -> list[str]:
    """Return the lines of the innermost vector loop that takes most of an array; [] if none."""
    lines = assembly.splitlines()
    labels = {found[1]: at for at, line in enumerate(lines) if (found := LABEL.match(line))}
    jumps = {at: labels.get(found[1], at) for at, line in enumerate(lines)
             if (found := JUMP.match(line))}  # fmt: skip
    loops = [(start, end) for end, start in jumps.items() if start < end]
    inner = [
        lines[start + 1 : end + 1]
        for start, end in loops
        if not any(start <= s and e <= end and (s, e) != (start, end) for s, e in loops)
    ]
    vectors = [loop for loop in inner if _vectors(loop) and lines_of(loop)]
    return max(vectors, key=lambda loop: (lines_of(loop), _vectors(loop)), default=[])


def lines_of(loop: Sequence[str]) -> float:
    """Return how many lines of 64 bytes of each array one round of a loop works on.

    The accesses of one array differ in their displacements only. The array with most bytes counts:
    constants in memory are read at one displacement.
    """
    arrays: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for line in loop:
        access, registers = ACCESS.search(line), re.findall(r"%([xyz])mm", line)
        if access and registers and "broadcast" not in line:
            half = "vcvtps2pd" in line or "vcvtpd2ps" in line
            size = max(BYTES[kind] for kind in registers) // (2 if half else 1)
            arrays[access[2]][access[1]] = size
    return max((sum(sizes.values()) for sizes in arrays.values()), default=0) / LINE


def _vectors(loop: Sequence[str]) -> int:
    return sum(bool(VECTOR.search(line)) for line in loop)


def _is_instruction(line: str) -> bool:
    return line.startswith("\t") and not line.startswith("\t.")


def _tool() -> str | None:
    """Return the newest llvm-mca."""
    names = [*(f"llvm-mca-{number}" for number in range(NEWEST, 10, -1)), "llvm-mca"]
    return next(filter(None, map(shutil.which, names)), None)


def _throughput(tool: str, cpu: str, loop: Sequence[str]) -> float | None:
    """Return the cycles of one round at least; None where the tool does not know the processor."""
    run = subprocess.run(
        [tool, "-mtriple=x86_64", f"-mcpu={cpu}", "-iterations=100"],
        input="\n".join(loop), capture_output=True, text=True,
    )  # fmt: skip
    found = re.search(r"Block RThroughput: +([\d.]+)", run.stdout)
    known = "not a recognized processor" not in run.stderr
    return float(found[1]) if found and known else None


def _compiled() -> str:
    """Return the processor's name and each step's assembly, as JSON."""
    from llvmlite import binding
    from numba.core import config
    from numba.core.types import Array, float32, int64

    from .steps import STEPS, repeated

    codes, array = {}, Array(float32, 1, "C")
    for name, step in STEPS.items():
        timed = repeated(step)  # alone, a step would have more registers for its constants
        timed.compile((int64, *[array] * 4, float32, float32))
        (codes[name],) = timed.inspect_asm().values()
    return json.dumps({"cpu": config.CPU_NAME or binding.get_host_cpu_name(), "steps": codes})


if __name__ == "__main__":
    print(_compiled())
