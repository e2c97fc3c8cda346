"""Other libraries, each computing the shared cases as its users would, and as fast as it can.

Each module has a function `contestants` that imports its library; whoever only looks through these
modules needs none of them.
"""

from importlib import import_module
from importlib.util import find_spec

from ..contest import Contestant

# Module here -> what must be installed for it.
NEEDS = {
    "numpy_scipy": "scipy",
    "torch_autograd": "torch",
    "jax_jit": "jax",
    "scikit_learn": "sklearn",
}


def installed() -> list[Contestant]:
    """Return the contestants of every library that is installed."""
    return [
        contestant
        for module, package in NEEDS.items()
        if find_spec(package) is not None
        for contestant in import_module(f".{module}", __name__).contestants()
    ]
