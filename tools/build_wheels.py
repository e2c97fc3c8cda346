"""Build the sdist, the pure wheel and, on Linux x86-64, the wheel with prebuilt kernels.

    python tools/build_wheels.py dist/            all of them
    python tools/build_wheels.py dist/ --pure     without prebuilt kernels, which take minutes

The last wheel is the first one with a bundle for each level of processors and the tags of this
Python and platform: pip prefers it by itself. Machine code calls into Numba and Python, so a bundle
serves one version of both; any other passes it over and compiles.
"""

import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from fastloss_kernels.compiler.disk_cache import LEVELS

ROOT = Path(__file__).parents[1]
TAG = f"cp{sys.version_info.major}{sys.version_info.minor}"
PREBUILT = (
    "binary_crossentropy",
    "categorical_crossentropy",
    "probability_crossentropy_sparse",
    "softmax_crossentropy_sparse",
    "poisson",
    "kl_divergence",
)
"""What bundles hold, by names that `fastloss warmup` takes: the losses.

Smoothed labels, activations and second derivatives, which fewer programs need, would double the
size and the time to build."""
PLATFORM = "manylinux_2_17_x86_64"  # the code calls no C library


def run(*command: str | Path) -> None:
    """Run a module of this Python."""
    subprocess.run([sys.executable, "-m", *map(str, command)], cwd=ROOT, check=True)


def add_bundles(wheel: Path) -> None:
    """Write the wheel for this platform beside the pure one."""
    with tempfile.TemporaryDirectory() as scratch:
        run("wheel", "unpack", "--dest", scratch, wheel)
        (unpacked,) = Path(scratch).iterdir()
        prebuilt = unpacked / "fastloss_kernels/prebuilt"
        prebuilt.mkdir()
        for level in LEVELS:
            bundle = prebuilt / f"{level}.zip"
            run("fastloss", "warmup", *PREBUILT, "--quiet", "--export", bundle, "--target", level)
            print(f"{bundle.name}: {bundle.stat().st_size / 1e6:.1f} MB", flush=True)
        packed = Path(scratch, "packed")
        packed.mkdir()
        run("wheel", "pack", "--dest-dir", packed, unpacked)
        (whole,) = packed.iterdir()
        tags = ["--python-tag", TAG, "--abi-tag", TAG, "--platform-tag", PLATFORM]
        run("wheel", "tags", *tags, "--remove", whole)
        (tagged,) = packed.iterdir()
        tagged.replace(wheel.parent / tagged.name)


def main(directory: Path, pure_alone: bool) -> None:
    """Fill a directory that has no wheel yet."""
    run("build", "--quiet", "--outdir", directory)
    (pure,) = directory.glob("*-none-any.whl")
    if not pure_alone and (platform.system(), platform.machine()) == ("Linux", "x86_64"):
        add_bundles(pure)
    for wheel in sorted(directory.glob("*.whl")):
        print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), "--pure" in sys.argv[2:])
