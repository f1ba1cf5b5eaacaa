"""A language model behind an HTTP API: the same prompts, token by token, and the same likelihoods; no hidden states."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import httpx2
import numpy as np

from reasonrec_core.errors import ConfigError, PluginError
from reasonrec_core.types import Float64
from reasonrec_cot.backbone.generate import Generated
from reasonrec_cot.backbone.kv_cache import Usage
from reasonrec_cot.backbone.loading import load_tokenizer
from reasonrec_cot.backbone.model import SoftTokens
from reasonrec_cot.backbone.served_model import ServedModel
from reasonrec_cot.backbone.server_client import Body, RefusedRequest, ServerFault
from reasonrec_cot.backbone.server_replies import read_next_tokens, read_prompt_tokens, read_text
from reasonrec_cot.backbone.tokenisation import Prompt
from reasonrec_cot.config import BackboneConfig
from reasonrec_cot.server_config import ServerConfig

T = TypeVar("T")
BIAS = 100.0
"""Added to the logits of the tokens that are asked about: where a server states likelihoods after biases (llama.cpp),
they are then those of these tokens against each other, and none is missing; where it states them before (vLLM), a bias
changes nothing."""
NEUTRAL: Body = {"temperature": 1.0, "top_p": 1.0, "top_k": -1, "min_p": 0.0, "seed": 0, "stream": False}
"""Nothing is cut off or sharpened before likelihoods are stated."""
ECHO: Body = {**NEUTRAL, "echo": True, "logprobs": 1}
"""The prompt's own tokens with their likelihoods. One new token is asked for rather than none, which some servers take
for as many as fit."""


@dataclass
class ServerReading:
    """B texts up to where something is to be said; the server keeps what it likes of them.

    Attributes:
        texts: each text's tokens.
        usage: what they have cost so far.
    """

    texts: list[list[int]]
    usage: Usage = field(default_factory=Usage)

    def __len__(self) -> int:
        return len(self.texts)


class ServerModel(ServedModel):
    """Asks a server what `Backbone` computes, as far as an API can say it.

    Args:
        config: the server.
        backbone: names the model as transformers does: its tokenizer and chat template are used, its weights are not.
        transport: instead of the network; for tests.

    Raises:
        WeightsError: there is no such tokenizer.
        ConfigError: the server has no such model.
    """

    path = "completions"

    def __init__(
        self, config: ServerConfig, backbone: BackboneConfig, transport: httpx2.BaseTransport | None = None
    ) -> None:
        self.max_length = backbone.max_length
        self.tokenizer: Any = load_tokenizer(backbone)
        super().__init__(config, transport)

    def read(self, prompts: Sequence[Prompt], soft: SoftTokens | None = None) -> ServerReading:
        """Take prompts; nothing is sent before something is asked.

        Raises:
            ConfigError: a prompt is longer than the model reads.
        """
        if soft is not None:
            raise PluginError("soft tokens cannot be sent to a server")
        longest = max(map(len, prompts), default=0)
        if longest > self.max_length:
            raise ConfigError(
                f"a prompt has {longest} tokens, but only {self.max_length} are to be read",
                where="policy.backbone.max_length",
                fix="Show a shorter history, fewer candidates or shorter titles, or raise max_length if the model can.",
            )
        return ServerReading([prompt.tokens.tolist() for prompt in prompts])

    def advance(self, reading: ServerReading, rows: Sequence[Sequence[int]]) -> None:
        """Go on with given tokens."""
        for text, row in zip(reading.texts, rows, strict=True):
            text.extend(row)

    def generate(self, reading: ServerReading, most: int, stops: Sequence[str] = ()) -> list[Generated]:
        """Continue every text as `reasonrec_cot.backbone.generate.generate` does."""
        rooms = [min(most, self.max_length - len(text)) for text in reading.texts]
        open_to = [at for at, room in enumerate(rooms) if room > 0]
        greedy = {"temperature": 0.0, "seed": 0, "stream": False, "stop": list(stops[:1])}
        said = [Generated() for _ in rooms]
        found = self._ask(
            [reading.texts[at] for at in open_to],
            [{**greedy, "max_tokens": rooms[at]} for at in open_to],
            reading.usage,
            lambda reply, _: read_text(reply, stops),
        )
        for at, (text, stopped) in zip(open_to, found, strict=True):
            tokens = self.tokenizer(text, add_special_tokens=False)["input_ids"]
            said[at] = Generated(tokens, text, 0.0, stopped)
            reading.texts[at].extend(tokens)
        return said

    def next_logprobs(self, reading: ServerReading, wanted: Sequence[Sequence[int]]) -> list[Float64]:
        """Per text float64[wanted]: log P of each of these as the next token, up to what all of a text have in common.

        NaN where the server does not list a token: it names only the likeliest.
        """
        names = [self._name_tokens(tokens) for tokens in wanted]
        found = self._ask(
            reading.texts,
            [self._ask_for_next(tokens) for tokens in wanted],
            reading.usage,
            lambda reply, at: read_next_tokens(reply, names[at], wanted[at]),
        )
        return [
            np.array([logprobs.get(token, np.nan) for token in tokens], np.float64)
            for logprobs, tokens in zip(found, wanted, strict=True)
        ]

    def _ask_for_next(self, tokens: Sequence[int]) -> Body:
        return {
            **NEUTRAL,
            "logprobs": self.config.top,
            "logit_bias": {str(token): BIAS for token in tokens},
            "post_sampling_probs": True,  # llama.cpp: after biases
            "logprob_token_ids": list(tokens),  # vLLM: these, whatever is likeliest
            "return_tokens_as_token_ids": True,  # vLLM: by number
        }

    @cached_property
    def states_prompts(self) -> bool:
        """Whether the server says how likely the tokens of a prompt are; it is asked once."""
        if self.config.prompts == "text":
            return False
        tokens = self.tokenizer("one two three four", add_special_tokens=False)["input_ids"]

        def is_whole(reply: Any, _: int) -> bool:
            try:
                return len(read_prompt_tokens(reply, len(tokens), 1)) == 1
            except ServerFault:
                return False

        try:
            return self.client.complete([self._whole(tokens, ECHO)], is_whole, self.path)[0]
        except RefusedRequest:
            return False

    def continuation_logprobs(
        self, reading: ServerReading, sequences: Sequence[Sequence[Sequence[int]]]
    ) -> list[list[Float64]]:
        """Per text and sequence of tokens float64[tokens]: log P of each, after the text and the tokens before it.

        Needs a server that `states_prompts`. The texts stay as they are.
        """
        rows = [row for row, ours in enumerate(sequences) for _ in ours]
        every = [list(each) for ours in sequences for each in ours]
        texts = [[*reading.texts[row], *each] for row, each in zip(rows, every, strict=True)]
        found = self._ask(
            texts,
            [ECHO] * len(texts),
            reading.usage,
            lambda reply, at: read_prompt_tokens(reply, len(texts[at]), len(every[at])),
        )
        out: list[list[Float64]] = [[] for _ in sequences]
        for row, logprobs in zip(rows, found, strict=True):
            out[row].append(np.array(logprobs, np.float64))
        return out

    def _ask(
        self,
        texts: Sequence[Sequence[int]],
        bodies: Sequence[Body],
        usage: Usage,
        read: Callable[[Any, int], T],
    ) -> list[T]:
        """Send texts with these settings, read the replies, and count their tokens into ``usage``."""
        whole = [self._whole(text, body) for text, body in zip(texts, bodies, strict=True)]
        return self.request(whole, usage, read, [len(text) for text in texts])

    def _whole(self, text: Sequence[int], body: Body) -> Body:
        return {"model": self.name, "prompt": self._prompt(text), "max_tokens": 1, **body}

    def _prompt(self, text: Sequence[int]) -> list[int] | str:
        if self.config.prompts == "tokens":
            return list(text)
        return str(self.tokenizer.decode(text, clean_up_tokenization_spaces=False))

    def _name_tokens(self, tokens: Sequence[int]) -> dict[str, int]:
        """What servers may call these tokens: their text, or their form in the vocabulary."""
        named = {str(self.tokenizer.convert_ids_to_tokens(token)): token for token in tokens}
        return named | {str(self.tokenizer.decode([token])): token for token in tokens}
