"""Thoughts written before an answer, within a budget and in the grammar whatever the model writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from reasonrec_core.errors import ConfigError
from reasonrec_cot.backbone.chat_model import ChatModel, ChatTurns, Turns
from reasonrec_cot.backbone.generate import generate
from reasonrec_cot.backbone.model import Backbone, SoftTokens
from reasonrec_cot.backbone.served_model import ServedModel
from reasonrec_cot.backbone.server_model import ServerModel
from reasonrec_cot.backbone.tokenisation import DialogueTokeniser, Prompt
from reasonrec_cot.config import ThoughtConfig
from reasonrec_cot.prompting.output_grammar import PARTS, closing, opening, parse

CONFIDENCE_TOKENS = 6
UNSTATED = 0.5
"""The confidence of an answer that states none (papers count it as a flag of its own; so does `OutputFaults`)."""


@dataclass
class OutputFaults:
    """What models wrote that is not in the grammar, counted over all answers; none of it is fatal."""

    texts: int = 0
    faults: Counter[str] = field(default_factory=Counter)


class ThoughtWriter:
    """Writes what stands between a prompt and its answer.

    The tags are put down for the model, one part after the other, so that every answer is in the grammar; what is
    left to go wrong, and is counted: a part that is not ended within its budget, a part that begins another, a
    confidence that is no number.

    Args:
        backbone: the model.
        tokeniser: its tokens.
        config: budgets.
    """

    def __init__(
        self, backbone: Backbone | ServedModel, tokeniser: DialogueTokeniser | ChatTurns, config: ThoughtConfig
    ) -> None:
        self.backbone: Any = backbone
        self.tokeniser, self.config = tokeniser, config
        self.faults = OutputFaults()
        self._stops = {
            part: [closing(part), *(tag for other in PARTS for tag in (opening(other), closing(other)))]
            for part in PARTS
        }

    def write_thoughts(
        self, prompts: Sequence[Prompt | Turns], soft: SoftTokens | None
    ) -> tuple[Any, list[dict[str, str]]]:
        """Read prompts and write their thoughts, up to where the answer is said.

        Returns:
            the reading (of a backbone or a server), and per text the parts that were written.
        """
        reading = self.backbone.read(prompts, soft)
        thoughts: list[dict[str, str]] = [{} for _ in prompts]
        if isinstance(self.backbone, ChatModel):  # which begins its turn itself
            return reading, thoughts
        for part, most in (("observe", self.config.observe), ("deliberate", self.config.deliberate)):
            if most:
                self.append_texts(reading, [opening(part)] * len(prompts))
                for thought, text in zip(thoughts, self.write_part(reading, part, most), strict=True):
                    thought[part] = text
        self.append_texts(reading, [opening("answer")] * len(prompts))
        return reading, thoughts

    def write_part(self, reading: Any, part: str, most: int) -> list[str]:
        """Write one part of every text and end it; gives the parts without tags."""
        if isinstance(self.backbone, ChatModel):
            raise ConfigError(
                f"a chat API cannot write the part <{part}> of an answer: it continues no given beginning",
                where="policy.server.api",
                fix='Use a server with api = "completions"; for explanations, policy.explanations = "consensus", too.',
            )
        stops = self._stops[part]
        served = isinstance(self.backbone, ServerModel)
        said = self.backbone.generate(reading, most, stops) if served else generate(self.backbone, reading, most, stops)
        self.faults.texts += len(said)
        missing, bodies = [], []
        for each in said:
            body, ended = each.text, closing(part)
            if not body.endswith(ended):
                stray = next((tag for tag in self._stops[part] if body.endswith(tag)), None)
                self.faults.faults[f"{'stray tag in' if stray else 'unclosed'} {part}"] += 1
                body = body.removesuffix(stray or "")
                missing.append(ended)
            else:
                body = body.removesuffix(ended)
                missing.append("")
            bodies.append(body.strip())
        self.append_texts(reading, missing)
        return bodies

    def state_confidence(self, reading: Any, answers: Sequence[str]) -> list[float | None]:
        """Write each answer (without tags) and let the model state its confidence, None where it states none."""
        self.append_texts(reading, answers)
        self.append_texts(reading, [closing("answer")] * len(answers))
        self.append_texts(reading, [opening("confidence")] * len(answers))
        found = []
        for text in self.write_part(reading, "confidence", CONFIDENCE_TOKENS):
            parsed = parse(f"{opening('confidence')}{text}{closing('confidence')}", ("confidence",))
            self.faults.faults["no number was given as confidence"] += parsed.confidence is None
            found.append(parsed.confidence)
        return found

    def append_texts(self, reading: Any, texts: Sequence[str]) -> None:
        """Go on with given text."""
        assert isinstance(self.tokeniser, DialogueTokeniser)
        self.backbone.advance(reading, [self.tokeniser.text(text) for text in texts])
