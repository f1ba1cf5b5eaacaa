"""Ada-Retrieval's rounds: what was retrieved so far changes how the history is read, and what is asked for next."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from reasonrec_torch.batching import TensorBatch
from reasonrec_torch.model_protocol import BatchLoss
from reasonrec_torch.next_item import NextItemModel, draw_beginnings, find_best, list_entries
from torch import Tensor, nn

from reasonrec_core.io import content_hash
from reasonrec_sequence.config import AdaRetrievalConfig
from reasonrec_sequence.network import SequenceNetwork, read_vectors


class Rounds(NamedTuple):
    """What each round asked for and found.

    Attributes:
        states: R of float[B, d], as items are compared with them.
        found: R of int64[B, K] items, best first; -1 where there was nothing left.
    """

    states: list[Tensor]
    found: list[Tensor]


class RoundsNetwork(NextItemModel):
    """Rounds of retrieval around a network (after Ada-Retrieval, Li et al., AAAI 2024).

    In each round but the first, the history attends to the low frequencies of the items that were retrieved before, and
    a recurrent network over the earlier rounds' states corrects the new one. Both corrections start at 0, so that
    before they are trained every round asks what the base asks; there norms stand in their place.

    Args:
        config: sizes.
        base: reads histories; trained on with the rounds if the settings say so.
    """

    hot = ()

    def __init__(self, config: AdaRetrievalConfig, base: SequenceNetwork) -> None:
        super().__init__(base.softmax)
        self.base, self.config = base, config
        base.requires_grad_(config.train_base)
        d = base.items.ids.shape[1]
        self.query, self.key, self.value = (nn.Linear(d, d) for _ in range(3))
        self.correct = nn.Linear(d, d)
        self.memory = nn.GRUCell(d, d)
        self.widen, self.narrow = nn.Linear(2 * d, d), nn.Linear(d, d)
        for last in (self.correct, self.narrow):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    @property
    def identity(self) -> str:
        """Of the base as it was fitted."""
        tensors = self.base.state_dict().values()
        return content_hash(self.base.identity, *(tensor.cpu().numpy().tobytes() for tensor in tensors))

    def table(self) -> tuple[Tensor, Tensor]:
        """The base's."""
        return self.base.table()

    def states(self, items: Tensor, table: Tensor) -> Tensor:
        """The base's: those of the first round."""
        return self.base.states(items, table)

    def run(
        self, items: Tensor, at: Tensor, table: Tensor, bias: Tensor, barred: Tensor, *, last: bool = True
    ) -> Rounds:
        """Retrieve in rounds.

        Args:
            items: int64[B, L], histories, -1 pads on the right.
            at: int64[B], where each ends.
            table: float[n, d].
            bias: float[n]; -inf for items that no round may retrieve.
            barred: int64[2, M], rows and items that must not be retrieved; not of the history alone.
            last: whether the last round retrieves, too.
        """
        x, real = read_vectors(items, table), items >= 0
        states: list[Tensor] = []
        found: list[Tensor] = []
        memory = x.new_zeros(len(x), x.shape[2])
        raw = memory
        for number in range(self.config.rounds):
            read = x if not found else self.adapt_items(x, real, torch.cat(found, 1), table)
            state = self.base.encoder.last(read, at)
            if found:
                memory = self.memory(raw, memory)
                joined = F.gelu(self.widen(torch.cat([state, memory], 1)))
                state = state + self.narrow(F.dropout(joined, self.config.dropout, self.training))
            raw = state
            states.append(self.base.scale(state))
            if last or number < self.config.rounds - 1:
                found.append(find_best(states[-1], table, bias, barred, self.config.items))
                barred = torch.cat([barred, list_entries(found[-1])], 1)
        return Rounds(states, found)

    def adapt_items(self, x: Tensor, real: Tensor, found: Tensor, table: Tensor) -> Tensor:
        """float[B, L, d]: the history's float[B, L, d] vectors, with what was retrieved (int64[B, M]) in view."""
        seen = keep_low(read_vectors(found, table), self.config.frequencies)
        logits = self.query(x) @ self.key(seen).transpose(1, 2) * x.shape[2] ** -0.5
        weights = logits.masked_fill((found < 0)[:, None], -torch.inf).softmax(-1).nan_to_num(0.0)
        correction: Tensor = self.correct(weights @ self.value(seen))
        correction = F.dropout(correction, self.config.dropout, self.training)
        return x + correction * real.unsqueeze(-1)

    def loss(self, batch: TensorBatch, rng: np.random.Generator) -> BatchLoss:
        """``sum over rounds t of fade^t * loss_t``, the softmax of one item of each row, drawn from those asked for."""
        table, bias = self.table()
        items, at, targets = draw_beginnings(batch, rng)
        warm_bias = bias.masked_fill(self.base.inputs.counts == 0, -torch.inf)
        rounds = self.run(items, at, table, warm_bias, list_entries(items), last=False)
        learned = rounds.states if self.config.train_base else rounds.states[1:]
        parts = {
            f"round {number}": self.base.compare(state, table, bias, targets)
            for number, state in enumerate(learned, 1 if self.config.train_base else 2)
        }
        fade = self.config.training.fade
        return BatchLoss(sum((fade**t * part for t, part in enumerate(parts.values())), table.new_zeros(())), parts)


def keep_low(rows: Tensor, frequencies: int) -> Tensor:
    """float[B, M, d]: the ``frequencies`` lowest frequencies of each channel over the M places."""
    spectrum = torch.fft.rfft(rows, dim=1)
    spectrum[:, frequencies:] = 0
    kept: Tensor = torch.fft.irfft(spectrum, n=rows.shape[1], dim=1)
    return kept


def order_by_rounds(rounds: Rounds, table: Tensor, bias: Tensor) -> Tensor:
    """float[B, n]: scores that rank what each round found below the rounds before it, and the rest by the last."""
    scores = torch.addmm(bias, rounds.states[-1], table.T)
    rows, items = list_entries(torch.cat(rounds.found, 1))
    scores[rows, items] = -torch.inf
    top = scores.amax(1, keepdim=True).nan_to_num(neginf=0.0)
    for state, items in zip(reversed(rounds.states), reversed(rounds.found), strict=True):
        rows, columns = (items >= 0).nonzero(as_tuple=True)
        chosen = items[rows, columns]
        own = torch.full(items.shape, torch.nan, dtype=scores.dtype)
        own[rows, columns] = (state[rows] * table[chosen]).sum(1) + bias[chosen]
        least = own.nan_to_num(nan=torch.inf).amin(1, keepdim=True).nan_to_num(posinf=0.0)
        own += top - least + 1e-3 * (1 + top.abs())
        scores[rows, chosen] = own[rows, columns]
        top = torch.maximum(top, own.nan_to_num(nan=-torch.inf).amax(1, keepdim=True))
    return scores
