"""How good explanations are, in the form in which a run reports everything else: with intervals and comparisons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from reasonrec_core.data.dataset import Dataset
from reasonrec_core.data.split import TRAIN, Split
from reasonrec_core.evaluate import Claim, Scores, Totals
from reasonrec_core.types import Float64, Task
from reasonrec_cot.explain.evaluation import Explained, baselines, explaining, judge
from reasonrec_cot.explain.metrics import bleu_of_sums
from reasonrec_cot.words.item_words import ItemWords


def judged(
    dataset: Dataset, split: Split, part: str, answers: Mapping[str, Sequence[str]], items: ItemWords
) -> dict[str, Scores]:
    """Score explanations of ``part`` ("valid" or "test"), and both baselines, on the same requests.

    Policies are fitted on the training part, so that its reviews are all that anybody may read, also on test.

    Raises:
        DataError: the data has no reviews, or none in this part.
        PluginError: a system did not answer every request.
    """
    asked = explaining(dataset, split, part, items=items, readable=(TRAIN,))
    every = {**answers, **baselines(asked, dataset, split)}
    users = asked.cases.queries.users
    return {
        label: Scores(
            Task.EXPLAIN,
            users,
            {"ROUGE-L": found.overlap.rouge},
            totals=_totals(found),
            text=tuple(every[label]),
            references=asked.texts,
            claims=tuple(tuple(Claim(c.kind.value, c.text, c.verified) for c in each) for each in found.found),
        )
        for label, found in judge(asked, every).items()
    }


def _totals(found: Explained) -> dict[str, Totals]:
    made, claims = {"BLEU-4": Totals(found.overlap.counts, bleu_of_sums)}, found.claims
    if claims[:, 1].any():
        made["Verified"] = Totals(claims, _share)
    return made


def _share(sums: Float64) -> Float64:
    """float64[R]: of float64[R, 2] sums the first over the second; NaN where nothing was claimed."""
    with np.errstate(invalid="ignore", divide="ignore"):
        share: Float64 = sums[:, 0] / sums[:, 1]
    return share
