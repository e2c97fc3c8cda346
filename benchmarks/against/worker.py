"""What runs in each tree: `python -m against.worker`, started by `trees`; prints lines of JSON."""

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import fastloss
import fastloss_kernels
import numpy as np

from .inputs import Array
from .kernelcalls import Results, call
from .kernelcases import kernel_cases

Call = Callable[[], Results]


def calls(only: list[str]) -> Iterator[tuple[str, Call]]:
    """Yield the name of each case that holds all of `only`, and what runs it."""
    for case in kernel_cases():
        if all(part in case.name for part in only):
            yield case.name, partial(call, case)


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
    whole.update(memoryview(found.reshape(-1)).cast("B") if found.size else b"")
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
        np.savez(directory / f"{k}.npz", **{what: canonical(a) for what, a in results.items()})  # type: ignore[arg-type]


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
    parser.add_argument("task", choices=("bits", "dump"))
    parser.add_argument("tree", type=Path)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--directory", type=Path, default=Path(os.curdir))
    given = parser.parse_args()
    check_tree(given.tree)
    if given.task == "bits":
        bits(given.only)
    else:
        dump(json.load(sys.stdin), given.directory)


if __name__ == "__main__":
    main()
