"""What is timed: the batches of docs/performance.md.

The shapes stand here as well as in `compare`, `axes` and `views`: whatever becomes of those, both
trees are timed on the same.
"""

import platform
from pathlib import Path
from typing import NamedTuple

import llvmlite.binding

from .kernelcases import LOSSES

SHAPES = (
    (32_768, 1_000),
    (1_024, 32_000),
    (256, 128_256),
    (600_000, 33),
    (2_000_000, 10),
    (4_000_000, 3),
    (32, 10),
)
EVERY_LOSS = (SHAPES[0], SHAPES[-1])  # the shapes of the losses but the first
AXES = {(16, 21, 256, 256): 1, (4, 150, 128, 128): 1, (64, 1000, 500): 1, (1000, 32768): 0}
VIEWS = {
    "x[:, :-1]": (32, 129, 5000),
    "x[:, :1000]": (32768, 1024),
    "x[::2]": (131072, 257),
    "x[:, :33]": (500_000, 40),
    "x[:, :10]": (1_000_000, 16),
    "x.transpose(0, 2, 3, 1)": (16, 21, 256, 256),
}
NO_AXIS = ("poisson", "kl_divergence")  # the classes lie last: the matrix is transposed instead


class Work(NamedTuple):
    """A batch. Each gives four cells: value, and value and gradient, on one thread and on two."""

    part: str
    loss: str
    dtype: str
    shape: tuple[int, ...]
    """Of the array that `view` is taken from."""
    axis: int = -1
    view: str = "x"

    @property
    def name(self) -> str:
        """Return what --only looks in."""
        lies = f"{'x'.join(map(str, self.shape))}/{self.view}"
        return f"{self.part}/{self.loss}/{self.dtype}/{lies}/axis {self.axis}"


def works() -> list[Work]:
    """Return the batches of all three tables."""
    found = [
        Work("table", loss, dtype, shape)
        for loss in LOSSES
        for shape in (SHAPES if loss == "sparse_logits" else EVERY_LOSS)
        for dtype in ("float32", "float64")
    ]
    for loss in LOSSES:
        for shape, axis in AXES.items():
            if loss not in NO_AXIS:
                found.append(Work("axes", loss, "float32", shape, axis))
            elif len(shape) == 2:
                found.append(Work("axes", loss, "float32", shape, -1, "x.T"))
    found += [
        Work("views", loss, "float32", whole, -1, view)
        for loss in LOSSES
        for view, whole in VIEWS.items()
    ]
    return found


def processor() -> str:
    """Return the processor's name as sold, where the system tells it, and as LLVM calls it."""
    name, information = platform.processor() or platform.machine(), Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
    return f"{name} ({llvmlite.binding.get_host_cpu_name()})"
