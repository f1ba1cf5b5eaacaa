"""Do reviews of one part say what reviews of another say?"""

from __future__ import annotations

import numpy as np

from reasonrec_core.data import TRAIN
from reasonrec_core.data.reviews import find_copies
from reasonrec_doctor.finding import Examined, Finding, Severity

NAME = "copied-reviews"


def check(examined: Examined) -> list[Finding]:
    """Reviews of the training part that are, word for word, a review of a held-out part."""
    dataset, split = examined.dataset, examined.split
    reviews = dataset.reviews
    if reviews is None or split is None:
        return []
    copied = np.flatnonzero(find_copies(reviews, split.parts[dataset.reviewed] == TRAIN))
    if not len(copied):
        return []
    row = int(copied[0])
    user, item = examined.user(int(reviews.users[row])), examined.item(int(reviews.items[row]))
    text = " ".join(str(reviews.texts[row]).split())[:60]
    return [
        Finding(
            NAME,
            Severity.INFO,
            "training reviews that copy a held-out review",
            len(copied),
            len(reviews),
            f"user {user}, item {item}: {text!r}",
            "They are hidden when explanations are learned and evaluated; you need not do anything.",
        )
    ]
