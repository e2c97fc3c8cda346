"""The Hessian of a row's loss in mpmath, written from the formulas; and errors in its terms."""

import numpy as np
from mpmath import mp, mpf

import fastloss as fl

mp.prec = 1500  # 1 - p of a confident row has few of them
EPS = 1e-7


def numbers(values):
    return [mpf(float(v)) for v in values]


def row_hessian(fn, t, x, *, from_logits=False, smoothing=0.0, weights=None):
    """Return (f, c, g): the Hessian of one row is diag(f) - c g g^T.

    `t` is a label or a row of targets; `weights` are those of the classes. Predictions are clipped
    in their own dtype.
    """
    kind, n = x.dtype.type, len(x)
    low, high = mpf(float(kind(EPS))), mpf(float(kind(1 - EPS)))
    if fn is fl.sparse_categorical_crossentropy:
        t = np.eye(n)[t]
    x, t = numbers(x), numbers(t)
    w, s = numbers(np.ones(n) if weights is None else np.broadcast_to(weights, n)), mpf(smoothing)
    zeros = [mpf(0)] * n
    if fn is fl.poisson and from_logits:  # log rates
        return [mp.exp(b) / n for b in x], 0, zeros
    if fn is fl.poisson:
        eps = mpf(float(kind(EPS)))
        return [a / (b + eps) ** 2 / n for a, b in zip(t, x, strict=True)], 0, zeros
    if fn is fl.kl_divergence:
        u = [min(max(a, low), mpf(1)) for a in t]
        return [a / b**2 if low <= b <= 1 else mpf(0) for a, b in zip(u, x, strict=True)], 0, zeros
    if fn is fl.binary_crossentropy:
        found = []
        for a, b, weight in zip(t, x, w, strict=True):
            yes = a * (1 - s) + s / 2
            v, u = weight * yes, 1 - yes
            if from_logits:
                e = mp.exp(-abs(b))
                found.append((v + u) * e / (1 + e) ** 2 / n)
            else:
                found.append((v / b**2 + u / (1 - b) ** 2) / n if low <= b <= high else mpf(0))
        return found, 0, zeros
    t = [weight * (a * (1 - s) + s / n) for a, weight in zip(t, w, strict=True)]
    if from_logits:
        e = [mp.exp(b - max(x)) for b in x]
        p, total = [b / sum(e) for b in e], sum(t)
        return [total * b for b in p], total, p
    total = sum(x)
    t = [a if low <= b / total <= high else mpf(0) for a, b in zip(t, x, strict=True)]
    return [a / b**2 for a, b in zip(t, x, strict=True)], sum(t) / total**2, [mpf(1)] * n


def diagonal(f, c, g):
    """Return the diagonal, and the sum of the sizes of both terms of each element."""
    both = [(a, c * b * b) for a, b in zip(f, g, strict=True)]
    return [a - b for a, b in both], [abs(a) + abs(b) for a, b in both]


def products(f, c, g, vector):
    """Return the product with a vector, and for each element the sum of the sizes of its terms.

    The terms are those of the Hessian's elements, so T p_j (1 - p_j) is one, but t_j / x_j^2 and
    T / S^2 are two.
    """
    v, (own, both) = numbers(vector), diagonal(f, c, g)
    dot = sum(b * u for b, u in zip(g, v, strict=True))
    right = [a * u - c * b * dot for a, b, u in zip(f, g, v, strict=True)]
    first = both if len(set(g)) == 1 else own
    sizes = []
    for j, size in enumerate(first):
        others = sum(
            abs(c * g[j] * b * u) for i, (b, u) in enumerate(zip(g, v, strict=True)) if i != j
        )
        sizes.append(abs(size * v[j]) + others)
    return right, sizes


def ulps(computed, right, sizes):
    """Return the largest error in units of the last place of `sizes`."""
    tiny = np.finfo(computed.dtype).tiny
    worst = 0.0
    for a, b, size in zip(computed.ravel(), right, sizes, strict=True):
        place = np.spacing(computed.dtype.type(max(abs(float(size)), tiny)))
        worst = max(worst, float(abs(mpf(float(a)) - b) / mpf(float(place))))
    return worst
