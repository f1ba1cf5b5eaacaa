"""Learning to state confidence: how often such answers were right on queries that the weights were not learned from."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from reasonrec_torch.optimiser import minimise
from sklearn.isotonic import IsotonicRegression

from reasonrec_core.errors import DataError
from reasonrec_core.types import Bool, Float32, Task
from reasonrec_cot.answers.answerer import softmax
from reasonrec_cot.prompting.dialogue import add_answer
from reasonrec_cot.prompting.prompt_builder import PromptRequest
from reasonrec_cot.tuning.encoding import Encoded, TuningBatch, collate, encode
from reasonrec_cot.tuning.fusion import FittedFusions
from reasonrec_cot.tuning.module import TunableModel
from reasonrec_cot.tuning.sampling import Sampler, take_fitting
from reasonrec_cot.tuning.validation import ValidationReader
from reasonrec_cot.tuning_config import TuningConfig

RATE = 0.3
"""Of the first phase's rate: answers are to stay as they are."""
HELD_OUT = 5
"""Every so many queries are kept to see whether the confidence's loss falls elsewhere, too."""
LOWEST, HIGHEST = 0.01, 0.99
FEWEST = 20


class HeldOutAccuracy:
    """From a signal (the probability of the answer, a margin) to the share of right answers, without a way back.

    Confidence targets for tuning are held-out accuracy, never 1 for whatever is in the training data: a model that
    always reads 1 learns to write 1. Isotonic regression; between bounds that leave room for being wrong.
    """

    def __init__(self, signal: Float32, right: Bool) -> None:
        """Fit on held-out answers: ``signal`` float32[N], higher = surer; ``right`` bool[N].

        Raises:
            DataError: fewer than 20 answers.
        """
        if len(signal) < FEWEST:
            raise DataError(
                f"{len(signal)} held-out answers are too few to learn a confidence from", fix="At least 20."
            )
        self._curve = IsotonicRegression(y_min=LOWEST, y_max=HIGHEST, out_of_bounds="clip")
        self._curve.fit(np.asarray(signal, np.float64), np.asarray(right, np.float64))

    def __call__(self, signal: Float32) -> Float32:
        """float32[B] in [0.01, 0.99]: the confidence to write."""
        return np.asarray(self._curve.predict(np.asarray(signal, np.float64)), np.float32)


def learn_confidence(
    module: TunableModel,
    answering: ValidationReader,
    sampler: Sampler,
    fusions: FittedFusions,
    config: TuningConfig,
    seed: int,
    seconds: float | None,
) -> dict[str, Any]:
    """Learn to write, after the answer, the share of right answers among those that look as sure.

    The share comes from validation pairs by isotonic regression, each half of the pairs judged by the curve of the
    other; the answer is the policy's own. Every batch of confidences comes with one of the first phase.

    Returns:
        JSON values: steps, and the loss per token on queries left out, before and after.
    """
    signal, right, best = _find_best(fusions)
    half = np.arange(len(signal)) % 2 == 0
    if min(half.sum(), (~half).sum()) < FEWEST:
        return {"steps": 0, "why": f"fewer than {2 * FEWEST} validation pairs"}
    wanted = np.empty(len(signal), np.float32)
    for mine in (half, ~half):
        wanted[mine] = HeldOutAccuracy(signal[~mine], right[~mine])(signal[mine])
    encoded = [
        _encode_confidence(answering, fusions, row, int(best[row]), float(wanted[row])) for row in range(len(signal))
    ]
    apart = encoded[::HELD_OUT]
    learned = [each for n, each in enumerate(encoded) if n % HELD_OUT]
    before = _loss(module, apart)
    steps = _learn(module, sampler, learned, config, seed, seconds)
    after = _loss(module, apart)
    module.eval()
    return {"steps": steps, "loss before": before, "loss after": after, "mean accuracy": float(right.mean())}


def _find_best(fusions: FittedFusions) -> tuple[Float32, Bool, np.ndarray[Any, np.dtype[np.int32]]]:
    """Each pair's probability of its best candidate, whether that is right, and which it is."""
    scores = fusions.proposed.crossed
    best = scores.argmax(axis=1)
    rows = np.arange(len(scores))
    items = fusions.candidates[rows, best]
    return softmax(scores).max(axis=1), items == fusions.targets, items


def _encode_confidence(
    answering: ValidationReader, fusions: FittedFusions, row: int, item: int, confidence: float
) -> Encoded:
    request = PromptRequest(Task.SEQUENTIAL, fusions.queries.history.row(row).tolist(), target=item)
    prompt_builder = answering.prompt_builder
    dialogue = add_answer(prompt_builder.ask(request), prompt_builder.items.names[item], confidence)
    return encode(answering.tokeniser, dialogue, confidence=True)


def _learn(
    module: TunableModel,
    sampler: Sampler,
    encoded: list[Encoded],
    config: TuningConfig,
    seed: int,
    seconds: float | None,
) -> int:
    """Steps that were taken: each on a batch of confidences beside one of the first phase."""
    started, count = time.perf_counter(), 0
    inside, _ = module.groups()
    if not inside:
        return 0

    def pairs() -> Iterator[tuple[np.random.Generator, list[TuningBatch]]]:
        nonlocal count
        for step in range(config.steps, config.steps + config.confidence_steps):
            if seconds is not None and time.perf_counter() - started > seconds:
                return
            module.train()
            module.weights_changed()
            module.zero_grad(set_to_none=True)
            torch.manual_seed(seed * 1_000_003 + step)
            rng = np.random.default_rng([seed, step, 2])
            pool = [encoded[n] for n in rng.permutation(len(encoded))[:32]]
            usual = sampler.draw(step, 0, 1.0)
            count += 1
            yield rng, [collate(take_fitting(pool, sampler.places, rng)), usual]

    def loss(drawn: tuple[np.random.Generator, list[TuningBatch]], progress: float) -> torch.Tensor:
        rng, batches = drawn
        found = [module.loss(batch.to(module.backbone.device), rng).total for batch in batches]
        return torch.stack([each for each in found if each is not None]).sum()

    optimiser = torch.optim.AdamW(inside, lr=RATE * config.learning_rate, weight_decay=config.weight_decay)
    minimise(optimiser, pairs(), loss, steps=config.confidence_steps, clip=config.clip)
    return count


@torch.no_grad()
def _loss(module: TunableModel, encoded: list[Encoded]) -> float:
    """Mean loss per token of the confidences."""
    module.eval()
    module.weights_changed()
    total, count = 0.0, 0
    for start in range(0, len(encoded), 8):
        batch = collate(encoded[start : start + 8]).to(module.backbone.device)
        found = module.loss(batch, np.random.default_rng(0))
        total += float(found.parts["confidence"]) * found.counts["confidence"]
        count += found.counts["confidence"]
    return total / max(count, 1)
