"""Facts for a bug report: versions, processor, threads and the cache of compiled code."""

from __future__ import annotations

import platform
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

import fastloss_kernels as kernels
import llvmlite.binding as llvm
import numba

from fastloss import __version__

SIMD = ("neon", "sve", "sse4.2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512dq", "avx512vl")
EXTRAS = {"cli": ("typer", "rich"), "half": ("ml_dtypes",)}

Section = dict[str, Any]


def examine() -> dict[str, Section]:
    """Return the facts about this machine and installation, by section, as JSON values."""
    return {
        "versions": {
            "fastloss": __version__,
            "python": f"{platform.python_version()} ({platform.python_implementation()})",
            **{name: metadata.version(name) for name in ("numpy", "numba", "llvmlite")},
        },
        "processor": _processor(),
        "threads": _threads(),
        "cache": _cache(),
        "extras": {
            f"{name} ({extra})": _installed_version(name)
            for extra, names in EXTRAS.items()
            for name in names
        },
    }


def _processor() -> Section:
    features = llvm.get_host_cpu_features()
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "name": llvm.get_host_cpu_name(),
        "simd": [name for name in SIMD if features.get(name)],
    }


def _threads() -> Section:
    """Start the threads: Numba does not choose a threading layer before."""
    config: Any = numba.config

    @numba.njit(parallel=True)
    def start_threads(count: int) -> int:
        started = 0
        for _ in numba.prange(count):
            started += 1
        return started

    try:
        start_threads(numba.get_num_threads())
        layer: str = numba.threading_layer()  # type: ignore[attr-defined]
    except ValueError as error:
        layer = f"none: {error}"
    return {
        "used": numba.get_num_threads(),
        "available": config.NUMBA_NUM_THREADS,
        "layer": layer,
        "compiled": not config.DISABLE_JIT,
    }


def _cache() -> Section:
    """Describe the directory of compiled kernels; None if Numba has found no writable one."""
    stats = getattr(kernels.poisson, "stats", None)  # all kernels share a directory
    path = getattr(stats, "cache_path", None)
    if path is None:
        return {"directory": None, "writable": False, "files": 0, "bytes": 0}
    directory = Path(path)
    sizes = [file.stat().st_size for file in directory.glob("*.nb[ci]")]
    return {
        "directory": str(directory),
        "writable": _writable(directory),
        "files": len(sizes),
        "bytes": sum(sizes),
    }


def _writable(directory: Path) -> bool:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            return True
    except OSError:
        return False


def _installed_version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
