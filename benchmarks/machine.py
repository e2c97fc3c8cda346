"""On what a comparison ran: processor, system and versions, for whoever reads a figure."""

import os
import platform
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
