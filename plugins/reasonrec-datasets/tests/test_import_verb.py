"""``reasonrec data import`` and ``describe``, as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reasonrec_core.cli.main import main
from reasonrec_core.data.dataset import Dataset


def reasonrec(*args: object, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main([str(a) for a in args])
    out, err = capsys.readouterr()
    return int(left.value.code or 0), out, err


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    log = [("c1", "a", 100, 5), ("c1", "b", 200, 1), ("c1", "b", 200, 2), ("c2", "a", 300, 5), ("c2", "d", 300, 4)]
    rows = "\n".join(",".join(map(str, row)) for row in log)
    (folder / "interactions.csv").write_text(f"customer,item_id,t,rating\n{rows}\n")
    items = "item_id,title,categories,price\na,Apple,Food|Fruit,1\nb,Bean,Food,\nc,\x1b[31mCold,Tools,3\n"
    (folder / "items.csv").write_text(items)
    return folder


COLUMNS = ("--column", "user_id=customer", "--column", "timestamp=t")


def test_import_then_describe(shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "sets" / "shop"
    options = (*COLUMNS, "--name", "My shop", "--dedupe", "none")
    code, said, noted = reasonrec("data", "import", shop, "--out", out, *options, capsys=capsys)
    assert code == 0
    assert "My shop: 2 users, 4 items, 5 interactions" in said
    assert "1 of 3 items in the interactions are not in the item table, e.g. d" in noted
    code, said, _ = reasonrec("data", "describe", out, "--json", "--verify", capsys=capsys)
    facts = json.loads(said)
    assert code == 0
    assert facts["hash"] == Dataset.open(out).hash
    assert (facts["users"], facts["items"], facts["interactions"]) == (2, 4, 5)
    assert facts["density"] == pytest.approx(5 / 8)
    assert facts["cold_items"] == 1
    assert facts["repeated_pairs"] == 1
    assert facts["history_length"] == {
        "min": 2.0, "p10": 2.1, "p25": 2.25, "median": 2.5, "p75": 2.75, "p90": 2.9, "max": 3.0, "mean": 2.5
    }  # fmt: skip
    assert facts["time"] == {
        "clock": True,
        "ties": 2,
        "users_with_tied_last": 2,
        "implausible": 5,
        "first": "1970-01-01T00:01:40+00:00",
        "last": "1970-01-01T00:05:00+00:00",
    }
    assert facts["values"]["counts"] == {"1": 1, "2": 1, "4": 1, "5": 2}
    assert facts["text"] == 0.75
    assert facts["image"] == 0.0
    assert facts["fields"]["price"] == {"type": "double", "share": 0.5}
    assert facts["top_categories"][0] == {"label": "Food", "items": 2, "interactions": 4}
    code, said, _ = reasonrec("data", "describe", out, capsys=capsys)
    assert "1 cold" in said
    assert "Food (2)" in said


def test_describe_reads_raw_data_and_leaves_nothing(
    shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(tmp_path.rglob("*"))
    code, said, _ = reasonrec("data", "describe", shop, *COLUMNS, capsys=capsys)
    assert code == 0
    assert "4 (1 cold: without interactions)" in said
    assert sorted(tmp_path.rglob("*")) == before


def test_text_from_data_cannot_steer_the_terminal(
    shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (shop / "items.csv").write_text("item_id,categories\na,\x1b[31mRed|[bold]x\nb,\x1b]0;title\x07\n")
    code, said, err = reasonrec("data", "describe", shop, *COLUMNS, "--column", "value=", capsys=capsys)
    assert code == 0
    assert "\x1b" not in said + err
    assert "[bold]x" in said


def test_a_dataset_is_replaced_only_when_told(shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert reasonrec("data", "import", shop, "--out", out, *COLUMNS, capsys=capsys)[0] == 0
    first = Dataset.open(out).hash
    code, _, err = reasonrec("data", "import", shop, "--out", out, *COLUMNS, "--seed", 5, capsys=capsys)
    assert code == 2
    assert "already holds a dataset" in err
    assert "--force" in err
    assert Dataset.open(out).hash == first
    options = ("--out", out, *COLUMNS, "--column", "value=", "--force", "-q", "--json")
    code, said, err = reasonrec("data", "import", shop, *options, capsys=capsys)
    assert (code, err) == (0, "")
    assert json.loads(said)["columns"] == ["user", "item", "time"]
    assert Dataset.open(out).hash != first


def test_new_items_join_a_dataset(shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reasonrec("data", "import", shop, "--out", tmp_path / "old", *COLUMNS, capsys=capsys)
    (tmp_path / "new.csv").write_text("sku,name,price\nn1,Nut,2\nn2,Oat,\n")
    arguments = ("--extend", tmp_path / "old", "--out", tmp_path / "grown")
    code, said, _ = reasonrec("data", "import", tmp_path / "new.csv", *arguments, capsys=capsys)
    assert code == 0
    assert "6 items" in said
    old, grown = Dataset.open(tmp_path / "old"), Dataset.open(tmp_path / "grown")
    assert grown.catalog.ids[: old.n_items] == old.catalog.ids
    assert grown.catalog.titles[grown.catalog.index["n1"]] == "Nut"
    code, _, err = reasonrec("data", "import", tmp_path / "new.csv", *arguments, "--force", "-q", capsys=capsys)
    assert code == 0, err
    bad = ("--extend", tmp_path / "grown", "--out", tmp_path / "x")
    code, _, err = reasonrec("data", "import", tmp_path / "new.csv", *bad, capsys=capsys)
    assert code == 2
    assert "new.csv:2:1: item 'n1' is already in the catalogue" in err.replace("\n", "")
    assert not (tmp_path / "x").exists()
