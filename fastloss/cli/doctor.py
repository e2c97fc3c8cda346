"""Facts for a bug report: versions, processor, threads and the cache of compiled code."""

from __future__ import annotations

import platform
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numba
from fastloss_kernels.compiler import cache_files
from fastloss_kernels.compiler.disk_cache import targets
from numba.core.registry import cpu_target

from fastloss import __version__

SIMD = ("neon", "sve", "sse4.2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512dq", "avx512vl")
EXTRAS = {
    "cli": ("typer", "rich"),
    "half": ("ml_dtypes",),
    "parquet, csv": ("pyarrow",),
    "zarr": ("zarr",),
    "plot": ("matplotlib",),
    "dask": ("dask", "distributed"),
}

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
    """Describe every place where compiled kernels are sought, in that order."""
    candidates = tuple(cache_files.directories(cache_files.ROOT))
    written = cache_files.writable_directory(candidates)
    readable = cache_files.readable_directories(candidates)
    places = {str(path): _directory(path, path in readable) for path in candidates}
    for place in cache_files.bundle_directories():
        bundles = cache_files.bundles_in(place)
        places |= {str(path): _bundle(path) for path in bundles}
        if not bundles:
            places[str(place)] = "no bundles" if place.is_dir() else "not there"
    return {
        "written to": None if written is None else str(written),
        "levels": [level for _, level, _ in targets(cpu_target.target_context.codegen())][1:],
        **places,
    }


def _directory(path: Path, read: bool) -> str:
    if not path.is_dir():
        return "not there"
    files = list(path.glob("*.nbc"))
    size = sum(file.stat().st_size for file in files)
    unread = "" if read else "; not read, as this user writes to another directory"
    return f"{len(files)} kernels, {size:,} bytes{unread}"


def _bundle(path: Path) -> str:
    """Return how many kernels a bundle holds; other versions' or processors' count too."""
    try:
        with zipfile.ZipFile(path) as archive:
            return f"bundle of {len(archive.namelist())} kernels, {path.stat().st_size:,} bytes"
    except (OSError, zipfile.BadZipFile) as error:
        return f"not readable: {error}"


def _installed_version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
