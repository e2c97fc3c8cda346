"""The workflows: a job is a make target, actions are pinned, nobody gets more than needed."""

import re
from pathlib import Path

import pytest
import yaml

import fastloss

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(" ".join(re.findall(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)).split())
every_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)


def jobs(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]


def test_there_are_workflows():
    assert {path.stem for path in WORKFLOWS} >= {"test", "speed", "hardening", "release"}


@every_workflow
def test_a_job_runs_make_and_nothing_else(path):
    for name, job in jobs(path).items():
        commands = [step["run"] for step in job["steps"] if "run" in step]
        assert commands or job["needs"], name
        for command in commands:
            program, target, *_ = command.split()
            assert program == "make", command
            assert target in TARGETS, command


@every_workflow
def test_actions_are_pinned_by_hash_and_name_their_version(path):
    uses = re.findall(r"uses: (.*)", path.read_text(encoding="utf-8"))
    assert uses
    for action in uses:
        assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


def test_an_action_has_the_same_hash_everywhere():
    pairs = {tuple(pin.split("@")) for path in WORKFLOWS for pin in uses_of(path)}
    assert len(pairs) == len({action for action, _ in pairs})


def uses_of(path):
    return [step["uses"] for job in jobs(path).values() for step in job["steps"] if "uses" in step]


@every_workflow
def test_permissions_are_the_least(path):
    whole = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert whole["permissions"] == {}
    for name, job in whole["jobs"].items():
        writes = {what for what, access in job["permissions"].items() if access == "write"}
        assert writes <= ({"id-token", "pages"} if name in ("publish", "deploy") else set()), name


@every_workflow
def test_credentials_do_not_stay(path):
    for job in jobs(path).values():
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False


def test_a_report_asks_for_what_doctor_prints():
    for form in ("wrong", "slow"):
        text = (ROOT / ".github" / "ISSUE_TEMPLATE" / f"{form}.yml").read_text(encoding="utf-8")
        assert "fastloss doctor --json" in text


def test_the_citation_names_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == fastloss.__version__


def test_the_classifiers_are_the_pythons_that_are_tested():
    tested = jobs(ROOT / ".github" / "workflows" / "test.yml")["test"]["strategy"]["matrix"]
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    named = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', text)
    assert named == tested["python"]
    assert f'requires-python = ">={named[0]}"' in text
