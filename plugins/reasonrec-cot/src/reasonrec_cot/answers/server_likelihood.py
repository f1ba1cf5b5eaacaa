"""Answers by likelihood where the model is a server's: next tokens where they do, else the tokens of whole prompts."""

from __future__ import annotations

import numpy as np

from reasonrec_core.errors import ConfigError
from reasonrec_core.types import Float32, Float64
from reasonrec_cot.answers.answerer import Names
from reasonrec_cot.answers.likelihood import CandidateLikelihood
from reasonrec_cot.backbone.server_model import ServerModel, ServerReading
from reasonrec_cot.backbone.tokenisation import DialogueTokeniser


class ServerLikelihood(CandidateLikelihood):
    """Scores listed candidates by what a server says of tokens.

    Labels, and yes and no, cost one request per text: which token is next. A server that names only the likeliest may
    leave some out; all names of that text are then scored as ends of prompts, one request each, where the server states
    the likelihoods of a prompt. Where it does not, what it left out is not scored (-inf): such an item is answered
    behind the others, in the order of the delegate that proposed it, and counted in `unscored`. Titles are always
    scored as ends of prompts.

    Args:
        model: the server's.
        tokeniser: its tokens.
        length_power: see `CandidateLikelihood`.
        temperature: likewise.

    Attributes:
        unscored: names that got no likelihood, of all texts so far.
    """

    def __init__(
        self, model: ServerModel, tokeniser: DialogueTokeniser, length_power: float = 1.0, temperature: float = 1.0
    ) -> None:
        super().__init__(tokeniser, length_power, temperature)
        self.model, self.unscored = model, 0

    def score(self, reading: ServerReading, names: Names) -> list[Float32]:
        """Per text float32[names]: normalised log probabilities; -inf for what the server leaves out."""
        sequences = [self.tokens(row) for row in names]
        scores = [np.empty(len(row), np.float32) for row in names]
        short = [row for row, said in enumerate(sequences) if said and max(map(len, said)) == 1]
        long = [row for row, said in enumerate(sequences) if said and max(map(len, said)) > 1]
        part = ServerReading([reading.texts[row] for row in short], reading.usage)
        for row, found in zip(short, self._score_tokens(part, [sequences[row] for row in short]), strict=True):
            scores[row][:] = found
        part = ServerReading([reading.texts[row] for row in long], reading.usage)
        for row, found in zip(long, self._score_ends(part, [sequences[row] for row in long]), strict=True):
            scores[row][:] = found
        return scores

    def _score_tokens(self, reading: ServerReading, sequences: list[list[list[int]]]) -> list[Float64]:
        found = self.model.next_logprobs(reading, [[token for (token,) in said] for said in sequences])
        lacking = [row for row, each in enumerate(found) if np.isnan(each).any()]
        if lacking and self.model.states_prompts:
            part = ServerReading([reading.texts[row] for row in lacking], reading.usage)
            for row, each in zip(lacking, self._score_ends(part, [sequences[row] for row in lacking]), strict=True):
                found[row] = each
        elif lacking:
            self.unscored += sum(int(np.isnan(found[row]).sum()) for row in lacking)
        return [np.where(np.isnan(each), -np.inf, each) for each in found]

    def _score_ends(self, reading: ServerReading, sequences: list[list[list[int]]]) -> list[Float64]:
        if sequences and not self.model.states_prompts:
            raise ConfigError(
                "the server does not say how likely a prompt's tokens are, and some answers have several tokens",
                where=self.model.config.url,
                fix='Use answer = "label" with at most 26 candidates (shortlist.size), or a server that does, sent '
                "tokens: vLLM, SGLang, llama-cpp-python.",
            )
        found = self.model.continuation_logprobs(reading, sequences)
        return [np.array([said.sum() / len(said) ** self.length_power for said in row], np.float64) for row in found]
