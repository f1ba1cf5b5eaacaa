"""How many next items a CPU second teaches the `cot` policy, in the forms that `benchmarks/cot.py` tunes.

    python benchmarks/cot_rate.py ml-100k --steps 6

The first two batches are not counted; CPU time of one process, drawing of dialogues included.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cot import TUNED, merged
from profile_policy import Bench, prepare
from reasonrec_cot.backbone.model import Backbone
from reasonrec_cot.config import CotConfig
from reasonrec_cot.tuning.module import RECOMMENDATION
from reasonrec_cot.tuning.sampling import Sampler
from reasonrec_cot.tuning.tune import PromptingSettings, TuningParts

FORMS: dict[str, dict[str, Any]] = {
    "as tuned": TUNED,
    "all layers": merged(TUNED, {"backbone": {"layers": None}}),
    "all layers, two places per item, titles, choices and clicks learned": {
        "answer": "head",
        "prompt": {"history": 50, "history_text": "none"},
        "tuning": {},
    },
}
APART = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "reasonrec")
    given = parser.parse_args()
    torch.set_num_threads(1)
    bench = prepare(given.dataset, given.data, given.cache, 0)
    for name, settings in FORMS.items():
        print(f"{name}: {rate(bench, settings, given.steps):.0f} next items per CPU second", flush=True)


def rate(bench: Bench, settings: dict[str, Any], steps: int) -> float:
    """Next items learned per CPU second."""
    config = CotConfig.model_validate(settings)
    tuning = config.tuning
    assert tuning is not None
    speech = PromptingSettings(prompt=config.prompt, items=config.items, soft=config.soft)
    built = TuningParts(tuning, speech, Backbone(config.backbone), bench.fit)
    tokeniser, said = built.answering.tokeniser, bool(tuning.weights.answer)
    sampler = Sampler(built.examples, tokeniser, tuning.shares, tuning.batch_tokens, 0, said)
    optimiser = torch.optim.AdamW([p for group in built.module.groups() for p in group], 1e-4)
    built.module.train()
    learned, started = 0, 0.0
    for step in range(APART + steps):
        if step == APART:
            learned, started = 0, time.process_time()
        losses = built.module.loss(sampler.draw(step, 0, 0.5), np.random.default_rng(step))
        assert losses.total is not None
        torch.autograd.backward(losses.total)
        optimiser.step()
        optimiser.zero_grad()
        learned += losses.counts.get(RECOMMENDATION, 0)
    return learned / (time.process_time() - started)


if __name__ == "__main__":
    main()
