"""Items in words: a fenced line for prompts, a name that is one item's alone for answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property

from reasonrec_explain.item_text import ItemText, ItemTextSettings
from reasonrec_explain.sanitise import fence

from reasonrec_core.data.catalog import Catalog, normalise_text
from reasonrec_cot.prompting.dialogue import Role, Segment, SegmentKind


class ItemWords(ItemText):
    """The text of a catalogue's items as prompts and answers hold it; see `ItemText`."""

    def __init__(
        self, catalog: Catalog, settings: ItemTextSettings | None = None, special_tokens: Sequence[str] = ()
    ) -> None:
        super().__init__(catalog, settings, special_tokens)
        self._lines: dict[int, str] = {}

    def quoted(self, item: int) -> str:
        """The title in its fence."""
        return fence(self.title(item))

    def line(self, item: int) -> str:
        """Title and fields in one fence: ``"Title; label, label; value"``."""
        if item not in self._lines:
            values = [", ".join(self.labels(item, name)) for name in self.fields]
            self._lines[item] = fence("; ".join([self.title(item), *(value for value in values if value)]))
        return self._lines[item]

    def segments(self, item: int, role: Role = Role.USER) -> tuple[Segment, ...]:
        """A place for the item's soft tokens, and its line."""
        return (
            Segment(role, SegmentKind.ITEM, item=item),
            Segment(role, SegmentKind.PROMPT, self.line(item)),
        )

    @cached_property
    def names(self) -> list[str]:
        """One name per item that no other item has, whatever the case and punctuation: what a written answer says.

        Items with one title are told apart by a number in the order of their ids, ``Title #2``.
        """
        titles = [self.title(item) for item in range(len(self))]
        same: dict[str, list[int]] = defaultdict(list)
        for item, title in enumerate(titles):
            same[normalise_text(title) or title].append(item)
        taken = set(same)
        for group in list(same.values()):
            count = 1
            for item in sorted(group, key=lambda i: self._catalog.ids[i])[1:]:
                name = titles[item]
                while normalise_text(name) in taken or name in taken:
                    count += 1
                    name = f"{titles[item]} #{count}"
                titles[item] = name
                taken.add(normalise_text(name))
        return titles
