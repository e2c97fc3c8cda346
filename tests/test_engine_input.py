"""What the engine checks itself: labels before the first store, and the number of axes.

Everything else `run` believes: its docstring says that arrays and kernel must fit together.
"""

import fastloss_kernels as kernels
import numpy as np
import pytest

SPARSE = [
    (kernels.softmax_crossentropy_sparse, ()),
    (kernels.probability_crossentropy_sparse, (1e-7,)),
]
STRAY = [-(2**63), -(2**32), -(2**31), -100, -1, 5, 6, 127, 255, 2**31, 2**32, 2**32 + 1, 2**63 - 1]
every_kernel = pytest.mark.parametrize(("kernel", "numbers"), SPARSE, ids=["logits", "shares"])
one, every = np.ones(1), np.ones(1, bool)


@every_kernel
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("label", STRAY)
@pytest.mark.parametrize("row", [0, 3, 39])
def test_the_first_stray_label_is_returned_and_nothing_written(kernel, numbers, dtype, label, row):
    x = np.random.default_rng(0).random((40, 5, 1)).astype(dtype)
    labels = np.arange(40) % 5
    labels[row] = labels[-1] = label
    loss, grad = np.full(40, 7, dtype), np.full_like(x, 7)
    before = x.copy()
    for gradient in (grad, None, x):
        bad = kernels.run(kernel, x, labels, *numbers, one, every, loss, gradient)
        assert bad == row
        assert (loss == 7).all()
    assert (grad == 7).all()
    np.testing.assert_array_equal(x, before)
    keep = np.arange(40) != row
    keep[-1] = False
    assert kernels.run(kernel, x, labels, *numbers, one, keep, loss, grad) == -1
    assert loss[row] == 0
    assert not grad[row].any()
    assert (loss[keep] != 7).all()


@every_kernel
@pytest.mark.parametrize("shape", [(), (40,), (40, 5), (40, 5, 1, 1)])
def test_predictions_and_gradients_have_three_axes(kernel, numbers, shape):
    good, odd = np.ones((40, 5, 1)), np.ones(shape)
    labels, loss = np.arange(40) % 5, np.empty(40)
    for x, grad in ((odd, None), (odd, odd), (good, odd)):
        with pytest.raises(ValueError, match="x and grad must have the three axes"):
            kernels.run(kernel, x, labels, *numbers, one, every, loss, grad)
