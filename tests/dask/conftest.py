"""Worker processes of little memory, which the tests of a file share."""

import numpy as np
import pytest

import fastloss as fl


@pytest.fixture(scope="module")
def client():
    distributed = pytest.importorskip("distributed", reason="the oldest environment is without it")
    # Compiled here: a worker that compiles keeps so much memory that it may pause for ever.
    loss = fl.SparseCategoricalCrossentropy(from_logits=True)
    loss.value_and_grad([0], np.zeros((1, 1000), "f4"))
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=2,
            memory_limit=512 << 20,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            silence_logs=50,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client
