"""The elementary functions against mpmath and float64: ulp, edges, and the plain Python bodies."""

import mpmath
import numpy as np
import pytest
from fastloss_kernels.elementary.exp import exp, exp_in_range, exp_nonpositive, exp_scaled
from fastloss_kernels.elementary.log import log, log1p, log1p_01, log_double_word
from fastloss_kernels.elementary.log_ratio import log1p_ratio
from numba import njit

EVERYWHERE = {"exp": exp, "log": log, "log1p": log1p}
LIMIT = 1.0  # ulp, as the docstrings promise


def compiled(function, x):
    out = np.empty_like(x)
    if function is exp:
        return _exp(x, out)
    return _log(x, out) if function is log else _log1p(x, out)


@njit
def _exp(x, out):
    for i in range(x.size):
        out[i] = exp(x[i])
    return out


@njit
def _log(x, out):
    for i in range(x.size):
        out[i] = log(x[i])
    return out


@njit
def _log1p(x, out):
    for i in range(x.size):
        out[i] = log1p(x[i])
    return out


@njit
def _scaled(x, k, out):
    for i in range(x.size):
        out[i, 0], out[i, 1] = exp_scaled(x[i], k), exp_in_range(x[i])


@njit
def _falling(x, out):
    for i in range(x.size):
        out[i] = exp_nonpositive(x[i])


@njit
def _unit(x, out):
    for i in range(x.size):
        out[i] = log1p_01(x[i])


@njit
def _pair(u, c, out):
    for i in range(u.size):
        out[i] = log_double_word(u[i], c[i])


@njit
def _quotient(a, b, like, out):
    for i in range(a.size):
        out[i] = log1p_ratio(a[i], b[i], like)


def bit_patterns(dtype, count=200_000):
    """Return floats of every sign, exponent and kind: a walk over the bit patterns."""
    width = np.dtype(dtype).itemsize
    step = 2 ** (8 * width) // count
    integers = np.arange(count, dtype=np.uint64) * np.uint64(step) + np.uint64(step // 3)
    return integers.astype(f"u{width}").view(dtype)


def ulps(computed, truth, dtype):
    """Return the error in units of the last place of the correctly rounded result."""
    return np.abs(computed.astype(np.float64) - truth) / np.spacing(np.abs(truth.astype(dtype)))


@pytest.mark.parametrize("name", EVERYWHERE)
def test_float32_over_bit_patterns(name):
    near = np.random.default_rng(0).uniform(-1, 3, 200_000).astype(np.float32)
    x = np.concatenate([bit_patterns(np.float32), near, np.float32([0, -0.0, 1, -1, np.inf])])
    with np.errstate(all="ignore"):
        truth = getattr(np, name)(x.astype(np.float64))
        rounded = truth.astype(np.float32)
        got = compiled(EVERYWHERE[name], x)
        finite = np.isfinite(rounded)
        assert finite.mean() > 0.2
        np.testing.assert_array_equal(got[~finite], rounded[~finite])
        worst = ulps(got[finite], truth[finite], np.float32).max()
    assert 0.5 <= worst < LIMIT


@pytest.mark.parametrize("name", EVERYWHERE)
def test_float64_against_mpmath(name):
    rng = np.random.default_rng(1)
    wide = rng.uniform(-700, 700, 3000)
    x = wide if name == "exp" else np.concatenate([np.exp(wide), rng.uniform(0.4, 2, 3000)])
    if name == "log1p":
        x = np.concatenate([x[x > 1e-200], rng.uniform(-0.999, 2, 3000), -np.exp(wide[wide < -1])])
    got = compiled(EVERYWHERE[name], x)
    with mpmath.workdps(40):
        for value, computed in zip(x, got, strict=True):
            truth = getattr(mpmath, name)(mpmath.mpf(float(value)))
            ulp = float(np.spacing(abs(float(truth))))
            assert abs(mpmath.mpf(float(computed)) - truth) < LIMIT * ulp, value


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_powers_of_two_are_exact(dtype):
    """e^x 2^-k is e^x with another exponent, while both are normal numbers."""
    x = np.random.default_rng(2).uniform(-40, 40, 1000).astype(dtype)
    out = np.empty((x.size, 2), dtype)
    for k in (-20, 0, 24):
        _scaled(x, k, out)
        np.testing.assert_array_equal(out[:, 0], np.ldexp(out[:, 1], -k))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scaled_edges(dtype):
    x = np.array([-np.inf, -1e30, -2000, np.nan], dtype)
    out = np.empty((x.size, 2), dtype)
    _scaled(x, -60, out)
    np.testing.assert_array_equal(out[:, 0], np.array([0, 0, 0, np.nan], dtype))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_log_double_word_near_one(dtype):
    """What a division lost is taken in: the logarithm of the quotient has all its digits."""
    rng = np.random.default_rng(3)
    p = rng.uniform(1e-7, 1, 2000).astype(dtype)
    u = (p * (1 + rng.uniform(-1e-3, 1e-3, p.size))).astype(dtype)
    u[:500] = rng.uniform(1e-7, 1, 500)
    q, out = u / p, np.empty_like(p)
    with mpmath.workdps(40):
        exact = [mpmath.mpf(float(a)) / mpmath.mpf(float(b)) for a, b in zip(u, p, strict=True)]
        lost = [float(e - mpmath.mpf(float(v))) for e, v in zip(exact, q, strict=True)]
        _pair(q, np.array(lost).astype(dtype), out)
        for quotient, computed in zip(exact, out, strict=True):
            truth = mpmath.log(quotient)
            ulp = float(np.spacing(dtype(abs(float(truth)))))
            assert abs(mpmath.mpf(float(computed)) - truth) < 1.5 * ulp


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["exp_nonpositive", "log1p_01"])
def test_restricted_domains(name, dtype):
    rng = np.random.default_rng(4)
    low = -90 if dtype is np.float32 else -740
    x = rng.uniform(low, 0, 3000)
    x = x if name == "exp_nonpositive" else np.exp(x)
    edges = [0, -0.0, low, -np.inf, np.nan] if name == "exp_nonpositive" else [0, 0.5, 1, np.nan]
    x = np.concatenate([x, edges]).astype(dtype)
    out = np.empty_like(x)
    (_falling if name == "exp_nonpositive" else _unit)(x, out)
    function = mpmath.exp if name == "exp_nonpositive" else mpmath.log1p
    with mpmath.workdps(40):
        for value, computed in zip(x, out, strict=True):
            if np.isnan(value):
                assert np.isnan(computed)
                continue
            truth = function(mpmath.mpf(float(value)))
            ulp = float(np.spacing(dtype(float(truth))))
            assert abs(mpmath.mpf(float(computed)) - truth) < LIMIT * ulp, value


@pytest.mark.parametrize(("dtype", "bound"), [(np.float32, 2.0**-32), (np.float64, 2.0**-51)])
def test_log1p_of_a_quotient_without_the_quotient(dtype, bound):
    """Of any two sizes, one of them nothing beside the other, and a + b around 2^n sqrt(1/2) b."""
    rng = np.random.default_rng(5)
    b = np.exp(rng.uniform(-80, 120, 4000))
    a = b * np.exp(rng.uniform(-60, 200, b.size))
    a[:2000] = b[:2000] * (2.0 ** rng.integers(1, 4, 2000) * rng.uniform(0.66, 0.76, 2000) - 1)
    a[:5] = 0, 5e-324, 1e-300, b[3], b[4] * (1 - 2.0**-53)
    out = np.empty_like(a)
    _quotient(a, b, np.empty(0, dtype), out)
    with mpmath.workdps(40):
        for above, below, computed in zip(a, b, out, strict=True):
            truth = mpmath.log1p(mpmath.mpf(above) / mpmath.mpf(below))
            error = abs(mpmath.mpf(computed) - truth)
            assert error <= max(bound * truth, mpmath.mpf(5e-324)), (above, below)


def test_a_float32_denominator_is_widened():
    """Short rows give the label's exponential so: in float32 its bits would mean another number."""
    rng = np.random.default_rng(6)
    a, b = rng.uniform(0, 9, (2, 1000))
    out, same, like = np.empty_like(a), np.empty_like(a), np.empty(0, np.float32)
    _quotient(a, b.astype(np.float32), like, out)
    _quotient(a, b.astype(np.float32).astype(np.float64), like, same)
    np.testing.assert_array_equal(out, same)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_infinities_and_nan(dtype):
    special = np.array([np.inf, -np.inf, np.nan, 0], dtype)
    expected = {
        "exp": [np.inf, 0, np.nan, 1],
        "log": [np.inf, np.nan, np.nan, -np.inf],
        "log1p": [np.inf, np.nan, np.nan, 0],
    }
    for name, values in expected.items():
        np.testing.assert_array_equal(compiled(EVERYWHERE[name], special), np.array(values, dtype))
