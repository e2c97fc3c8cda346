"""An installation of the engine with a kernel so small that it compiles in a fraction of a second.

How kernels are cached does not depend on what they compute.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import fastloss_kernels

KERNEL = """
from fastloss_kernels.compiler.jit import cached
from fastloss_kernels.compiler.linking import call, part_arguments
from fastloss_kernels.loops.kernel import kernel
from fastloss_kernels.tiny_helper import answer

@cached
def tiny_part(first, last, x, targets, options, scale, keep, loss, grad):
    loss[0] = answer(x[0, 0, 0])
    return -1

@kernel(tiny_part, tiny_part, tiny_part)
def tiny(x, targets, scale, keep, loss, grad, threads):
    arguments = part_arguments((x, targets, (), scale, keep, loss, grad))
    return call(tiny_part, (0, 1, *arguments))

@cached
def twin_part(first, last, x, targets, options, scale, keep, loss, grad):
    loss[0] = -answer(x[0, 0, 0])
    return -1

@kernel(twin_part, twin_part, twin_part)
def twin(x, targets, scale, keep, loss, grad, threads):
    pass
"""
HELPER = """
from fastloss_kernels.compiler.jit import block

@block
def answer(x):
    return 2.0 * x + 40.0
"""
CALL = """
import numpy as np
from fastloss_kernels import run, tiny
from fastloss_kernels.compiler import disk_cache

disk_cache.WAIT = float("inf")  # a slow machine would be told that compiling took long

def call(dtype="float64", name="tiny"):
    kernel, loss = getattr(tiny, name), np.zeros(1, dtype)
    x = np.ones((1, 1, 1), dtype)
    run(kernel, x, x, np.ones(1), np.ones(1, bool), loss, None)
    stats = kernel.parts.rows.stats
    return f"{loss[0]} {sum(stats.cache_hits.values())} {sum(stats.cache_misses.values())}"
"""
PROGRAM = CALL + "print(call())"
COMPILED, LOADED = "42.0 0 1\n", "42.0 1 0\n"


def install(folder):
    """Return an installation of the engine with the small kernel in it."""
    source = Path(fastloss_kernels.__file__).parent
    target = folder / "site" / source.name
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    (target / "tiny.py").write_text(KERNEL)
    (target / "tiny_helper.py").write_text(HELPER)
    return target


def start(site, program=PROGRAM, *arguments, **settings):
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program, *map(str, arguments)],
        env={**environment, "PYTHONPATH": str(site.parent), **settings},
        cwd=site.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(site, program=PROGRAM, *arguments, **settings):
    """Return what a process prints that asks for the kernel: the loss, cache hits and misses."""
    with start(site, program, *arguments, **settings) as process:
        out, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors[-2000:]
    assert not errors
    return out


def cached(site, name="tiny"):
    """Return the files in which the machine code of a kernel is."""
    return sorted((site / "__pycache__").glob(f"*.{name}_part.*.nb?"))
