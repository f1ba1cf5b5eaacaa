"""From dialogues to what is learned from: tokens, where the head answers, where text is learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from reasonrec_core.types import Int64, Task
from reasonrec_cot.backbone.tokenisation import KINDS, DialogueTokeniser, Kinds
from reasonrec_cot.prompting.dialogue import Dialogue, SegmentKind
from reasonrec_cot.prompting.output_grammar import opening

ANSWER, CONFIDENCE = KINDS.index(SegmentKind.ANSWER), KINDS.index(SegmentKind.CONFIDENCE)
NOTHING, NO_KINDS = np.zeros(0, np.int64), np.zeros(0, np.uint8)
GIVEN = (KINDS.index(SegmentKind.PROMPT), KINDS.index(SegmentKind.ITEM))


@dataclass(frozen=True)
class Encoded:
    """One dialogue.

    Attributes:
        tokens: int64[T], see `Prompt.tokens`.
        spots: int64[R] places after which the head is asked for an item, ascending.
        items: int64[R] what it should say.
        learned: int64[S] places after which a token is learned.
        kinds: uint8[S] to which part of the loss each belongs.
        asked: the place after which yes or no is said, -1 where something else is asked.
    """

    tokens: Int64
    spots: Int64
    items: Int64
    learned: Int64
    kinds: Kinds
    asked: int = -1

    def __len__(self) -> int:
        return len(self.tokens)


def encode(tokeniser: DialogueTokeniser, dialogue: Dialogue, *, confidence: bool = False) -> Encoded:
    """Where a dialogue teaches what.

    The head is asked before every history item but the first, where nothing but earlier items has been read, and
    where the answer begins: one reading of a history of n items teaches n next items. An item that stands earlier in
    the history is not asked for.

    Args:
        tokeniser: of the model; supervision inside the history needs items with soft tokens.
        dialogue: answered.
        confidence: learn the confidence and nothing else; otherwise all else, and the text ends before it.
    """
    prompt = tokeniser.prompt(dialogue)
    tokens, kinds = prompt.tokens, prompt.kinds
    if confidence:
        learned = np.flatnonzero(kinds[1:] == CONFIDENCE)
        none = np.zeros(0, np.int64)
        return Encoded(tokens, none, none, learned.astype(np.int64), kinds[learned + 1])
    confidences = np.flatnonzero(kinds == CONFIDENCE)
    if len(confidences):
        tokens, kinds = tokens[: confidences[0]], kinds[: confidences[0]]
    learned = np.flatnonzero(~np.isin(kinds[1:], GIVEN)).astype(np.int64)
    spots, items = _next_items(tokeniser, dialogue, tokens)
    begins, last = np.flatnonzero(kinds == ANSWER), -1
    if len(begins):
        last = int(begins[0]) + len(tokeniser.text(opening("answer"))) - 1
    if last >= 0 and dialogue.task is Task.SEQUENTIAL and not dialogue.candidates and dialogue.target >= 0:
        spots, items = np.append(spots, last), np.append(items, dialogue.target)
    return Encoded(tokens, spots, items, learned, kinds[learned + 1], last if dialogue.task is Task.CTR else -1)


def truncate_after_head(encoded: Encoded) -> Encoded:
    """Nothing but what the head is asked: the text ends there. A dialogue without such places stays as it is."""
    if not len(encoded.spots):
        return encoded
    return Encoded(encoded.tokens[: encoded.spots[-1] + 1], encoded.spots, encoded.items, NOTHING, NO_KINDS)


def _next_items(tokeniser: DialogueTokeniser, dialogue: Dialogue, tokens: Int64) -> tuple[Int64, Int64]:
    none = np.zeros(0, np.int64)
    if dialogue.task is not Task.SEQUENTIAL or dialogue.candidates or not tokeniser.soft_tokens:
        return none, none
    codes = -1 - tokens
    places = np.flatnonzero((tokens < 0) & (codes % tokeniser.soft_tokens == 0))
    items = codes[places] // tokeniser.soft_tokens
    new = np.zeros(len(items), np.bool_)
    new[np.unique(items, return_index=True)[1]] = True
    new[:1] = False
    return (places[new] - 1).astype(np.int64), items[new]


@dataclass(frozen=True)
class TuningBatch:
    """Dialogues side by side; padding stands right and is not seen by what stands left of it.

    Attributes:
        tokens: int64[B, T].
        spots: int64[2, R], rows and places after which the head is asked.
        items: int64[R].
        learned: int64[2, S], rows and places after which a token is learned.
        next: int64[S], the token.
        kinds: int64[S], position in `KINDS`.
        asked: int64[2, A], rows and places after which yes or no is said.
        used: how many of the B x T places are text.
    """

    tokens: torch.Tensor
    spots: torch.Tensor
    items: torch.Tensor
    learned: torch.Tensor
    next: torch.Tensor
    kinds: torch.Tensor
    asked: torch.Tensor
    used: int

    @property
    def samples(self) -> int:
        """Items and tokens to learn."""
        return len(self.items) + len(self.next)

    @property
    def places(self) -> int:
        """B x T."""
        return self.tokens.numel()

    def to(self, device: torch.device) -> TuningBatch:
        """On another device."""
        parts = (self.tokens, self.spots, self.items, self.learned, self.next, self.kinds, self.asked)
        tokens, spots, items, learned, after, kinds, asked = (part.to(device) for part in parts)
        return TuningBatch(tokens, spots, items, learned, after, kinds, asked, self.used)


def collate(encoded: Sequence[Encoded]) -> TuningBatch:
    """One batch."""
    lengths = [len(each) for each in encoded]
    tokens = np.zeros((len(encoded), max(lengths)), np.int64)
    for row, each in enumerate(encoded):
        tokens[row, : len(each)] = each.tokens
    rows = np.arange(len(encoded))
    spots = np.stack([np.repeat(rows, [len(e.spots) for e in encoded]), np.concatenate([e.spots for e in encoded])])
    learned = np.stack(
        [np.repeat(rows, [len(e.learned) for e in encoded]), np.concatenate([e.learned for e in encoded])]
    )
    items, kinds = (np.concatenate([getattr(e, name) for e in encoded]).astype(np.int64) for name in ("items", "kinds"))
    after = tokens[learned[0], learned[1] + 1]
    places = np.array([each.asked for each in encoded], np.int64)
    asked = np.stack([rows, places])[:, places >= 0]
    made = [torch.from_numpy(np.ascontiguousarray(a)) for a in (tokens, spots, items, learned, after, kinds, asked)]
    return TuningBatch(made[0], made[1], made[2], made[3], made[4], made[5], made[6], sum(lengths))
