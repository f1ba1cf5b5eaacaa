"""Items like an item, and why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reasonrec_serve import Recommender

from reasonrec_core.cli.main import main
from reasonrec_core.config import check_config
from reasonrec_core.errors import ConfigError, DataError
from reasonrec_core.pipeline.run import fit_pipeline
from reasonrec_core.registry import Registry

from .conftest import pipeline, silent


@pytest.fixture(scope="module")
def service(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Recommender:
    run = tmp_path_factory.mktemp("similar") / "run"
    changes = {"delegates": ["transitions", {"name": "implicit-als", "factors": 4}], "router": None}
    fit_pipeline(check_config(pipeline(data, **changes), "x"), run, Registry.discover(), silent)
    return Recommender.open(run)


def test_every_way_gives_other_items_with_what_they_share(service: Recommender) -> None:
    catalog = service.dataset.catalog
    assert service.neighbours.ways == ("together", "implicit-als", "content", "transitions")
    for way in service.neighbours.ways:
        found = service.similar("item-05", k=6, by=way)
        assert (found.id, found.title, found.by) == ("item-05", catalog.titles[catalog.index["item-05"]], way)
        assert len({item.id for item in found.items} - {"item-05"}) == len(found.items) == 6
        scores = [item.score for item in found.items]
        assert sorted(scores, reverse=True) == scores
        assert all(item.because[0].id == "item-05" for item in found.items)
        assert json.loads(json.dumps(found.to_dict()))["items"][0]["reasons"] == list(found.items[0].reasons)


def test_together_counts_who_took_both(service: Recommender) -> None:
    catalog, log = service.dataset.catalog, service.dataset.interactions
    takers = {i: set(log.users[log.items == i].tolist()) for i in range(len(catalog))}
    at = catalog.index["item-05"]
    for item in service.similar("item-05", by="together", k=5).items:
        other = catalog.index[item.id]
        both = len(takers[at] & takers[other])
        assert item.reasons[0] == f"{both} user{'s' if both > 1 else ''} chose both"
        cosine = both / np.sqrt(len(takers[at]) * len(takers[other]))
        assert item.score == pytest.approx(cosine * both / (both + 5), rel=1e-5)


def test_content_shares_labels(service: Recommender) -> None:
    brand = dict(zip(service.dataset.catalog.ids, service.dataset.catalog.column("brand"), strict=True))
    first = service.similar("item-05", by="content", k=3).items[0]
    assert f"same brand: {brand['item-05']}" in first.reasons
    assert brand[first.id] == brand["item-05"]


def test_vectors_are_those_of_the_component(service: Recommender) -> None:
    part = service.agent.delegates["implicit-als"].part
    vectors = part._items / np.maximum(np.linalg.norm(part._items, axis=1, keepdims=True), 1e-12)
    at = service.dataset.catalog.index["item-05"]
    alike = vectors @ vectors[at]
    alike[at] = -1
    first = service.similar("item-05", k=1, by="implicit-als").items[0]
    assert service.dataset.catalog.index[first.id] == int(alike.argmax())
    assert first.score == pytest.approx(float(alike.max()), rel=1e-5)


def test_limits_hold(service: Recommender) -> None:
    whole = [item.id for item in service.similar("item-05", k=100).items]
    some = service.similar("item-05", k=3, exclude=whole[:2], only=whole[:7], where={"brand": ["Acorn", "Birch"]})
    brand = dict(zip(service.dataset.catalog.ids, service.dataset.catalog.column("brand"), strict=True))
    assert [item.id for item in some.items] == [each for each in whole[2:7] if brand[each] in ("Acorn", "Birch")][:3]
    nothing = service.similar("item-05", only=["item-05", "gone"])
    assert (nothing.items, nothing.skipped) == ((), {"only": 1})
    assert nothing.notes == ("No allowed item is similar, judged by the people who chose both.",)


def test_what_nobody_took_is_compared_by_content(service: Recommender) -> None:
    takers = np.bincount(service.dataset.interactions.items, minlength=service.dataset.n_items)
    unseen = service.dataset.catalog.ids[int(takers.argmin())]
    assert takers.min() == 0
    found = service.similar(unseen, by="together")
    assert found.items == ()
    assert service.similar(unseen).items


@pytest.mark.parametrize(
    ("asked", "error", "said"),
    [
        ({"item": "itm-05"}, DataError, "similar: unknown item 'itm-05'. Did you mean 'item-05'?"),
        ({"item": 1.5}, ConfigError, "1.5 is not an id"),
        ({"item": "item-05", "by": "magic"}, ConfigError, "--by: items cannot be compared by 'magic'"),
        ({"item": "item-05", "k": 0}, ConfigError, "k must be a whole number"),
        ({"item": "item-05", "where": {"colour": "red"}}, ConfigError, "--where: the items have no field 'colour'"),
    ],
)
def test_what_cannot_be_asked_is_said(
    service: Recommender, asked: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error) as caught:
        service.similar(**asked)
    assert said in str(caught.value)


def test_the_command_shows_them(service: Recommender, capsys: pytest.CaptureFixture[str]) -> None:
    for options in (["--json"], []):
        with pytest.raises(SystemExit) as left:
            main(["similar", str(service.run.path), "item-05", "--k", "3", "--by", "together", *options])
        assert not left.value.code
        shown = capsys.readouterr().out
        if options:
            wanted = json.loads(json.dumps(service.similar("item-05", k=3, by="together").to_dict()))
            assert {**json.loads(shown), "seconds": 0} == {**wanted, "seconds": 0}
        else:
            assert "chose both" in shown
