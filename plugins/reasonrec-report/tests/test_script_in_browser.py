"""What the page's script does, in a real browser: sort, save, filter, search, enlarge; and the page without it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import run_folders as folders
from browser import opened_browser, opened_page
from reasonrec_report.page import write_report

pytestmark = pytest.mark.slow
FORMULA, SUM, NEGATIVE = "=HYPERLINK(1)", "-1+cmd|' /C calc'!A0", "-0.5"
VISIBLE = "cards => cards.filter(card => card.checkVisibility()).map(card => card.querySelector('h4').textContent)"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with opened_browser() as found:
        yield found


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("script")
    metrics = folders.ranking_metrics(folder / "images")
    for name, value in ((FORMULA, 0.05), (SUM, 0.06), (NEGATIVE, 0.07)):
        metrics["systems"][name] = {"NDCG@10": folders.estimate(value)}
    items = folders.drawn_items(folder / "images")
    cards = [folders.card(query, items, hit=query < 4) for query in range(8)]
    return write_report(folders.write_run(folder / "run", metrics, cards)).resolve().as_uri()


def find_table(page: Any) -> Any:
    """The first table of metrics by system."""
    page.evaluate("document.querySelectorAll('details').forEach(fold => fold.open = true)")
    return page.locator("table.systems").first


def read_column(table: Any, head: str) -> list[str]:
    return table.evaluate(
        """(table, head) => {
            const column = [...table.tHead.rows[0].cells].findIndex(cell => cell.textContent.startsWith(head));
            return [...table.tBodies[0].rows].map(row => (row.cells[column].firstChild.textContent || "").trim());
        }""",
        head,
    )


def test_a_table_is_sorted_by_number_and_by_name(browser: Any, url: str) -> None:
    with opened_page(browser, url) as page:
        table = find_table(page)
        head = table.get_by_role("columnheader", name="HR@10")
        before = read_column(table, "HR@10")
        for direction in ("descending", "ascending"):
            head.get_by_role("button").click()
            assert head.get_attribute("aria-sort") == direction
            shown = read_column(table, "HR@10")
            assert sorted(shown) == sorted(before)
            known = [float(text) for text in shown if text[:1].isdigit()]
            assert len(known) == len(folders.SYSTEMS)
            assert known == sorted(known, reverse=direction == "descending")
            assert not any(text[:1].isdigit() for text in shown[len(known) :]), "what was not measured comes last"
        table.get_by_role("columnheader", name="System").get_by_role("button").click()
        assert head.get_attribute("aria-sort") is None
        names = [name for name in read_column(table, "System") if name in folders.SYSTEMS]
        assert names == sorted(folders.SYSTEMS, reverse=True)


def test_every_table_is_saved_and_runs_nothing_in_a_spreadsheet(browser: Any, url: str) -> None:
    with opened_page(browser, url) as page:
        find_table(page)
        buttons = page.get_by_role("button", name="Download as CSV")
        assert buttons.count() == page.locator("main table").count() > 2
        saved: list[list[list[str]]] = []
        for n in range(buttons.count()):
            if n % 8 == 7:
                page.wait_for_timeout(1500)  # nobody saves ten tables in a second: the browser then stops at the tenth
            with page.expect_download() as download:
                buttons.nth(n).click()
            raw = Path(download.value.path()).read_bytes()
            assert raw.startswith(b"\xef\xbb\xbf")
            assert download.value.suggested_filename.endswith(".csv")
            saved.append(list(csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline=""))))
        rows = page.locator("main table").evaluate_all("tables => tables.map(table => table.rows.length)")
        assert [len(table) for table in saved] == rows
        cells = [cell for table in saved for row in table for cell in row]
        assert f"'{FORMULA}" in cells
        assert f"'{SUM}" in cells
        assert NEGATIVE in cells, "a number stays a number"
        assert not any(cell.startswith(("=", "@")) for cell in cells)


def test_hits_misses_and_a_user_are_found(browser: Any, url: str) -> None:
    with opened_page(browser, url) as page:
        cards, count = page.locator("#decisions .card"), page.locator(".tools output")
        everyone = cards.evaluate_all(VISIBLE)
        found = {}
        for outcome in ("hit", "miss"):
            page.get_by_label({"hit": "hits", "miss": "misses"}[outcome], exact=True).check()
            found[outcome] = cards.evaluate_all(VISIBLE)
            assert len(found[outcome]) == page.locator(f"#decisions .card.{outcome}").count() > 1
            assert count.inner_text() == f"{len(found[outcome])} of {len(everyone)} shown"
        assert sorted(found["hit"] + found["miss"]) == sorted(everyone)
        page.get_by_label("all", exact=True).check()
        page.get_by_role("searchbox", name="User").fill("103")
        assert count.inner_text() == f"1 of {len(everyone)} shown"
        (title,) = cards.evaluate_all(VISIBLE)
        assert "103" in title
        assert page.locator("#decisions .card:not([hidden]) details").first.get_attribute("open") is not None
        page.get_by_role("searchbox", name="User").press("Enter")
        assert page.url == url, "the search does not leave the page"
        page.get_by_role("searchbox", name="User").fill("nobody")
        assert cards.evaluate_all(VISIBLE) == []


def test_a_picture_is_enlarged_by_mouse_and_keyboard(browser: Any, url: str) -> None:
    with opened_page(browser, url) as page:
        picture = page.locator(".picture:visible").first
        small, title = picture.bounding_box()["width"], picture.get_attribute("aria-label")
        picture.click()
        large = page.locator("dialog[open] .picture")
        assert large.bounding_box()["width"] > 2 * small
        assert page.get_by_role("dialog", name=title).count() == 1
        page.get_by_role("button", name="Close").click()
        assert page.locator("dialog[open]").count() == 0
        picture.focus()
        page.keyboard.press("Enter")
        assert large.count() == 1
        page.keyboard.press("Escape")
        assert page.locator("dialog[open]").count() == 0


def test_without_script_the_page_is_whole(browser: Any, url: str) -> None:
    words = "() => document.querySelector('main').textContent"
    with opened_page(browser, url) as page:
        page.evaluate("document.querySelectorAll('.csv').forEach(button => button.remove())")
        scripted = page.evaluate(words)
    with opened_page(browser, url, java_script_enabled=False) as page:
        assert page.locator("main").text_content() == scripted
        assert page.locator(".tools").is_hidden()
        assert page.locator(".csv, .sorter").count() == 0
        assert page.locator("#decisions .card").count() == 8
        page.locator("#decisions summary").nth(2).click()
        assert page.locator("#decisions .card .picture:visible").count() > 0


@pytest.mark.parametrize("width", [390, 1440])
def test_every_stop_of_the_keyboard_has_something_to_do(browser: Any, url: str, width: int) -> None:
    with opened_page(browser, url, viewport={"width": width, "height": 900}) as page:
        stops = page.locator(".scroll[tabindex], pre[tabindex]")
        assert stops.evaluate_all("all => all.every(e => e.scrollWidth > e.clientWidth)")
        find_table(page)
        page.wait_for_timeout(200)
        assert stops.evaluate_all("all => all.every(e => e.scrollWidth > e.clientWidth)")
        idle = "all => all.filter(e => e.scrollWidth > e.clientWidth + 1 && !e.hasAttribute('tabindex')).length"
        assert page.locator(".scroll, pre").evaluate_all(idle) == 0


def test_printed_nothing_lies_over_anything(browser: Any, url: str) -> None:
    with opened_page(browser, url, viewport={"width": 700, "height": 900}) as page:
        page.emulate_media(media="print")
        find_table(page)
        over = page.evaluate(
            """() => [...document.querySelectorAll("main table")].flatMap(table => {
                const wide = [...table.querySelectorAll("th, td")].filter(e => e.scrollWidth > e.clientWidth + 1);
                return [...wide.map(cell => cell.textContent), ...(table.getBoundingClientRect().right > innerWidth
                    ? [table.textContent.slice(0, 80)] : [])];
            })"""
        )
        assert over == []
        assert page.locator(".csv:visible, .tools:visible, .contents:visible").count() == 0


def test_on_a_phone_names_are_whole_and_two_systems_stand_side_by_side(browser: Any, tmp_path: Path) -> None:
    metrics = folders.ranking_metrics(None)
    metrics["systems"]["implicit-itemknn"] = {"NDCG@10": folders.estimate(0.05)}
    metrics["systems"]["x" * 60] = {"NDCG@10": folders.estimate(0.04)}
    url = write_report(folders.write_run(tmp_path / "run", metrics)).resolve().as_uri()
    with opened_page(browser, url, viewport={"width": 390, "height": 844}) as page:
        find_table(page)
        broken = page.locator("main tbody th").evaluate_all(
            """heads => heads.flatMap(head => {
                const texts = document.createTreeWalker(head, NodeFilter.SHOW_TEXT), found = [];
                while (texts.nextNode()) for (const word of texts.currentNode.data.matchAll(/[^\\s-]+/g)) {
                    const range = document.createRange();
                    range.setStart(texts.currentNode, word.index);
                    range.setEnd(texts.currentNode, word.index + word[0].length);
                    if (new Set([...range.getClientRects()].map(box => box.top)).size > 1) found.push(word[0]);
                }
                return found;
            })"""
        )
        assert {*broken} == {"x" * 60}, "only what is wider than a phone may break within a word"
        for table in page.locator("table.systems").all():
            ends = table.locator("thead th").evaluate_all("all => all.map(cell => cell.getBoundingClientRect().right)")
            assert ends[2] <= 390


def make_pages(folder: Path) -> dict[str, Path]:
    """The five kinds of runs: good, hurt by delegating, with too little data, on clicks, and with explanations."""
    runs = {name: folder / name for name in ("good", "hurts", "little", "clicks", "explained")}
    folders.ranking_run(runs["good"])
    hurts, little = (folders.ranking_metrics(None) for _ in range(2))
    hurts["systems"]["routed"] = {**hurts["systems"]["routed"], "NDCG@10": folders.estimate(0.05)}
    for row in hurts["comparisons"]:
        row.update(difference=-0.028, low=-0.04, high=-0.02, p=0.0, p_corrected=0.0)
    hurts["delegation_curve"]["chosen"] |= {"value": 0.05, "low": 0.041, "high": 0.062}
    little["dataset"]["users"] = 8
    little["protocol"] = "leave-one-out, full ranking; 8 test queries"
    folders.write_run(runs["hurts"] / "run", hurts)
    folders.write_run(runs["little"] / "run", little)
    folders.ctr_run(runs["clicks"])
    items = folders.drawn_items(runs["explained"] / "images")
    told = [folders.explanation(query, items, shown) for query, shown in enumerate(("best", "drawn", "worst"))]
    run = folders.write_run(runs["explained"] / "run", folders.ranking_metrics(runs["explained"] / "images"))
    folders.write_explanations(run, told)
    return {name: write_report(run / "run") for name, run in runs.items()}


def test_axe_finds_nothing_to_complain_of_on_five_kinds_of_runs(browser: Any, tmp_path: Path) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    rules = {"resultTypes": ["violations"]}
    pages = make_pages(tmp_path)
    for name, scheme in (*((name, "light") for name in pages), ("good", "dark")):
        view = {"color_scheme": scheme, "viewport": {"width": 390, "height": 900}}
        with opened_page(browser, pages[name].resolve().as_uri(), **view) as page:
            page.evaluate("document.querySelectorAll('details').forEach(fold => fold.open = true)")
            found = axe.run(page, options=rules).response["violations"]
            assert [(each["id"], each["nodes"][0]["html"][:200]) for each in found] == [], (name, scheme)
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, (name, scheme)
