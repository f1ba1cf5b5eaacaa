"""The conformance suite of splitters."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest

from reasonrec_core.components import Kind, SplitterSettings
from reasonrec_core.data import Dataset, Split, SplitConfig, make_split, open_split, save_split
from reasonrec_core.data.cases import LEFT_OUT, TEST, TRAIN, VALID
from reasonrec_core.errors import DataError
from reasonrec_core.testing.component import ConfiguredConformance
from reasonrec_core.testing.tiny import store_tables, tiny_dataset
from reasonrec_core.types import Cases, Interactions

CODES = {TRAIN, VALID, TEST, LEFT_OUT}


class SplitterConformance(ConfiguredConformance):
    """Subclass it in a plugin's tests and set ``component``, the registered name.

    Attributes:
        by_time: whether a query's history lies before its targets; False for rules that do not look at time.
    """

    kind = Kind.SPLITTER
    by_time: ClassVar[bool] = True
    _kept: ClassVar[tuple[Dataset, Split]]

    @classmethod
    def dataset(cls, folder: Path) -> Dataset:
        """What is divided; override it for a splitter that needs more than users, items and times."""
        return tiny_dataset(folder)

    @classmethod
    def config(cls, **more: Any) -> SplitConfig:
        """The settings as a pipeline names them."""
        assert isinstance(cls.component, str), "name the component as it is registered"
        return SplitConfig(kind=cls.component, **{**cls.settings, **more})

    @pytest.fixture
    def divided(self, tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, Split]:
        """The data and its split, made once per class."""
        suite = type(self)
        if "_kept" not in vars(suite):
            dataset = self.dataset(tmp_path_factory.mktemp("splitter"))
            suite._kept = dataset, make_split(dataset, self.config())
        return suite._kept

    def test_settings_extend_those_of_every_splitter(self) -> None:
        assert issubclass(self.component_class().Config, SplitterSettings)

    def test_every_interaction_has_one_part(self, divided: tuple[Dataset, Split]) -> None:
        dataset, split = divided
        log, parts = dataset.interactions, split.parts
        assert parts is not None
        assert parts.dtype == np.uint8
        assert len(parts) == len(log)
        assert set(np.unique(parts).tolist()) <= CODES
        rows = parts == TRAIN
        np.testing.assert_array_equal(split.train.users, log.users[rows], "training is not what parts say")
        np.testing.assert_array_equal(split.train.items, log.items[rows], "training is not what parts say")
        assert all(isinstance(n, int) and n >= 0 for n in split.left_out.values())

    def test_says_its_rule_in_words(self, divided: tuple[Dataset, Split]) -> None:
        assert len(divided[1].protocol.split()) >= 3
        assert not divided[1].protocol.endswith("."), "the rule is one sentence without a full stop"

    def test_targets_are_interactions_of_their_part(self, divided: tuple[Dataset, Split]) -> None:
        dataset, split = divided
        log = dataset.interactions
        for name, cases, part in (("validation", split.valid, VALID), ("test", split.test, TEST)):
            assert len(cases), f"no {name} queries"
            outside = set(_pairs(cases)) - _pairs_of(log.take(split.parts == part))
            assert not outside, f"{name} targets that are no interaction of that part: {sorted(outside)[:3]}"

    def test_nothing_held_out_is_learned_from(self, divided: tuple[Dataset, Split]) -> None:
        dataset, split = divided
        log = dataset.interactions
        counts = Counter(zip(log.users.tolist(), log.items.tolist(), strict=True))
        trained = _pairs_of(split.train)
        for name, cases in (("validation", split.valid), ("test", split.test)):
            leaked = [pair for pair in _pairs(cases) if pair in trained and counts[pair] == 1]
            assert not leaked, f"{name} targets that are trained on: {leaked[:3]}"
        both = {pair for pair in set(_pairs(split.valid)) & set(_pairs(split.test)) if counts[pair] == 1}
        assert not both, "one interaction is a target of validation and of the test"

    def test_histories_hold_what_came_before(self, divided: tuple[Dataset, Split]) -> None:
        dataset, split = divided
        if dataset.given_history is not None:
            pytest.skip("the data gives the histories")
        log, parts = dataset.interactions, split.parts
        assert parts is not None
        for name, cases, part in (("validation", split.valid, VALID), ("test", split.test, TEST)):
            newest = part if cases.labels is not None else part - 1  # click rows may know earlier rows of their part
            allowed = _pairs_of(log.take(parts <= newest))
            for query, user in enumerate(cases.queries.users.tolist()):
                history = cases.queries.history.slice(query, query + 1)
                assert {(user, item) for item in history.items.tolist()} <= allowed, f"{name}: history of a later part"
                assert (np.diff(history.times) >= 0).all(), f"{name}: a history is not in the order of time"
                if self.by_time and cases.queries.times is not None and len(history.times):
                    assert history.times[-1] <= cases.queries.times[query], f"{name}: a history from after the request"

    def test_equal_settings_divide_equally(self, divided: tuple[Dataset, Split]) -> None:
        dataset, split = divided
        again = make_split(Dataset.open(dataset.folder), self.config())
        assert again.hash == split.hash
        np.testing.assert_array_equal(again.parts, split.parts)

    def test_the_hash_covers_the_settings(self, divided: tuple[Dataset, Split]) -> None:
        dataset, split = divided
        assert make_split(dataset, self.config(seed=987)).hash != split.hash
        assert split.config["kind"] == self.component

    def test_changes_nothing_that_it_is_given(self, divided: tuple[Dataset, Split]) -> None:
        dataset, _ = divided
        log = dataset.interactions
        before = [array.copy() for array in (log.users, log.items, log.times)]
        make_split(dataset, self.config())
        for old, new in zip(before, (log.users, log.items, log.times), strict=True):
            np.testing.assert_array_equal(old, new, "the interactions were written to")

    def test_saved_it_opens_as_it_was(self, divided: tuple[Dataset, Split], tmp_path: Path) -> None:
        dataset, split = divided
        save_split(split, tmp_path / "split", dataset)
        again = open_split(tmp_path / "split", dataset)
        assert (again.hash, again.protocol, again.config) == (split.hash, split.protocol, dict(split.config))
        np.testing.assert_array_equal(again.test.targets, split.test.targets)

    @pytest.mark.parametrize("rows", [1, 2, 3, 5])
    def test_too_little_data_is_refused_in_words(self, rows: int, tmp_path: Path) -> None:
        items = pa.table({"item_id": [f"i{row}" for row in range(rows)]})
        times = pa.array(range(1_700_000_000, 1_700_000_000 + rows), pa.int64())
        log = items.append_column("user_id", pa.array(["u"] * rows)).append_column("timestamp", times)
        dataset = store_tables(log, items, pa.table({"user_id": ["u"]}), tmp_path / "dataset")
        try:
            split = make_split(dataset, self.config())
        except DataError:
            return  # any other exception fails the test
        assert min(len(split.train), len(split.valid), len(split.test)) > 0


def _pairs_of(log: Interactions) -> set[tuple[int, int]]:
    """User and item of every interaction."""
    return set(zip(log.users.tolist(), log.items.tolist(), strict=True))


def _pairs(cases: Cases) -> list[tuple[int, int]]:
    """User and item of every target."""
    users = np.repeat(cases.queries.users, np.diff(cases.target_indptr))
    return list(zip(users.tolist(), cases.targets.tolist(), strict=True))
