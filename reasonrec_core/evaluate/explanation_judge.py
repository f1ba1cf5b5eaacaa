"""Explanations: what a policy that explains must bring, so that a run can say how good its explanations are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from reasonrec_core.data.dataset import Dataset
from reasonrec_core.data.split import Split
from reasonrec_core.evaluate.scores import Scores


@runtime_checkable
class JudgingPolicy(Protocol):
    """A policy that judges explanations: how like what users then wrote they are, and whether what they claim is true.

    The libraries for that are the plugin's, not the core's.
    """

    def judge(
        self, dataset: Dataset, split: Split, part: str, answers: Mapping[str, Sequence[str]]
    ) -> Mapping[str, Scores]:
        """Score explanations, and whatever they should be better than.

        Args:
            dataset: with reviews.
            split: how it is divided.
            part: "valid" or "test"; the requests are those of `reasonrec_core.data.reviews.review_cases`.
            answers: per system a text for each request.

        Returns:
            the systems of ``answers`` in their order, then further ones to compare with; each with at least the
            metrics ``ROUGE-L`` and ``BLEU-4`` (0 to 100) and ``Verified``, the share of claims that are true. With
            ``text``, ``references`` and ``claims`` the report shows some of them.
        """
