"""What arithmetic costs, apart from memory: `python -m benchmarks.costs` fills docs/.

One thread works on arrays that stay in the first-level cache; the least of many rounds counts, per
64 bytes: a cache line, 16 float32. What one processor's share of memory's speed takes for a line
stands beside it, in the same run: a loss that costs less than its lines take is bound by memory.
And how few cycles the ports of this and of other processors could take, where llvm-mca is there.
docs/performance/costs.json keeps the last figures of every processor.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
from fastloss_kernels.simd.cache_hints import store_nontemporal
from fastloss_kernels.simd.raw_arrays import flat_view
from numba import njit

from tools.fill_docs import fill

from . import limits, machine, port_bounds, report, steps

SIZE = 1024  # elements: 4 KB an array
LARGE = 1 << 25  # elements that no cache holds
LINE = 16  # float32 elements
CHAIN = 4  # cycles of a multiplication and an addition that wait for each other, on every x86
DOCS = Path(__file__).parent.parent / "docs"
PAGE, BOUNDS_PAGE = DOCS / "performance.md", DOCS / "accuracy.md"
KEPT = DOCS / "performance" / "costs.json"
HERE = "this processor"
Json = dict[str, Any]


@njit
def _chain(times, x, more):  # type: ignore[no-untyped-def]
    for _ in range(times):
        x = x * x + more
    return x


def clock(rounds: int = 20) -> float | None:
    """Return the cycles of a nanosecond while one thread computes; None where it is not known."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return None
    times, x = 1_000_000, np.uint64(3)
    return CHAIN * times / _least(lambda: _chain(times, x, x), rounds) / 1e9


@njit(parallel=True)
def _streamed(source, target):  # type: ignore[no-untyped-def]
    step = 1 << 12
    for block in numba.prange(source.size // step):
        offset = block * step * 4
        store_nontemporal(
            flat_view(source, source.dtype, offset), flat_view(target, target.dtype, offset), step
        )


def _least(call: Callable[[], Any], rounds: int) -> float:
    call()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def _of_line(step: Any, rounds: int) -> float:
    """Return nanoseconds for 64 bytes of a step."""
    rng = np.random.default_rng(0)
    x, t = rng.uniform(0.01, 0.99, (2, SIZE)).astype(np.float32)
    w, terms = np.ones_like(x), np.ones_like(x)
    bounds = np.float32(1e-7), np.float32(1 - 1e-7)
    times, repeat = 1000, steps.repeated(step)
    seconds = _least(lambda: repeat(times, x, t, w, terms, *bounds), rounds)
    return seconds / times / SIZE * LINE * 1e9


def measure_bounds(rounds: int = 50) -> dict[str, tuple[float, float]]:
    """Return nanoseconds for 64 bytes of each bound's step, and of the one without it."""
    return {
        name: (_of_line(exact, rounds), _of_line(rough, rounds))
        for name, (exact, rough) in steps.BOUNDS.items()
    }


def measure(rounds: int = 50, large: int = LARGE) -> dict[str, float]:
    """Return nanoseconds for 64 bytes of each step, and of each way to move an array."""
    found = {name: _of_line(step, rounds) for name, step in steps.STEPS.items()}
    source, target = np.ones(large, np.float32), np.empty(large, np.float32)
    share = numba.get_num_threads() * LINE / large * 1e9
    ways = {
        "read": lambda: limits.read(source),
        "copy": lambda: limits.copy(source, target),
        "copy past the caches": lambda: _streamed(source, target),
    }
    for name, way in ways.items():
        found[f"memory: {name}, one processor's share"] = _least(way, rounds // 5 + 1) * share
    return found


def look() -> Json:
    """Return everything that is kept of this processor."""
    return {
        "place": machine.place(),
        "ns": {name: round(value, 3) for name, value in measure().items()},
        "GHz": clock(),
        "bounds by": port_bounds.version(),
        "bounds": {
            name: port_bounds.bounds(cpu)
            for name, cpu in ((HERE, None), *((cpu, cpu) for cpu in port_bounds.TARGETS))
        },
    }


def table(kept: Json) -> str:
    """Return what is kept of a processor as Markdown: bounds are instructions / cycles."""
    others = [name for name, found in kept.get("bounds", {}).items() if found and name != HERE]
    here, ghz = kept.get("bounds", {}).get(HERE), kept.get("GHz")
    head = ["step", "ns for 64 bytes", *(["cycles", HERE, "reached / bound"] if here else [])]
    rows = []
    for name, ns in kept["ns"].items():
        row = [name, f"{ns:.2f}"]
        if here:
            known = name in here
            row.append(f"{ns * ghz:.1f}" if known else "")
            row.append(_bound(here.get(name)))
            row.append(f"{ns * ghz / here[name][1]:.2f}" if known else "")
        rows.append([*row, *(_bound(kept["bounds"][cpu].get(name)) for cpu in others)])
    note = f"{kept['place']}; one thread but for memory."
    if here:
        note += (
            f" A nanosecond had {ghz:.2f} cycles. Bounds: instructions / cycles at least, by "
            f"{kept['bounds by']}, of the loops that LLVM makes for each processor."
        )
    elif "bounds" in kept:
        note += " No bounds of the ports: they want llvm-mca (Debian: apt-get install llvm)."
    return "\n\n".join([report.markdown([*head, *others], rows), note])


def _bound(bound: Any) -> str:
    return "{:.1f} / {:.1f}".format(*bound) if bound else ""


def bounds_table(found: dict[str, tuple[float, float]]) -> str:
    """Return what the bounds cost as Markdown."""
    rows = [[name, *(f"{value:.2f}" for value in pair)] for name, pair in found.items()]
    head = ["what a bound needs", "ns for 64 bytes", "without"]
    return "\n\n".join([report.markdown(head, rows), f"{machine.place()}; one thread."])


def publish(kept: Json, path: Path = KEPT) -> str:
    """Keep this processor's figures with the others'; return all tables, this one's first."""
    name = machine.slug(kept["place"].split("; ")[1])
    every = {name: kept}
    if path.exists():
        every |= {k: v for k, v in json.loads(path.read_text("utf-8")).items() if k != name}
    path.write_text(json.dumps(every, indent=1) + "\n", "utf-8")
    return "\n\n".join(f"**{processor}**\n\n{table(each)}" for processor, each in every.items())


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    PAGE.write_text(fill(PAGE.read_text("utf-8"), "costs", publish(look())), "utf-8")
    BOUNDS_PAGE.write_text(fill(BOUNDS_PAGE.read_text(), "bounds", bounds_table(measure_bounds())))
