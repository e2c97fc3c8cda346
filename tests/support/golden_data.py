"""The stored reference cases: values and gradients that the systems of the five losses gave."""

import json
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

import fastloss as fl

FOLDER = Path(__file__).parent / "golden"
FUNCTIONS = {
    "BinaryCrossentropy": fl.binary_crossentropy,
    "CategoricalCrossentropy": fl.categorical_crossentropy,
    "SparseCategoricalCrossentropy": fl.sparse_categorical_crossentropy,
    "Poisson": fl.poisson,
    "KLDivergence": fl.kl_divergence,
}


def load(name: str) -> list[dict[str, Any]]:
    return json.loads((FOLDER / name).read_text())["cases"]


def array(stored: dict[str, Any] | None) -> NDArray[Any] | None:
    """Return a stored array; the words nan, inf and -inf stand for themselves."""
    if stored is None:
        return None
    name = stored["dtype"]
    dtype = np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)
    numbers = [float(item) if isinstance(item, str) else item for item in stored["data"]]
    return np.array(numbers, dtype).reshape(stored["shape"])
