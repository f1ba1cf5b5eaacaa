"""Splitters beside leave-one-out: shares of each user (the last, or any), one moment for everybody, held-out items."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Self

import numpy as np
from pydantic import Field, model_validator

from reasonrec_core.data import (
    LEFT_OUT,
    TEST,
    TRAIN,
    VALID,
    Dataset,
    Division,
    Splitter,
    SplitterSettings,
    cut_sequences,
    make_user_cases,
)
from reasonrec_core.data.cases import SHORTEST, UInt8, compute_user_bounds
from reasonrec_core.errors import DataError
from reasonrec_core.types import Bool, Cases, Int64, Interactions

FEW = 20
"""Fewer interactions cannot be divided by shares in time."""


class ShareSettings(SplitterSettings):
    """Settings of splitters that cut off shares."""

    valid: float = Field(0.1, gt=0, lt=1)
    """Share for validation: of interactions (temporal), of each user's (ratio, random), of items (cold-item)."""
    test: float = Field(0.1, gt=0, lt=1)
    """Share for the test, likewise."""

    @model_validator(mode="after")
    def _leave_some(self) -> Self:
        if self.valid + self.test >= 1:
            raise ValueError(f"valid ({self.valid:g}) and test ({self.test:g}) leave nothing for training")
        return self


class TemporalSettings(ShareSettings):
    """Times are dates, ISO times or seconds since 1970 (UTC where no zone is given)."""

    valid_from: datetime | None = None
    """The first moment of the validation window, instead of a share."""
    test_from: datetime | None = None
    """The first moment of the test window."""
    until: datetime | None = None
    """The end of the test window (exclusive); what comes later is left out."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.valid_from is None) != (self.test_from is None):
            raise ValueError("valid_from and test_from go together")
        cuts = [to_seconds(t) for t in (self.valid_from, self.test_from, self.until) if t is not None]
        if cuts != sorted(set(cuts)):
            raise ValueError("valid_from, test_from and until must follow each other in time")
        return self


class Ratio(Splitter[ShareSettings]):
    """The last ``test`` share of each user's interactions is tested, the ``valid`` share before it validates.

    Shares are rounded down, but to no less than one interaction.
    """

    Config = ShareSettings

    def divide(self, dataset: Dataset, log: Interactions) -> Division:
        """Cut two shares from the end of each user's sequence."""
        lengths = np.diff(compute_user_bounds(log, dataset.n_users))
        n_valid = np.maximum(np.floor(lengths * self.config.valid + 1e-9), 1).astype(np.int64)
        n_test = np.maximum(np.floor(lengths * self.config.test + 1e-9), 1).astype(np.int64)
        words = (
            f"per-user ratio: the last {self.config.test:.0%} of each user's interactions for testing, "
            f"{self.config.valid:.0%} before them for validation (at least one each), the rest for training"
        )
        return cut_sequences(dataset, log, n_valid, n_test, words)


class Random(Splitter[ShareSettings]):
    """Shares of each user's interactions at random, as work on graphs of users and items divides them.

    It does not look at time: what is learned from may lie after what is tested, and results are comparable only with
    others of such a split. Shares are rounded down, but to no less than one interaction.
    """

    Config = ShareSettings

    def divide(self, dataset: Dataset, log: Interactions) -> Division:
        """Draw two shares of each user who has three interactions or more."""
        bounds = compute_user_bounds(log, dataset.n_users)
        lengths = np.diff(bounds)
        n_valid, n_test = (
            np.where(lengths < SHORTEST, 0, np.maximum(np.floor(lengths * share + 1e-9), 1)).astype(np.int64)
            for share in (self.config.valid, self.config.test)
        )
        if not n_test.any():
            what = f"no user has {SHORTEST} interactions, so there is nobody to test on"
            raise DataError(what, where=dataset.name, fix="A random split needs users who come back.")
        chance = np.random.default_rng(self.config.seed).random(len(log))
        order = np.lexsort((chance, log.users))
        place = np.arange(len(log)) - np.repeat(bounds[:-1], lengths)
        tested, judged = np.repeat(n_test, lengths), np.repeat(n_test + n_valid, lengths)
        parts: UInt8 = np.full(len(log), TRAIN, np.uint8)
        parts[order] = np.where(place < tested, TEST, np.where(place < judged, VALID, TRAIN))
        valid = make_user_cases(log, parts == TRAIN, parts == VALID, dataset.n_users)
        test = make_user_cases(log, parts != TEST, parts == TEST, dataset.n_users)
        words = (
            f"per-user random, not by time: {self.config.test:.0%} of each user's interactions for testing, "
            f"{self.config.valid:.0%} for validation (at least one each), the rest for training"
        )
        short = int(((lengths > 0) & (lengths < SHORTEST)).sum())
        left = {f"users with fewer than {SHORTEST} interactions, kept in training": short} if short else {}
        return Division(parts, valid, test, words, left)


class Temporal(Splitter[TemporalSettings]):
    """One moment for everybody, so that nothing learned lies after anything tested.

    Two moments cut the log; a query asks at a cut for all that its user did in the window after it. Equal times never
    straddle a cut: they go to the later part.
    """

    Config = TemporalSettings

    def divide(self, dataset: Dataset, log: Interactions) -> Division:
        """Cut the log at two moments."""
        if not dataset.has_clock:
            what = "a temporal split needs timestamps, but this log only has an order within each user"
            fix = "Use leave-one-out or ratio, or import with a timestamp column."
            raise DataError(what, where=dataset.name, fix=fix)
        first, second = _find_cuts(dataset, log, self.config)
        end = to_seconds(self.config.until) if self.config.until else np.iinfo(np.int64).max
        parts: UInt8 = np.full(len(log), TRAIN, np.uint8)
        parts[log.times >= first], parts[log.times >= second], parts[log.times >= end] = VALID, TEST, LEFT_OUT
        span = f"{_format_day(int(log.times.min()))} to {_format_day(int(log.times.max()))}"
        cuts = _format_day(first), _format_day(second)
        for code, name in ((TRAIN, "training"), (VALID, "validation"), (TEST, "test")):
            if not (parts == code).any():
                what = f"the temporal split leaves no interactions for {name} (log: {span}, cuts: {', '.join(cuts)})"
                fix = "Set valid_from and test_from inside the log, or other shares."
                raise DataError(what, where=dataset.name, fix=fix)
        n = dataset.n_users
        valid = make_user_cases(log, parts == TRAIN, parts == VALID, n, np.full(n, first, np.int64))
        test = make_user_cases(log, (parts == TRAIN) | (parts == VALID), parts == TEST, n, np.full(n, second, np.int64))
        until = f" until {_format_day(end)}" if self.config.until else ""
        words = (
            f"global temporal: trained before {cuts[0]}, validated up to {cuts[1]}, tested from there{until}; "
            "the targets are all that a user did in the window"
        )
        late = int((parts == LEFT_OUT).sum())
        return Division(parts, valid, test, words, {"interactions after the test window": late} if late else {})


def _find_cuts(dataset: Dataset, log: Interactions, config: TemporalSettings) -> tuple[int, int]:
    if config.valid_from and config.test_from:
        return to_seconds(config.valid_from), to_seconds(config.test_from)
    if not len(log) or log.times.min() == log.times.max():
        fix = "Check the timestamp column, or use leave-one-out."
        raise DataError(
            "all interactions have the same time, so they cannot be divided by time", where=dataset.name, fix=fix
        )
    times: Int64 = np.sort(log.times)
    shares = 1 - config.valid - config.test, 1 - config.test
    cuts = [times[min(round(len(times) * share), len(times) - 1)] for share in shares]
    if cuts[0] == cuts[1]:
        day = _format_day(int(cuts[0]))
        what = f"both cuts fall on {day}, because too many of the {len(times):,} interactions share that time"
        if len(times) < FEW:
            what = f"{len(times)} interactions are too few to train, validate and test on"
        raise DataError(what, where=dataset.name, fix="Set valid_from and test_from, or larger shares.")
    return int(cuts[0]), int(cuts[1])


def _format_day(moment: int) -> str:
    try:
        return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S").removesuffix(" 00:00:00")
    except (OverflowError, ValueError, OSError):  # positions or other clocks
        return str(moment)


class ColdItem(Splitter[ShareSettings]):
    """A seeded share of the items is held out whole; users who chose them are asked with what they did before.

    Validation and test items are disjoint. A query's targets are all its user's held-out items of that part; its
    history is what the user did before the first of them, without the items held out for that part or a later one.
    """

    Config = ShareSettings

    def divide(self, dataset: Dataset, log: Interactions) -> Division:
        """Hold out items."""
        seen = np.unique(log.items)
        n_valid, n_test = round(len(seen) * self.config.valid), round(len(seen) * self.config.test)
        if min(n_valid, n_test) < 1 or n_valid + n_test >= len(seen):
            what = f"of {len(seen)} items with interactions, {n_valid} for validation and {n_test} for testing"
            fix = "Choose shares that hold out at least one item each and leave some for training."
            raise DataError(f"{what} cannot be held out", where=dataset.name, fix=fix)
        drawn = np.random.default_rng(self.config.seed).permutation(seen)
        role: UInt8 = np.full(dataset.n_items, TRAIN, np.uint8)
        role[drawn[:n_valid]], role[drawn[n_valid : n_valid + n_test]] = VALID, TEST
        parts = role[log.items]
        if not (parts == TRAIN).any():
            raise DataError("the cold share is too large: no interactions are left for training", where=dataset.name)
        valid = _ask_held_out(dataset, log, parts, VALID, parts == TRAIN)
        test = _ask_held_out(dataset, log, parts, TEST, parts != TEST)
        counts = f"cold items: {n_valid} items are held out for validation, {n_test} others for testing"
        before = "the history is what came before the first held-out item"
        kept = "training keeps all interactions with the other items, later ones too"
        return Division(parts, valid, test, f"{counts}; {before}; {kept}")


def _ask_held_out(dataset: Dataset, log: Interactions, parts: UInt8, part: int, history: Bool) -> Cases:
    target = parts == part
    bounds = compute_user_bounds(log, dataset.n_users)
    first = np.full(dataset.n_users, len(log), np.int64)
    rows = np.flatnonzero(target)
    first[log.users[rows][::-1]] = rows[::-1]  # the first row of each user is written last
    first = np.minimum(first, bounds[1:])
    before = history & (np.arange(len(log)) < first[log.users])
    return make_user_cases(log, before, target, dataset.n_users)


def to_seconds(moment: datetime) -> int:
    """Seconds since 1970; a time without a zone is UTC."""
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
