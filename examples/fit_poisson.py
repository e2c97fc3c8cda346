# %% [markdown]
"""Fit a Poisson regression to 20,190 counts of doctor visits, and compare with statsmodels.

The data are the outpatient visits of the RAND Health Insurance Experiment, which ship with
statsmodels. The model is `rate = exp(x @ beta)`; SciPy's BFGS gets the value and the gradient of
the mean Poisson loss, of which fastloss gives the part d loss / d rate.

fastloss computes `rate - y * log(rate + 1e-7)`, as Keras does: the 1e-7 keeps a rate of zero
finite. It changes an observation's gradient by y * 1e-7 / rate at most, so the coefficients agree
with the exact maximum likelihood of statsmodels to six decimals here, not to sixteen.

    python examples/fit_poisson.py
"""

# %%
from importlib.util import find_spec

import numpy as np

import fastloss as fl

try:
    import statsmodels.api as sm
    from scipy.optimize import minimize
except ImportError as error:
    raise SystemExit(f"{error}; install: pip install scipy statsmodels") from None

TOLERANCE = 1e-6
data = sm.datasets.randhie.load_pandas()
frame = sm.add_constant(data.exog)
x, visits = frame.to_numpy(), data.endog.to_numpy(dtype=np.float64)
print(f"{len(visits):,} people-years, {visits.mean():.3f} visits each")

# %%
loss_and_grad = fl.value_and_grad(fl.poisson)


def objective(beta: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the mean Poisson loss and its gradient."""
    rate = np.exp(x @ beta)
    # A vector of predictions is one row: its loss is the mean over the observations.
    value, grad = loss_and_grad(visits, rate)
    return float(value), x.T @ (grad * rate)  # d rate / d beta = rate * x


start = np.zeros(x.shape[1])
start[0] = np.log(visits.mean())  # the constant alone
ours = minimize(objective, start, jac=True, method="BFGS", options={"gtol": 1e-9}).x

# %% [markdown]
# statsmodels must find the same coefficients.

# %%
theirs = sm.GLM(visits, x, family=sm.families.Poisson()).fit(tol=1e-12).params
print(f"{'coefficient':12s} {'fastloss':>12s} {'statsmodels':>12s}")
for name, a, b in zip(frame.columns, ours, theirs, strict=True):
    print(f"{name:12s} {a:12.6f} {b:12.6f}")
worst = np.abs(ours - theirs).max()
print(f"largest difference {worst:.1e}")
assert worst < TOLERANCE, f"the coefficients differ from statsmodels' by more than {TOLERANCE}"

# %% [markdown]
# People in order of their predicted rate, in twenty groups: do they visit as often as predicted?

# %%
if find_spec("matplotlib"):
    import matplotlib.pyplot as plt

    rates = np.exp(x @ ours)
    groups = np.array_split(np.argsort(rates), 20)
    predicted = [rates[group].mean() for group in groups]
    observed = [visits[group].mean() for group in groups]
    plt.plot(predicted, predicted, color="grey", label="as predicted")
    plt.plot(predicted, observed, "o", label="observed")
    plt.xlabel("predicted visits a year")
    plt.ylabel("mean visits")
    plt.legend()
    plt.show()
