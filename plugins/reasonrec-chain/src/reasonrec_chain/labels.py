"""Labels of items as dense slots, so that a few hundred items of many queries are looked up at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from reasonrec_core.builtin.profile.fields import ItemField
from reasonrec_core.builtin.profile.infer import Inference
from reasonrec_core.types import Bool, Float32, Int32, Observation

FLOOR = np.float32(1e-6)


@dataclass(frozen=True)
class LabelSlots:
    """One field of all items.

    Attributes:
        field: whose labels.
        label: int32[n_items, S], the labels of each item; L (one too many) where it has fewer.
        weight: float32[n_items, S], sums to 1 over an item's labels; 0 in empty slots.
    """

    field: ItemField
    label: Int32
    weight: Float32

    @classmethod
    def of(cls, field: ItemField) -> Self:
        """The slots of a field's membership."""
        member = field.membership.tocsr()
        lengths = np.diff(member.indptr)
        slots = max(1, int(lengths.max(initial=0)))
        label = np.full((len(lengths), slots), len(field.labels), np.int32)
        weight = np.zeros((len(lengths), slots), np.float32)
        row = np.repeat(np.arange(len(lengths)), lengths)
        slot = np.arange(len(member.indices)) - np.repeat(member.indptr[:-1], lengths)
        label[row, slot], weight[row, slot] = member.indices, member.data
        return cls(field, label, weight)

    def silent(self, observation: Observation) -> Bool:
        """bool[n_items]: no label, or none that can be seen now."""
        nothing = self.weight[:, 0] == 0
        shown = self.field.shown(observation)
        return np.asarray(nothing if shown is None else nothing | ~shown)


def label_ratios(
    inference: Inference, slots: tuple[LabelSlots, ...], items: Int32, observation: Observation
) -> Float32:
    """float32[B, F, C], ``log R_f(i) = log sum_l membership[i, l] * P(l) / prior(l)``; 0 without a label now.

    How much likelier the item's labels are for this user than for anybody.

    Args:
        inference: P(l) per field.
        slots: of the same fields.
        items: int32[B, C], -1 pads.
        observation: what can be seen now.
    """
    ratios = np.zeros((len(items), len(slots), items.shape[1]), np.float32)
    at, query = np.maximum(items, 0), np.arange(len(items))[:, None]
    for f, (slot, belief) in enumerate(zip(slots, inference.beliefs, strict=True)):
        ratio = np.zeros((len(belief), belief.shape[1] + 1), np.float32)
        np.divide(belief, slot.field.prior, out=ratio[:, :-1])
        total = np.zeros(at.shape, np.float32)
        for s in range(slot.label.shape[1]):
            total += slot.weight[at, s] * ratio[query, slot.label[at, s]]
        quiet = slot.silent(observation)[at] | (items < 0)
        ratios[:, f] = np.where(quiet, 0.0, np.log(np.maximum(total, FLOOR)))
    return ratios
