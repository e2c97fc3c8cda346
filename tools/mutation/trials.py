"""The tests, collected once and run against one mutant after the other, each in a forked child.

A mutant of a function gets its code into the function that is there already, so that the modules
and the tests need not be loaded again. What is no function's code is tried in a process of its own,
which loads the mutant in the module's place; so is what survives though it runs while modules load.
"""

import gc
import importlib
import importlib.abc
import importlib.util
import inspect
import json
import os
import resource
import signal
import subprocess
import sys
import types
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from typing import Any

import pytest

from tools.mutation.mutants import ROOT, Mutant

OPTIONS = ("-q", "-p", "no:cacheprovider", "--capture=no", "--tb=no")
MEMORY = 6 << 30
GRACE = 20.0  # seconds a mutant has beyond what its tests take: a loop without end ends there

Trial = tuple[Mutant, list[str], float]
"""A mutant, its tests in order, and the seconds they take."""

KILLED, SURVIVED, UNDECIDED = range(3)


class Quick:
    """A plugin of pytest that tries mutants instead of running the tests."""

    def __init__(self, work: Sequence[Trial]) -> None:
        self.work = work
        self.survivors: list[Mutant] = []
        self.undecided: list[Mutant] = []

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Try every mutant in a child."""
        items = {item.nodeid: item for item in session.items}
        gc.collect()
        gc.freeze()
        for number, (mutant, tests, seconds) in enumerate(self.work, start=1):
            child = os.fork()
            if child == 0:
                os._exit(_tried(mutant, [items[test] for test in tests], seconds))
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            if code == SURVIVED:
                self.survivors.append(mutant)
            elif code == UNDECIDED:
                self.undecided.append(mutant)
            if number % 50 == 0 or number == len(self.work):
                left = len(self.survivors) + len(self.undecided)
                print(f"{number} tried, {left} left", file=sys.stderr, flush=True)
        return True


def _tried(mutant: Mutant, items: list[pytest.Item], seconds: float) -> int:
    """Run the tests until one fails; for a child only, since nothing is put back."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    os.dup2(null, 2)
    _bound(seconds)
    try:
        if not _installed(mutant):
            return UNDECIDED
        for item, following in zip(items, [*items[1:], None], strict=True):
            item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
            if item.session.testsfailed:
                return KILLED
    except BaseException:
        return KILLED
    return SURVIVED


def _bound(seconds: float) -> None:
    """Let this process end when it takes more time or memory than any test needs."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.setitimer(signal.ITIMER_REAL, 3 * seconds + GRACE)


def _installed(mutant: Mutant) -> bool:
    """Give the mutant's function its new code; return whether that can be done."""
    function: Any = importlib.import_module(mutant.module)
    for name in mutant.function.split("."):
        function = inspect.getattr_static(function, name)
    function = getattr(function, "fget", None) or getattr(function, "__func__", function)
    function = inspect.unwrap(function)
    code = _code(compile(mutant.source, mutant.path, "exec"), mutant.function)
    if not isinstance(function, types.FunctionType) or code is None:
        return False
    if code.co_freevars != function.__code__.co_freevars:
        return False
    function.__code__ = code
    forget()
    return True


def forget() -> None:
    """Empty the caches of functions, behind which a test neither reaches nor notices anything."""
    for module in [m for name, m in sys.modules.items() if name.startswith("fastloss")]:
        for value in vars(module).values():
            if callable(getattr(value, "cache_clear", None)):
                value.cache_clear()


def _code(inside: types.CodeType, name: str) -> types.CodeType | None:
    for constant in inside.co_consts:
        if isinstance(constant, types.CodeType):
            if constant.co_qualname == name:
                return constant
            if name.startswith(constant.co_qualname + "."):
                return _code(constant, name)
    return None


def quick(work: Sequence[Trial]) -> tuple[list[Mutant], list[Mutant]]:
    """Return the mutants that survive their tests, and those that must be tried `alone`."""
    plugin = Quick(work)
    files = sorted({test.partition("::")[0] for _, tests, _ in work for test in tests})
    if files:
        pytest.main([*OPTIONS, *files], plugins=[plugin])
    return plugin.survivors, plugin.undecided


class Chosen:
    """A plugin of pytest that runs some of the tests, in a given order."""

    def __init__(self, tests: list[str]) -> None:
        self.tests = {test: position for position, test in enumerate(tests)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave only the chosen tests."""
        chosen = [item for item in items if item.nodeid in self.tests]
        items[:] = sorted(chosen, key=lambda item: self.tests[item.nodeid])


def alone(mutant: Mutant, tests: list[str], seconds: float) -> bool:
    """Return whether a mutant survives in a process of its own."""
    text = json.dumps([mutant.module, mutant.path, mutant.source, tests, seconds])
    command = [sys.executable, "-m", "tools.mutation.trials"]
    done = subprocess.run(
        command, input=text, text=True, capture_output=True, check=False, cwd=ROOT
    )
    return done.returncode == 0


class _Loader(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Finds one module, and loads it from a text."""

    def __init__(self, module: str, path: str, source: str) -> None:
        self.module, self.path, self.source = module, str(ROOT / path), source

    def find_spec(self, name: str, *_: Any) -> ModuleSpec | None:
        """Return where the module comes from, if it is the one."""
        if name != self.module:
            return None
        return importlib.util.spec_from_file_location(name, self.path, loader=self)

    def get_source(self, _: str) -> str:
        """Return the text."""
        return self.source


def main() -> int:
    """Try the mutant that stands on the standard input."""
    module, path, source, tests, seconds = json.load(sys.stdin)
    sys.meta_path.insert(0, _Loader(module, path, source))
    _bound(seconds)
    files = sorted({test.partition("::")[0] for test in tests})
    return int(pytest.main([*OPTIONS, "-x", *files], plugins=[Chosen(tests)]))


if __name__ == "__main__":
    sys.exit(main())
