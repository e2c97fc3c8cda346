"""The JSON of `fastloss evaluate` is what its schema and docs/reference/evaluate.md say."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from fastloss.cli.commands import app

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
SCHEMA = json.loads((REFERENCE / "evaluate.schema.json").read_text(encoding="utf-8"))
RNG = np.random.default_rng(33)
ARRAYS = {
    "logits": RNG.normal(size=(40, 5)).astype(np.float32),
    "shares": RNG.dirichlet(np.ones(5), 40).astype(np.float32),
    "labels": RNG.integers(0, 5, 40),
    "targets": np.eye(5, dtype=np.float32)[RNG.integers(0, 5, 40)],
    "infinite": np.where(RNG.random((40, 5)) < 0.2, -np.inf, 0.0).astype(np.float32),
    "weights": RNG.random(40),
    "groups": RNG.integers(0, 4, 40),
    "nothing": np.zeros(40, bool),
}
EVERYTHING = ["--weights", "weights.npy", "--groups", "groups.npy", "--top", "2", "--brier"]
CASES = {
    "labels": ["logits", "labels", "sparse_categorical_crossentropy", "--from-logits", *EVERYTHING],
    "unreduced": ["shares", "labels", "sparse_categorical_crossentropy", "--reduction", "none"],
    "targets": ["shares", "targets", "categorical_crossentropy", *EVERYTHING],
    "binary": ["shares", "targets", "binary_crossentropy", *EVERYTHING],
    "poisson": ["shares", "targets", "poisson", *EVERYTHING],
    "infinite": ["infinite", "labels", "sparse_categorical_crossentropy", "--from-logits"],
    "no rows": ["shares", "labels", "sparse_categorical_crossentropy", "--mask", "nothing.npy"],
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Return the values that each case prints."""
    folder = tmp_path_factory.mktemp("json")
    for name, array in ARRAYS.items():
        np.save(folder / f"{name}.npy", array)
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, (predictions, targets, loss, *options) in CASES.items():
            files = [f"{predictions}.npy", f"{targets}.npy"]
            arguments = ["evaluate", *files, "--loss", loss, *options, "--json", "--quiet"]
            result = CliRunner().invoke(app, arguments)
            assert result.exit_code == 0, result.output
            found[name] = json.loads(result.stdout, parse_constant=pytest.fail)
    return found


def test_the_schema_is_one():
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", CASES)
def test_results_obey_the_schema(results, name):
    Draft202012Validator(SCHEMA).validate(results[name])


def test_what_is_null_and_what_is_infinite(results):
    assert results["unreduced"]["value"] is None
    assert results["poisson"]["accuracy"] is results["poisson"]["ece"] is None
    assert results["no rows"]["perplexity"] is results["no rows"]["accuracy"] is None
    assert results["infinite"]["value"] == results["infinite"]["perplexity"] == "Infinity"
    assert results["targets"]["perplexity"] is None
    assert results["labels"]["top_k"].keys() == {"2"}
    assert results["binary"]["top_k"] == {}
    assert len(results["labels"]["groups"]) == 4
    assert results["labels"]["groups"][0]["perplexity"] is not None
    assert results["poisson"]["groups"][0]["accuracy"] is None


def test_perplexity_and_bits(results):
    found = results["labels"]
    x, y, w = (ARRAYS[name] for name in ("logits", "labels", "weights"))
    p = np.exp(x.astype(float))
    p = (p / p.sum(axis=1, keepdims=True))[np.arange(40), y]
    assert found["bits"] == pytest.approx(np.average(-np.log2(p), weights=w), rel=1e-6)
    assert found["perplexity"] == pytest.approx(2 ** found["bits"], rel=1e-12)


def fields(schema, start=""):
    """Yield the fields of a schema, with those inside them, as the page writes them."""
    for name, field in schema["properties"].items():
        yield f"{start}{name}", field["description"]
        inner = field["anyOf"][0] if "anyOf" in field else field
        if "properties" in inner:
            yield from fields(inner, f"{start}{name}.")
        elif "properties" in inner.get("items", {}):
            yield from fields(inner["items"], f"{start}{name}[].")


def test_the_page_lists_every_field():
    text = (REFERENCE / "evaluate.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(.*?)` \| (.*) \|$", text, flags=re.MULTILINE) == list(fields(SCHEMA))
