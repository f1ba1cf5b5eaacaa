"""The evaluation of explanations: equal requests for all systems, overlap with what users wrote, claims verified."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from reasonrec_core.data import TRAIN, VALID, Split
from reasonrec_core.data.dataset import Dataset
from reasonrec_core.data.reviews import ReviewCases, find_visible_reviews, make_review_cases
from reasonrec_core.errors import PluginError
from reasonrec_core.evaluate import Claim, Scores, Totals
from reasonrec_core.types import Float64, Reviews, Task
from reasonrec_explain.aspects import Aspects, AspectSettings
from reasonrec_explain.baselines import CommonPhrases, SimilarUser
from reasonrec_explain.claim_check import ClaimChecker, ClaimCounts
from reasonrec_explain.config import MbrSettings
from reasonrec_explain.evidence import EvidenceSource, ExplanationEvidence
from reasonrec_explain.item_text import ItemText
from reasonrec_explain.mbr import MbrSelector
from reasonrec_explain.metrics import Overlap, compare, compute_bleu, measure_overlap
from reasonrec_explain.references import ReferenceSettings, find_hints, make_references

SIMILAR, PHRASES, CONSENSUS = "similar-user", "common-phrases", "consensus"
System = Callable[["ExplanationCases"], Sequence[str]]
"""Explains all requests: one text each, in order."""


@dataclass(frozen=True)
class ExplanationCases:
    """The requests of one part, and all that may be known when they are answered.

    Attributes:
        cases: B requests with the reviews that the users then wrote.
        texts: B references, what explanations are compared with; no system may read them.
        hints: the aspect that each reference names first, None for none; only for systems that are said to be told.
        visible: the reviews that may be read.
        visible_texts: what each of them says, by the rule of the references.
        aspects: learned from the visible reviews.
        evidence: B times what is known.
    """

    cases: ReviewCases
    texts: tuple[str, ...]
    hints: tuple[str | None, ...]
    visible: Reviews
    visible_texts: tuple[str, ...]
    aspects: Aspects
    evidence: tuple[ExplanationEvidence, ...]
    items: ItemText


def collect_cases(
    dataset: Dataset,
    split: Split,
    part: str = "test",
    *,
    items: ItemText | None = None,
    reference: ReferenceSettings | None = None,
    aspect: AspectSettings | None = None,
    readable: Collection[int] | None = None,
) -> ExplanationCases:
    """The requests of "valid" or "test".

    Args:
        dataset: with reviews.
        split: how it is divided.
        part: which requests.
        items: words of the items.
        reference: what an explanation is compared with.
        aspect: which words are aspects.
        readable: parts whose reviews may be read: by default the training part, and for "test" validation, too.

    Raises:
        DataError: the data has no reviews, or none in this part.
    """
    visible = find_visible_reviews(dataset, split, readable or ((TRAIN,) if part == "valid" else (TRAIN, VALID)))
    aspects = Aspects(visible, dataset.n_items, aspect)
    cases = make_review_cases(dataset, split, part)
    texts = tuple(make_references(cases.reviews, aspects, reference))
    words = items or ItemText(dataset.catalog)
    source, history = EvidenceSource(words, aspects, visible), cases.queries.history
    pairs = zip(cases.reviews.users.tolist(), cases.reviews.items.tolist(), strict=True)
    evidence = tuple(source.gather(user, history.row(n).tolist(), item) for n, (user, item) in enumerate(pairs))
    said = tuple(make_references(visible, aspects, reference))
    return ExplanationCases(cases, texts, tuple(find_hints(texts, aspects)), visible, said, aspects, evidence, words)


def explain_by_baselines(asked: ExplanationCases, dataset: Dataset, split: Split) -> dict[str, tuple[str, ...]]:
    """What the baselines say: the most similar user's review of the item, the item's most common phrases."""
    users, items = asked.cases.reviews.users, asked.cases.reviews.items
    length = round(sum(len(text.split()) for text in asked.visible_texts) / max(len(asked.visible_texts), 1))
    similar = SimilarUser(split.train, asked.visible, asked.visible_texts, dataset.n_users, dataset.n_items)
    phrases = CommonPhrases(asked.visible, dataset.n_items, length)
    return {SIMILAR: tuple(similar.explain(users, items)), PHRASES: tuple(phrases.explain(users, items))}


def explain_by_mbr(
    asked: ExplanationCases, n_items: int, settings: MbrSettings | None = None, *, seed: int = 0
) -> tuple[str, ...]:
    """What the product says without a language model: the sentence of visible reviews that most others agree with."""
    check = ClaimChecker(asked.items, asked.aspects)
    chooser = MbrSelector(asked.visible, asked.visible_texts, n_items, check, asked.items.sanitiser, settings, seed)
    return tuple(chooser.explain(asked.cases.reviews.users.tolist(), asked.evidence))


@dataclass(frozen=True)
class SystemScores:
    """How one system did."""

    overlap: Overlap
    grounding: ClaimCounts
    words: float
    found: tuple[tuple[Claim, ...], ...]
    """B times what the text claims."""

    @property
    def claims(self) -> npt.NDArray[np.float64]:
        """float64[B, 2] per text its verified claims and all of them."""
        counts = [(sum(claim.verified for claim in each), len(each)) for each in self.found]
        return np.array(counts, np.float64).reshape(-1, 2)


def judge(asked: ExplanationCases, answers: Mapping[str, Sequence[str]]) -> dict[str, SystemScores]:
    """Overlap and grounding of each system's texts.

    Raises:
        PluginError: a system did not answer every request.
    """
    check = ClaimChecker(asked.items, asked.aspects)
    judged = {}
    for name, texts in answers.items():
        if len(texts) != len(asked.texts):
            raise PluginError(f"{len(texts)} explanations for {len(asked.texts)} requests", where=name)
        pairs = zip(texts, asked.evidence, strict=True)
        grounding, claims = ClaimCounts(), tuple(tuple(check.check(text, evidence)) for text, evidence in pairs)
        for found in claims:
            grounding.add(found)
        length = sum(len(text.split()) for text in texts) / max(len(texts), 1)
        judged[name] = SystemScores(measure_overlap(texts, asked.texts), grounding, length, claims)
    return judged


def summarise_systems(
    judged: Mapping[str, SystemScores], *, against: str | None = None, seed: int = 0
) -> dict[str, Any]:
    """JSON-able numbers: per system ``BLEU-4``, ``ROUGE-L``, ``verified``, and paired differences to ``against``."""
    rows: dict[str, Any] = {}
    for name, each in judged.items():
        rows[name] = {
            "BLEU-4": each.overlap.bleu,
            "ROUGE-L": each.overlap.rouge_l,
            "verified": each.grounding.share,
            "claims": dict(each.grounding.claims or {}),
            "verified_by_kind": dict(each.grounding.verified or {}),
            "without_claims": each.grounding.without / max(each.grounding.texts, 1),
            "words": each.words,
        }
        if against is not None and name != against:
            differences = compare(judged[against].overlap, each.overlap, seed=seed)
            rows[name]["behind"] = {m: [d.value, d.low, d.high] for m, d in differences.items()}
    first = next(iter(judged.values()), None)
    requests = first.grounding.texts if first else 0
    return {"requests": requests, "signature": first.overlap.signature if first else "", "systems": rows}


def score_explanations(
    dataset: Dataset, split: Split, part: str, answers: Mapping[str, Sequence[str]], items: ItemText
) -> dict[str, Scores]:
    """Score explanations of ``part`` ("valid" or "test"), and both baselines, on the same requests.

    Policies are fitted on the training part, so that its reviews are all that anybody may read, also on test.

    Raises:
        DataError: the data has no reviews, or none in this part.
        PluginError: a system did not answer every request.
    """
    asked = collect_cases(dataset, split, part, items=items, readable=(TRAIN,))
    every = {**answers, **explain_by_baselines(asked, dataset, split)}
    users = asked.cases.queries.users
    return {
        label: Scores(
            Task.EXPLAIN,
            users,
            {"ROUGE-L": found.overlap.rouge},
            totals=_totals(found),
            text=tuple(every[label]),
            references=asked.texts,
            claims=found.found,
        )
        for label, found in judge(asked, every).items()
    }


def _totals(found: SystemScores) -> dict[str, Totals]:
    made, claims = {"BLEU-4": Totals(found.overlap.counts, compute_bleu)}, found.claims
    if claims[:, 1].any():
        made["Verified"] = Totals(claims, _share)
    return made


def _share(sums: Float64) -> Float64:
    """float64[R]: of float64[R, 2] sums the first over the second; NaN where nothing was claimed."""
    with np.errstate(invalid="ignore", divide="ignore"):
        share: Float64 = sums[:, 0] / sums[:, 1]
    return share
