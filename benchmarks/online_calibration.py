"""Does confidence hold better when it follows the outcomes of earlier requests?

python benchmarks/online_calibration.py RUN [RUN ...]

Reads the traces of finished runs: the test requests in the order of time (of the file where there are no times), each
with the confidence that was fitted to validation and with whether the target was among the first 10. ``static`` is
that confidence, ``online`` the one that `reasonrec serve --learn` states (`OnlineCalibration`) where an outcome is
known so many requests later. ``chance`` is the error that confidences that hold exactly would show on as many requests.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
from reasonrec_report.measure.calibration import chance_error
from reasonrec_serve.online_calibration import OnlineCalibration
from reasonrec_trace import open_trace

from reasonrec_core.routing import CalibrationQuality
from reasonrec_core.types import Bool, Float64

METRIC = "HR@10"
DELAYS = (0, 100, 1000)
"""Requests that pass until an outcome is known."""


def correct_online(confidence: Float64, event: Bool, delay: int = 0) -> Float64:
    """float64[N]: confidences, float64[N] in the order of the requests, corrected by bool[N] outcomes before them."""
    calibration, made = OnlineCalibration(), np.empty(len(confidence))
    for now, stated in enumerate(confidence.tolist()):
        if (known := now - 1 - delay) >= 0:
            calibration.update(float(confidence[known]), bool(event[known]))
        made[now] = calibration(stated)
    return made


def read_requests(run: Path) -> tuple[Float64, Bool]:
    """Confidence and outcome of a run's test requests, in the order of time."""
    times, sure, hit = [], [], []
    for table in open_trace(run).tables(["time", "confidence", "quality"]):
        for row in table.to_pylist():
            times.append(row["time"] or 0)
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
