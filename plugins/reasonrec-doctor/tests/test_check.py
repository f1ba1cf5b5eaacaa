"""The leakage doctor: each trouble, planted, is found with its count; sound data is clean."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from reasonrec_datasets import build_dataset, import_path
from reasonrec_doctor import CHECKS, Finding, Severity, check_dataset, check_prompts, examine_dataset, is_safe
from reasonrec_doctor.id_leakage import parse_id_numbers
from small_logs import Row, build

from reasonrec_core.data import SplitConfig, make_split
from reasonrec_core.data.catalog import normalise_text
from reasonrec_core.data.dataset import Dataset


def found(dataset: Dataset, *checks: str, **config: object) -> list[Finding]:
    findings, _ = examine_dataset(dataset, SplitConfig(**config), checks=checks)
    return findings


def one(findings: list[Finding], words: str) -> Finding:
    matching = [finding for finding in findings if words in finding.message]
    assert len(matching) == 1, [finding.message for finding in findings]
    assert matching[0].example
    assert matching[0].remedy
    return matching[0]


def random_log(users: int = 300, items: int = 200, seed: int = 0) -> list[Row]:
    rng = np.random.default_rng(seed)
    return [
        (f"u{u}", f"i{item}", 1_600_000_000 + 1000 * step + 50 * u)
        for u in range(users)
        for step, item in enumerate(rng.choice(items, 6, replace=False))
    ]


def first_appearance(rows: list[Row], name: Callable[[int], str]) -> list[Row]:
    """Items renumbered in the order in which whole user sequences are walked: the published mistake."""
    numbers: dict[str, int] = {}
    ordered = sorted(rows, key=lambda row: (row[0], row[2]))
    return [(user, name(numbers.setdefault(item, len(numbers) + 1)), time) for user, item, time in ordered]


def test_sound_data_is_clean() -> None:
    findings, split = examine_dataset(build(random_log()), SplitConfig())
    assert split is not None
    assert {f.check for f in findings} == {"future", "missing"}
    assert {f.severity for f in findings} == {Severity.INFO}
    assert is_safe(findings)


def test_ids_that_a_spreadsheet_shortened_are_found() -> None:
    rows: list[Row] = [("u1", "9.78014E+12", 1_600_000_000), ("u1", "b", 1_600_000_001), ("5E+10", "b", 1_600_000_002)]
    findings = check_dataset(build(rows), None, checks=["mangled-ids"])
    assert {(f.severity, f.count, f.example) for f in findings} == {
        (Severity.WARNING, 1, "9.78014E+12"), (Severity.WARNING, 1, "5E+10")
    }  # fmt: skip


def test_times_of_another_unit_are_found() -> None:
    rows: list[Row] = [("u1", "a", 1_600_000_000), ("u1", "b", 45_292), ("u2", "a", 45_293)]
    finding = one(check_dataset(build(rows), None, checks=["times"]), "before 1990")
    assert (finding.severity, finding.count, finding.total) == (Severity.WARNING, 2, 3)
    assert "45292 seconds" in finding.example
    assert "--time-unit" in finding.remedy


@pytest.mark.parametrize("name", [str, "B{:05d}".format])
def test_ids_in_order_of_first_appearance_leak(name: Callable[[int], str]) -> None:
    rows = first_appearance(random_log(items=3000), name)
    finding = one(found(build(rows), "last-id"), "source ids give the next item away")
    assert finding.severity is Severity.WARNING
    assert finding.count > 20
    assert "came" in finding.example


def test_unshuffled_indices_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same leak in our own indices, as if they had not been shuffled."""
    rows = first_appearance(random_log(items=3000), "{:06d}x".format)
    dataset = build(rows)
    ids = dataset.catalog.ids
    rank = np.argsort(np.argsort(ids)).astype(np.int32)  # index = number
    log = dataset.interactions
    dataset.__dict__["interactions"] = type(log)(log.users, rank[log.items], log.times, log.values)
    finding = one(found(dataset, "last-id"), "dense indices give the next item away")
    assert finding.severity is Severity.ERROR


def test_last_id_rule_needs_more_than_chance() -> None:
    assert not found(build([(u, i.removeprefix("i"), t) for u, i, t in random_log()]), "last-id")


@pytest.mark.parametrize(
    ("ids", "numbers"),
    [
        (["3", "10"], [3, 10]),
        (["B003", "B010"], [3, 10]),
        (["a3", "b4"], None),
        (["x"], None),
        ([], None),
        (["9" * 30], None),
    ],
)
def test_numbers_in_ids(ids: list[str], numbers: list[int] | None) -> None:
    read = parse_id_numbers(ids)
    assert (None if read is None else read.tolist()) == numbers


def test_published_leak_of_real_ids(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    """Amazon Beauty as numbered by S3-Rec: the rule reaches NDCG@5 .027 (published); our indices are clean."""
    raw = import_path(real_data("amazon-beauty"))
    findings = found(build_dataset(raw, tmp_path / "beauty"), "last-id")
    assert [f.severity for f in findings] == [Severity.WARNING]
    assert "NDCG@5 0.027" in findings[0].message


PARTS = ["train", "train", "train", "valid", "test"]
FIVE: list[Row] = [("a", "x", 1), ("a", "y", 2), ("b", "x", 1), ("b", "z", 5), ("a", "w", 9)]


def test_given_history_that_holds_its_own_row() -> None:
    dataset = build(FIVE, part=PARTS, value=[1] * 5, history=[[], ["x"], [], ["x", "z"], ["x", "y"]])
    finding = one(found(dataset, "target-in-history", kind="predefined"), "own item, which the user had not")
    assert (finding.severity, finding.count, finding.total) == (Severity.ERROR, 1, 5)
    assert "user b, item z" in finding.example


def test_given_history_with_a_true_repeat_is_a_warning() -> None:
    rows = [*FIVE, ("a", "x", 12)]
    history = [[], ["x"], [], ["x"], ["x", "y"], ["x", "y", "w"]]
    dataset = build(rows, part=[*PARTS, "test"], value=[1] * 6, history=history)
    findings = found(dataset, "target-in-history", kind="predefined")
    assert [(f.severity, f.count) for f in findings] == [(Severity.WARNING, 1)]


def test_repeats_kept_as_targets() -> None:
    rows = [("a", "x", 1), ("a", "y", 2), ("a", "x", 3), ("b", "x", 1), ("b", "y", 2), ("b", "z", 3)]
    assert not found(build(rows), "target-in-history")
    finding = one(
        found(build(rows), "target-in-history", repeats="keep"), "test targets are in the history of their own request"
    )
    assert finding.count == 1


def test_another_item_of_the_targets_title_in_the_history() -> None:
    items = pa.table({"item_id": ["x", "y", "z"], "title": ["Blue Vase", "Lamp", "BLUE  vase."]})
    rows = [("a", "x", 1), ("a", "y", 2), ("a", "z", 3)]
    findings = found(build(rows, items=items), "target-in-history", "duplicate-items")
    assert one(findings, "history of test requests contains another item").count == 1
    assert one(findings, "same fields as another").count == 2


def test_parts_that_run_backwards_are_an_error() -> None:
    rows = [("a", "x", 1), ("a", "y", 9), ("a", "z", 5), ("a", "w", 7), ("b", "x", 1)]
    findings = found(build(rows, part=["train", "train", "valid", "test", "train"]), "future", kind="predefined")
    assert one(findings, "same user from after the test request").severity is Severity.ERROR
    assert one(findings, "history of test requests").count == 1
    assert one(findings, "future trends").severity is Severity.WARNING


def test_temporal_split_knows_no_future_and_leave_one_out_says_so() -> None:
    dataset = build(random_log())
    assert not found(dataset, "future", kind="temporal", valid=0.2, test=0.2)
    assert one(found(dataset, "future"), "future trends").severity is Severity.INFO


def test_cold_items_split_by_item_not_time() -> None:
    findings = found(build(random_log()), "future", kind="cold-item")
    assert {f.severity for f in findings} == {Severity.INFO}


def test_ties() -> None:
    rows = [("a", "x", 1), ("a", "y", 2), ("a", "z", 2), ("b", "x", 1), ("b", "y", 2), ("b", "z", 3), ("c", "x", 1)]
    finding = one(found(build(rows), "time-ties"), "the last two interactions have the same time")
    assert (finding.count, finding.total, finding.severity) == (1, 2, Severity.WARNING)
    assert "y" in finding.example
    assert "z" in finding.example
    assert one(found(build(rows, clock=False), "time-ties"), "no times").severity is Severity.INFO


def test_duplicate_and_repeated_interactions() -> None:
    rows = [("a", "x", 1), ("a", "x", 1), ("a", "x", 4), ("a", "y", 5), ("a", "z", 6)]
    findings = found(build(rows), "duplicate-interactions")
    assert one(findings, "logged twice").count == 1
    assert one(findings, "repeat an earlier one").count == 1


def test_items_without_text_or_image() -> None:
    items = pa.table({"item_id": ["x", "y", "z"], "title": ["a vase", "", None], "image": ["x.png", None, " "]})
    findings = found(build([("a", i, t) for t, i in enumerate("xyz")], items=items), "missing")
    assert one(findings, "items without text").count == 2
    assert one(findings, "items without image").count == 2
    bare = found(build([("a", i, t) for t, i in enumerate("xyz")]), "missing")
    assert one(bare, "no item has an image").severity is Severity.INFO


def pictured(folder: Path, names: list[str]) -> Dataset:
    items = pa.table({"item_id": [f"i{n}" for n in range(len(names))], "image": names})
    rows = [("a", f"i{n}", n) for n in range(len(names))]
    return build(rows, items=items, images=folder)


def test_unreadable_and_identical_pictures(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    for name, colour in (("a", "red"), ("b", "red"), ("c", "blue")):
        Image.new("RGB", (20, 20), colour).save(folder / f"{name}.png")
    noise = np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "broken.png")
    (folder / "broken.png").write_bytes((folder / "broken.png").read_bytes()[:900])
    (folder / "page.png").write_text("<html>")
    dataset = pictured(folder, ["a.png", "b.png", "c.png", "broken.png", "page.png", "gone.png"])
    done: list[int] = []
    findings = check_dataset(dataset, None, checks=["unreadable-images"], progress=lambda d, t, label: done.append(d))
    assert done == [1, 2, 3, 4, 5, 6]
    assert one(findings, "no such file").count == 1
    assert one(findings, "truncated").count == 1
    assert one(findings, "not an image").count == 1
    assert one(findings, "share a picture").count == 2
    assert is_safe(findings)


def test_pictures_outside_the_folder_are_unsafe(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    Image.new("RGB", (20, 20)).save(tmp_path / "secret.png")
    findings = check_dataset(pictured(folder, ["../secret.png"] * 3), None, checks=["unreadable-images"])
    assert one(findings, "outside the image folder").severity is Severity.ERROR
    assert not is_safe(findings)


def test_data_that_cannot_be_split_is_a_finding_and_the_rest_is_checked() -> None:
    findings, split = examine_dataset(build([("a", "x", 1), ("b", "x", 1), ("b", "x", 1)]), SplitConfig())
    assert split is None
    assert not is_safe(findings)
    assert one(findings, "no user has 3 interactions").check == "split"
    assert one(findings, "logged twice").count == 1


def test_prompts() -> None:
    prompts = ["You liked Blue Vase and Lamp. Next?", "You liked Up. Rank: blue vase; Lamp", "Liked: lampshade"]
    clean = check_prompts(prompts, [["Cork Mug"], ["Up"], ["Lamp"]])
    assert not clean
    leaky = check_prompts(prompts, [["blue  VASE"], ["Lamp"], ["Lamp"]])
    assert (leaky[0].count, leaky[0].total, leaky[0].severity) == (2, 3, Severity.ERROR)
    assert "prompt 0" in leaky[0].example
    listed = [["Blue Vase", "Lamp"]] * 3
    assert not check_prompts(prompts[1:2], [["Lamp"]], candidates=listed[:1])
    assert check_prompts(["Liked: Lamp. Rank: Lamp; Blue Vase"], [["Lamp"]], candidates=listed[:1])
    with pytest.raises(ValueError, match=r"shorter|longer"):
        check_prompts(prompts, [["x"]])


def test_normalised() -> None:
    assert normalise_text("  Café—Crème: ＢＬＵＥ_2 ") == "café crème blue 2"
    assert normalise_text(None) == ""


def test_every_check_survives_every_split() -> None:
    dataset = build(random_log(), part=["train", "valid", "test"] * 600, value=[0, 1, 1, 1] * 450)
    for kind in ("leave-one-out", "temporal", "ratio", "cold-item", "predefined"):
        split = make_split(dataset, SplitConfig(kind=kind))
        for finding in check_dataset(dataset, split, checks=list(CHECKS)):
            assert 0 < finding.count <= finding.total
            assert finding.to_dict()["check"]
