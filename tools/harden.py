"""Run the tests that take too long for every day and write what came out into docs/hardening.md.

`make hardening` calls it. They are marked `hardening` in tests/; `make test` leaves them out.
"""

import subprocess
import sys
import tempfile
from collections import defaultdict
from datetime import date
from pathlib import Path
from xml.etree import ElementTree

from fastloss.cli.doctor import examine

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "hardening.md"
HEAD = """# What was tried at length

`make hardening` wrote this page: it runs the tests that take too long for `make test`.

| test | cases passed | failed | skipped | seconds |
|---|---|---|---|---|
"""


def main() -> None:
    """Run the tests, write the page, and exit as pytest did."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-m", "hardening", f"--junitxml={report}"]
        code = subprocess.run(command, cwd=ROOT, check=False).returncode
        if not report.exists():
            sys.exit(code)
        results = ElementTree.parse(report).getroot()
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(HEAD + _table(results) + _machine(), encoding="utf-8")
    sys.exit(code)


def _table(results: ElementTree.Element) -> str:
    """Return a line for each test function, and the reasons of what was skipped."""
    counts: defaultdict[str, list[float]] = defaultdict(lambda: [0, 0, 0, 0.0])
    reasons = set()
    for case in results.iter("testcase"):
        if not case.get("classname"):  # a module that skips itself before its tests are chosen from
            continue
        *folders, module = str(case.get("classname")).removeprefix("tests.").split(".")
        module = "/".join([*folders, module.removeprefix("test_")])
        name = str(case.get("name")).partition("[")[0].removeprefix("test_")
        line = counts[f"{module}: {name.replace('_', ' ')}"]
        skipped = case.find("skipped")
        failed = case.find("failure") is not None or case.find("error") is not None
        line[1 if failed else 0 if skipped is None else 2] += 1
        line[3] += float(case.get("time", 0))
        if skipped is not None:
            reasons.add(str(skipped.get("message")))
    lines = [
        f"| {name} | {passed:.0f} | {failed:.0f} | {skipped:.0f} | {seconds:.0f} |\n"
        for name, (passed, failed, skipped, seconds) in sorted(counts.items())
    ]
    return "".join([*lines, *(f"\nSkipped: {reason}.\n" for reason in sorted(reasons))])


def _machine() -> str:
    found = examine()
    names = ("fastloss", "python", "numpy", "numba")
    versions = ", ".join(f"{name} {found['versions'][name]}" for name in names)
    processor, threads = found["processor"], found["threads"]["available"]
    return (
        f"\nRun on {date.today()}: {versions}, {processor['system']} ({processor['name']}),"
        f" {threads} threads.\n"
    )


if __name__ == "__main__":
    main()
