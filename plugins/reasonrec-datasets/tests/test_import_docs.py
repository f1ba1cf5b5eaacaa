"""``docs/data.md`` says what the importers do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from reasonrec_datasets.importing.column_matching import TABLES

from reasonrec_core.components import Kind
from reasonrec_core.data.catalog import TEXT_ORDER
from reasonrec_core.data.sources import list_sources
from reasonrec_core.registry import Registry

PAGE = Path(__file__).resolve().parents[3] / "docs" / "data.md"


def test_every_layout_stands_with_its_summary() -> None:
    rows = re.findall(
        r"^\| `([\w-]+)` \| (.*) \|$", PAGE.read_text(encoding="utf-8").split("<!-- /layouts -->")[0], re.MULTILINE
    )
    registry = Registry.discover()
    official = [n for n in list_sources() if registry.spec(Kind.DATA_SOURCE, n).distribution.startswith("reasonrec-")]
    assert rows[1:] == [(name, registry.spec(Kind.DATA_SOURCE, name).spec.summary) for name in official]


def test_every_column_is_explained() -> None:
    columns = PAGE.read_text(encoding="utf-8").split("## Columns")[1].split("## Rules")[0]
    for name in {*TABLES["interactions"], *TABLES["users"], *TEXT_ORDER, "item_id", "image"}:
        assert f"`{name}`" in columns


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert code
    (tmp_path / "shop.csv").write_text("customer,item_id\nu,a\n")
    monkeypatch.chdir(tmp_path)
    exec(compile(code[1], str(PAGE), "exec"), {})
    assert capsys.readouterr().out.startswith("3 [")
