"""Yes or no about prompts, each answered by the first head that is sure, or by the whole model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from reasonrec_core.types import Float32, Float64, Int64
from reasonrec_cot.answers.ctr_fusion import CtrFusion
from reasonrec_cot.answers.exit_heads import ExitHeads
from reasonrec_cot.answers.exit_rule import ExitRule
from reasonrec_cot.backbone.kv_cache import Usage
from reasonrec_cot.backbone.layerwise import read_by_layers
from reasonrec_cot.backbone.model import Backbone, SoftTokens
from reasonrec_cot.backbone.tokenisation import Prompt


@dataclass(frozen=True)
class EarlyAnswers:
    """Of n prompts.

    Attributes:
        odds: float32[n] log odds of yes against no.
        depths: int64[n] layers that each was read by.
        usage: tokens.
    """

    odds: Float32
    depths: Int64
    usage: Usage


@dataclass(frozen=True)
class EarlyExit:
    """What tuning learned about stopping.

    Attributes:
        heads: learned.
        rule: when they answer; None where no labelled rows were there to choose it by.
        decision: how early answers are weighed with what else is known of an item, fitted on early answers; None where
            nothing is weighed.
    """

    heads: ExitHeads
    rule: ExitRule | None = None
    decision: CtrFusion | None = None

    def answer(
        self, backbone: Backbone, prompts: Sequence[Prompt], soft: SoftTokens | None, words: tuple[int, int]
    ) -> EarlyAnswers:
        """Read prompts up to where the answer is said, none further than it must be.

        Args:
            backbone: the model.
            prompts: of like length (see `Backbone.groups`).
            soft: soft tokens.
            words: the tokens of yes and no.
        """
        assert self.rule is not None
        rule, said = self.rule, np.zeros((len(prompts), len(self.heads.layers)))

        def leave(number: int, texts: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
            rows = texts.cpu().numpy()
            said[rows, number] = self._ask(number, states)
            return torch.from_numpy(rule.leaves(said[rows, : number + 1])).to(texts.device)

        found = read_by_layers(backbone, prompts, soft, self.heads.layers, leave)
        depths = found.depths.cpu().numpy()
        odds = whole_odds(backbone, found.states, words)
        early = depths < backbone.layers
        odds[early] = said[early, np.searchsorted(self.heads.layers, depths[early])]
        return EarlyAnswers(odds.astype(np.float32), depths, found.usage)

    def ask_all(
        self, backbone: Backbone, prompts: Sequence[Prompt], soft: SoftTokens | None, words: tuple[int, int]
    ) -> Float64:
        """float64[n, heads + 1]: log odds by every head and, last, by the whole model; nobody leaves.

        Args:
            backbone: the model.
            prompts: of any number and length.
            soft: soft tokens.
            words: the tokens of yes and no.
        """
        every = np.zeros((len(prompts), len(self.heads.layers) + 1))
        for group in backbone.groups([len(prompt) for prompt in prompts]):
            rows = np.array(group, np.intp)

            def stay(number: int, texts: torch.Tensor, states: torch.Tensor, rows: Any = rows) -> torch.Tensor:
                every[rows, number] = self._ask(number, states)
                return torch.zeros(len(texts), dtype=torch.bool, device=texts.device)

            asked = [prompts[row] for row in group]
            found = read_by_layers(backbone, asked, soft, self.heads.layers, stay)
            every[rows, -1] = whole_odds(backbone, found.states, words)
        return every

    @torch.inference_mode()
    def _ask(self, number: int, states: torch.Tensor) -> Float64:
        return np.asarray(self.heads(number, states).double().cpu().numpy(), np.float64)

    def to_dict(self) -> dict[str, Any]:
        """JSON values of all but the heads' weights."""
        rule = None if self.rule is None else asdict(self.rule)
        if rule is not None and not np.isfinite(rule["threshold"]):
            rule["threshold"] = None
        decision = None if self.decision is None else self.decision.to_dict()
        return {"layers": self.heads.layers, "width": self.heads.width, "rule": rule, "decision": decision}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> EarlyExit:
        """From what `to_dict` gave; the heads' weights are to be loaded."""
        heads, found = ExitHeads(stored["width"], tuple(stored["layers"])), stored["rule"]
        rule = None
        if found is not None:
            threshold = np.inf if found["threshold"] is None else float(found["threshold"])
            rule = ExitRule(tuple(found["layers"]), threshold, int(found["consecutive"]))
        return cls(heads, rule, None if stored["decision"] is None else CtrFusion.from_dict(stored["decision"]))


@torch.inference_mode()
def whole_odds(backbone: Backbone, states: torch.Tensor, words: tuple[int, int]) -> Float64:
    """float64[n]: log odds of yes against no as the next token, after [n, d] last states of the whole model."""
    logits = backbone.logits(states.to(backbone.device, backbone.dtype))
    return np.asarray((logits[:, words[0]] - logits[:, words[1]]).double().cpu().numpy(), np.float64)
