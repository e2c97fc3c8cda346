"""Write onnx.json: the loss outputs of ONNX' own cases for SoftmaxCrossEntropyLoss.

Run by hand with `pip install onnx`; the tests read only what it wrote. Every case draws its scores
as ``RandomState(0).rand(*shape)``, so the shape stands for them here; this program checks that.
The cases that also ask for log probabilities repeat the others' losses and are left out.
"""

import json
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
from onnx import helper
from onnx.backend.test.case.node import collect_testcases


def stored(case):
    (node,) = (n for n in case.model.graph.node if n.op_type == "SoftmaxCrossEntropyLoss")
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    (inputs, outputs), *_ = case.data_sets
    scores, labels, *weights = inputs
    drawn = np.random.RandomState(0).rand(*scores.shape).astype(np.float32)
    np.testing.assert_array_equal(scores, drawn)
    return {
        "id": case.name,
        "shape": scores.shape,
        "labels": labels.ravel().tolist(),
        "class_weight": [float(str(w)) for w in weights[0]] if weights else None,
        "ignore_index": attributes.get("ignore_index"),
        "reduction": attributes["reduction"].decode(),
        "expected": [float(str(item)) for item in outputs[0].ravel()],
    }


def main():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the other operators' cases overflow on purpose
        found = [
            c for c in collect_testcases(None) if c.name.startswith("test_sce_") and c.data_sets
        ]
    cases = [stored(c) for c in found if "expanded" not in c.name and "log_prob" not in c.name]
    about = f"loss outputs of the SoftmaxCrossEntropyLoss cases of onnx {version('onnx')}"
    text = json.dumps({"about": about, "cases": cases}, separators=(",", ":"))
    Path(__file__).with_name("onnx.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
