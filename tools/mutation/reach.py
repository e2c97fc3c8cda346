"""Which test reaches which line, and how long each takes."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import coverage
import pytest

from tools.mutation.mutants import ROOT, Mutant
from tools.mutation.trials import OPTIONS, forget

SLOW = 1.0
"""Tests that take more seconds than that, as plain Python with coverage, are left out."""
BUDGET = 15.0
"""Seconds of tests that a mutant has to survive."""

COLLECTING = "collecting"

Reach = dict[str, dict[int, list[str]]]


class _Contexts:
    """A plugin of pytest that tells coverage which test is running, and notes what passed."""

    def __init__(self, measured: coverage.Coverage) -> None:
        self.measured = measured
        self.seconds: dict[str, float] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Name the test."""
        forget()
        self.measured.switch_context(item.nodeid)
        return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note how long a test took that passed."""
        if report.when == "call" and report.passed:
            self.seconds[report.nodeid] = report.duration


class Tests:
    """The tests that pass, as plain Python, with what they reach."""

    def __init__(self, files: list[str]) -> None:
        sources = [str(ROOT / "fastloss"), str(ROOT / "kernels")]
        measured = coverage.Coverage(data_file=None, source=sources, messages=False)
        plugin = _Contexts(measured)
        measured.start()
        import fastloss  # noqa: F401 - in a context of its own: ""

        measured.switch_context(COLLECTING)
        pytest.main([*OPTIONS, *files], plugins=[plugin])
        measured.stop()
        self.seconds = {test: s for test, s in plugin.seconds.items() if s <= SLOW}
        data = measured.get_data()
        self.reach: Reach = {
            Path(file).relative_to(ROOT).as_posix(): data.contexts_by_lineno(file)
            for file in data.measured_files()
        }

    def loads(self, mutant: Mutant) -> bool:
        """Return whether what is changed runs while modules are loaded."""
        lines = self.reach.get(mutant.path, {})
        first, last = mutant.lines
        return not mutant.function or any("" in lines.get(k, ()) for k in range(first, last + 1))

    def of(self, mutant: Mutant) -> tuple[list[str], float]:
        """Return the tests to run against a mutant, in order, and the seconds they take.

        Those that reach the statement; or, where it is no function's, anything in the module, and
        those that are called after it. From every test function the fastest case comes first, then
        the second fastest of each ...
        """
        lines = self.reach.get(mutant.path, {})
        first, last = mutant.lines if mutant.function else (1, max(lines, default=1))
        reaching = {
            test
            for line, tests in lines.items()
            if first <= line <= last
            for test in tests
            if test in self.seconds
        }
        if not mutant.function:  # what looks at a class runs no line of it
            namesake = f"/test_{Path(mutant.path).stem}"
            reaching |= {t for t in self.seconds if namesake in t.partition("::")[0]}
        cases: defaultdict[str, list[str]] = defaultdict(list)
        for test in sorted(reaching, key=self.seconds.__getitem__):
            cases[test.partition("[")[0]].append(test)
        turns = sorted(
            (turn, self.seconds[test], test)
            for tests in cases.values()
            for turn, test in enumerate(tests)
        )
        chosen, total = list[str](), 0.0
        for _, seconds, test in turns:
            if total + seconds <= BUDGET:
                chosen.append(test)
                total += seconds
        return chosen, total
