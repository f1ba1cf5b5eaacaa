"""Every uncertainty estimator of a finished run: AURC beside random and oracle, conformal coverage, calibration.

python benchmarks/estimators.py RUN [--out FILE.md]

RUN is the folder of `reasonrec run` on a pipeline with a policy and `[[uncertainty]]` estimators, split leave-one-out.
Calibration maps are chosen on validation answers; every figure of the tables is of test answers. Asked is whether the
target is among the ten best; the loss of AURC is 1 - NDCG@10. Nothing is random but the folds of the choice (seed 0).
An estimator that was itself learned on validation looks better there than it is, so its map is chosen too timidly.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from reasonrec_core.act.recalibration import Quality, choose_recalibration
from reasonrec_core.data.splits import make_split
from reasonrec_core.evaluate.calibration import risk_coverage
from reasonrec_core.pipeline.agent import Agent
from reasonrec_core.pipeline.serve import Recommender
from reasonrec_core.types import Bool, Cases, Float32

TOP, CHUNK = 10, 256


@dataclass(frozen=True)
class Asked:
    """What a policy and the estimators said to B cases.

    Attributes:
        hit: bool[B], whether the target is among the ten best; ``quality`` float64[B] its NDCG@10.
        stated: by name float32[B] uncertainties.
    """

    hit: Bool
    quality: np.ndarray
    stated: dict[str, Float32]


def ask(agent: Agent, cases: Cases) -> Asked:
    """A chunk at a time."""
    queries = replace(cases.queries, k=agent.width)
    place, stated = [], dict[str, list[Float32]]()
    for start, piece in queries.chunks(CHUNK):
        seen = agent.observe(piece)
        answer = agent.deliberate(piece, seen)
        assert answer.ranking is not None
        same = answer.ranking.items[:, :TOP] == cases.targets[start : start + len(piece), None]
        place.append(np.where(same.any(axis=1), same.argmax(axis=1), -1))
        own = {"policy's own confidence": 1 - answer.confidence}
        signals = {name: value.total for name, value in agent.estimate(None, piece, seen, answer).items()}
        for name, value in (own | signals).items():
            stated.setdefault(name, []).append(value)
    at = np.concatenate(place)
    quality = np.where(at >= 0, 1 / np.log2(np.maximum(at, 0) + 2), 0.0)
    return Asked(at >= 0, quality, {name: np.concatenate(parts) for name, parts in stated.items()})


def aurc_table(test: Asked) -> Iterator[str]:
    """A row per estimator, the best first."""
    loss = 1 - test.quality
    areas = {name: risk_coverage(-value, loss).aurc for name, value in test.stated.items()}
    areas |= {"*random*": float(loss.mean()), "*oracle*": risk_coverage(-loss, loss).aurc}
    yield "| estimator | AURC |\n|---|---|"
    for name in sorted(areas, key=areas.__getitem__):
        yield f"| {name} | {areas[name]:.4f} |"


def calibration_table(valid: Asked, test: Asked) -> Iterator[str]:
    """1 - uncertainty as P(hit), as stated and after the map that validation chose."""
    yield "| 1 - uncertainty as P(hit) | map | ECE | ECE[mass] | Brier | log loss |\n|---|---|---|---|---|---|"
    for name in test.stated:
        before, after = (1 - part.stated[name].astype(np.float64) for part in (valid, test))
        chosen = choose_recalibration(before, valid.hit, seed=0)
        for label, values in (("as stated", after), (chosen.kind, chosen(after))):
            q = Quality.of(values, test.hit)
            yield f"| {name} | {label} | {q.ece:.4f} | {q.ece_mass:.4f} | {q.brier:.4f} | {q.log_loss:.4f} |"


def coverage_table(agent: Agent, test: Cases) -> Iterator[str]:
    """Of every conformal estimator; quarters by evidence horizon, least unknown first."""
    seen = agent.observe(test.queries)
    for name, named in agent.estimators.items():
        if hasattr(named.part, "coverage"):
            yield f"| {name}: horizon | queries | coverage | mean size |\n|---|---|---|---|"
            for row in named.part.coverage(test, seen).table():
                group = "all" if row["group"] < 0 else f"group {row['group'] + 1:.0f}"
                yield f"| {group} | {row['queries']} | {row['coverage']:.4f} | {row['mean_size']:.1f} |"


def main() -> None:
    """Print the tables, and write them where ``--out`` says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    served = Recommender.open(options.run)
    split = make_split(served.dataset, served.config.split)
    valid, test = ask(served.agent, split.valid), ask(served.agent, split.test)
    tables = [aurc_table(test), calibration_table(valid, test), coverage_table(served.agent, split.test)]
    text = "\n\n".join("\n".join(lines) for lines in tables) + "\n"
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
