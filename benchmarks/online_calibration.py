"""Does confidence hold better when it is corrected by the outcomes of earlier requests?

python benchmarks/online_calibration.py RUN [RUN ...]

Reads the traces of finished runs: the test requests in the order of time, each with the confidence that was fitted to
validation and with whether the target was among the first 10. ``static`` is that confidence; ``online`` adds to its
log-odds a shift that is learned from the requests whose outcome is known by then: the mode of its posterior under a
normal prior, one Newton step per outcome (an extended Kalman filter for the intercept of a logistic regression).
``chance`` is the error that confidences that hold exactly would show on as many requests.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
from reasonrec_report.measure.calibration import chance_error
from reasonrec_trace import open_trace

from reasonrec_core.routing import CalibrationQuality
from reasonrec_core.routing.calibration import log_odds
from reasonrec_core.routing.logistic import sigmoid
from reasonrec_core.types import Bool, Float64

METRIC = "HR@10"
PRIOR = 0.25
"""Standard deviation, in log-odds, of how far hit rates move between validation and test."""
DELAYS = (0, 100, 1000)
"""Requests that pass until an outcome is known."""


def correct_online(confidence: Float64, event: Bool, delay: int = 0, prior: float = PRIOR) -> Float64:
    """float64[N]: each confidence, its log-odds shifted by what the outcomes before it taught.

    Args:
        confidence: float64[N] in [0, 1], in the order of the requests.
        event: bool[N] whether it came true.
        delay: so many requests pass until an outcome is known.
        prior: standard deviation of the shift before there are outcomes.
    """
    odds, shift, made = log_odds(confidence), 0.0, np.empty(len(confidence))
    information = prior**-2
    for now in range(len(odds)):
        if (known := now - 1 - delay) >= 0:
            information += made[known] * (1 - made[known])
            shift += (float(event[known]) - made[known]) / information
        made[now] = sigmoid(np.asarray(odds[now] + shift))
    return made


def read_requests(run: Path) -> tuple[Float64, Bool]:
    """Confidence and outcome of a run's test requests, in the order of time."""
    times, sure, hit = [], [], []
    for table in open_trace(run).tables(["time", "confidence", "quality"]):
        for row in table.to_pylist():
            times.append(row["time"])
            sure.append(row["confidence"])
            hit.append(dict(dict(row["quality"])["routed"])[METRIC] > 0)
    order = np.argsort(np.asarray(times), kind="stable")
    return np.asarray(sure, np.float64)[order], np.asarray(hit)[order]


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
def main(runs: tuple[Path, ...]) -> None:
    """Print a row per run and way."""
    print("| run | way | requests | mean stated | hits | ECE | ECE, equal mass | by chance | Brier |")
    print("|---|---|---|---|---|---|---|---|---|")
    for run in runs:
        sure, hit = read_requests(run)
        ways = {"static": sure, **{f"online, {d} later": correct_online(sure, hit, d) for d in DELAYS}}
        for way, stated in ways.items():
            found, chance = CalibrationQuality.of(stated, hit), chance_error(stated, 0)
            print(
                f"| {run.name} | {way} | {found.cases} | {stated.mean():.4f} | {found.events:.4f} | {found.ece:.4f} | "
                f"{found.ece_mass:.4f} | {chance[0]:.4f} | {found.brier:.4f} |"
            )


if __name__ == "__main__":
    main()
