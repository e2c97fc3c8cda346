"""Block by block gives what the loss gives at once, whatever the blocks and wherever the data."""

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastloss as fl
from fastloss.arguments.alignment import align
from fastloss.arguments.layout import layout_for
from fastloss.formats.errors import FileError
from fastloss.formats.registry import open_array
from fastloss.out_of_core import evaluation, row_statistics
from fastloss.out_of_core.evaluation import evaluate_in_blocks
from fastloss.out_of_core.lazy_view import LazyView
from fastloss.out_of_core.row_statistics import QUANTILE_ERROR, RowStatistics

REDUCTIONS = [None, "sum", "mean", "mean_with_sample_weight"]
RNG = np.random.default_rng(11)
LOGITS = RNG.normal(size=(6, 5, 7))
LABELS = RNG.integers(0, 7, (6, 5))
WEIGHTS = RNG.uniform(0.1, 2.0, (6, 5)) * (RNG.random((6, 5)) < 0.8)
MASK = RNG.random((6, 5)) < 0.7
SHARES = np.exp(LOGITS) / np.exp(LOGITS).sum(-1, keepdims=True)
SOFT = np.roll(SHARES, 1, axis=0)
BITS = (RNG.random((6, 5, 7)) < 0.5).astype(float)
CLASS_WEIGHTS = RNG.uniform(0.5, 2.0, 7)

SPARSE, DENSE, BINARY = (
    fl.SparseCategoricalCrossentropy,
    fl.CategoricalCrossentropy,
    fl.BinaryCrossentropy,
)
CASES: dict[str, tuple[Any, dict[str, Any], Any, Any]] = {
    "sparse": (SPARSE, {"from_logits": True, "ignore_class": 3}, LABELS, LOGITS),
    "sparse, weighted classes": (SPARSE, {"class_weight": CLASS_WEIGHTS}, LABELS, SHARES),
    "sparse, class axis first": (SPARSE, {"axis": 0}, LABELS, np.moveaxis(SHARES, -1, 0).copy()),
    "sparse, class axis amid": (SPARSE, {"axis": 1}, LABELS[:, None], np.moveaxis(SHARES, -1, 1)),
    "dense": (DENSE, {"label_smoothing": 0.1, "class_weight": CLASS_WEIGHTS}, SOFT, SHARES),
    "dense, class axis amid": (DENSE, {"axis": 1, "from_logits": True}, SOFT, LOGITS),
    "binary": (BINARY, {"from_logits": True, "pos_weight": 2.0}, BITS, LOGITS),
    "binary, two axes": (BINARY, {"axis": (0, 2)}, BITS, SHARES),
    "poisson": (fl.Poisson, {}, BITS[:1], SHARES),
    "kl": (fl.KLDivergence, {}, SOFT[0, 0], SHARES),
}


def fitting(value: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return `value`, or as much of it as weighs samples."""
    return value if rows.shape == value.shape else value[: len(rows), 0]


@pytest.fixture
def _small_first_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "BLOCK_ROWS", 4)


@pytest.mark.usefixtures("_small_first_pass")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("weighted", ["", "weights", "mask", "weights and mask"])
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", CASES)
def test_blocks_give_what_one_call_gives(
    tmp_path: Path, name: str, reduction: str | None, weighted: str, dtype: str
) -> None:
    cls, options, y_true, y_pred = CASES[name]
    loss = cls(**options, reduction=reduction)
    y_pred = y_pred.astype(dtype)
    rows = np.asarray(cls(**options, reduction=None)(y_true, y_pred))
    weights = fitting(WEIGHTS, rows) if "weights" in weighted else None
    mask = fitting(MASK, rows) if "mask" in weighted else None
    value, grad = loss.value_and_grad(y_true, y_pred, weights, mask)
    unit = np.finfo(dtype).eps
    close = {"rtol": 10 * unit, "atol": unit}
    found = [
        evaluate_in_blocks(
            loss,
            y_true,
            y_pred,
            weights,
            mask,
            block_rows=size,
            rows_out=tmp_path / f"rows{size}.npy",
            grad_out=tmp_path / f"grad{size}.npy",
        )
        for size in (1, 4, 1000)
    ]
    for summary, size in zip(found, (1, 4, 1000), strict=True):
        if reduction is None:
            assert summary.value is None
        else:
            np.testing.assert_allclose(summary.value, value, **close)
        written = np.load(tmp_path / f"grad{size}.npy")
        assert written.dtype == grad.dtype
        np.testing.assert_allclose(written, grad, **close)
        assert summary.counts.rows == rows.size
        for kind in ("rows", "grad"):  # the same bits, whatever the blocks
            one, other = tmp_path / f"{kind}{size}.npy", tmp_path / f"{kind}1.npy"
            assert one.read_bytes() == other.read_bytes()
    if not weighted and "weighted" not in name:
        np.testing.assert_array_equal(np.load(tmp_path / "rows4.npy"), rows)


def test_summary_of_known_numbers() -> None:
    logits = np.log([[1, 3], [3, 1], [1, 3], [1, 1], [7, 1]])
    labels = [1, 1, 0, 5, 9]
    ignored, masked, weights = 5, [True, True, True, True, False], [1.0, 2.0, 0.0, 4.0, 8.0]
    loss = SPARSE(from_logits=True, ignore_class=ignored, reduction="mean_with_sample_weight")
    summary = evaluate_in_blocks(
        loss, np.array(labels), logits, np.array(weights), np.array(masked), worst=9
    )
    counts, losses = summary.counts, summary.losses
    assert (counts.rows, counts.ignored, counts.masked) == (5, 1, 1)
    assert (counts.weight, counts.divisor) == (3.0, 3.0)
    assert summary.value == pytest.approx((np.log(4 / 3) + 2 * np.log(4)) / 3, rel=1e-15)
    assert (losses.count, losses.nan_rows) == (2, 0)
    assert losses.mean == pytest.approx((np.log(4 / 3) + np.log(4)) / 2, rel=1e-15)
    assert [row for row, _ in losses.worst()] == [1, 0]
    assert (losses.maximum, losses.minimum) == tuple(value for _, value in losses.worst())
    assert summary.accuracy == pytest.approx(1 / 3)  # by weight
    assert summary.bytes == logits.nbytes + 5 * (8 + 8 + 1)


@pytest.mark.parametrize("reduction", REDUCTIONS[1:])
def test_value_is_that_of_an_accumulator(reduction: str) -> None:
    loss = SPARSE(reduction=reduction, ignore_class=3, class_weight=CLASS_WEIGHTS)
    seen = fl.Accumulator(loss)
    seen.update_state(LABELS, SHARES, WEIGHTS, MASK)
    for size in (1, 2, 7, 1000):
        found = evaluate_in_blocks(loss, LABELS, SHARES, WEIGHTS, MASK, block_rows=size)
        np.testing.assert_array_max_ulp(found.value, seen.result(), 1)
        np.testing.assert_array_max_ulp(found.counts.weight, seen.weight_sum, 1)
        assert found.counts.seen.count == seen.count


@pytest.mark.parametrize(
    ("loss", "y_true", "y_pred", "share"),
    [
        (SPARSE(), [1, 0, 1, 1], [[0.1, 0.9], [0.8, 0.2], [0.9, 0.1], [0.4, 0.6]], 0.75),
        (DENSE(), [[0, 1], [1, 0]], [[0.1, 0.9], [0.2, 0.8]], 0.5),
        (BINARY(), [[0, 1], [1, 0]], [[0.4, 0.6], [0.4, 0.3]], 0.75),
        (BINARY(from_logits=True), [[0, 1], [1, 0]], [[-0.1, 0.4], [0.4, -9]], 1.0),
        (fl.Poisson(), [[0, 1]], [[0.4, 0.6]], None),
        (fl.KLDivergence(), [[0, 1]], [[0.4, 0.6]], None),
    ],
)
def test_accuracy(loss: fl.Loss, y_true: Any, y_pred: Any, share: float | None) -> None:
    assert evaluate_in_blocks(loss, np.array(y_true), np.array(y_pred)).accuracy == share


@pytest.mark.parametrize("mapped", [True, False])
@pytest.mark.parametrize(
    ("dtype", "order"), [("<f4", "C"), ("<f4", "F"), (">f4", "C"), ("<f8", "F"), ("<f2", "C")]
)
def test_files_give_what_arrays_give(tmp_path: Path, dtype: str, order: Any, mapped: bool) -> None:
    y_pred = np.asarray(LOGITS, dtype, order=order)
    y_true = np.asarray(LABELS, ">i2")
    weights = np.asarray(WEIGHTS[:, 0], ">f8")
    loss = SPARSE(from_logits=True)
    for name, array in (("x", y_pred), ("y", y_true), ("w", weights)):
        np.save(tmp_path / f"{name}.npy", array)
    with (
        open_array(str(tmp_path / "x.npy"), mapped=mapped) as x,
        open_array(str(tmp_path / "y.npy"), mapped=mapped) as y,
        open_array(str(tmp_path / "w.npy"), mapped=mapped) as w,
    ):
        grad_out = tmp_path / "g.npy"
        found = evaluate_in_blocks(loss, y, x, w, block_rows=4, grad_out=grad_out)
    value, grad = loss.value_and_grad(y_true, y_pred, weights)
    np.testing.assert_allclose(found.value, value, rtol=1e-6)
    np.testing.assert_allclose(np.load(grad_out), grad, rtol=1e-6)
    assert found.dtype == grad.dtype.name


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_dtype_of_the_results(tmp_path: Path, dtype: str) -> None:
    loss = SPARSE(from_logits=True, dtype=dtype)
    found = evaluate_in_blocks(loss, LABELS, LOGITS, grad_out=tmp_path / "g.npy", block_rows=4)
    value, grad = loss.value_and_grad(LABELS, LOGITS)
    assert found.dtype == np.load(tmp_path / "g.npy").dtype == grad.dtype
    assert found.value == pytest.approx(float(value), rel=1e-14)


def test_ranks_are_repaired_as_the_classes_do(tmp_path: Path) -> None:
    probabilities, bits = SHARES[0, :, 0], BITS[0, :, 0]
    for y_true, y_pred in ((bits[:, None], probabilities), (bits, probabilities[:, None])):
        found = evaluate_in_blocks(
            BINARY(), y_true, y_pred, block_rows=2, grad_out=tmp_path / "g.npy"
        )
        value, grad = BINARY().value_and_grad(y_true, y_pred)
        assert found.shape == (5,)
        assert found.value == pytest.approx(float(value), rel=1e-14)
        np.testing.assert_allclose(np.load(tmp_path / "g.npy"), grad, rtol=1e-14)
    assert evaluate_in_blocks(BINARY(), bits, probabilities).shape == ()  # rank 1 is one row


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", [(0, 3), (4, 0, 3)])
def test_nothing_to_evaluate(tmp_path: Path, shape: tuple[int, ...], reduction: Any) -> None:
    loss = SPARSE(reduction=reduction)
    y_true, y_pred = np.zeros(shape[:-1], int), np.zeros(shape)
    grad_out = tmp_path / "g.npy"
    found = evaluate_in_blocks(loss, y_true, y_pred, worst=3, grad_out=grad_out)
    assert found.value == (None if reduction is None else 0.0)
    assert np.load(grad_out).shape == shape
    assert found.losses.count == 0
    assert found.losses.worst() == []
    assert np.isnan(found.losses.quantiles((0.5,))[0])
    assert found.accuracy is None


def test_divisor_zero_gives_zero_and_gradient_zero(tmp_path: Path) -> None:
    y_pred = np.array([[0.3, 0.7], [np.nan, 0.5]])
    found = evaluate_in_blocks(
        SPARSE(reduction="mean_with_sample_weight"),
        np.array([0, 1]),
        y_pred,
        np.array([1.0, -1.0]),
        grad_out=tmp_path / "g.npy",
    )
    assert found.value == 0.0
    assert not np.load(tmp_path / "g.npy").any()


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_bad_label_is_named_by_its_row_in_the_file(tmp_path: Path, size: int) -> None:
    labels = np.arange(30).reshape(6, 5) % 7
    labels[4, 2] = 11
    with pytest.raises(ValueError, match=r"\[0, 7\).* got 11 at row 22, index \(4, 2\)"):
        evaluate_in_blocks(SPARSE(), labels, SHARES, block_rows=size, grad_out=tmp_path / "g.npy")
    assert not list(tmp_path.iterdir())
    mask = labels != 11
    assert (
        evaluate_in_blocks(SPARSE(), labels, SHARES, mask=mask, block_rows=size).counts.masked == 1
    )
    assert evaluate_in_blocks(SPARSE(ignore_class=11), labels, SHARES).counts.ignored == 1


@pytest.mark.parametrize(
    ("y_true", "y_pred", "axis", "words"),
    [
        (7, LOGITS[0, 0], -1, r"got 7 at row 0$"),
        ([[0, 9, 1]], LOGITS[0, :, :3], 0, r"got 9 at row 1$"),
        ([0, 9, 1], LOGITS[0, :3], -1, r"got 9 at row 1, in .*y\.npy$"),
    ],
)
def test_bad_label_is_named_by_its_file(
    tmp_path: Path, y_true: Any, y_pred: np.ndarray, axis: int, words: str
) -> None:
    np.save(tmp_path / "y.npy", y_true)
    with open_array(str(tmp_path / "y.npy")) as y, pytest.raises(ValueError, match=words):
        evaluate_in_blocks(SPARSE(from_logits=True, axis=axis), y, y_pred)


@pytest.mark.parametrize(
    ("loss", "y_true", "options", "words"),
    [
        (SPARSE(), LABELS[:5], {}, r"got \(5, 5\) and \(6, 5, 7\)"),
        (DENSE(), SOFT[:5], {}, r"same shape.*\(5, 5, 7\) and \(6, 5, 7\)"),
        (fl.Poisson(), SOFT[:5], {}, r"\(5, 5, 7\) and \(6, 5, 7\)"),
        (SPARSE(axis=3), LABELS, {}, "axis must lie in"),
        (SPARSE(), LABELS, {"sample_weight": np.ones(4)}, r"sample_weight must fit"),
        (SPARSE(), LABELS, {"mask": np.ones(4)}, r"mask must fit"),
        (SPARSE(class_weight=[1, 2]), LABELS, {}, "class_weight"),
        (SPARSE(), LABELS, {"block_rows": 0}, "block_rows must be at least 1"),
    ],
)
def test_bad_input_raises(loss: fl.Loss, y_true: Any, options: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        evaluate_in_blocks(loss, y_true, SHARES, **options)


def test_file_cut_short_in_the_middle(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((1000, 7)))

    def cut(done: int) -> None:
        (tmp_path / "x.npy").write_bytes(b"")

    outputs = {"rows_out": tmp_path / "r.npy", "grad_out": tmp_path / "g.npy"}
    with (
        open_array(str(tmp_path / "x.npy"), mapped=False) as y_pred,
        pytest.raises(FileError, match=r"x\.npy"),
    ):
        evaluate_in_blocks(
            SPARSE(), np.zeros(1000, int), y_pred, block_rows=10, progress=cut, **outputs
        )
    assert [path.name for path in tmp_path.iterdir()] == ["x.npy"]


def test_memory_does_not_grow_with_the_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "BLOCK_BYTES", 1 << 16)
    monkeypatch.setattr(evaluation, "BLOCK_ROWS", 1 << 10)
    monkeypatch.setattr(row_statistics, "EXACT_ROWS", 1 << 10)
    peaks = []
    for rows in (4_000, 40_000):
        for name, array in (
            ("x", np.ones((rows, 64), "f4")),
            ("y", np.zeros(rows, "i8")),
            ("w", np.ones(rows)),
        ):
            np.save(tmp_path / f"{name}.npy", array)
        with (
            open_array(str(tmp_path / "x.npy"), mapped=False) as x,
            open_array(str(tmp_path / "y.npy"), mapped=False) as y,
            open_array(str(tmp_path / "w.npy"), mapped=False) as w,
        ):
            loss = SPARSE()
            evaluate_in_blocks(loss, y, x, w, worst=5, grad_out=tmp_path / "g.npy")  # compiled
            tracemalloc.start()
            evaluate_in_blocks(loss, y, x, w, worst=5, grad_out=tmp_path / "g.npy")
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[1] < 1.05 * peaks[0]
    assert np.load(tmp_path / "g.npy").nbytes > 64 * 4 * 39_000


@pytest.mark.parametrize(
    ("weights", "shape"),
    [(WEIGHTS, (6, 5)), (WEIGHTS[:, 0], (6, 5)), (WEIGHTS[0], (6, 5)), (WEIGHTS[:, :1], (6, 5))],
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_lazy_view_shows_what_the_operation_gives(
    weights: np.ndarray, shape: tuple[int, int], order: Any
) -> None:
    weights = np.asarray(weights, order=order)
    alignment = align(layout_for((*shape, 7), -1), False, weights.shape)
    view = LazyView(weights, lambda array: alignment.broadcast("sample_weight", array))
    whole = alignment.broadcast("sample_weight", weights)
    for i, j in np.ndindex(shape):
        chunk = (slice(i // 2, i + 1), slice(j // 2, j + 1))
        np.testing.assert_array_equal(view[chunk], whole[chunk])


def fed(values: np.ndarray, block: int, worst: int = 0) -> RowStatistics:
    statistics = RowStatistics(worst)
    for start in range(0, values.size, block):
        part = values[start : start + block]
        statistics.add(np.arange(start, start + part.size), part)
    return statistics


@pytest.mark.parametrize("scale", [1e-30, 1.0, -1.0, 1e30])
def test_quantiles_of_many_rows_are_within_their_error(
    monkeypatch: pytest.MonkeyPatch, scale: float
) -> None:
    values = RNG.exponential(size=20_000).astype("f4") * np.float32(scale)
    levels = (0.0, 0.01, 0.5, 0.99, 1.0)
    exact = np.quantile(values, levels, method="lower")
    assert fed(values, 300).exact
    np.testing.assert_array_equal(fed(values, 300).quantiles(levels), exact)
    monkeypatch.setattr(row_statistics, "EXACT_ROWS", 1000)
    folded = fed(values, 300)
    assert not folded.exact
    np.testing.assert_allclose(folded.quantiles(levels), exact, rtol=QUANTILE_ERROR)
    shuffled = RNG.permutation(values)
    assert fed(shuffled, 300).quantiles(levels) == fed(values, 700).quantiles(levels)


def test_infinite_and_missing_losses(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.array([1.0, np.inf, np.nan, -np.inf, 2.0, np.inf, np.nan, 0.0])
    for limit in (1000, 3):
        monkeypatch.setattr(row_statistics, "EXACT_ROWS", limit)
        statistics = fed(values, 2, worst=5)
        assert (statistics.count, statistics.nan_rows) == (6, 2)
        assert (statistics.minimum, statistics.maximum) == (-np.inf, np.inf)
        assert np.isnan(statistics.mean)
        assert statistics.quantiles((0.0, 0.5, 1.0)) == [-np.inf, 1.0, np.inf]
        assert [row for row, _ in statistics.worst()] == [1, 2, 5, 6, 4]


def test_worst_rows_do_not_depend_on_the_blocks() -> None:
    values = RNG.integers(0, 5, 200).astype(float)  # many are alike: the first of them come first
    order = np.lexsort((np.arange(200), -values))[:12]
    for block in (1, 7, 200):
        assert [row for row, _ in fed(values, block, worst=12).worst()] == order.tolist()


class Counted:
    """An array that counts the elements that are read."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.shape, self.dtype, self.read = array, array.shape, array.dtype, 0

    def __getitem__(self, chunk: Any) -> np.ndarray:
        found = self.array[chunk]
        self.read += found.size
        return found


def test_what_is_as_large_as_the_predictions_is_read_once() -> None:
    """And its first row once more, with which kernels are compiled."""
    targets, predictions = Counted(SOFT), Counted(SHARES)
    evaluate_in_blocks(DENSE(), targets, predictions, WEIGHTS, block_rows=4)
    assert targets.read == predictions.read == SHARES.size + SHARES.shape[-1]
