# %% [markdown]
"""Train a softmax regression on handwritten digits with an optimizer written by hand.

The model is `logits = pixels @ weight + bias`. fastloss gives the loss and d loss / d logits in
one pass, in place of the logits themselves (`out=logits`): the training loop allocates no array
of that size. The chain rule for the two parameters and the optimizer are four lines of NumPy.

The objective is the one scikit-learn's LogisticRegression minimises by default, so the two must
classify the held-out images equally well. Runs without scikit-learn: its figure is stored.

    python examples/train_digits.py
"""

# %%
import json
from importlib.util import find_spec

import numpy as np
from digits.make_digits import HERE, load_split, sklearn_accuracy

import fastloss as fl

STEPS, RATE, MOMENTUM = 400, 2.0, 0.95
(pixels, labels), (test_pixels, test_labels) = load_split()
rows, classes = len(pixels), labels.max() + 1

# %% [markdown]
# One array holds both parameters, the bias last: the optimizer then has a single line of each.
# scikit-learn's `C=1` is half the sum of squared weights, against the sum of the losses.

# %%
loss = fl.SparseCategoricalCrossentropy(from_logits=True)
inputs = np.column_stack([pixels, np.ones(rows, np.float32)])
params = np.zeros((inputs.shape[1], classes), np.float32)
decay = np.full((inputs.shape[1], 1), 1 / rows, np.float32)
decay[-1] = 0
velocity = np.zeros_like(params)
logits = np.empty((rows, classes), np.float32)

values = []
for step in range(STEPS):  # Nesterov's accelerated gradient descent
    ahead = params + MOMENTUM * velocity
    np.matmul(inputs, ahead, out=logits)
    value, grad = loss.value_and_grad(labels, logits, out=logits)  # grad is logits
    velocity = MOMENTUM * velocity - RATE * (inputs.T @ grad + decay * ahead)
    params += velocity
    values.append(value)
    if step % 100 == 0 or step == STEPS - 1:
        print(f"step {step:3d}   loss {value:.4f}")
weight, bias = params[:-1], params[-1]

# %%
try:
    theirs, source = sklearn_accuracy(), "computed now"
except ImportError:
    made = json.loads((HERE / "made.json").read_text(encoding="utf-8"))
    theirs = made["LogisticRegression test accuracy"]
    source = f"stored; version {made['scikit-learn']}, {made['date']}"
ours = float(np.mean((test_pixels @ weight + bias).argmax(axis=1) == test_labels))
print(f"accuracy on {len(test_labels)} held-out images")
print(f"  fastloss and the loop above       {ours:.4f}")
print(f"  scikit-learn LogisticRegression   {theirs:.4f}   ({source})")
assert ours >= theirs, "the accuracy is below scikit-learn's"

# %%
if find_spec("matplotlib"):
    import matplotlib.pyplot as plt

    plt.loglog(np.arange(1, STEPS + 1), values)
    plt.xlabel("step")
    plt.ylabel("training loss")
    plt.show()
