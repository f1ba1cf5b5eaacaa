"""Items in words: a fenced line for prompts, a name that is one item's alone for answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property

from pydantic import Field

from reasonrec_core.data.catalog import Catalog, normalise_text
from reasonrec_core.errors import ConfigError, did_you_mean
from reasonrec_cot.words.dialogue import Role, Segment, SegmentKind
from reasonrec_cot.words.fence import Fence, FenceSettings, fenced

USUAL_FIELDS = ("brand", "categories", "department", "color", "director")
LABELS_SHOWN = 4


class ItemWordSettings(FenceSettings):
    """What is said of an item."""

    fields: tuple[str, ...] | None = None
    """Item fields that follow the title; by default those of brand, categories, department, color and director that
    the items have."""
    labels: int = Field(default=LABELS_SHOWN, ge=1, le=50)
    """Most labels shown of a field that holds several."""


class ItemWords:
    """Words for the items of a catalogue, made when they are first asked for.

    Args:
        catalog: the items; their text is untrusted.
        settings: fields and lengths.
        special_tokens: see `Fence`.

    Raises:
        ConfigError: a field that the items do not have.
    """

    def __init__(
        self, catalog: Catalog, settings: ItemWordSettings | None = None, special_tokens: Sequence[str] = ()
    ) -> None:
        self.settings = settings or ItemWordSettings()
        self.fence = Fence(self.settings, special_tokens)
        self._catalog = catalog
        self._lines: dict[int, str] = {}
        self._titles: dict[int, str] = {}
        self._shown: dict[tuple[int, str], tuple[str, ...]] = {}
        chosen = self.settings.fields
        for name in chosen or ():
            if name not in catalog.fields:
                fix = did_you_mean(name, catalog.fields) or "The items have no fields."
                raise ConfigError(f"the items have no field {name!r}", where="fields", fix=fix)
        self.fields: tuple[str, ...] = (
            tuple(f for f in USUAL_FIELDS if f in catalog.fields) if chosen is None else chosen
        )

    def __len__(self) -> int:
        return len(self._catalog)

    @cached_property
    def _labels(self) -> dict[str, list[tuple[str, ...]]]:
        return {name: self._catalog.labels(name) for name in self.fields}

    def title(self, item: int) -> str:
        """The item's harmless title; its number, as ``item 17``, where nothing is left of it."""
        if item not in self._titles:
            self._titles[item] = self.fence.title(self._catalog.titles[item]) or f"item {item}"
        return self._titles[item]

    def raw_title(self, item: int) -> str:
        """The title as the catalogue has it: untrusted, for comparing and never for showing."""
        return self._catalog.titles[item]

    def quoted(self, item: int) -> str:
        """The title in its fence."""
        return fenced(self.title(item))

    def labels(self, item: int, field: str) -> tuple[str, ...]:
        """The harmless labels of one field."""
        if (item, field) not in self._shown:
            words = (self.fence.value(label) for label in self._labels[field][item][: self.settings.labels])
            self._shown[item, field] = tuple(word for word in words if word)
        return self._shown[item, field]

    def line(self, item: int) -> str:
        """Title and fields in one fence: ``"Title; label, label; value"``."""
        if item not in self._lines:
            values = [", ".join(self.labels(item, name)) for name in self.fields]
            self._lines[item] = fenced("; ".join([self.title(item), *(value for value in values if value)]))
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
