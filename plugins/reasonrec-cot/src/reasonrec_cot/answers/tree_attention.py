"""Trees of token sequences, and all their branches read side by side after their texts: one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from reasonrec_core.types import Bool, Float64, Int32, Int64, indptr_of
from reasonrec_cot.backbone.kv_cache import Reading
from reasonrec_cot.backbone.model import Backbone


@dataclass(frozen=True)
class TokenTrie:
    """Sequences that share their beginnings; node 0 is the root, parents come before their children.

    Attributes:
        tokens: int64[n], the token that leads to a node; -1 for the root.
        parents: int32[n]; -1 for the root.
        depths: int32[n], 0 for the root.
        ends: int32[sequences], the node where each sequence ends.
    """

    tokens: Int64
    parents: Int32
    depths: Int32
    ends: Int32

    @classmethod
    def of(cls, sequences: Sequence[Sequence[int]]) -> TokenTrie:
        """The tree of ``sequences``; equal sequences end at the same node."""
        tokens, parents, depths = [-1], [-1], [0]
        known: dict[tuple[int, int], int] = {}
        ends = []
        for sequence in sequences:
            node = 0
            for token in sequence:
                found = known.setdefault((node, token), len(tokens))
                if found == len(tokens):
                    tokens.append(token)
                    parents.append(node)
                    depths.append(depths[node] + 1)
                node = found
            ends.append(node)
        above, deep, at = (np.array(values, np.int32) for values in (parents, depths, ends))
        return cls(np.array(tokens, np.int64), above, deep, at)

    def __len__(self) -> int:
        return len(self.tokens)

    @cached_property
    def _families(self) -> tuple[Int64, Int32]:
        """Children of node v: ``order[indptr[v]:indptr[v + 1]]``."""
        order = np.argsort(self.parents[1:], kind="stable").astype(np.int32) + 1
        counts = np.bincount(self.parents[1:], minlength=len(self))
        return indptr_of(counts), order.astype(np.int32)

    @cached_property
    def _levels(self) -> list[Int32]:
        order = np.argsort(self.depths, kind="stable").astype(np.int32)
        bounds = np.searchsorted(self.depths[order], np.arange(1, int(self.depths.max()) + 1))
        return list(np.split(order, bounds))

    def children(self, node: int) -> Int32:
        """int32[children] of a node."""
        indptr, order = self._families
        return order[indptr[node] : indptr[node + 1]]

    @cached_property
    def inner(self) -> Bool:
        """bool[n]: whether a node has children."""
        found = np.zeros(len(self), np.bool_)
        found[self.parents[1:]] = True
        return found

    def open_to(self, allowed: Bool) -> Int64:
        """int64[n]: how many of the sequences that are ``allowed`` (bool[sequences]) pass through or end at a node."""
        counts = np.bincount(self.ends[allowed], minlength=len(self)).astype(np.int64)
        for level in reversed(self._levels[1:]):
            np.add.at(counts, self.parents[level], counts[level])
        return counts

    def down(self, values: Float64) -> Float64:
        """float64[n]: sums of ``values`` from the root (left out) to each node."""
        total = values.copy()
        total[0] = 0.0
        for level in self._levels[1:]:
            total[level] += total[self.parents[level]]
        return total


@torch.inference_mode()
def edge_logprobs(backbone: Backbone, reading: Reading, tries: Sequence[TokenTrie]) -> list[Float64]:
    """Per text float64[n]: log P(token of a node | the text and the tokens above the node); 0 for the root.

    Every inner node is read once, looking at its text and at what stands above it (tree attention), whatever the
    number of branches. ``reading`` is as it was, afterwards.
    """
    inner = [np.flatnonzero(trie.inner[1:]) + 1 for trie in tries]
    most = max(map(len, inner))
    states = reading.states[:, None]
    if most:
        tokens = np.zeros((len(tries), most), np.int64)
        depths = np.ones((len(tries), most), np.int64)
        sees = np.zeros((len(tries), most, most), np.bool_)
        sees[:] = np.eye(most, dtype=np.bool_)
        for row, (trie, nodes) in enumerate(zip(tries, inner, strict=True)):
            tokens[row, : len(nodes)], depths[row, : len(nodes)] = trie.tokens[nodes], trie.depths[nodes]
            place = {int(node): at for at, node in enumerate(nodes)}
            for at, node in enumerate(nodes):
                above = place.get(int(trie.parents[node]))
                if above is not None:
                    sees[row, at] |= sees[row, above]
        device, places = backbone.device, reading.places
        ours = torch.from_numpy(sees).to(device)
        positions = reading.lengths[:, None] + torch.from_numpy(depths).to(device) - 1
        whole = torch.cat([reading.seen[:, None].expand(-1, most, -1), ours], 2)
        below = backbone.branch(reading, torch.from_numpy(tokens).to(device), positions, whole)
        reading.usage.read -= tokens.size - sum(map(len, inner))  # padding is nothing that was read
        reading.rewind(places)
        states = torch.cat([states, below], 1)
    rows, froms, said = [], [], []
    for row, (trie, nodes) in enumerate(zip(tries, inner, strict=True)):
        place_of = np.zeros(len(trie), np.int64)  # the root's state is the text's own
        place_of[nodes] = np.arange(1, len(nodes) + 1)
        rows.append(np.full(len(trie) - 1, row))
        froms.append(place_of[trie.parents[1:]])
        said.append(trie.tokens[1:])
    device = backbone.device
    index = torch.from_numpy(np.concatenate(rows)).to(device), torch.from_numpy(np.concatenate(froms)).to(device)
    found = backbone.logits.chosen(states[index], torch.from_numpy(np.concatenate(said)).to(device))
    parts = np.split(found.double().cpu().numpy(), np.cumsum([len(trie) - 1 for trie in tries])[:-1])
    return [np.concatenate([np.zeros(1), part]) for part in parts]
