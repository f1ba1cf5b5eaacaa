"""What users wrote about items."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reasonrec_core.types.arrays import Bool, Float32, Int32, Int64

Texts = npt.NDArray[np.object_]
"""Strings; "" where there is none."""


@dataclass(frozen=True, slots=True)
class Reviews:
    """Reviews as parallel arrays, sorted by user and, within a user, oldest first. The text is untrusted.

    Attributes:
        users: int32[R] dense user indices.
        items: int32[R] dense item indices.
        times: int64[R] like `Interactions.times`.
        texts: str[R] what was written.
        summaries: str[R] its headline, "" where there is none.
        values: float32[R] the user's rating, or None where the data has no ratings.
    """

    users: Int32
    items: Int32
    times: Int64
    texts: Texts
    summaries: Texts
    values: Float32 | None = None

    def __len__(self) -> int:
        return len(self.items)

    def take(self, index: npt.NDArray[np.intp] | Bool) -> Reviews:
        """The reviews that ``index`` (positions or a mask) selects."""
        return Reviews(
            self.users[index],
            self.items[index],
            self.times[index],
            self.texts[index],
            self.summaries[index],
            None if self.values is None else self.values[index],
        )
