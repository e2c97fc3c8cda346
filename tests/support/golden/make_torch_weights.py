"""Write torch_weights.json: torch's values and gradients with class weights and pos_weight.

Run by hand with `pip install torch`; the tests read only what it wrote. The gradient is that of
the sum of the value with respect to the scores. torch averages binary crossentropy over nothing
when asked for "none"; the mean over the last axis is taken here, as Keras does. What torch calls
"mean" stands under the name the same quantity has in Keras.
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F

WEIGHT = [0.5, 2.0, 1.25, 0.0, 3.0]


def numbers(tensor):
    dtype = str(tensor.dtype).removeprefix("torch.")
    data = tensor.detach().ravel().tolist()
    return {"shape": list(tensor.shape), "dtype": dtype, "data": data}


def case(name, function, options, reduction, y_true, y_pred, value):
    """Store the value of `value(y_pred)` and the gradient of its sum."""
    scores = y_pred.clone().requires_grad_()
    result = value(scores)
    (gradient,) = torch.autograd.grad(result.sum(), scores)
    return {
        "id": name,
        "function": function,
        "options": options,
        "reduction": reduction,
        "y_true": numbers(y_true),
        "y_pred": numbers(y_pred),
        "expected": numbers(result),
        "expected_grad": numbers(gradient),
    }


def sparse(generator):
    weight = torch.tensor(WEIGHT, dtype=torch.float64)
    names = {"none": None, "sum": "sum", "mean": "mean_with_sample_weight"}
    for shape in ((6, 5), (3, 5, 4)):
        x = 3 * torch.randn(shape, generator=generator, dtype=torch.float64)
        y = torch.randint(0, 5, (shape[0], *shape[2:]), generator=generator)
        for ignored in (None, 1):
            for theirs, ours in names.items():
                extra = {} if ignored is None else {"ignore_index": ignored}
                yield case(
                    f"sparse-{len(shape)}d-{theirs}" + ("" if ignored is None else "-ignored"),
                    "sparse_categorical_crossentropy",
                    {"class_weight": WEIGHT, "ignore_class": ignored, "axis": 1},
                    ours, y, x,
                    lambda s, y=y, extra=extra, theirs=theirs: F.cross_entropy(
                        s, y, weight=weight, reduction=theirs, **extra
                    ),
                )  # fmt: skip


def dense(generator):
    weight = torch.tensor(WEIGHT, dtype=torch.float64)
    names = {"none": None, "sum": "sum", "mean": "sum_over_batch_size"}
    x = 3 * torch.randn((6, 5), generator=generator, dtype=torch.float64)
    y = torch.softmax(torch.randn((6, 5), generator=generator, dtype=torch.float64), 1)
    for smoothing in (0.0, 0.2):
        for theirs, ours in names.items():
            yield case(
                f"dense-{theirs}-smoothing-{smoothing}",
                "categorical_crossentropy",
                {"class_weight": WEIGHT, "label_smoothing": smoothing},
                ours, y, x,
                lambda s, theirs=theirs, smoothing=smoothing: F.cross_entropy(
                    s, y, weight=weight, reduction=theirs, label_smoothing=smoothing
                ),
            )  # fmt: skip


def binary(generator):
    weight = torch.tensor(WEIGHT, dtype=torch.float64)
    x = 3 * torch.randn((6, 5), generator=generator, dtype=torch.float64)
    hard = torch.randint(0, 2, (6, 5), generator=generator).double()
    soft = torch.rand((6, 5), generator=generator, dtype=torch.float64)

    def rows(scores, y):
        losses = F.binary_cross_entropy_with_logits(scores, y, pos_weight=weight, reduction="none")
        return losses.mean(-1)

    for kind, y in (("hard", hard), ("soft", soft)):
        for ours, reduce in ((None, lambda v: v), ("sum_over_batch_size", torch.mean)):
            yield case(
                f"binary-{kind}-{ours}",
                "binary_crossentropy",
                {"pos_weight": WEIGHT},
                ours, y, x,
                lambda s, y=y, reduce=reduce: reduce(rows(s, y)),
            )  # fmt: skip


def main():
    generator = torch.Generator().manual_seed(20)
    cases = [*sparse(generator), *dense(generator), *binary(generator)]
    about = f"weighted crossentropies from logits, torch {torch.__version__}"
    text = json.dumps({"about": about, "cases": cases}, separators=(",", ":"))
    Path(__file__).with_name("torch_weights.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
