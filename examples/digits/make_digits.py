"""Make the files of this folder from scikit-learn's 1,797 handwritten digits.

`logits.npy` holds out-of-fold logits: each image is scored by a multinomial logistic
regression that was fitted on the other folds only, so the losses and the accuracy computed
from them are those of unseen images. Run it with scikit-learn installed:

    python examples/digits/make_digits.py
"""

import datetime
import json
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent


def load_split() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return ((pixels, labels) to train on, (pixels, labels) to test on); pixels are in 0 ... 1.

    Every fourth image is a test image. Needs NumPy only.
    """
    pixels = np.load(HERE / "images.npy").astype(np.float32) / 16
    labels = np.load(HERE / "labels.npy")
    test = np.arange(labels.size) % 4 == 3
    return (pixels[~test], labels[~test]), (pixels[test], labels[test])


def sklearn_accuracy() -> float:
    """Return the test accuracy of scikit-learn's LogisticRegression, solved to convergence."""
    from sklearn.linear_model import LogisticRegression

    train, test = load_split()
    return float(LogisticRegression(tol=1e-8, max_iter=10_000).fit(*train).score(*test))


def main() -> None:
    """Write images.npy, labels.npy, logits.npy and made.json."""
    import sklearn
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    pixels, labels = load_digits(return_X_y=True)
    logits = cross_val_predict(
        LogisticRegression(max_iter=1000),
        pixels / 16,
        labels,
        cv=StratifiedKFold(10, shuffle=True, random_state=0),
        method="decision_function",
    )
    np.save(HERE / "images.npy", pixels.astype(np.uint8))
    np.save(HERE / "labels.npy", labels.astype(np.uint8))
    np.save(HERE / "logits.npy", logits.astype(np.float32))
    made = {
        "date": datetime.date.today().isoformat(),
        "numpy": np.__version__,
        "scikit-learn": sklearn.__version__,
        "out-of-fold accuracy": float(np.mean(logits.argmax(axis=1) == labels)),
        "LogisticRegression test accuracy": sklearn_accuracy(),
    }
    (HERE / "made.json").write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(made, indent=2))


if __name__ == "__main__":
    main()
