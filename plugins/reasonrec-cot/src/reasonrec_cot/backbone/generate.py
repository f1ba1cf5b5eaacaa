"""Text written by the model: a budget of tokens, stops at tags, as likely or as drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from reasonrec_cot.backbone.model import Backbone
from reasonrec_cot.backbone.reading import Reading

LOOKED_BACK = 24
"""Tokens in which the end of a stop is sought: a tag has fewer."""


@dataclass
class Said:
    """What was written after one text.

    Attributes:
        tokens: all of them; the model has read them, too.
        text: the same, in words; ends with the stop where one was written.
        logprob: sum of the tokens' log probabilities.
        stopped: whether a stop or the end of the turn was written, rather than the budget spent.
    """

    tokens: list[int] = field(default_factory=list)
    text: str = ""
    logprob: float = 0.0
    stopped: bool = False


@torch.inference_mode()
def generate(
    backbone: Backbone,
    reading: Reading,
    most: int,
    stops: Sequence[str] = (),
    *,
    temperature: float = 0.0,
    generators: Sequence[torch.Generator] | None = None,
) -> list[Said]:
    """Continue every text until it writes one of ``stops``, ends its turn, or has ``most`` new tokens.

    Args:
        backbone: the model.
        reading: texts; they are read on in place, so that afterwards more can be said or asked.
        most: new tokens per text.
        stops: strings that end a text; nothing stands behind them.
        temperature: 0 takes the likeliest token; else tokens are drawn.
        generators: one per text, needed for drawing: what a text gets does not depend on the other texts.

    Returns:
        One per text.
    """
    said = [Said() for _ in range(len(reading))]
    decoder, head = backbone.writer
    for _ in range(min(most, backbone.max_length - int(reading.lengths.max()))):
        if all(each.stopped for each in said):
            break
        logprobs = backbone.logits(reading.states, head).log_softmax(1)
        chosen = _chosen(logprobs, temperature, generators)
        gains = logprobs.gather(1, chosen[:, None])[:, 0].tolist()
        more: list[list[int]] = []
        for each, token, gain in zip(said, chosen.tolist(), gains, strict=True):
            more.append([] if each.stopped else _append(backbone, each, token, gain, stops))
        backbone.advance(reading, more, decoder=decoder)
        written = sum(map(len, more))
        reading.usage.read -= written
        reading.usage.written += written
    for each in said:
        each.text = backbone.tokenizer.decode(each.tokens)
    return said


def _append(backbone: Backbone, said: Said, token: int, gain: float, stops: Sequence[str]) -> list[int]:
    """Add a token, or the part of it that belongs to a stop; gives what is to be read."""
    said.logprob += gain
    if token == backbone.end:
        said.stopped = True
        return []
    tail = said.tokens[-LOOKED_BACK:]
    before, after = backbone.tokenizer.decode(tail), backbone.tokenizer.decode([*tail, token])
    ends = [after.index(stop) + len(stop) for stop in stops if stop in after]
    new = [token]
    if ends:
        said.stopped = True
        if min(ends) < len(after) and after.startswith(before):
            new = backbone.tokenizer(after[len(before) : min(ends)], add_special_tokens=False)["input_ids"]
    said.tokens += new
    return new


def _chosen(logprobs: torch.Tensor, temperature: float, generators: Sequence[torch.Generator] | None) -> torch.Tensor:
    if temperature <= 0:
        return logprobs.argmax(1)
    if generators is None:
        raise ValueError("drawing tokens needs a generator per text")
    drawn = [
        torch.multinomial((row / temperature).softmax(0).cpu(), 1, generator=generator)
        for row, generator in zip(logprobs, generators, strict=True)
    ]
    return torch.cat(drawn).to(logprobs.device)
