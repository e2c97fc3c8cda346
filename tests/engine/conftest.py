"""What tests of the engine share."""

import pytest
from fastloss_kernels import tuning


@pytest.fixture
def one_thread(monkeypatch):
    """What threads share is tested elsewhere; here it would compile every kernel twice."""
    monkeypatch.setattr(tuning, "PARALLEL", 2**62)
