"""Labels of items as sets of labels that many items share, so that a query's odds are worked out once per set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from reasonrec_profile.api import ItemField
from scipy import sparse

from reasonrec_core.types import Float32, Int32, Observation

FLOOR = np.float32(1e-6)
NOTHING = 0
"""The set of an item without labels."""


@dataclass(frozen=True)
class LabelSets:
    """One field of all items.

    Attributes:
        field: whose labels.
        of_item: int32[n_items], the set of labels that each item carries; `NOTHING` where it has none.
        members: float32 CSR[U, L], the distinct rows of the field's membership; row `NOTHING` is empty.
    """

    field: ItemField
    of_item: Int32
    members: sparse.csr_matrix

    @classmethod
    def of(cls, field: ItemField) -> Self:
        """The sets of a field."""
        member = field.membership.tocsr()
        if not member.has_sorted_indices:
            member = member.sorted_indices()
        number: dict[tuple[bytes, bytes], int] = {(b"", b""): NOTHING}
        example, of_item = [-1], np.zeros(member.shape[0], np.int32)
        for item in np.flatnonzero(np.diff(member.indptr)).tolist():
            part = slice(member.indptr[item], member.indptr[item + 1])
            key = (member.indices[part].tobytes(), member.data[part].tobytes())
            if key not in number:
                number[key] = len(example)
                example.append(item)
            of_item[item] = number[key]
        empty = sparse.csr_matrix((1, member.shape[1]), dtype=np.float32)
        members = sparse.vstack([empty, member[np.array(example[1:], np.int64)]], format="csr")
        return cls(field, of_item, members)

    def shown(self, observation: Observation) -> Int32:
        """int32[n_items]: `of_item`, with `NOTHING` where the labels cannot be seen now."""
        visible = self.field.shown(observation)
        return self.of_item if visible is None else np.where(visible, self.of_item, np.int32(NOTHING))

    def ratios(self, belief: Float32) -> Float32:
        """float32[U, B], ``R(set) = sum_l membership[set, l] * P(l) / prior(l)``; 1 for `NOTHING`.

        How much likelier an item's labels are for this user than for anybody. ``belief``: float32[B, L].
        """
        found: Float32 = self.members @ np.ascontiguousarray((belief / self.field.prior).T)
        np.maximum(found, FLOOR, out=found)
        found[NOTHING] = 1.0
        return found
