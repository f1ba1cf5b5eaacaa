"""What is known of the user and of the moment of a row, as codes: fields of users, columns of context."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Self

import numpy as np

from reasonrec_core.components import FitData
from reasonrec_core.types import Int32, Int64


@dataclass(frozen=True)
class RowCategories:
    """Codes that were settled on the training part. Code 0 is "not known", or too rare in training to be learned from.

    Attributes:
        user_fields: int32[n_users, U], the code of each field of each user.
        context: int32[X, V + 1], the code of each value of each context column; V is the most values of a column.
    """

    user_fields: Int32
    context: Int32

    @classmethod
    def of(cls, data: FitData, least: int) -> Self:
        """Of all users that there are, and of the training rows' context; what is rarer than ``least`` is code 0."""
        fields = [_code_values(values, least) for values in data.user_fields.values()]
        known = np.stack(fields, 1) if fields else np.zeros((data.n_users, 0), np.int32)
        return cls(known, _code_context(data, least))

    @property
    def sizes(self) -> list[int]:
        """How many codes each user field has, then each context column."""
        return [int(codes.max(initial=0)) + 1 for codes in (*self.user_fields.T, *self.context)]

    def read(self, users: Int32, context: Int32 | None) -> Int64:
        """int64[N, U + X]: a row per request.

        Args:
            users: int32[N], -1 where unknown.
            context: int32[N, X], as of `QueryBatch`; None where nothing of it is known.
        """
        moment = np.zeros((len(users), len(self.context)), np.int64)
        if context is not None and moment.size:
            codes = np.where(context < self.context.shape[1], context, 0)
            moment[:] = self.context[np.arange(len(self.context)), codes]
        known = np.where((users >= 0) & (users < len(self.user_fields)), users, 0)
        fields = np.where((known != users)[:, None], 0, self.user_fields[known])
        return np.hstack([fields.astype(np.int64), moment])

    def arrays(self) -> Mapping[str, Int32]:
        """For saving, by the names of the attributes."""
        return asdict(self)


def code_frequent(counts: Int64, least: int) -> Int32:
    """int32[V]: 1, 2, ... for those of int64[V] that are at least ``least``, else 0."""
    codes = np.zeros(len(counts), np.int32)
    frequent = np.flatnonzero(counts >= least)
    codes[frequent] = np.arange(1, len(frequent) + 1)
    return codes


def _code_context(data: FitData, least: int) -> Int32:
    sizes = [len(values) + 1 for values in data.context.values()]
    codes = np.zeros((len(sizes), max(sizes, default=1)), np.int32)
    if data.train.context is None:
        return codes
    for column, size in enumerate(sizes):
        counts = np.bincount(data.train.context[:, column], minlength=size)
        counts[0] = 0  # not known
        codes[column, :size] = code_frequent(counts, least)
    return codes


def _code_values(values: Sequence[str | None], least: int) -> Int32:
    texts = np.array([value or "" for value in values], dtype=object)
    names, codes, counts = np.unique(texts, return_inverse=True, return_counts=True)
    counts[names == ""] = 0
    return code_frequent(counts, least)[codes]
