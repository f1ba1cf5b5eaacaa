"""Does what happened between two earlier folds say how confidence must be corrected for the next one?

    python benchmarks/calibration_drift.py EARLIER RUN [--policy]

EARLIER is a run of the same pipeline on the log without each user's last interaction, leave-one-out, so that its test
targets are RUN's validation targets, and its confidences were calibrated one fold before. How its stated confidences
and what came of them differ is learned as a correction of the log-odds, which is put on the confidences that RUN
states for its test part: a shift, a slope, and a shift for each length of the history. Both runs' traces are read;
nothing is fitted to RUN's test outcomes. With ``--policy`` only what the policies answered counts. "By chance" is the
error that confidences that hold exactly would show. Made for benchmarks/pipelines/earlier-beauty.toml.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
from online_calibration import METRIC
from reasonrec_report.measure.calibration import chance_error
from reasonrec_trace import open_trace
from scipy.optimize import minimize
from scipy.special import expit, logit

from reasonrec_core.routing import CalibrationQuality
from reasonrec_core.types import Bool, Float64, Int64, Route

LENGTHS = (4, 5, 7, 10, 20)
"""History lengths that groups begin at, after the shortest."""
LEAST = 1e-4
"""Confidences are taken to be this far from 0 and 1."""


@click.command()
@click.argument("earlier", type=click.Path(exists=True, path_type=Path))
@click.argument("run", type=click.Path(exists=True, path_type=Path))
@click.option("--policy", is_flag=True, help="Leave out what delegates answered.")
def main(earlier: Path, run: Path, policy: bool) -> None:
    """Print a row per correction."""
    sure, hit, length = read_fold(earlier, policy)
    stated, came, lengths = read_fold(run, policy)
    print(f"Learned from {len(sure)} requests: stated {expit(sure).mean():.4f} on average, hits {hit.mean():.4f}.\n")
    print("| correction | mean stated | hits | ECE | ECE, equal mass | by chance | Brier |")
    print("|---|---|---|---|---|---|---|")
    ways = {
        "none": ([], []),
        "a shift": ([np.ones_like(sure)], [np.ones_like(stated)]),
        "a slope and a shift": ([np.ones_like(sure), sure], [np.ones_like(stated), stated]),
        "a shift for each length": (group(length), group(lengths)),
        "a slope, and a shift for each length": ([sure, *group(length)], [stated, *group(lengths)]),
    }
    for name, (known, asked) in ways.items():
        made = expit(stated + learn_correction(known, sure, hit) @ np.array(asked).reshape(-1, len(stated)))
        found, chance = CalibrationQuality.of(made, came), chance_error(made, 0)
        numbers = (made.mean(), found.events, found.ece, found.ece_mass, chance[0], found.brier)
        print(f"| {name} | " + " | ".join(f"{number:.4f}" for number in numbers) + " |", flush=True)


def read_fold(run: Path, policy: bool) -> tuple[Float64, Bool, Int64]:
    """The log-odds of the stated confidence, the outcome and the history's length of a run's test requests."""
    sure, hit, length = [], [], []
    for table in open_trace(run).tables(["route", "confidence", "quality", "history_length"]):
        for row in table.to_pylist():
            if policy and row["route"] != Route.SELF:
                continue
            sure.append(row["confidence"])
            hit.append(dict(dict(row["quality"])["routed"])[METRIC] > 0)
            length.append(row["history_length"])
    odds = logit(np.clip(np.asarray(sure, np.float64), LEAST, 1 - LEAST))
    return odds, np.asarray(hit), np.asarray(length, np.int64)


def group(lengths: Int64) -> list[Float64]:
    """For each group of lengths float64[N]: 1 in it, 0 outside."""
    return list((np.digitize(lengths, LENGTHS) == np.arange(len(LENGTHS) + 1)[:, None]).astype(np.float64))


def learn_correction(columns: list[Float64], sure: Float64, hit: Bool) -> Float64:
    """float64[C]: weights of C columns, the sum of which corrects the log-odds, by the likelihood of the outcomes."""
    if not columns:
        return np.zeros(0)
    matrix = np.array(columns)

    def lose(weights: Float64) -> tuple[float, Float64]:
        odds = sure + weights @ matrix
        lost = np.logaddexp(0, np.where(hit, -odds, odds)).mean()
        return float(lost), matrix @ (expit(odds) - hit) / len(hit)

    return np.asarray(minimize(lose, np.zeros(len(matrix)), jac=True, method="L-BFGS-B").x)


if __name__ == "__main__":
    main()
