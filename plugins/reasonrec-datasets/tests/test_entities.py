"""HTML entities in fields of items are decoded when they are imported, and that is counted."""

from __future__ import annotations

import pyarrow as pa
from reasonrec_datasets.importing.field_checks import check_fields


def test_entities_become_what_they_stand_for() -> None:
    notes: list[str] = []
    titles = ["Tom &amp; Jerry", "R&D; B&B", "caf&eacute; &#39;62", "&lt;b&gt;", None, "Acme&amp;reg; &amp;#39;62"]
    table = pa.table({"item_id": list("abcdef"), "title": titles, "image": ["a&amp;b.jpg", *"bcdef"]})
    made = check_fields(table, "item_id", notes=notes)
    assert made.column("title").to_pylist() == ["Tom & Jerry", "R&D; B&B", "caf\u00e9 '62", "<b>", None, "Acme® '62"]
    assert made.column("image").to_pylist()[0] == "a&amp;b.jpg", "a path stays as it is"
    assert notes == ["HTML entities (such as &amp;) were decoded in 4 cells of title."]


def test_text_without_entities_is_left_alone_and_nothing_is_said() -> None:
    notes: list[str] = []
    made = check_fields(pa.table({"item_id": ["a"], "title": ["Salt & Pepper; more"]}), "item_id", notes=notes)
    assert made.column("title").to_pylist() == ["Salt & Pepper; more"]
    assert notes == []
