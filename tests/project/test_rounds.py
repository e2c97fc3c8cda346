"""How contestants are timed: shuffled rounds, rests, a control. All times here are made up."""

import random

import pytest

from benchmarks import rounds
from benchmarks.contest import Call

HOW = rounds.Settings(rounds=6, budget=1e9, threads=1)


class Clock:
    """A clock that only moves when it is told to, and remembers what happened."""

    def __init__(self):
        self.now, self.log = 0.0, []

    def perf_counter(self):
        return self.now

    process_time = perf_counter

    def sleep(self, seconds):
        self.log.append(("rest", seconds))
        self.now += seconds

    def call(self, name, *seconds, before=None):
        """Return a call that takes each of these times in turn, the last one for ever."""
        left = list(seconds)

        def run():
            self.log.append((name, None))
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return Call(run, before=before)

    def names(self):
        return [name for name, _ in self.log]


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(rounds, "time", clock)
    return clock


def order():
    return random.Random(0)


def test_every_round_has_everybody_once_after_a_rest_in_another_order(clock):
    calls = {name: clock.call(name, 0.05) for name in "abcd"}
    rounds.shuffled(calls, HOW, order())
    names = clock.names()
    laps = [names[at : at + 3] for at in range(0, len(names), 3)]
    assert all(lap == ["rest", lap[1], lap[1]] for lap in laps)  # one call is not timed
    assert all(seconds >= 0.02 for name, seconds in clock.log if name == "rest")
    turns = ["".join(lap[1] for lap in laps[at : at + 4]) for at in range(0, len(laps), 4)]
    assert len(turns) == HOW.rounds
    assert {"".join(sorted(turn)) for turn in turns} == {"abcd"}
    assert len(set(turns)) > 3


def test_long_calls_run_untimed_in_the_first_round_alone(clock):
    calls = {"a": clock.call("a", 7.0, 2 * rounds.LONG)}
    laps = rounds.shuffled(calls, HOW, order())["a"]
    assert clock.names() == ["rest", "a", "a"] + ["rest", "a"] * (HOW.rounds - 1)
    assert all(lap.seconds == pytest.approx(2 * rounds.LONG) for lap in laps)


def test_the_order_depends_on_the_seed_alone(clock):
    def drawn(seed):
        clock.log.clear()
        calls = {name: clock.call(name, 0.05) for name in "abcd"}
        rounds.shuffled(calls, HOW, random.Random(seed))
        return clock.names()

    assert drawn(0) == drawn(0) != drawn(1)


def test_the_least_and_the_median_are_kept(clock):
    timed = [0.03, 0.01, 0.05, 0.04, 0.09, 0.02]
    calls = {"a": clock.call("a", *(t for each in timed for t in (7.0, each)))}
    kept = rounds.timing(rounds.shuffled(calls, HOW, order())["a"])
    assert kept.seconds == pytest.approx(0.01)
    assert kept.median == pytest.approx(0.035)
    assert kept.cores == pytest.approx(1.0)


def test_short_calls_are_repeated_until_they_fill_a_lap(clock):
    calls = {"a": clock.call("a", 0.001)}
    laps = rounds.shuffled(calls, HOW, order())["a"]
    assert len(laps) == HOW.rounds
    assert all(lap.seconds == pytest.approx(0.001) for lap in laps)
    # The lap that was too short, then all rounds; with a call that is not timed each.
    many = int(rounds.LAP / 0.001) + 1
    assert clock.names().count("a") == pytest.approx(2 + HOW.rounds * (1 + many), abs=HOW.rounds)


def test_no_round_begins_after_the_budget_but_some_are_always_made(clock):
    def count(budget):
        how = rounds.Settings(15, budget, threads=1)
        return len(rounds.shuffled({"a": clock.call("a", 1.0)}, how, order())["a"])

    a_round = 1.0 + rounds.REST
    assert count(0.0) == rounds.FEWEST
    assert count(7.5 * a_round) == 7
    assert count(100 * a_round) == 15


def test_what_a_call_overwrites_is_put_back_outside_the_clock(clock):
    def undo():
        clock.log.append(("undo", None))
        clock.now += 50.0

    calls = {"a": clock.call("a", 0.001, before=undo)}
    laps = rounds.shuffled(calls, HOW, order())["a"]
    assert clock.names() == ["rest", "undo", "a", "undo", "a"] * HOW.rounds
    assert all(lap.seconds == pytest.approx(0.001) for lap in laps)


# The control


def controlled(clock, *seconds):
    """Time a limit that takes so long: a lap each of both its names, and again."""
    calls = {"limit": clock.call("limit", *(t for each in seconds for t in (each, each)))}
    how = rounds.Settings(1, 0.0, threads=1)
    return rounds.controlled(calls, "limit", how, order())


def test_the_twin_runs_under_two_names(clock):
    calls = {"limit": clock.call("limit", 0.05), "a": clock.call("a", 0.05)}
    found = rounds.controlled(calls, "limit", HOW, order())
    assert set(found.timings) == {"limit", "a", rounds.CONTROL}
    assert clock.names().count("limit") == 2 * clock.names().count("a")
    assert (found.rounds, found.attempts, found.disturbed) == (6, 1, False)


@pytest.mark.parametrize("pair", [(0.100, 0.109), (0.109, 0.100)])
def test_copies_that_agree_are_believed(clock, pair):
    found = controlled(clock, *pair)
    assert (found.attempts, found.disturbed) == (1, False)


@pytest.mark.parametrize("pair", [(0.100, 0.111), (0.111, 0.100)])
def test_copies_that_differ_are_measured_again(clock, pair):
    found = controlled(clock, *pair, 0.3, 0.3)
    assert (found.attempts, found.disturbed) == (2, False)
    assert found.timings["limit"].seconds == pytest.approx(0.3)


def test_copies_that_always_differ_are_disturbed(clock):
    found = controlled(clock, *[0.1, 0.2] * 3, 0.3, 0.3)
    assert (found.attempts, found.disturbed) == (3, True)
