"""BLEU-4 and ROUGE-L, by the libraries that the field reports with, and intervals from resampled users.

BLEU is sacrebleu's corpus BLEU (Post, 2018: its signature pins tokens, case and smoothing, so that numbers can be
compared), ROUGE-L the F measure of Google's rouge-score (without stemming), both times 100.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU

from reasonrec_core.types import Float64

RESAMPLES = 2000
LEVEL = 0.95
ORDER = 4


@dataclass(frozen=True)
class Overlap:
    """How much explanations have in common with references.

    Attributes:
        counts: float64[B, 10] per text BLEU's matches and totals of 1- to 4-grams, its length, the reference's length.
        rouge: float64[B] ROUGE-L, F, in [0, 100].
        signature: of BLEU.
    """

    counts: Float64
    rouge: Float64
    signature: str

    @property
    def bleu(self) -> float:
        """Corpus BLEU-4 in [0, 100]."""
        return _bleu(self.counts.sum(axis=0))

    @property
    def rouge_l(self) -> float:
        """Mean ROUGE-L in [0, 100]."""
        return float(self.rouge.mean()) if len(self.rouge) else 0.0


def measure_overlap(texts: Sequence[str], references: Sequence[str]) -> Overlap:
    """Compare each text with its reference, case aside.

    Raises:
        ValueError: there are not as many references as texts.
    """
    bleu = BLEU(lowercase=True, effective_order=True)
    scorer = RougeScorer(["rougeL"])
    rows, rouge = [], []
    for text, reference in zip(texts, references, strict=True):
        score = bleu.sentence_score(text, [reference])
        rows.append([*score.counts, *score.totals, score.sys_len, score.ref_len])
        rouge.append(100 * scorer.score(reference, text)["rougeL"].fmeasure)
    corpus = BLEU(lowercase=True)
    corpus.corpus_score(list(texts[:1]) or [""], [list(references[:1]) or [""]])  # a signature exists after a use
    counts = np.array(rows, np.float64).reshape(-1, 2 * ORDER + 2)
    return Overlap(counts, np.array(rouge, np.float64), str(corpus.get_signature()))


@dataclass(frozen=True, slots=True)
class Difference:
    """How much better the first of two systems is on the same requests.

    Attributes:
        value: first minus second.
        low, high: 95 % interval over resampled requests.
    """

    value: float
    low: float
    high: float


def compare(first: Overlap, second: Overlap, *, seed: int = 0) -> dict[str, Difference]:
    """Paired differences of ``BLEU-4`` and ``ROUGE-L``; the same requests are drawn for both.

    Raises:
        ValueError: the systems answered different numbers of requests.
    """
    if len(first.rouge) != len(second.rouge):
        raise ValueError("only answers to the same requests can be compared")
    n, generator = len(first.rouge), np.random.default_rng(seed)
    bleus, rouges = [], []
    for _ in range(RESAMPLES):
        weight = np.bincount(generator.integers(n, size=n), minlength=n).astype(np.float64)
        bleus.append(_bleu(weight @ first.counts) - _bleu(weight @ second.counts))
        rouges.append(float(weight @ (first.rouge - second.rouge)) / n)
    tails = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    return {
        "BLEU-4": Difference(first.bleu - second.bleu, *map(float, np.quantile(bleus, tails))),
        "ROUGE-L": Difference(first.rouge_l - second.rouge_l, *map(float, np.quantile(rouges, tails))),
    }


def compute_bleu(sums: Float64) -> Float64:
    """float64[R] corpus BLEU of float64[R, 10] sums of `Overlap.counts`."""
    return np.array([_bleu(row) for row in np.maximum(sums, 0)], np.float64)


def _bleu(sums: Float64) -> float:
    """sacrebleu's corpus BLEU of summed statistics."""
    whole = [round(value) for value in sums.tolist()]
    correct, total = whole[:ORDER], whole[ORDER : 2 * ORDER]
    return float(BLEU.compute_bleu(correct, total, whole[-2], whole[-1]).score)
