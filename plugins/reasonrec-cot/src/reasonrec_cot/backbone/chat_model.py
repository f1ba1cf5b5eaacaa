"""A language model behind a chat API: turns of a conversation go in, and how likely each answer's first word is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from reasonrec_core.errors import PluginError
from reasonrec_core.types import Float64
from reasonrec_cot.backbone.kv_cache import Usage
from reasonrec_cot.backbone.model import SoftTokens
from reasonrec_cot.backbone.served_model import ServedModel
from reasonrec_cot.backbone.server_client import Body
from reasonrec_cot.backbone.server_replies import read_next_words
from reasonrec_cot.prompting.dialogue import Dialogue, Role

ASK = "Give the answer alone, in one word and nothing before it: {names}."
"""Follows the request: what a chat says cannot be begun for it."""
Turns = list[dict[str, str]]


class ChatTurns:
    """Writes dialogues as a chat API takes them, in place of `DialogueTokeniser`."""

    def prompt(self, dialogue: Dialogue) -> Turns:
        """Who speaks and what, turn by turn."""
        return [
            {"role": str(role), "content": "".join(segment.text for segment in said)} for role, said in dialogue.turns()
        ]


@dataclass
class ChatReading:
    """B conversations up to where the model speaks.

    Attributes:
        chats: each one's turns.
        usage: what they have cost so far.
    """

    chats: list[Turns]
    usage: Usage = field(default_factory=Usage)

    def __len__(self) -> int:
        return len(self.chats)


class ChatModel(ServedModel):
    """Chooses among words. The server applies the model's template itself, so that no tokenizer is needed here.

    See `ServedModel` for its arguments.
    """

    path = "chat/completions"

    def read(self, prompts: Sequence[Turns], soft: SoftTokens | None = None) -> ChatReading:
        """Take conversations; nothing is sent before something is asked."""
        if soft is not None:
            raise PluginError("soft tokens cannot be sent to a server")
        return ChatReading(list(prompts))

    def next_logprobs(self, reading: ChatReading, names: Sequence[Sequence[str]]) -> list[Float64]:
        """Per conversation float64[names]: log P of each name as the answer's first word; NaN where it is not listed.

        Raises:
            ConfigError: the server will not answer such a request.
            PluginError: it failed to the end.
        """
        bodies = [self._body(chat, said) for chat, said in zip(reading.chats, names, strict=True)]
        found = self.request(bodies, reading.usage, lambda reply, at: read_next_words(reply, names[at]))
        return [np.array(each, np.float64) for each in found]

    def _body(self, chat: Turns, names: Sequence[str]) -> Body:
        asked = ASK.format(names=" or ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names))
        last: dict[str, Any] = chat[-1]
        if last["role"] == Role.USER:
            turns = [*chat[:-1], {**last, "content": f"{last['content']}\n{asked}"}]
        else:
            turns = [*chat, {"role": str(Role.USER), "content": asked}]
        return {
            "model": self.name, "messages": turns, "max_tokens": 1, "temperature": 0.0, "seed": 0, "stream": False,
            "logprobs": True, "top_logprobs": self.config.top,
        }  # fmt: skip
