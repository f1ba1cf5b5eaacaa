"""Observe: one vector per item, fused from its id, what it looks and reads like, and its labels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from reasonrec_torch.feature_projection import ItemTensors

SPREAD = 0.02
"""Standard deviation of new parameters."""


class ItemEncoder(nn.Module):
    """``e_i = sum over parts of gate_p(i) * part_p(i)``; parts are the id, each modality, each field's labels.

    A part that is missing is masked, and a gate says by how much each other part makes up for it: an item that has
    all parts is their plain sum. An item without training interactions has no id part at all: it is what it looks and
    reads like. While training, some items' ids are hidden, so that content alone learns to stand for an item.

    Args:
        n_items: size of the catalogue.
        widths: components of each modality.
        labels: how many labels each field has.
        dimensions: d.
        hidden_ids: share of the items whose id is hidden in a training step.
        use_ids: whether there are id vectors at all.
    """

    def __init__(
        self,
        n_items: int,
        widths: Sequence[int],
        labels: Sequence[int],
        dimensions: int,
        hidden_ids: float = 0.0,
        use_ids: bool = True,
    ) -> None:
        super().__init__()
        self.hidden_ids, self.use_ids = hidden_ids, use_ids
        self.ids = nn.Parameter(torch.randn(n_items, dimensions) * SPREAD)
        self.bias = nn.Parameter(torch.zeros(n_items))
        self.views = nn.ParameterList([torch.randn(w, dimensions) * SPREAD for w in widths])
        self.labels = nn.ParameterList([torch.randn(n, dimensions) * SPREAD for n in labels])
        parts = 1 + len(widths) + len(labels)
        self.gates = nn.Parameter(torch.zeros(parts, parts))
        self.tilt = nn.Parameter(torch.zeros(dimensions))

    def forward(self, inputs: ItemTensors) -> tuple[Tensor, Tensor]:
        """float[n, d] vectors and float[n] biases; n may exceed the catalogue that was trained on.

        The bias of an item is what its content suggests plus, for items that were trained on, its own.
        """
        n, trained = len(inputs.counts), len(self.ids)
        known = (inputs.counts > 0).float() if self.use_ids else torch.zeros_like(inputs.counts)
        if self.training and self.hidden_ids > 0:
            known = known * (torch.rand(n, device=known.device) >= self.hidden_ids)
        shown = [known, *inputs.present]
        content = [view @ weight for view, weight in zip(inputs.views, self.views, strict=True)]
        for member, weight in zip(inputs.members, self.labels, strict=True):
            content.append(torch.sparse.mm(member, weight))
            shown.append((content[-1].detach() != 0).any(dim=1).float())
        there = torch.stack(shown, dim=1)
        gates = 2 * torch.sigmoid((1 - there) @ self.gates) * there
        table = torch.zeros(n, self.ids.shape[1], device=known.device)
        for p, part in enumerate(content, start=1):
            table = table + gates[:, p : p + 1] * part
        bias = table @ self.tilt
        own = gates[:trained, :1] * self.ids
        if n > trained:
            own = torch.cat([own, own.new_zeros(n - trained, own.shape[1])])
        lift = self.bias * known[:trained]
        if n > trained:
            lift = torch.cat([lift, lift.new_zeros(n - trained)])
        return table + own, bias + lift
