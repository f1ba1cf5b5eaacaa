"""Every setting of ours says what it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel, Field

from reasonrec_core.components import Settings
from reasonrec_core.config import PipelineConfig
from reasonrec_core.hookspecs import Kind
from reasonrec_core.registry import Registry


def list_tables(annotation: Any) -> Iterator[type[BaseModel]]:
    """The tables of settings inside an annotation, however deep."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from list_tables(part)


def find_undescribed(table: type[BaseModel], where: str) -> Iterator[str]:
    """The settings of a table, and of the tables in it, that have no description."""
    for name, field in table.model_fields.items():
        if not (field.description or "").strip():
            yield f"{where}.{name}"
        for inner in list_tables(field.annotation):
            yield from find_undescribed(inner, f"{where}.{name}")


def test_every_setting_is_described() -> None:
    registry = Registry.discover()
    ours = [each for each in registry.components() if each.distribution.startswith("reasonrec")]
    tables = {f"{each.kind} {each.spec.name}": each for each in ours if each.kind is not Kind.METRIC}
    assert {"policy cot", "policy chain", "delegate xdeepfm", "router deferral"} <= set(tables)
    missing = list(find_undescribed(PipelineConfig, "pipeline"))
    for name, each in tables.items():
        missing += find_undescribed(registry.load(each.kind, registry.name_of(each)).Config, name)
    assert not missing, "\n".join(missing)


class Inner(Settings):
    said: int = Field(1, description="A number.")
    silent: int = 2


class Outer(Settings):
    blank: int = Field(1, description=" ")
    inner: Inner | None = Field(None, description="A table.")
    several: dict[str, tuple[Inner, ...]] = Field({}, description="Tables.")


@pytest.mark.parametrize("name", ["x.blank", "x.inner.silent", "x.several.silent"])
def test_what_is_missing_is_found(name: str) -> None:
    assert name in set(find_undescribed(Outer, "x"))
