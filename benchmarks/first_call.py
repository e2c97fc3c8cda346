"""What the first call of each loss costs, and the warm-up; `--write` fills docs/first-call.md.

    python -m benchmarks.first_call [--write | --draw]

Each figure is of a process of its own: processor seconds of its first call, with empty caches, with
the cache of an earlier process, and with a bundle of prebuilt kernels for this processor's level.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fastloss_kernels.compiler.disk_cache import targets
from numba.core.registry import cpu_target

from benchmarks import machine
from benchmarks.cases import CASES
from tools.fill_docs import fill
from tools.pictures import BLUE, panel

PAGE = Path(__file__).parents[1] / "docs/first-call.md"
PICTURE = PAGE.parent / "pictures/first-call.svg"
CALL = """
import resource, sys
import numpy as np
import fastloss as fl
from benchmarks.cases import CASES

def seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime

case = CASES[int(sys.argv[1])]
y_true, y_pred = case.data(32, 10)
before = seconds()
if sys.argv[2] == "gradient":
    fl.value_and_grad(case.function)(y_true, y_pred, **case.options)
else:
    case.function(y_true, y_pred, **case.options)
print(seconds() - before)
"""


@contextmanager
def empty() -> Iterator[dict[str, str]]:
    """Yield the environment of processes with a cache of their own, and no bundles."""
    with tempfile.TemporaryDirectory() as place:
        yield {**os.environ, "NUMBA_CACHE_DIR": place, "FASTLOSS_PREBUILT": ""}


def first_call(number: int, form: str, environment: dict[str, str]) -> float:
    """Return the processor seconds of the first call of a new process."""
    command = [sys.executable, "-c", CALL, str(number), form]
    run = subprocess.run(
        command, env=environment, check=True, capture_output=True, text=True, cwd=PAGE.parents[1]
    )
    return float(run.stdout)


def warmup(environment: dict[str, str], *options: str) -> float:
    """Return the wall seconds of a warm-up for float32."""
    began = time.monotonic()
    command = [sys.executable, "-m", "fastloss", "warmup", "--dtype", "float32", "--quiet"]
    subprocess.run([*command, *options], env=environment, check=True, capture_output=True)
    return time.monotonic() - began


def table() -> str:
    """Return the table of first calls, float32, 32 x 10."""
    level = [level for _, level, _ in targets(cpu_target.target_context.codegen())][1]
    lines = [f"| first call, float32 | compiles | from the cache | from a bundle for {level} |"]
    lines += ["|---|---:|---:|---:|"]
    with empty() as bundled, tempfile.TemporaryDirectory() as place:
        warmup(bundled, "--export", str(Path(place, "bundle.zip")), "--target", level)
        for number, case in enumerate(CASES):
            for form in ("value", "gradient"):
                with empty() as cold:
                    times = [first_call(number, form, cold) for _ in range(2)]
                named = {**bundled, "FASTLOSS_PREBUILT": place}
                times.append(first_call(number, form, named))
                shown = " | ".join(f"{seconds:.2f} s" for seconds in times)
                lines.append(f"| {case.name}, {form} | {shown} |")
                print(lines[-1], flush=True)
    with empty() as one, empty() as all_cores:
        serial, parallel = warmup(one, "--processes", "1"), warmup(all_cores)
        again = warmup(all_cores)
    lines += [
        "",
        f"`fastloss warmup --dtype float32`: {serial:.0f} s in one process, {parallel:.0f} s in"
        f" {os.cpu_count()}, {again:.0f} s if all is there.",
        "",
        f"Measured by `make first-call`: {machine.place()}. Processor seconds of one process; of"
        " the warm-up wall seconds.",
    ]
    return "\n".join(lines)


def published(page: str) -> dict[str, list[float]]:
    """Return the seconds in the table of the page, by its columns."""
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| ")]
    start = next(i for i, row in enumerate(rows) if row[0].startswith("first call"))
    times = [row[1:] for row in rows[start + 1 :] if row[-1].endswith(" s")]
    columns = zip(rows[start][1:], zip(*times, strict=True), strict=True)
    return {name: [float(text.removesuffix(" s")) for text in column] for name, column in columns}


def draw(page: str, path: Path = PICTURE) -> None:
    """Draw what the page says: a point for each first call, a line of them for each column."""
    columns = published(page)
    with panel(path) as axes:
        for height, (name, seconds) in enumerate(reversed(columns.items())):
            axes.plot(seconds, [height] * len(seconds), "o", color=BLUE, alpha=0.5, markersize=9)
            axes.text(min(seconds), height + 0.2, name)
        axes.set(xscale="log", xlabel="seconds of a first call", ylim=(-0.4, len(columns) - 0.3))
        axes.set_xticks([0.03, 0.1, 0.3, 1, 3, 10], ["0.03", "0.1", "0.3", "1", "3", "10"])
        axes.minorticks_off()
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)


def main() -> None:
    """Print the table; with --write put it between the page's marks; draw what the page says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.first_call", description=__doc__)
    parser.add_argument("--write", action="store_true", help="fill docs/first-call.md and draw")
    parser.add_argument("--draw", action="store_true", help="draw what docs/first-call.md says")
    chosen = parser.parse_args()
    if not chosen.draw:
        shown = table()
        print(shown)
        if chosen.write:
            page = PAGE.read_text(encoding="utf-8")
            PAGE.write_text(fill(page, "first-call", shown), encoding="utf-8")
    if chosen.draw or chosen.write:
        draw(PAGE.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
