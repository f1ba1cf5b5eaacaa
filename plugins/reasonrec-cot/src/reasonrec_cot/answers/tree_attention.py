"""All branches of token trees read side by side after their texts: one pass, nothing of the texts read again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from reasonrec_core.types import Float64
from reasonrec_cot.answers.trie import TokenTrie
from reasonrec_cot.backbone.kv_cache import Reading
from reasonrec_cot.backbone.model import Backbone


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
