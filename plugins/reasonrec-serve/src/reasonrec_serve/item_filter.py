"""Which items meet conditions on their fields: text and labels, numbers, times, lists of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from reprlib import repr as shorten
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reasonrec_core.data.catalog import Catalog
from reasonrec_core.data.columns import is_list, is_text, take_column
from reasonrec_core.errors import ConfigError, did_you_mean
from reasonrec_core.types import Bool, Float64, Int64

WHERE = "--where"
Span = tuple[float, float]
"""What a value means: a number, or all moments of a day; both ends belong to it."""


class ItemFilter:
    """Conditions on the fields of a catalogue. A field is read when it is first asked for, and kept."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._fields: dict[str, FieldValues] = {}

    def match(self, where: Mapping[str, Any]) -> Bool:
        """bool[n_items]: the items that meet every condition.

        Args:
            where: item field (whatever its case) -> a value, a list of values of which one must fit, ``{"min": a,
                "max": b}`` (both ends belong to it), or None for items without a value. Text fits where it is the
                whole field or one of its labels (split at ``|``), whatever its case.

        Raises:
            ConfigError: no such field, or a condition that cannot be asked of it.
        """
        fits = np.ones(len(self.catalog), np.bool_)
        for name, wanted in where.items():
            fits &= self._field(name).match(wanted)
        return fits

    def kind(self, name: str) -> str:
        """What a condition on a field is: "text" (values), "number" or "time" (a range)."""
        field = self._field(name)
        return "text" if field.is_words else "time" if field.are_times else "number"

    def values(self, name: str) -> Mapping[str, int]:
        """The values of a field of words, or true and false, and how many items have each; the most frequent first."""
        return self._field(name).counts

    def _field(self, name: str) -> FieldValues:
        known = self.catalog.fields
        same = [each for each in known if each == name] or [e for e in known if e.casefold() == name.casefold()]
        if len(same) != 1:
            raise ConfigError(f"the items have no field {name!r}", where=WHERE, fix=did_you_mean(name, known))
        if same[0] not in self._fields:
            self._fields[same[0]] = FieldValues(same[0], take_column(self.catalog.table, same[0]))
        return self._fields[same[0]]


@dataclass(frozen=True)
class Numbers:
    """Numbers of one field: float64[V] and the item of each int64[V]; times are seconds since 1970."""

    values: Float64
    items: Int64
    are_times: bool

    def within(self, low: float, high: float, n_items: int) -> Bool:
        """bool[n_items]: a number of the item lies between the two, both included."""
        fits = np.zeros(n_items, np.bool_)
        fits[self.items[(self.values >= low) & (self.values <= high)]] = True
        return fits


class FieldValues:
    """One field of all items.

    Args:
        name: of the field.
        column: a value or a list of values per item.
    """

    def __init__(self, name: str, column: pa.Array) -> None:
        self.name, self.n_items = name, len(column)
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        if is_list(column.type):
            self.values, parents = column.flatten(), pc.list_parent_indices(column)
            self.items = parents.to_numpy(zero_copy_only=False).astype(np.int64)
        else:
            self.values, self.items = column, np.arange(len(column), dtype=np.int64)

    def match(self, wanted: object) -> Bool:
        """bool[n_items]; see `ItemFilter.match`."""
        if isinstance(wanted, Mapping):
            return self._match_range(wanted)
        if wanted is None:
            return ~self._present
        if isinstance(wanted, str | bytes) or not isinstance(wanted, Iterable):
            return self._match_value(wanted)
        fits = np.zeros(self.n_items, np.bool_)
        for each in wanted:
            fits |= self.match(None) if each is None else self._match_value(each)
        return fits

    def _match_value(self, wanted: object) -> Bool:
        if not isinstance(wanted, str | int | float | bool | np.generic | date):
            raise ConfigError(f"{self.name}: {shorten(wanted)} is not a value to compare with", where=WHERE)
        if is_text(self.values.type):
            if isinstance(wanted, float | np.floating) and float(wanted).is_integer():
                wanted = int(wanted)
            fits = np.zeros(self.n_items, np.bool_)
            fits[self._labels.get(str(wanted).strip().casefold(), [])] = True
            return fits
        if pa.types.is_boolean(self.values.type):
            low = high = self._read_truth(wanted)
        else:
            low, high = self._read(wanted)
        return self._numbers.within(low, high, self.n_items)

    def _match_range(self, wanted: Mapping[Any, Any]) -> Bool:
        if not wanted or not set(wanted) <= {"min", "max"} or all(end is None for end in wanted.values()):
            what = f"{self.name}: a range must have min, max or both, not {shorten(dict(wanted))}"
            raise ConfigError(what, where=WHERE, fix='Write {"min": 10, "max": 20}.')
        if pa.types.is_boolean(self.values.type):
            raise ConfigError(f"{self.name} is true or false, so it has no range", where=WHERE)
        least, most = wanted.get("min"), wanted.get("max")
        low = -math.inf if least is None else self._read(least)[0]
        high = math.inf if most is None else self._read(most)[1]
        if low > high:
            raise ConfigError(f"{self.name}: min {shorten(least)} is above max {shorten(most)}", where=WHERE)
        return self._numbers.within(low, high, self.n_items)

    @cached_property
    def is_words(self) -> bool:
        """Whether it is chosen from by its values: text that is not numbers or times throughout, true or false."""
        if pa.types.is_boolean(self.values.type):
            return True
        try:
            return not len(self._numbers.values)
        except ConfigError:
            return True

    @property
    def are_times(self) -> bool:
        """Whether its numbers are times."""
        return self._numbers.are_times

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """Value, as it is written first, -> items that have it; the most frequent first."""
        if is_text(self.values.type):
            written = {part.strip().casefold(): part.strip() for text in reversed(self.values.to_pylist()) if text
                       for part in [text, *text.split("|")]}  # fmt: skip
            found = {written[label]: len(items) for label, items in self._labels.items() if "|" not in label}
        else:
            values = [None if value is None else str(value).lower() for value in self.values.to_pylist()]
            found = {value: values.count(value) for value in dict.fromkeys(values) if value is not None}
        return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))

    @cached_property
    def _present(self) -> Bool:
        """bool[n_items]: there is a value, and it is not blank."""
        there = np.zeros(self.n_items, np.bool_)
        if is_text(self.values.type):
            kept = [bool(text and text.strip()) for text in self.values.to_pylist()]
        else:
            kept = [value is not None and value == value for value in self.values.to_pylist()]
        there[self.items[np.array(kept, np.bool_)]] = True
        return there

    @cached_property
    def _labels(self) -> dict[str, list[int]]:
        """Folded text, whole or one of its labels -> items."""
        found: dict[str, list[int]] = {}
        for item, text in zip(self.items.tolist(), self.values.to_pylist(), strict=True):
            if text and text.strip():
                for label in {text.strip().casefold(), *(part.strip().casefold() for part in text.split("|"))} - {""}:
                    found.setdefault(label, []).append(item)
        return found

    @cached_property
    def _numbers(self) -> Numbers:
        """The field as numbers or times.

        Raises:
            ConfigError: it is text that is neither.
        """
        kind, values = self.values.type, self.values.to_pylist()
        if pa.types.is_temporal(kind):
            return self._collect([None if v is None else read_time(v) for v in values], are_times=True)
        if not is_text(kind):
            return self._collect([None if v is None else (float(v),) * 2 for v in values], are_times=False)
        parts = [(item, part.strip()) for item, text in zip(self.items.tolist(), values, strict=True) if text
                 for part in text.split("|") if part.strip()]  # fmt: skip
        texts, items = [text for _, text in parts], np.array([item for item, _ in parts], np.int64)
        for read, are_times in ((_read_number, False), (read_time, True)):
            spans = [read(text) for text in texts]
            if spans and all(span is not None for span in spans):
                return Numbers(np.array([span[0] for span in spans if span]), items, are_times)
        raise ConfigError(
            f"{self.name} is text, so it has no range", where=WHERE, fix="Give a value or a list of values."
        )

    def _collect(self, spans: list[Span | None], *, are_times: bool) -> Numbers:
        known = [i for i, span in enumerate(spans) if span is not None and not math.isnan(span[0])]
        values = np.array([spans[i][0] for i in known], np.float64)  # type: ignore[index]
        return Numbers(values, self.items[np.array(known, np.int64)], are_times)

    def _read(self, given: object) -> Span:
        """What a value of a condition means for this field."""
        span = _read_number(given)
        if self._numbers.are_times and (span is None or isinstance(given, str)):
            span = read_time(given) or span
        if span is None or math.isnan(span[0]):
            what = "a time such as 2024-05-01" if self._numbers.are_times else "a number"
            raise ConfigError(f"{self.name} holds numbers: {shorten(given)} is not {what}", where=WHERE)
        return span

    def _read_truth(self, given: object) -> float:
        said = {"true": 1.0, "1": 1.0, "yes": 1.0, "false": 0.0, "0": 0.0, "no": 0.0}.get(str(given).strip().lower())
        if said is None:
            raise ConfigError(f"{self.name} is true or false, not {shorten(given)}", where=WHERE)
        return said


def _read_number(given: object) -> Span | None:
    if isinstance(given, date):
        return None
    try:
        return (float(given),) * 2  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None


def read_time(given: object) -> Span | None:
    """The first and last second of a day, or one moment twice; without a zone it is UTC. None where it is no time."""
    if isinstance(given, str):
        try:
            given = date.fromisoformat(given.strip())
        except ValueError:
            try:
                given = datetime.fromisoformat(str(given).strip())
            except ValueError:
                return None
    if isinstance(given, datetime):
        moment = (given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp()
        return moment, moment
    if isinstance(given, date):
        start = datetime(given.year, given.month, given.day, tzinfo=UTC)
        return start.timestamp(), start.timestamp() + timedelta(days=1).total_seconds() - 1e-3
    return None
