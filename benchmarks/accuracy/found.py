"""What a search for the largest error of a function found."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Found:
    """The largest error in ulps among normal results, the input that has it, and what else is off.

    Subnormal results are counted apart, in units of the smallest subnormal number; `wrong` counts
    results that should be 0, infinite or NaN and are something else, or the other way round.
    """

    inputs: int = 0
    ulps: float = -1.0
    x: float = 0.0
    y: float = 0.0
    got: float = 0.0
    subnormal: float = 0.0
    wrong: int = 0
    wrong_x: float = 0.0

    def __str__(self) -> str:
        where = self.x.hex() if self.x == self.y else f"({self.x.hex()}, {self.y.hex()})"
        text = f"{self.ulps:.4f} ulp over {self.inputs:,} inputs, at {where} -> {self.got.hex()}"
        if self.subnormal > 1:
            text += f"; subnormal results {self.subnormal:.4g} of the smallest number off"
        if self.wrong:
            text += f"; {self.wrong:,} wrong special results, one at {self.wrong_x.hex()}"
        return text

    def within(self, goal: float) -> bool:
        """Return whether no error is larger and nothing is wrong."""
        return max(self.ulps, self.subnormal) <= goal and not self.wrong

    def join(self, other: "Found") -> "Found":
        """Return the worst of both."""
        worst = max(self, other, key=lambda found: found.ulps)
        wrong = self if self.wrong else other
        subnormal = max(self.subnormal, other.subnormal)
        inputs, count = self.inputs + other.inputs, self.wrong + other.wrong
        place = (worst.ulps, worst.x, worst.y, worst.got)
        return Found(inputs, *place, subnormal, count, wrong.wrong_x)
