"""On what a comparison ran: processor, system and versions, for whoever reads a figure."""

import os
import platform
import re
import subprocess
from collections.abc import Iterable
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any

import fastloss as fl
from fastloss.cli.doctor import examine


def describe(packages: Iterable[str]) -> dict[str, Any]:
    """Return processor, system and the version of each package that is installed."""
    found = examine()
    versions = {"python": platform.python_version(), "fastloss": fl.__version__}
    versions |= {name: metadata.version(name) for name in packages}
    return {
        "processor": f"{_model()} ({found['processor']['name']})",
        "simd": found["processor"]["simd"],
        "system": found["processor"]["system"],
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "threading_layer": found["threads"]["layer"],
        "versions": versions,
    }


def slug(processor: str) -> str:
    """Return a file's name for a processor as `describe` names it: LLVM's name, and the model's.

    >>> slug("AMD EPYC 7763 64-Core Processor (znver3)"), slug("AMD EPYC (znver3)")
    ('znver3-7763', 'znver3')
    """
    model, _, name = processor.rpartition(" (")
    numbers = re.findall(r"[\w-]*\d{3}[\w-]*", model)
    return "-".join([name.rstrip(")"), *numbers]).lower()


def commit() -> str:
    """Return the tag or the commit of this checkout, and whether it was changed; "" if unknown."""
    command = ["git", "describe", "--tags", "--always", "--dirty"]
    try:
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True)
    except OSError:
        return ""
    return done.stdout.strip()


def place() -> str:
    """Return date, processor and versions, for the line below a table."""
    found = describe(["numpy", "numba"])
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    return f"{date.today():%Y-%m-%d}; {found['processor']}; {versions}"


def _model() -> str:
    """Return the processor's name as sold, where the system tells it."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
