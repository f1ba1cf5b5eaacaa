"""Step *infer*: what the next item will be like, as the trained network sees it."""

from __future__ import annotations

import numpy as np

from reasonrec_chain.propose import Experts
from reasonrec_core.builtin.profile.infer import Inference
from reasonrec_core.types import Float32


def infer(states: Float32, experts: Experts) -> Inference:
    """P(label of the next item) per field, from float32[B, d] states; the gates say later how much each counts."""
    fields = tuple(each.field for each in experts.labels)
    size = (len(states), len(fields))
    beliefs = experts.sequence.beliefs(states)
    return Inference(fields, beliefs, np.zeros(size, np.float32), np.full(size, -1, np.int32))
