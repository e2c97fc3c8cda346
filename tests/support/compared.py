"""A comparison with peers as benchmarks/compare.py returns it, with made-up times."""

import json


def laps(**milliseconds):
    return {name: {"seconds": t / 1e3, "cores": 2.0} for name, t in milliseconds.items()}


def cell(form, *, part="table", classes=1000, dtype="float32", limit=True, **peer):
    times = {"fastloss": 4.0, **peer}
    if limit:
        times["limit"] = 3.0
    return {
        "part": part, "case": "sparse_logits", "rows": 32000 // classes * 1000, "classes": classes,
        "dtype": dtype, "form": form, "bytes": 256_000_000,
        "fresh": laps(**{name: 2 * t for name, t in times.items()}), "reused": laps(**times),
    }  # fmt: skip


def comparison():
    """Return a comparison of us with torch, where JAX took part but was left out everywhere."""
    forms = ("value", "value_and_grad")
    table = [cell(form, torch=30.0) for form in forms]
    table += [cell(form, classes=10, limit=False, torch=0.03) for form in forms]
    table += [cell(form, dtype="float64", torch=60.0) for form in forms]
    for double in table[-2:]:
        del double["fresh"]
    plotted = [cell(form, part="plot", classes=c, torch=30.0) for form in forms for c in (2, 1000)]
    text = json.dumps(
        {
            "date": "2026-01-02", "commit": "v9", "rounds": 7, "threads": 2, "heap_kept": True,
            "budget": 4.0, "fewest_rounds": 3, "rest": 0.02, "agree": 1.1, "attempts": 3,
            "machine": {
                "processor": "Some CPU (znver9)", "simd": [], "system": "Linux x86_64", "load": 0.1,
                "threading_layer": "omp",
                "versions": {"fastloss": "1.0", "numba": "0.68.1", "torch": "2.13.0"},
            },
            "contestants": [
                {"name": name, "value": "v", "gradient": "g", "threads": "t"}
                for name in ("fastloss", "fastloss in place", "torch", "JAX jit")
            ],
            "cells": table + plotted,
            "left_out": [
                {"contestant": "JAX jit", "work": "table sparse_logits", "why": "Mismatch: value 0"}
            ],
        }
    )  # fmt: skip
    return json.loads(text)
