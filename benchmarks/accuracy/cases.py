"""The losses that are measured: those of the shared table, and binary ones with changed targets."""

from dataclasses import replace

import numpy as np

import fastloss as fl
from benchmarks.cases import CASES as SHARED

#: A smoothing that no float is, and a weight that every float is: 0.1 and nearly 2.7.
SMOOTHING, WEIGHT = 0.1, float(np.float32(2.7))
CHANGED = "_changed"  # ends the name of a case with smoothing and pos_weight

CASES = (
    *SHARED,
    *(
        replace(
            case,
            name=case.name + CHANGED,
            options={**case.options, "label_smoothing": SMOOTHING, "pos_weight": [WEIGHT]},
        )
        for case in SHARED
        if case.function is fl.binary_crossentropy
    ),
)
