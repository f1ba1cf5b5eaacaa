"""What weighing click models together is worth, and what it costs that members stop on the rows that weigh them.

    python benchmarks/click_blend.py lightgbm-ctr+dcnv2 lightgbm-ctr+dcnv2+xdeepfm --work runs/models

Reads what `models.py run ctr-ml-1m-fields --models lightgbm-ctr dcnv2 xdeepfm --seeds 0 1 2 --test` kept of each
member's clicks, and does what `click-blend` does with them: weights from the validation part, answers to the test part.
Where `models.py` has measured `click-blend` itself, its answers must be the same. Pairs are averaged over the seeds
that all members have, intervals are 95 % by resampled users (`click_pairs`).

Two controls on the test part. Equal weights have not seen validation. Weights fitted on one half of the test users, for
rows that no member has stopped on, answer the other half, and the other way round: what they do better than weights
from validation is what the members' having stopped there costs, at most, as long as halves are not too small.
Needs reasonrec-fields. Writes benchmarks/results/click_blend.md.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from click_pairs import COMPARED, compare_clicks, rebuild
from model_plan import read_kept
from reasonrec_fields.blend import CLIP, fit_weights
from scipy.special import expit, logit

from reasonrec_core.io import read_arrays
from reasonrec_core.types import Float64

RESULTS = Path(__file__).parent / "results" / "click_blend.md"
DATASET, BLEND = "ctr-ml-1m-fields", "click-blend"
Answer = Mapping[str, Any]


def read_answer(model: str, seed: int, part: str, work: Path) -> Answer | None:
    """The clicks that a model answered; None where that was not measured."""
    row = read_kept().get(f"{DATASET} | {model} | {seed}")
    path = work / row["queries"] / f"{part}.npz" if row is not None and part in row else None
    return read_arrays(path) if path is not None and path.is_file() else None


def read_members(members: Sequence[str], seeds: Sequence[int], part: str, work: Path) -> dict[int, list[Answer]]:
    """The answers of all members, for the seeds that all of them have."""
    found = {seed: [read_answer(model, seed, part, work) for model in members] for seed in seeds}
    whole = {seed: [each for each in answers if each is not None] for seed, answers in found.items()}
    return {seed: answers for seed, answers in whole.items() if len(answers) == len(members)}


def stack_logits(answers: Sequence[Answer]) -> Float64:
    """float64[N, M]: as `click-blend` sees them."""
    found = np.stack([np.asarray(each["probability"], np.float64) for each in answers], axis=1)
    return np.asarray(logit(np.clip(found, CLIP, 1 - CLIP)))


def weigh(answers: Sequence[Answer], weights: Float64, offset: float) -> Answer:
    """The members' answers as one."""
    return {**answers[0], "probability": expit(stack_logits(answers) @ weights + offset)}


def weigh_by_halves(answers: Sequence[Answer], seed: int) -> Answer:
    """Each half of the users is answered with weights of the other half's labels."""
    logits, label, user = stack_logits(answers), answers[0]["label"], answers[0]["users"][answers[0]["query"]]
    half = np.random.default_rng(seed).permutation(int(user.max()) + 1)[user] % 2
    found = np.empty(len(label))
    for side in (0, 1):
        weights, offset = fit_weights(logits[half != side], label[half != side])
        found[half == side] = expit(logits[half == side] @ weights + offset)
    return {**answers[0], "probability": found}


def measure_values(answers: Sequence[Answer]) -> str:
    """Means over the seeds, as cells of a table."""
    values = [rebuild(each).values for each in answers]
    return " | ".join(f"{np.mean([v[name] for v in values]):.4f}" for name in COMPARED)


def tell_blend(members: list[str], seeds: Sequence[int], work: Path) -> list[str]:
    """A section of the page."""
    valid, tests = (read_members(members, seeds, part, work) for part in ("valid", "test"))
    seeds = [s for s in seeds if s in valid and s in tests]
    if not seeds:
        raise SystemExit(f"no seed has all of {', '.join(members)}: run models.py with --test, and give its --work")
    fitted = {s: fit_weights(stack_logits(valid[s]), valid[s][0]["label"]) for s in seeds}
    blend = [weigh(tests[s], *fitted[s]) for s in seeds]
    equal = [weigh(tests[s], np.full(len(members), 1 / len(members)), 0.0) for s in seeds]
    halves = [weigh_by_halves(tests[s], s) for s in seeds]
    systems = {m: [tests[s][k] for s in seeds] for k, m in enumerate(members)}
    systems |= {"**weights from validation**": blend, "equal weights": equal, "weights from the other half": halves}
    lines = [f"## {' + '.join(members)}", "", f"Test part, mean of the seeds {', '.join(map(str, seeds))}.", ""]
    lines += [f"| | {' | '.join(COMPARED)} |", "|---|" + "---|" * len(COMPARED)]
    lines += [f"| {name} | {measure_values(found)} |" for name, found in systems.items()]
    lines += ["", "Weights from validation (and the offset):", ""]
    for s in seeds:
        each = ", ".join(f"{m} {w:.2f}" for m, w in zip(members, fitted[s][0], strict=True))
        lines.append(f"- seed {s}: {each} ({fitted[s][1]:+.2f})")
    lines += ["", "In pairs on the test part:", ""]
    for name, found in list(systems.items())[: len(members)] + list(systems.items())[len(members) + 1 :]:
        rows = compare_clicks(blend, found)
        pairs = [f"{row.metric}: {row.difference:+.4f} ({row.low:+.4f} to {row.high:+.4f})" for row in rows]
        lines.append(f"- weights from validation less {name}: {'; '.join(pairs)}")
    return [*lines, *tell_delegate(members, seeds, blend, work), ""]


def tell_delegate(members: list[str], seeds: Sequence[int], blend: list[Answer], work: Path) -> list[str]:
    """How far the delegate's own answers are from these, where it was measured."""
    name = BLEND if len(members) == 2 else f"{BLEND}, {' + '.join(members)}"
    found = [(s, mine, read_answer(name, s, "test", work)) for s, mine in zip(seeds, blend, strict=True)]
    gaps = {s: np.abs(its["probability"] - mine["probability"]).max() for s, mine, its in found if its is not None}
    return [f"- seed {s}: the delegate `{BLEND}` itself answers the same within {gap:.0e}" for s, gap in gaps.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("blends", nargs="+", help="members, joined by +")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--work", type=Path, default=Path("runs/models"))
    options = parser.parse_args()
    head = [
        "# Click models together",
        "",
        f"`python benchmarks/click_blend.py {' '.join(options.blends)}` on {DATASET}, {date.today()}, "
        f"Python {platform.python_version()}, two cores of an AMD EPYC, 24 GB, shared with other work.",
        "",
        *__doc__.split("\n\n")[2].removesuffix("\n").split("\n"),
        "",
        *__doc__.split("\n\n")[3].split("\nNeeds")[0].split("\n"),
        "",
    ]
    sections = [line for each in options.blends for line in tell_blend(each.split("+"), options.seeds, options.work)]
    RESULTS.write_text("\n".join([*head, *sections]), encoding="utf-8")
    print("\n".join(sections))


if __name__ == "__main__":
    main()
