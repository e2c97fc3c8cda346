"""What runs in each tree: `python -m against.worker`, started by `trees`; prints lines of JSON."""

import argparse
import hashlib
import json
import os
import resource
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import fastloss_kernels
import numpy as np

import fastloss

from . import facade, kernelcalls, laps
from .inputs import Array
from .kernelcases import LOSSES, Case, draws_of, kernel_cases
from .speedcases import Work

Results = dict[str, Array]
Call = Callable[[], Results]


def calls(only: list[str]) -> Iterator[tuple[str, Call]]:
    """Yield the name of each case that holds all of `only`, and what runs it."""
    kernels = ((case.name, partial(kernelcalls.call, case)) for case in kernel_cases())
    users = ((case.name, partial(facade.call, case)) for case in facade.facade_cases())
    for name, run in (*kernels, *users):
        if all(part in name for part in only):
            yield name, run


def canonical(array: Array) -> Array:
    """Return the array in C order, every NaN the same."""
    found = np.array(array, order="C")
    if found.dtype.kind == "f":
        found[np.isnan(found)] = np.nan
    return found


def digest(array: Array) -> str:
    """Return the SHA-256 of dtype, shape and elements; NaNs are alike, zeros have their signs."""
    found = canonical(array)
    whole = hashlib.sha256(f"{found.dtype.str} {found.shape}".encode())
    if found.size:
        whole.update(found.tobytes())
    return whole.hexdigest()


def attempt(run: Call) -> Results:
    """Return the results, or the error in their place."""
    try:
        return run()
    except Exception as error:
        return {"error": np.array(f"{type(error).__name__}: {error}")}


def bits(only: list[str]) -> None:
    """Print the digests of all cases."""
    for name, run in calls(only):
        say(name=name, digests={what: digest(array) for what, array in attempt(run).items()})


def dump(names: list[str], directory: Path) -> None:
    """Save the results of the named cases, in a file each."""
    known = dict(calls([]))
    for k, name in enumerate(names):
        results = attempt(known[name]) if name in known else {}
        arrays: dict[str, Any] = {what: canonical(array) for what, array in results.items()}
        np.savez(directory / f"{k}.npz", **arrays)


def first_call(given: dict[str, Any]) -> None:
    """Print the processor seconds of a kernel's first call, all threads together."""
    loss, shape = given["loss"], (given["rows"], given["classes"], 1)
    kind = draws_of(LOSSES[loss])[0]
    case = Case(loss, "float32", given["form"], shape, kind, threads=given["threads"])
    run = kernelcalls.prepared(case)
    before = resource.getrusage(resource.RUSAGE_SELF)
    run()
    after = resource.getrusage(resource.RUSAGE_SELF)
    say(seconds=after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def time_calls() -> None:
    """Prepare and time what the lines of standard input ask for; answer each with a line."""
    timed = laps.Laps()
    for line in sys.stdin:
        asked = json.loads(line)
        if "prepare" in asked:
            part, loss, dtype, shape, axis, view = asked["prepare"]
            timed.prepare(Work(part, loss, dtype, tuple(shape), axis, view))
            say(found=None)
        else:
            say(found=timed.lap(asked["form"], asked["threads"]))


def say(**found: Any) -> None:
    """Print one line, at once."""
    print(json.dumps(found), flush=True)


def check_tree(tree: Path) -> None:
    """Raise unless both packages come from this tree; an installed one must not win."""
    for module in (fastloss, fastloss_kernels):
        if not Path(str(module.__file__)).resolve().is_relative_to(tree.resolve()):
            raise RuntimeError(f"{module.__name__} is {module.__file__}, not that of {tree}")


def main() -> None:
    """Do what the parent process asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=("bits", "dump", "compile", "speed"))
    parser.add_argument("tree", type=Path)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--first", type=json.loads)
    parser.add_argument("--directory", type=Path, default=Path(os.curdir))
    given = parser.parse_args()
    check_tree(given.tree)
    tasks: dict[str, Callable[[], None]] = {
        "bits": lambda: bits(given.only),
        "dump": lambda: dump(json.load(sys.stdin), given.directory),
        "compile": lambda: first_call(given.first),
        "speed": time_calls,
    }
    tasks[given.task]()


if __name__ == "__main__":
    main()
