from __future__ import annotations

import base64
import hashlib
import io
import itertools
import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import run_folders as folders
from PIL import Image
from reasonrec_report.axes import make_axis_around
from reasonrec_report.page import write_report

from reasonrec_core.data.storage import IndexedTables, write_dataset
from reasonrec_core.errors import RunError

VOID = {"meta", "link", "img", "br", "hr", "input"}
HOSTILE = (
    "</style><script>alert(1)</script>\"'><img src=https://evil.example/x onerror=alert(1)>&amp;\x00\x1b[31m\ud800"
)


class Page(HTMLParser):
    """The page as a browser reads it: tags with attributes, text, and whether every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text = text
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & {*self.open}:
            self.words.append(data)

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]

    @property
    def prose(self) -> str:
        return " ".join(" ".join(self.words).split())


def page_of(folder: Path) -> Page:
    return Page(write_report(folder).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Page:
    return page_of(folders.ranking_run(tmp_path_factory.mktemp("full")))


@pytest.fixture(scope="module")
def ctr(tmp_path_factory: pytest.TempPathFactory) -> Page:
    return page_of(folders.ctr_run(tmp_path_factory.mktemp("ctr")))


@pytest.fixture(scope="module")
def explained(tmp_path_factory: pytest.TempPathFactory) -> Page:
    folder = tmp_path_factory.mktemp("explained")
    items = folders.drawn_items(folder / "images", 12)
    run = folders.write_run(folder / "run", folders.ranking_metrics(folder / "images"))
    told = [folders.explanation(query, items, shown) for query, shown in enumerate(("best", "worst", "best", "drawn"))]
    return page_of(folders.write_explanations(run, told))


@pytest.fixture(params=["full", "ctr", "explained"])
def page(request: pytest.FixtureRequest) -> Page:
    return request.getfixturevalue(request.param)


def test_nothing_is_loaded_and_only_our_script_runs(page: Page) -> None:
    policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-")
    assert not {"iframe", "object", "embed", "base"} & {tag for tag, _ in page.tags}
    (script,) = re.findall(r"<script>(.*?)</script>", page.text, re.S)
    assert len(script.encode()) <= 6000
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    for _, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "xlink:href", "srcset", "action", "style"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:image/webp;base64,", "data:,"))
    assert "url(" not in page.text
    assert "@import" not in page.text
    assert set(re.findall(r"https?://[^\s\"'<]+", page.text)) <= {"http://www.w3.org/2000/svg"}


def test_headings_and_landmarks(page: Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    for landmark in ("header", "nav", "main", "footer"):
        assert page.all(landmark)
    assert next(a for a in page.all("html"))["lang"] == "en"
    assert any("width=device-width" in (m.get("content") or "") for m in page.all("meta"))


def test_links_lead_somewhere_and_ids_are_unique(page: Page) -> None:
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))
    for link in page.all("a"):
        assert (link["href"] or "").removeprefix("#") in ids
    for _, attributes in page.tags:
        assert set((attributes.get("aria-labelledby") or "").split()) <= set(ids)


def test_pictures_and_tables_are_described(page: Page) -> None:
    assert all(image.get("alt") for image in page.all("img"))
    assert len(page.all("caption")) == len(page.all("table"))
    assert all(head.get("scope") in {"col", "row", "rowgroup"} for head in page.all("th"))
    for drawing in page.all("svg"):
        named = drawing.get("role") == "img" and (drawing.get("aria-labelledby") or drawing.get("aria-label"))
        assert named or drawing.get("aria-hidden") == "true" or drawing.get("overflow")


def test_drawings_are_well_formed(page: Page) -> None:
    starts = [m.start() for m in re.finditer(r"<svg xmlns", page.text)]
    assert len(starts) >= 4
    for start in starts:
        parser = ET.XMLPullParser(["start", "end"])
        depth = 0
        for chunk in re.finditer(r"[^>]*>", page.text[start:]):
            parser.feed(chunk.group())
            depth += sum(1 if event == "start" else -1 for event, _ in parser.read_events())
            if depth == 0:
                break
        assert depth == 0


def test_every_mark_says_its_value(full: Page) -> None:
    marks = re.findall(r'<g class="\w+">(<title>[^<]+</title>)?<line class="whisker"', full.text)
    dots = re.findall(r'<circle class="dot"[^>]*>(<title>[^<]+</title>)?', full.text)
    bars = re.findall(
        r'(<title>[^<]+</title>)?<rect class="(?:kept|delegated)"', re.sub(r"(?<=/>)<rect[^>]*>", "", full.text)
    )
    for found in (marks, dots, bars):
        assert len(found) > 0
        assert all(found)
    assert "<title>transitions: 0.0905 (0.0825–0.0993)</title>" in full.text


def test_numbers_stay_inside_their_frames(full: Page) -> None:
    for name in ("x", "x1", "x2", "cx"):
        for _, attributes in full.tags:
            if value := attributes.get(name):
                assert 0 <= float(value.removesuffix("%")) <= 360
    assert not re.search(r"\b(nan|inf|None|undefined)\b", full.prose)


def test_it_says_what_was_found(full: Page) -> None:
    assert "Mixed: transitions alone does about as well as the routed system." in full.prose
    assert "The next choice is among the first 10 for 18 of 100 people; best-sellers alone reach 7." in full.prose
    assert "Try it: one answer with its reasons: reasonrec recommend" in full.prose
    assert "a difference of +0.0139 (95 % interval +0.0079 to +0.0199), corrected p = 0.001." in full.prose
    assert "differs by 2.1 percentage points from how often it was right (before recalibration 13.7)." in full.prose
    assert "With 943 answers, chance alone would make about 1.9 points, so it can be trusted as it is." in full.prose
    assert "Hit at rank 3" in full.prose
    assert "Not among the first 10" in full.prose
    assert "What the person chose instead" in full.prose
    assert "Handed to transitions" in full.prose
    assert "because of Item" in full.prose
    assert "By item popularity" in full.prose
    assert "reasonrec run examples/shapes.toml --set seed=7" in full.prose


def test_it_says_what_was_delegated_why_and_at_what_price(full: Page) -> None:
    prose = full.prose.replace("\N{NO-BREAK SPACE}", " ")
    assert "35 % of the 943 test requests were handed to transitions; profile answered the rest." in prose
    assert "Delegating pays: with 35 % handed to transitions, NDCG@10 does not change measurably" in prose
    assert "0.0810 with delegating, 0.0780 with the policy alone." in prose
    assert (
        "A request takes 29 % less time (95 % interval −35 to −22 %): 4.00 ms with delegating, 7.00 ms with the"
        in prose
    )
    assert "How it is decided: before the policy answers, from how little is known about the user" in prose
    assert "The goal was 35 %; on the test requests it was 35 %." in prose
    assert "up to 25 %, which loses at most 1 % of NDCG@10 on validation" in prose
    assert "The test requests do not confirm this" in prose
    assert "of these, handed to transitions" in prose
    assert "largest share without a loss" in prose
    assert "oracle (continues above)" in prose


def test_cards_say_what_the_others_would_have_said(full: Page) -> None:
    assert "transitions ✓ the next choice is at rank 2" in full.prose
    assert "profile (policy) ✗ not among the first 10" in full.prose


def test_explanations_say_what_the_check_found(explained: Page) -> None:
    prose = explained.prose
    best, drawn, worst = (
        prose.index(t, prose.index("looked up in the evidence"))
        for t in ("Closest to what the user then wrote", "Chosen at random", "Furthest from what the user then wrote")
    )
    assert best < drawn < worst
    assert prose.index("Its outline has 2 corners") < drawn < prose.index("Its outline has 3 corners") < worst
    assert "All claims verified" in prose[best:drawn]
    assert "Makes no claim that could be checked" in prose[best:drawn]
    assert "1 of 2 claims verified" in prose[worst:]
    assert "The corners of this outline are sharp" in prose[worst:]
    assert "similar-user 4.0 Nice shape" in prose[worst:]
    assert "because of Item 2, square , Item 4, square" in prose[worst:], "places of the history, by their titles"
    told = [a for a in explained.all("article") if (a["id"] or "").startswith("explanation-")]
    assert [(a["class"] or "").split() for a in told] == [["card", "hit"]] * 2 + [["card", "miss"]] * 2


def test_explanations_are_escaped(tmp_path: Path) -> None:
    items = [folders.Item(str(i), f"{HOSTILE}{i}", None) for i in range(8)]
    told = [{**hostile(folders.explanation(q, items, "best")), "shown": "best"} for q in range(2)]
    page = page_of(folders.write_explanations(folders.write_run(tmp_path, folders.ranking_metrics(None)), told))
    test_nothing_is_loaded_and_nothing_runs_but_text(page)
    assert page.text.lower().count("<script") == 1
    assert "1 corners</style><script>alert(1)</script>" in page.prose
    test_links_lead_somewhere_and_ids_are_unique(page)


def test_recalibration_is_told_way_by_way(full: Page) -> None:
    assert "of transitions 943 19.0 % 18.0 % as it was 0.137 → 0.021" in full.prose.replace("\N{NO-BREAK SPACE}", " ")
    assert "profile’s own probability, all requests" in full.prose


def test_it_says_whether_the_steps_cause_the_answers(full: Page) -> None:
    prose = full.prose.replace("\N{NO-BREAK SPACE}", " ")
    assert "The cited history causes the answers: when the cited 20 % of the history is ignored" in prose
    assert "changes by −75 %; when as much random history is ignored, by −5 % (p = 0.001)" in prose
    assert "goes from 20 % to 97 % (mean of 1 item fields)" not in prose, "one field is not a mean"
    assert "20 % of the history ignored −75 %" in prose
    assert "only 20 % of the history kept +50 %" in prose
    assert "only 20 % of the history kept 41 % 41 to 41 40 % 40 to 40 +1 points +1 to +1 ≈ no clear difference" in prose
    assert "item colour 20 %" in prose
    assert "▼ the wrong way round" not in prose


def test_steps_that_cause_nothing_are_called_so(tmp_path: Path) -> None:
    metrics = folders.ranking_metrics(None)
    row = metrics["analyses"]["faithfulness"]["evidence"][0]
    row["p_corrected"] = 0.4
    assert "The cited history matters no more than other history" in page_of(folders.write_run(tmp_path, metrics)).prose
    row |= {"p_corrected": 0.001, "difference": -row["difference"]}
    page = page_of(folders.write_run(tmp_path, metrics))
    assert "The cited history matters less than other history" in page.prose
    assert "▼ the wrong way round" in page.prose


def test_why_faithfulness_was_not_measured(tmp_path: Path) -> None:
    metrics = folders.ranking_metrics(None)
    metrics["analyses"]["faithfulness"] = {"skipped": "the steps of the policy 'x' cannot be edited"}
    page = page_of(folders.write_run(tmp_path, metrics))
    assert "Not measured: the steps of the policy 'x' cannot be edited." in page.prose


def test_steps_come_in_order(full: Page) -> None:
    kinds = [a["class"] for a in full.all("li") if a.get("class") in {"observe", "infer", "propose", "weigh", "decide"}]
    assert kinds == ["observe", "infer", "propose", "weigh", "decide"] * 8


def test_pictures_are_small_and_real(full: Page) -> None:
    images = full.all("image")
    assert len({image["id"] for image in images}) == len(images) > 30
    for image in images[:10]:
        data = base64.b64decode((image["href"] or "").split(",")[1])
        thumbnail = Image.open(io.BytesIO(data))
        assert thumbnail.format == "WEBP"
        assert thumbnail.width <= 160
        assert thumbnail.height <= 224
    shown = [use["href"] for use in full.all("use")]
    assert {f"#{image['id']}" for image in images} == {*shown}
    assert len(shown) > 2 * len(images), "a picture is held once, wherever it is shown"
    embedded = re.findall(r"data:image/webp;base64,[\w+/=]+", full.text)
    assert len(embedded) == len(images) == len({*embedded})
    assert len(full.text) < 3_000_000


def test_clicks_have_no_rankings(ctr: Page) -> None:
    assert "The best delegate (lightgbm-ctr) is better than popularity: AUC 0.761 against 0.672" in ctr.prose
    assert "predicted probability" in ctr.prose
    ids = [a["id"] for a in ctr.all("section")]
    assert ids == ["result", "systems", "confidence", "setup", "reproduce"]


def test_the_best_and_the_marks(ctr: Page) -> None:
    assert "0.570 (best)" in ctr.prose
    assert "0.620 ▼ (significantly worse than lightgbm-ctr)" in ctr.prose


def test_a_run_that_consults_and_abstains(tmp_path: Path) -> None:
    metrics = folders.ranking_metrics(None)
    metrics["systems"]["consult"] = dict(metrics["systems"]["profile"])
    metrics["routing"] |= {"consulted": 0.1, "abstained": 0.2}
    metrics["abstention"] = {"coverage": 0.8, "wanted": {"abstain": 0.2}, "answered": {"NDCG@10": {"value": 0.15}}}
    page = page_of(folders.write_run(tmp_path / "run", metrics))
    assert "consult reasoning policy, consults delegates when little is known" in page.prose
    assert "the answers given reach NDCG@10 0.150" in page.prose


def test_a_run_without_pictures(tmp_path: Path) -> None:
    items = [folders.Item(str(i), f"Book {i}", None) for i in range(30)]
    page = page_of(folders.ranking_run(tmp_path, items))
    assert page.all("image") == []
    assert "Book" in page.prose


def test_broken_pictures_are_counted(tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    (images / "broken.jpg").write_bytes(b"\xff\xd8 not a picture")
    (tmp_path / "secret.png").write_bytes(b"")
    names = ["broken.jpg", "../secret.png", "missing.jpg"]
    items = [folders.Item(str(i), f"Book {i}", names[i % 3]) for i in range(30)]
    page = page_of(folders.ranking_run(tmp_path, items, images))
    assert page.all("image") == []
    assert "3 pictures could not be used" in page.prose
    assert "outside the image folder" in page.prose


@pytest.mark.parametrize("linked", [False, True])
def test_no_picture_from_outside_the_data_is_embedded(tmp_path: Path, linked: bool) -> None:
    """Whoever can write ``metrics.json`` does not choose which files of the reader's become part of a page."""
    private = tmp_path / "private"
    items = folders.drawn_items(private)
    named = tmp_path / "shop" / "images" if linked else private
    run = folders.ranking_run(tmp_path / "shop", items, named)
    if linked:
        named.symlink_to(private)
    page = page_of(run)
    assert page.all("image") == []
    assert "Pictures are not shown: their folder is not part of the run's data." in page.prose


def test_pictures_of_a_prepared_dataset_lie_where_its_manifest_says(tmp_path: Path) -> None:
    images = tmp_path / "raw" / "images"
    items = folders.drawn_items(images)
    run = folders.ranking_run(tmp_path / "prepared", items, images)
    assert page_of(run).all("image") == []
    stage = run / "stages" / "data"
    columns = {name: pa.array([], pa.string()) for name in ("user_id", "item_id")}
    log = pa.table(columns | {"timestamp": pa.array([], pa.int64())})
    about = {"name": "x", "seed": 0, "images": str(images), "source": {}}
    write_dataset(stage / "dataset", IndexedTables(log, log.select(["item_id"]), log.select(["user_id"])), about)
    assert page_of(run).all("image")
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["dataset"]["images_root"] = str(images.parent)
    (run / "metrics.json").write_text(json.dumps(metrics))
    assert "Pictures are not shown" in page_of(run).prose


def test_pictures_have_a_budget(tmp_path: Path) -> None:
    from reasonrec_report.thumbnails import Pictures

    folders.drawn_items(tmp_path / "images", 4)
    pictures = Pictures(tmp_path / "images", budget=3000)
    shown = [pictures(f"{i}.jpg") for i in (0, 1, 2, 3) * 5]
    assert 0 < sum(len(picture.uri) for picture in pictures.used) <= 3000
    assert pictures.used == tuple(dict.fromkeys(each for each in shown if each))
    assert pictures.left_out == sum(each is None for each in shown[:4]) > 0


@pytest.mark.parametrize("key", sorted(set(folders.ranking_metrics(None)) - {"dataset", "systems"}))
@pytest.mark.parametrize("value", ["absent", None])
def test_a_missing_key_leaves_its_section_out(tmp_path: Path, key: str, value: str | None) -> None:
    metrics = folders.ranking_metrics(None)
    if value == "absent":
        del metrics[key]
    else:
        metrics[key] = None
    page = page_of(folders.write_run(tmp_path, metrics, None))
    assert ("slices" in [a["id"] for a in page.all("section")]) == (key != "slices")
    assert "0.0920" in page.prose


def test_what_decides_is_drawn_with_its_threshold(tmp_path: Path, full: Page) -> None:
    assert "A delegate answers above -0.030." in full.prose
    assert "expected gain of handing over" in full.prose
    metrics = folders.ranking_metrics(None)
    del metrics["delegation_curve"]["decisions"]
    without = page_of(folders.write_run(tmp_path, metrics, None))
    assert "What decides who answers" not in without.prose
    metrics = folders.ranking_metrics(None)
    metrics["delegation_curve"]["decisions"] |= {"kept": [943, *(0,) * 14], "delegated": [0] * 15}
    alike = page_of(folders.write_run(tmp_path, metrics, None))
    assert "What decides who answers" not in alike.prose, "one bar says nothing"


def test_an_axis_of_values_that_differ_by_rounding_alone_has_short_labels() -> None:
    axis = make_axis_around([0.9802834452009, 0.9802834452008])
    assert all(len(tick.label) <= 5 for tick in axis.ticks())
    assert axis.low < 0.95 < 1.0 < axis.high


def test_a_run_on_clicks_speaks_of_clicks(ctr: Page, tmp_path: Path) -> None:
    assert "Predicted click probability compared with how often rows were clicked" in ctr.prose
    assert "a probability of a click" in ctr.prose
    assert "Probabilities are off by" in ctr.prose
    assert "a ranked list" not in ctr.prose
    run = folders.ctr_run(tmp_path)
    metrics = json.loads((run / "metrics.json").read_text())
    metrics |= {"comparisons": [], "systems": {"lightgbm-ctr": metrics["systems"]["lightgbm-ctr"]}}
    metrics["roles"]["delegates"] = ["lightgbm-ctr"]
    alone = page_of(folders.write_run(run, metrics))
    assert "Better than chance, but compared with no other model: lightgbm-ctr reaches AUC 0.761" in alone.prose
    assert "reasonrec plugins list --kind delegate" in alone.prose


def test_cards_are_a_few_of_many(full: Page) -> None:
    assert "4 of 174 hits" in full.prose
    assert "4 of 769 misses" in full.prose


def test_where_nothing_is_told_apart_no_interval_on_the_page_says_otherwise(tmp_path: Path) -> None:
    """Uncorrected the interval excludes 0; with the correction for several comparisons it does not."""
    metrics = folders.ranking_metrics(None)
    even = {"p": 0.03, "p_corrected": 0.06, "difference": 0.01, "low": 0.0011, "high": 0.0222}
    even |= {"low_corrected": -0.0013, "high_corrected": 0.0244}
    metrics["comparisons"] = [{**each, **even} for each in metrics["comparisons"]]
    page = page_of(folders.write_run(tmp_path, metrics, None))
    assert "is not measurably different from" in page.prose
    assert "0.0222" not in page.prose
    assert "0.0013" in page.prose
    assert "0.0244" in page.prose


def test_a_run_of_hardly_any_people_promises_nothing(tmp_path: Path, full: Page) -> None:
    assert "How much could be handed over: up to" in full.prose
    metrics = folders.ranking_metrics(None)
    metrics["comparisons"] = [{**each, "n": 16} for each in metrics["comparisons"]]
    few = page_of(folders.write_run(tmp_path, metrics, None))
    assert "only 16 users were tested, and it takes at least 20" in few.prose
    assert "How much could be handed over: there is too little data to tell." in few.prose
    assert "could be handed over: up to" not in few.prose


def test_the_least_a_run_may_leave(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text('{"dataset": {}, "systems": {"only": {"HR@10": {"value": 0.1}}}}')
    page = page_of(tmp_path)
    assert "only reaches HR@10 0.100." in page.prose


def hostile(value: Any) -> Any:
    """The same structure with every text that may be free replaced by an attack."""
    if isinstance(value, dict):
        fixed = {"outcome", "route", "image", "images_root", "metric", "a", "b", "routed", "policy", "system", "by"}
        return {k: v if k in fixed else hostile(v) for k, v in value.items()}
    if isinstance(value, list):
        return [hostile(v) for v in value]
    return value + HOSTILE if isinstance(value, str) else value


def test_hostile_text_is_shown_not_obeyed(tmp_path: Path) -> None:
    items = [folders.Item(str(i), f"{HOSTILE}{i}", None) for i in range(30)]
    metrics = hostile(folders.ranking_metrics(None))
    bad = f"bad{HOSTILE}"
    metrics["systems"][bad] = {"NDCG@10": {"value": 0.5}, f"odd{HOSTILE}": {"value": 0.1}}
    metrics["slices"][0]["system"] = "routed"
    cards = [hostile(folders.card(q, items, hit=q < 2)) for q in range(4)]
    folder = folders.write_run(tmp_path, metrics, cards)
    (folder / "environment.json").write_text(json.dumps({"command": HOSTILE, HOSTILE: HOSTILE}))
    page = page_of(folder)
    test_nothing_is_loaded_and_nothing_runs_but_text(page)
    assert page.text.lower().count("<script") == 1
    assert "\x00" not in page.text
    assert "\x1b" not in page.text
    assert "<script>alert(1)</script>" in page.prose
    test_drawings_are_well_formed(page)
    test_links_lead_somewhere_and_ids_are_unique(page)


def test_nothing_is_loaded_and_nothing_runs_but_text(full: Page) -> None:
    assert not {"iframe", "object"} & {tag for tag, _ in full.tags}
    for tag, attributes in full.tags:
        assert not any(name.startswith("on") for name in attributes)
        assert tag != "img"
        assert tag != "image" or (attributes["href"] or "").startswith("data:image/webp")


def test_a_leak_is_pointed_out(tmp_path: Path) -> None:
    metrics = folders.ranking_metrics(None)
    metrics["systems"]["profile"].update({"NDCG@5": {"value": 0.093}, "HR@5": {"value": 0.1}})
    page = page_of(folders.write_run(tmp_path, metrics))
    assert "Check for leaks. NDCG / HR is 0.930 for profile" in page.prose


def test_the_same_run_gives_the_same_page(tmp_path: Path) -> None:
    folder = folders.ranking_run(tmp_path)
    assert write_report(folder).read_bytes() == write_report(folder).read_bytes()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("metrics.json", None, "it was not finished"),
        ("metrics.json", "{", r"metrics\.json:1:2"),
        ("metrics.json", "[]", "the whole file"),
        ("metrics.json", '{"dataset": {}, "systems": {}}', "systems"),
        ("metrics.json", '{"dataset": {}, "systems": {"a": {"HR@1": {"value": "much"}}}}', r"systems\.a\.HR@1\.value"),
        ("metrics.json", '{"dataset": {"users": "x"}, "systems": {"a": {}}}', r"dataset\.users"),
        ("metrics.json", '{"dataset": {}, "systems": {"a": {}}, "costs": {"batch": "x"}}', r"costs\.batch"),
        ("cards.json", '[{"query": 1, "outcome": "won", "route": "self"}]', r"0\.outcome"),
        ("cards.json", '[{"query": 1, "outcome": "hit", "route": "self", "steps": [{}]}]', r"steps\.0\.kind"),
        (
            "explanations.json",
            '[{"query": 1, "shown": "best", "item": {"id": "a"}, "claims": [{}]}]',
            r"claims\.0\.kind",
        ),
        ("config.toml", "a = ", "not valid TOML"),
        ("config.toml", b"\xff\xfe", "cannot be read"),
        ("environment.json", "[1]", r"environment\.json"),
    ],
)
def test_a_broken_run_is_one_message(tmp_path: Path, name: str, content: str | bytes | None, message: str) -> None:
    folder = folders.ctr_run(tmp_path)
    path = folder / name
    path.unlink(missing_ok=True)
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(RunError, match=message) as error:
        write_report(folder)
    assert error.value.fix
    assert not (folder / "report.html").exists()


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="there is no such run folder"):
        write_report(tmp_path / "absent")
