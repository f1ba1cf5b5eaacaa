"""Answers by likelihood where the model chats: labels, or yes and no, by the first word of its turn."""

from __future__ import annotations

import numpy as np

from reasonrec_core.types import Float32
from reasonrec_cot.answers.answerer import Names
from reasonrec_cot.answers.likelihood import CandidateScorer
from reasonrec_cot.backbone.chat_model import ChatModel, ChatReading


class ChatLikelihood(CandidateScorer):
    """One request per conversation, in which the server names the likeliest words.

    What it leaves out is not scored (-inf): such an item is answered behind the others, in the order of the delegate
    that proposed it.

    Args:
        model: the server's.
        temperature: of the softmax that gives the mass.

    Attributes:
        unscored: names that got no likelihood, of all conversations so far.
    """

    def __init__(self, model: ChatModel, temperature: float = 1.0) -> None:
        super().__init__(temperature)
        self.model, self.unscored = model, 0

    def score(self, reading: ChatReading, names: Names) -> list[Float32]:
        """Per conversation float32[names]: log probabilities; -inf for what the server leaves out."""
        asked = [row for row, said in enumerate(names) if said]
        part = ChatReading([reading.chats[row] for row in asked], reading.usage)
        scores = [np.empty(len(said), np.float32) for said in names]
        for row, found in zip(asked, self.model.next_logprobs(part, [names[row] for row in asked]), strict=True):
            self.unscored += int(np.isnan(found).sum())
            scores[row][:] = np.where(np.isnan(found), -np.inf, found)
        return scores
