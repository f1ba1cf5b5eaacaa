"""From a dialogue to what a model reads: token numbers, with places for soft tokens."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from reasonrec_core.types import Int64
from reasonrec_cot.backbone.chat_template import chat_form
from reasonrec_cot.prompting.dialogue import Dialogue, Role, SegmentKind
from reasonrec_cot.prompting.output_grammar import PARTS

KINDS = tuple(SegmentKind)
"""What a number in `Prompt.kinds` stands for."""
TEXTS_KEPT = 1 << 16
TAGS = re.compile(rf"(</?(?:{'|'.join(PARTS)})>)")

Kinds = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Prompt:
    """A text as numbers.

    Attributes:
        tokens: int64[T]; -1 - c is the soft token with code c = item * tokens per item + which of them.
        kinds: uint8[T], position in `KINDS`: which part of the loss a token belongs to.
    """

    tokens: Int64
    kinds: Kinds

    def __len__(self) -> int:
        return len(self.tokens)

    def followed_by(self, more: Sequence[int]) -> Prompt:
        """With more given tokens at its end."""
        tokens, kinds = np.array(more, np.int64), np.full(len(more), KINDS.index(SegmentKind.PROMPT), np.uint8)
        return Prompt(np.concatenate([self.tokens, tokens]), np.concatenate([self.kinds, kinds]))


class DialogueTokeniser:
    """Writes dialogues in the form that a model was trained on.

    Every segment is tokenised by itself, and once: an item's line gives the same tokens wherever it stands.

    Args:
        tokenizer: of the model; its chat template is used, or ``role: text`` where it has none.
        soft_tokens: places per item that has features.
        has_features: whether an item has any; one without has no place in a prompt, only its text.
    """

    def __init__(
        self, tokenizer: Any, soft_tokens: int = 0, has_features: Callable[[int], bool] = lambda item: True
    ) -> None:
        self.tokenizer, self.soft_tokens, self._has = tokenizer, soft_tokens, has_features
        self._form = chat_form(tokenizer)
        self._encoded = lru_cache(maxsize=TEXTS_KEPT)(self._encode)

    def prompt(self, dialogue: Dialogue) -> Prompt:
        """The dialogue up to where the assistant speaks, or with its answer where it has one."""
        segments = [each for each in dialogue.segments if each.kind is not SegmentKind.ITEM or self._places(each.item)]
        answered = bool(segments) and segments[-1].role is Role.ASSISTANT
        first, *pieces = self._form.write(self.tokenizer, segments, answered)
        tokens = list(self._encoded(first))
        kinds = [KINDS.index(SegmentKind.PROMPT)] * len(tokens)
        for segment, piece in zip(segments, pieces, strict=True):
            if segment.role is Role.ASSISTANT:  # what stands between tags has the same tokens beside any tag
                said = tuple(token for part in TAGS.split(piece) for token in self._encoded(part))
            else:
                said = (*self._places(segment.item), *self._encoded(piece))
            tokens += said
            kinds += [KINDS.index(segment.kind)] * len(said)
        return Prompt(np.array(tokens, np.int64), np.array(kinds, np.uint8))

    def text(self, text: str) -> list[int]:
        """The tokens of a text that something is continued with; none is added at its ends."""
        return list(self._encoded(text))

    def _encode(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"]) if text else ()

    def _places(self, item: int) -> tuple[int, ...]:
        if item < 0 or not self.soft_tokens or not self._has(item):
            return ()
        return tuple(-1 - code for code in range(item * self.soft_tokens, (item + 1) * self.soft_tokens))
