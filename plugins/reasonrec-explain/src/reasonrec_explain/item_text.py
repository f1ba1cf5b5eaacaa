"""Item text for prompts and explanations: cleaned titles and labels of a catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from pydantic import Field

from reasonrec_core.data.catalog import Catalog
from reasonrec_core.errors import ConfigError, did_you_mean
from reasonrec_explain.sanitise import Sanitiser, TextLimits

USUAL_FIELDS = ("brand", "categories", "department", "color", "director")
LABELS_SHOWN = 4


class ItemTextSettings(TextLimits):
    """What a prompt says about an item."""

    fields: tuple[str, ...] | None = None
    """Item fields that follow the title; by default those of brand, categories, department, color and director that
    the items have."""
    labels: int = Field(default=LABELS_SHOWN, ge=1, le=50)
    """Most labels shown of a field that holds several."""


class ItemText:
    """Text of the items of a catalogue, made when they are first asked for.

    Args:
        catalog: the items; their text is untrusted.
        settings: fields and lengths.
        special_tokens: see `Sanitiser`.

    Raises:
        ConfigError: a field that the items do not have.
    """

    def __init__(
        self, catalog: Catalog, settings: ItemTextSettings | None = None, special_tokens: Sequence[str] = ()
    ) -> None:
        self.settings = settings or ItemTextSettings()
        self.sanitiser = Sanitiser(self.settings, special_tokens)
        self._catalog = catalog
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
            self._titles[item] = self.sanitiser.clean_title(self._catalog.titles[item]) or f"item {item}"
        return self._titles[item]

    def raw_title(self, item: int) -> str:
        """The title as the catalogue has it: untrusted, for comparing and never for showing."""
        return self._catalog.titles[item]

    def labels(self, item: int, field: str) -> tuple[str, ...]:
        """The harmless labels of one field."""
        if (item, field) not in self._shown:
            words = (self.sanitiser.clean_value(label) for label in self._labels[field][item][: self.settings.labels])
            self._shown[item, field] = tuple(word for word in words if word)
        return self._shown[item, field]

    def all_labels(self, item: int) -> set[str]:
        """The harmless labels of all fields."""
        return {label for field in self.fields for label in self.labels(item, field)}
