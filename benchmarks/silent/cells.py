"""One library on the inputs, in a process of its own, and the verdicts on what it printed.

    python -m benchmarks.silent.cells LIBRARY INPUT ...

prints a line of JSON for each input: the number and the first warning, or the error.
"""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from signal import Signals
from typing import Any

import numpy as np

from .inputs import BY_NAME, Input, crossentropy
from .libraries import LIBRARIES, Task

ROOT = Path(__file__).parents[2]
RIGHT, ERROR, DOCUMENTED, WARNED = "right", "error", "documented", "wrong, with a warning"
WRONG, CRASHED, NOT_OFFERED = "wrong", "crashed", "not offered"
CLOSE = 1e-5  # to a documented number, relative

EPSILON = float(np.finfo(np.float32).eps)
KERAS = -math.log(1e-7), "clipped to 1e-7"
KERAS_TOP = -math.log(float(np.float32(1 - 1e-7))), "clipped to 1 − 1e-7"
SKLEARN = -math.log(EPSILON), "clipped to float32's eps"
HALF = crossentropy([[2, 1, 0]], [0]) / 2  # the bad one of two rows counts as 0
#: What a library documents to return: (library, input) -> number and words. It counts only where
#: that number came.
DOCUMENTS = {
    ("fastloss", "probability_zero"): KERAS,
    ("fastloss", "probability_tiny"): KERAS,
    ("fastloss", "probability_above_one"): KERAS_TOP,
    ("torch", "probability_zero"): (100.0, "clamped at 100"),
    ("JAX", "label_out_of_range"): (HALF, "one_hot is all zeros"),
    ("JAX", "label_minus_one"): (HALF, "one_hot is all zeros"),
    ("Keras", "probability_zero"): KERAS,
    ("Keras", "probability_tiny"): KERAS,
    ("Keras", "probability_above_one"): KERAS_TOP,
    ("scikit-learn", "probability_zero"): SKLEARN,
    ("scikit-learn", "probability_tiny"): SKLEARN,
    ("scikit-learn", "confident"): (-math.log(1 - EPSILON), SKLEARN[1]),
}


@dataclass(frozen=True)
class Cell:
    """What one library made of one input."""

    library: str
    input: Input
    verdict: str
    printed: str  # the number, an error's first line or a signal
    warning: str = ""

    @property
    def word(self) -> str:
        """Return the verdict, and the number where it is not the right one."""
        if self.verdict == DOCUMENTED:
            return f"{self.verdict}: {DOCUMENTS[self.library, self.input.name][1]}"
        return f"{self.verdict}: {self.printed}" if self.verdict == WRONG else self.verdict


def installed() -> list[str]:
    """Return the libraries that can be asked."""
    return [name for name, (module, _) in LIBRARIES.items() if find_spec(module) is not None]


def run(library: str, names: Sequence[str]) -> Iterator[Cell]:
    """Yield the cell of each input: a process answers until it dies, a new one takes the rest."""
    while names:
        command = [sys.executable, "-m", "benchmarks.silent.cells", library, *names]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode > 0:
            raise RuntimeError(f"{library}:\n{done.stderr}")
        answers = [line for line in done.stdout.splitlines() if line.startswith("{")]
        for name, answer in zip(names, answers, strict=False):
            yield judge(library, BY_NAME[name], json.loads(answer))
        names = names[len(answers) :]
        if done.returncode < 0 and names:
            yield Cell(library, BY_NAME[names[0]], CRASHED, Signals(-done.returncode).name)
            names = names[1:]


def judge(library: str, entry: Input, answer: dict[str, Any]) -> Cell:
    """Return the verdict on what `ask` returned."""
    if not answer:
        return Cell(library, entry, NOT_OFFERED, "")
    if "error" in answer:
        return Cell(library, entry, ERROR, answer["error"])
    value, warning = float(answer["value"]), answer["warning"]
    known, _ = DOCUMENTS.get((library, entry.name), (math.nan, ""))
    if entry.accepts(value):
        verdict = RIGHT
    elif math.isclose(value, known, rel_tol=CLOSE):
        verdict = DOCUMENTED
    else:
        verdict = WARNED if warning else WRONG
    number = "NaN" if math.isnan(value) else f"{value + 0.0:.6g}"  # + 0.0: no negative zero
    return Cell(library, entry, verdict, number, warning)


def ask(task: Task | None, arguments: Sequence[Any]) -> dict[str, str]:
    """Return the value and the first warning, or the error; nothing if there is no such task."""
    if task is None:
        return {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            value = float(task(*arguments))
        except Exception as error:  # whatever a library raises is its answer
            return {"error": f"{type(error).__name__}: {_line(error)}"}
    return {"value": repr(value), "warning": _line(caught[0].message) if caught else ""}


def _line(message: Any) -> str:
    """Return the first line of an error or a warning, without XGBoost's time and source file."""
    text = re.sub(r"^\[[\d:]+\] \S+: ", "", str(message).strip())
    return text.partition("\n")[0]


def _answer(library: str, *names: str) -> None:
    """Print what the library makes of each input, a line each."""
    tasks = LIBRARIES[library][1]()
    for entry in (BY_NAME[name] for name in names):
        print(json.dumps(ask(tasks.get(entry.task), entry.arguments)), flush=True)


if __name__ == "__main__":
    _answer(*sys.argv[1:])
