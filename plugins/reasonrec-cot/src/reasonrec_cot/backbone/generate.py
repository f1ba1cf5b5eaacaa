"""Text written by the model: the likeliest token each time, a budget of tokens, stops at tags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from reasonrec_cot.backbone.kv_cache import Reading
from reasonrec_cot.backbone.model import Backbone
from reasonrec_cot.backbone.prompt_lookup import DraftGuesser

LOOKED_BACK = 24
"""Tokens in which the end of a stop is sought: a tag has fewer."""


@dataclass
class Generated:
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
) -> list[Generated]:
    """Continue every text until it writes one of ``stops``, ends its turn, or has ``most`` new tokens.

    Args:
        backbone: the model.
        reading: texts; they are read on in place, so that afterwards more can be said or asked.
        most: new tokens per text.
        stops: strings that end a text; nothing stands behind them.

    Returns:
        One per text.
    """
    said = [Generated() for _ in range(len(reading))]
    guessers = [DraftGuesser(text, backbone.memory) for text in reading.texts]
    room = min(most, backbone.max_length - int(reading.lengths.max()))
    owed: list[list[int]] = [[] for _ in said]
    logprobs = backbone.logits(reading.states).log_softmax(1)
    while any(not each.stopped and len(each.tokens) < room for each in said):
        chosen = logprobs.argmax(1).tolist()
        ways: list[list[int]] = []
        for each, token, guesser in zip(said, chosen, guessers, strict=True):
            left = room - len(each.tokens) - 1
            over = each.stopped or left < 0
            ways.append([] if over else [token, *guesser.guess(token, left)])
        states, new = backbone.propose(reading, ways)
        after = backbone.logits(states).log_softmax(2)
        taken = []
        for row, (each, way) in enumerate(zip(said, ways, strict=True)):
            places = after[row, states.shape[1] - len(way) :]
            own, owed[row] = _checked(backbone, each, way, [logprobs[row], *places], stops)
            guessers[row].learn(own, len(way) - 1, len(own) - 1)
            taken.append(own)
        backbone.accept(reading, taken, states, new)
        _count(reading, taken)
        # What stands behind the last token taken; a text that took none is over.
        last = [states.shape[1] - len(way) + len(own) - 1 for way, own in zip(ways, taken, strict=True)]
        logprobs = after[range(len(said)), last]
    if any(owed):
        backbone.advance(reading, owed)
        _count(reading, owed)
    for each in said:
        each.text = backbone.tokenizer.decode(each.tokens)
        backbone.memory.add(each.tokens)
    return said


def _checked(
    backbone: Backbone, said: Generated, way: Sequence[int], logprobs: Sequence[torch.Tensor], stops: Sequence[str]
) -> tuple[list[int], list[int]]:
    """Write the first token of ``way``, and the others as long as each is what the model would write.

    Returns:
        the tokens that were written as proposed, and what replaces the next one where a stop ends within it.
    """
    own: list[int] = []
    for place, token in enumerate(way):
        if said.stopped or (place and token != int(logprobs[place].argmax())):
            break
        new = _append(backbone, said, token, float(logprobs[place][token]), stops)
        if new != [token]:
            return own, new
        own.append(token)
    return own, []


def _count(reading: Reading, rows: Sequence[Sequence[int]]) -> None:
    """Tokens that were written rather than given."""
    written = sum(map(len, rows))
    reading.usage.read -= written
    reading.usage.written += written


def _append(backbone: Backbone, said: Generated, token: int, gain: float, stops: Sequence[str]) -> list[int]:
    """Add a token, or the part of it that belongs to a stop; gives what is to be read."""
    said.logprob += gain
    if token == backbone.end:
        said.stopped = True
        return []
    tail = said.tokens[-LOOKED_BACK:]
    after = backbone.tokenizer.decode([*tail, token]) if stops else ""
    ends = [after.index(stop) + len(stop) for stop in stops if stop in after]
    new = [token]
    if ends:
        said.stopped = True
        before = backbone.tokenizer.decode(tail)
        if min(ends) < len(after) and after.startswith(before):
            new = backbone.tokenizer(after[len(before) : min(ends)], add_special_tokens=False)["input_ids"]
    said.tokens += new
    return new
