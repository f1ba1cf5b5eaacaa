"""Reviews: imported, stored, counted and checked."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from reasonrec_datasets import build_dataset, import_path
from reasonrec_doctor.describe import describe_dataset

from reasonrec_core.cli.main import main
from reasonrec_core.data import Dataset


def amazon(folder: Path, **names: str) -> Path:
    theirs = {"user": "reviewerID", "item": "asin", "time": "unixReviewTime", "text": "reviewText", "head": "summary"}
    theirs |= names
    rows = [
        ("A", "p1", 30, "Line one.\nLine two, <b>bold</b>", "good"),
        ("A", "p0", 10, "", None),
        ("A", "p2", 20, None, "only a headline"),
        ("B", "p1", 10, "Third", "fine"),
    ]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "reviews.json"
    lines = [
        {theirs["user"]: u, theirs["item"]: i, "overall": 4.0, theirs["time"]: 1_393_545_600 + t,
         theirs["text"]: text, theirs["head"]: head}
        for u, i, t, text, head in rows
    ]  # fmt: skip
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


@pytest.mark.parametrize(
    "names", [{}, {"user": "user_id", "item": "parent_asin", "time": "timestamp", "text": "text", "head": "title"}]
)
def test_amazon_reviews_are_read_and_kept(tmp_path: Path, names: dict[str, str]) -> None:
    build_dataset(import_path(amazon(tmp_path / "in", **names)), tmp_path / "set")
    dataset = Dataset.open(tmp_path / "set")
    reviews = dataset.reviews
    assert reviews is not None
    users, ids = dataset.users.column("user_id").to_pylist(), dataset.catalog.ids
    written = {
        (users[u], ids[i]): (text, head)
        for u, i, text, head in zip(reviews.users, reviews.items, reviews.texts, reviews.summaries, strict=True)
    }
    assert written == {("A", "p1"): ("Line one.\nLine two, <b>bold</b>", "good"), ("B", "p1"): ("Third", "fine")}
    assert reviews.values is not None
    assert reviews.values.tolist() == [4.0, 4.0]
    log = dataset.interactions
    assert np.array_equal(log.items[dataset.reviewed], reviews.items), "a review belongs to its interaction"
    facts = describe_dataset(dataset)["reviews"]
    assert (facts["count"], facts["share"], facts["summaries"]) == (2, 0.5, 2)


def test_reviews_can_be_left_out_or_named(tmp_path: Path) -> None:
    path = amazon(tmp_path / "in")
    without = build_dataset(import_path(path, columns={"review": "", "summary": ""}), tmp_path / "a")
    assert without.reviews is None
    assert describe_dataset(without)["reviews"] is None
    table = tmp_path / "shop.csv"
    table.write_text('user_id,item_id,opinion\nu,a,"one, two"\nu,b,\n')
    named = build_dataset(import_path(table, columns={"review": "opinion"}), tmp_path / "b")
    assert named.reviews is not None
    assert named.reviews.texts.tolist() == ["one, two"]
    assert named.reviews.summaries.tolist() == [""]


def reasonrec(*args: object) -> int:
    with pytest.raises(SystemExit) as left:
        main([str(arg) for arg in args])
    return int(left.value.code or 0)


def test_the_commands_import_describe_and_check_reviews(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert reasonrec("data", "import", amazon(tmp_path / "in"), "--out", tmp_path / "set") == 0
    assert reasonrec("data", "describe", tmp_path / "set") == 0
    assert "2 (50.0\N{NO-BREAK SPACE}% of interactions)" in capsys.readouterr().out
    assert reasonrec("data", "check", tmp_path / "set", "--only", "copied-reviews") == 0
