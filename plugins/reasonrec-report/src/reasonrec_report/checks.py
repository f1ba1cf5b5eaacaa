"""``[report.checks]``: what a team wants of every run, shown on the page and as an exit code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from reasonrec_core.components import Reporter, Settings
from reasonrec_core.errors import did_you_mean
from reasonrec_core.evaluate.schema import Results
from reasonrec_report.leaderboard import Leaderboard
from reasonrec_report.number_format import format_digits
from reasonrec_report.sections import read_sections

TIME = "ms"
"""The name of the mean milliseconds of a request, as routed."""
Limits = Mapping[str, Mapping[Literal["min", "max"], float]]


class CheckSettings(Settings):
    """What must be reached: ``[report.checks]``."""

    limits: dict[str, dict[Literal["min", "max"], float]] = Field(
        {}, description='Smallest and largest value by metric of the main system, "SYSTEM/METRIC", or "ms".'
    )


@dataclass(frozen=True)
class Check:
    """A limit and whether it is kept. ``value``: None where the run did not measure it, ``hint`` then says what is."""

    name: str
    wanted: str
    value: float | None
    passed: bool
    hint: str = ""

    @property
    def text(self) -> str:
        """The check in a sentence."""
        if self.value is None:
            return f"{self.name} was not measured. {self.hint}".rstrip()
        return f"{self.name} is {format_digits(self.value)}, {'as wanted' if self.passed else 'wanted'}: {self.wanted}"


class CheckReporter(Reporter[CheckSettings]):
    """Compares metrics with the limits that the pipeline file sets; what is missed fails the run (exit code 3)."""

    Config = CheckSettings

    def summarise(self, results: Results, run_folder: object) -> Sequence[str]:
        """How many checks passed."""
        made = run_checks(results, self.config.limits)
        return [f"Checks: {sum(each.passed for each in made)} of {len(made)} passed."] if made else []

    def find_failures(self, results: Results) -> Sequence[str]:
        """The checks that did not pass."""
        return [each.text for each in run_checks(results, self.config.limits) if not each.passed]


def run_checks(results: Results, limits: Limits) -> tuple[Check, ...]:
    """Every limit, in the order of the file."""
    known = list_values(results)
    return tuple(_check(name, bounds, known) for name, bounds in limits.items())


def list_values(results: Results) -> dict[str, float]:
    """What can be checked: metrics of the main system by name, of every system by "SYSTEM/METRIC", and the time."""
    board, found = Leaderboard(results), dict[str, float]()
    for system in board.systems:
        for metric, estimate in results.systems[system].items():
            if estimate.value is not None:
                found[f"{system}/{metric}"] = estimate.value
                if system == board.main:
                    found[metric] = estimate.value
    costs = read_sections(results).costs
    for row in costs.rows if costs else ():
        if row.who == "routed":
            found[TIME] = 1000 * row.single.mean
    return found


def _check(name: str, bounds: Mapping[Literal["min", "max"], float], known: Mapping[str, float]) -> Check:
    low, high, value = bounds.get("min"), bounds.get("max"), known.get(name)
    parts = [f"at least {low:g}"] if low is not None else []
    wanted = " and ".join([*parts, *([f"at most {high:g}"] if high is not None else [])])
    if value is None:
        return Check(name, wanted, None, False, did_you_mean(name, [*known]))
    return Check(name, wanted, value, (low is None or value >= low) and (high is None or value <= high))


def read_limits(config: Mapping[str, Any]) -> Limits:
    """The limits in the settings of a run, as they were checked when it was made; none where there are none."""
    report = config.get("report")
    limits = report.get("checks") if isinstance(report, Mapping) else None
    return CheckSettings(limits=limits).limits if limits else {}
