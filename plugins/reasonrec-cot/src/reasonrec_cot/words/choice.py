"""Labels of listed candidates, and reading a choice among them: nothing outside the list can be chosen."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase

from reasonrec_core.data.catalog import normalise_text

SEPARATORS = re.compile(r"[\s,;>]+")
LABEL = re.compile(r"\(?([A-Za-z]|[0-9]{1,6})[).:]?")
MOST_READ = 20_000
"""Characters of an answer that are read."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen.

    Attributes:
        order: positions in the candidate list, best first, each once; () where nothing was chosen.
        unknown: how many words named no candidate.
        repeated: how many named a candidate again.
    """

    order: tuple[int, ...]
    unknown: int = 0
    repeated: int = 0

    @property
    def valid(self) -> bool:
        """Whether something was chosen and nothing else was said."""
        return bool(self.order) and not self.unknown and not self.repeated


def labels(count: int) -> tuple[str, ...]:
    """Labels of a list: A, B, ... for up to 26 candidates, else 1, 2, ..."""
    return tuple(ascii_uppercase[:count]) if count <= len(ascii_uppercase) else tuple(map(str, range(1, count + 1)))


def read_choice(answer: str | None, names: Sequence[str]) -> Choice:
    """Which candidates an answer names: by label (``C`` or ``C, A, B``), or one of them by its name.

    Args:
        answer: the text of an answer, whatever it is.
        names: the candidates' names in the order in which they were listed.

    Returns:
        Positions in ``names`` only; total. Words that are neither are counted, never guessed at: where anything but
        labels stands beside a label, as in ``A film like B``, nothing is chosen.
    """
    said = (answer or "")[:MOST_READ].strip()
    known = {label: position for position, label in enumerate(labels(len(names)))}
    words = [word for word in SEPARATORS.split(said) if word]
    matches = [LABEL.fullmatch(word) for word in words]
    if words and all(matches):
        found = [known.get(match[1].upper()) for match in matches if match]
        order = tuple(dict.fromkeys(position for position in found if position is not None))
        unknown = found.count(None)
        return Choice(order, unknown, len(found) - unknown - len(order))
    bare = normalise_text(said)
    named = [position for position, name in enumerate(names) if bare and normalise_text(name) == bare]
    return Choice((named[0],)) if len(named) == 1 else Choice((), max(len(words), 1))


def full_order(choice: Choice, prior: Sequence[int]) -> list[int]:
    """All candidates: the chosen ones first, the others in the order of ``prior`` (positions, each once)."""
    chosen = set(choice.order)
    return [*choice.order, *(position for position in prior if position not in chosen)]
