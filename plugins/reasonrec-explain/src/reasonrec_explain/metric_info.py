"""What must be known about the metrics of explanations; their values come from `evaluation.score_explanations`."""

from __future__ import annotations

from reasonrec_core.components import MetricInfo

ROUGE_L = MetricInfo(
    "ROUGE-L", None, "higher", "longest common word sequence of explanation and review, as F measure, times 100", 91,
    ("explain",), cutoff=False,
    definition="F measure of the longest common subsequence of words, rouge-score without stemming, times 100, mean "
    "over requests",
)  # fmt: skip
BLEU_4 = MetricInfo(
    "BLEU-4", None, "higher",
    "shared runs of one to four words of explanations and reviews, over all of them, times 100", 92, ("explain",),
    cutoff=False,
    definition="sacrebleu's corpus BLEU over all requests, case aside, times 100",
)  # fmt: skip
VERIFIED = MetricInfo(
    "Verified", None, "higher", "share of the claims in explanations that the evidence of their request confirms", 93,
    ("explain",), cutoff=False,
    definition="claims (aspects, titles, labels, numbers) that the request's evidence confirms, divided by "
               "all claims",
)  # fmt: skip
