"""Conditions on item fields: text, labels, numbers, times, lists."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from reasonrec_serve.item_filter import ItemFilter
from reasonrec_serve.options import read_conditions

from reasonrec_core.data.catalog import Catalog
from reasonrec_core.errors import ConfigError


@pytest.fixture(scope="module")
def items() -> ItemFilter:
    columns: dict[str, Any] = {
        "item_id": ["a", "b", "c", "d"],
        "title": ["Alpha", "Beta", "Gamma", None],
        "brand": ["Acorn", "acorn ", "Birch", ""],
        "categories": ["Shoes|Boots", "Shoes", "Hats", None],
        "price": [5.0, 10.0, None, 20.0],
        "year": pa.array([1990, 2000, None, 2000], pa.int64()),
        "size": ["36|38", "38", "40", None],
        "released": ["2020-01-01", "2020-05-17", "2021-01-01", None],
        "added": pa.array([datetime(2024, 5, d, 12, tzinfo=UTC) for d in (1, 2, 3)] + [None], pa.timestamp("s", "UTC")),
        "tags": pa.array([["red", "Blue"], ["blue"], [], None], pa.list_(pa.string())),
        "marks": pa.array([[1, 9], [5], [], None], pa.list_(pa.int64())),
        "sold": [True, False, None, False],
        "code": pa.array(["x", "y", "x", None]).dictionary_encode(),
    }
    return ItemFilter(Catalog(pa.table(columns)))


@pytest.mark.parametrize(
    ("where", "fit"),
    [
        ({}, "abcd"),
        ({"brand": "ACORN"}, "ab"),
        ({"Brand": ["birch", "nothing"]}, "c"),
        ({"brand": None}, "d"),
        ({"brand": [None, "Birch"]}, "cd"),
        ({"categories": "boots"}, "a"),
        ({"categories": "shoes|boots"}, "a"),
        ({"categories": "Shoes"}, "ab"),
        ({"price": 10}, "b"),
        ({"price": "10.0"}, "b"),
        ({"price": {"min": 10}}, "bd"),
        ({"price": {"max": "10", "min": None}}, "ab"),
        ({"price": {"min": 6, "max": 11}}, "b"),
        ({"price": None}, "c"),
        ({"year": np.int64(2000)}, "bd"),
        ({"year": [1990, 2000]}, "abd"),
        ({"size": 38}, "ab"),
        ({"size": {"max": 36}}, "a"),
        ({"released": {"max": "2020-12-31"}}, "ab"),
        ({"released": {"min": date(2020, 5, 17)}}, "bc"),
        ({"added": "2024-05-02"}, "b"),
        ({"added": {"min": "2024-05-01T13:00", "max": "2024-05-03"}}, "bc"),
        ({"added": {"max": datetime(2024, 5, 2, 12, tzinfo=UTC).timestamp()}}, "ab"),
        ({"tags": "blue"}, "ab"),
        ({"tags": ["red", "green"]}, "a"),
        ({"tags": None}, "cd"),
        ({"marks": {"min": 2, "max": 6}}, "b"),
        ({"marks": {"min": 2}}, "ab"),
        ({"sold": True}, "a"),
        ({"sold": "false"}, "bd"),
        ({"code": "x"}, "ac"),
        ({"brand": "Acorn", "price": {"min": 6}}, "b"),
        ({"brand": []}, ""),
    ],
)
def test_what_fits(items: ItemFilter, where: dict[str, Any], fit: str) -> None:
    assert "".join(items.catalog.ids[i] for i in np.flatnonzero(items.match(where))) == fit


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ({"colour": "red"}, "the items have no field 'colour'"),
        ({"brnad": "x"}, "Did you mean 'brand'?"),
        ({"brand": {"max": 3}}, "brand is text, so it has no range"),
        ({"price": "cheap"}, "'cheap' is not a number"),
        ({"price": float("nan")}, "nan is not a number"),
        ({"price": {"min": 3, "max": 2}}, "min 3 is above max 2"),
        ({"price": {}}, "a range must have min, max or both"),
        ({"price": {"min": None}}, "a range must have min, max or both"),
        ({"added": "soon"}, "'soon' is not a time such as"),
        ({"sold": "perhaps"}, "true or false, not 'perhaps'"),
        ({"sold": {"min": 0}}, "it has no range"),
        ({"brand": [["x"]]}, "is not a value to compare with"),
        ({"brand": object()}, "is not a value to compare with"),
        ({"brand": b"x"}, "is not a value to compare with"),
    ],
)
def test_what_cannot_be_asked_names_the_field(items: ItemFilter, where: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match="--where") as caught:
        items.match(where)
    assert said in caught.value.message


def test_conditions_of_the_command_line() -> None:
    given = ["brand=Acorn", "brand = Birch", "price>=5", "price <= 9.5", "title=a=b>c", "colour="]
    assert read_conditions(given) == {
        "brand": ["Acorn", "Birch"],
        "price": {"min": "5", "max": "9.5"},
        "title": ["a=b>c"],
        "colour": [None],
    }
    for wrong in (
        ["brand"],
        ["=x"],
        ["price>=1", "price>=2"],
        ["price>=1", "price=2"],
        ["price=1", "price>=2"],
        ["a<="],
    ):
        with pytest.raises(ConfigError, match="--where"):
            read_conditions(wrong)
