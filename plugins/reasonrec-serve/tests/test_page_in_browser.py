"""The page as people use it, in a real browser against a real server."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import listed, opened_browser, opened_page, settle, wait_until
from reasonrec_serve import Recommender
from served_process import Running, running

pytestmark = pytest.mark.slow
TOKEN = "0123456789abcdef0123456789abcdef"
CLIPBOARD = ["clipboard-read", "clipboard-write"]
WIDTHS = (320, 390, 768, 1440)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with opened_browser() as found:
        yield found


@pytest.fixture(scope="module")
def server(browser: Any, finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(finished, tmp_path_factory.mktemp("served")) as found:
        yield found


@pytest.fixture(scope="module")
def run(finished: Path) -> Recommender:
    return Recommender.open(finished)


def find_user(run: Recommender, route: str) -> str:
    """Somebody whose request goes this way, with enough history to change it."""
    for user in run.dataset.user_index:
        answer = run.recommend(user=user)
        if answer.route == route and len(answer.history) > 3:
            return str(user)
    raise AssertionError(f"nobody goes the way {route}")


@pytest.fixture(scope="module")
def user(run: Recommender) -> str:
    return find_user(run, "self")


def ids_of(answer: Any) -> list[str]:
    return [item.id for item in answer.items]


def test_by_keyboard_alone_somebody_is_found_and_an_item_ignored(
    browser: Any, server: Running, run: Recommender, user: str
) -> None:
    with opened_page(browser, server.url) as page:
        page.get_by_role("heading", name="What will they choose next, and why?").wait_for()
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the list"
        assert page.evaluate("document.activeElement.getBoundingClientRect().left >= 0")
        while page.evaluate("document.activeElement.id") != "person":
            page.keyboard.press("Tab")
            outline = "getComputedStyle(document.activeElement).outlineStyle"
            assert page.evaluate(outline) == "solid", "what has the focus shows it"
        page.keyboard.type(user)
        wait_until(page, "document.querySelectorAll('[role=option]').length === 1")
        page.keyboard.press("ArrowDown")
        assert page.locator("#person").get_attribute("aria-activedescendant") == "person-0"
        page.keyboard.press("Enter")
        page.get_by_role("heading", name=f"For {user}").first.wait_for()
        page.locator(".card").first.wait_for()
        settle(page)
        answer = run.recommend(user=user)
        assert listed(page) == ids_of(answer)
        assert page.locator("#spoken").inner_text() == f"10 items. First is {answer.items[0].title}."
        newest = answer.history[-1]
        while page.evaluate("document.activeElement.getAttribute('aria-label')") != f"Ignore: {newest[1]}":
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        wait_until(page, f"location.hash.endsWith('ignore={newest[0]}')")
        settle(page)
        assert listed(page) == ids_of(run.recommend(user=user, ignore=[newest[0]]))
        page.keyboard.press("Control+z")
        wait_until(page, "!location.hash.includes('ignore')")
        settle(page)
        assert listed(page) == ids_of(answer)


def test_a_label_that_is_taken_for_granted_moves_the_list_and_a_link_holds_it(
    browser: Any, server: Running, run: Recommender, user: str
) -> None:
    before = ids_of(run.recommend(user=user))
    with opened_page(browser, f"{server.url}/#recommend?user={user}", permissions=CLIPBOARD) as page:
        page.locator(".card").first.wait_for()
        settle(page)
        assert page.locator(".move").count() == 0
        label = page.locator(".step .label[aria-pressed=false]").nth(1)
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        label.focus()
        page.keyboard.press("Enter")
        page.locator(".step.edited").wait_for()
        settle(page)
        assert page.evaluate("document.activeElement.getAttribute('aria-pressed')") == "true", "the focus goes along"
        field, name = next(iter(page_request(page)["assume"].items()))
        answer = run.recommend(user=user, assume={field: name})
        after = ids_of(answer)
        assert listed(page) == after
        moves = {id: before.index(id) - at for at, id in enumerate(after) if id in before}
        for id in after:
            sign = page.locator(f'.card[data-id="{id}"] .move .unseen')
            if moves.get(id) == 0:
                assert sign.count() == 0
            else:
                by = moves.get(id)
                said = "entered the list" if by is None else f"up by {by}" if by > 0 else f"down by {-by}"
                assert sign.text_content() == said
        left = [id for id in before if id not in after]
        assert page.locator(".left li").count() == len(left)
        assert f"{len(left)} left" in page.locator("#spoken").inner_text() or not left
        assert "about" not in page.locator(".chance").inner_text().lower(), "no chance was measured for changed steps"
        page.get_by_role("button", name="Copy link").click()
        page.get_by_role("button", name="Link copied").wait_for()
        link = page.evaluate("navigator.clipboard.readText()")
        page.get_by_role("button", name="↶ Undo").click()
        wait_until(page, "!location.hash.includes('assume')")
        settle(page)
        assert listed(page) == before
        page.get_by_role("button", name="↷ Redo").click()
        page.locator(".step.edited").wait_for()
        settle(page)
        assert listed(page) == after
    with opened_page(browser, link) as page:
        page.locator(".step.edited").wait_for()
        assert listed(page) == after
        page.get_by_role("button", name=f"Stop assuming {field}: {name}").click()
        wait_until(page, "!location.hash.includes('assume')")
        settle(page)
        assert listed(page) == before


def page_request(page: Any) -> dict[str, Any]:
    """What the address asks, as the page reads it."""
    script = "import('/page/request.js').then(module => module.fromFragment(location.hash).request)"
    found: dict[str, Any] = page.evaluate(script)
    return found


def test_a_change_out_of_sight_is_shown_below_everything(browser: Any, server: Running, user: str) -> None:
    url = f"{server.url}/#recommend?user={user}"
    with opened_page(browser, url, viewport={"width": 390, "height": 480}, reduced_motion="reduce") as page:
        label = page.locator(".step .label[aria-pressed=false]").last
        label.scroll_into_view_if_needed()
        label.click()
        page.locator(".strip").wait_for()
        page.get_by_role("button", name="See the list").click()
        page.locator(".strip").wait_for(state="detached")
        assert page.evaluate("document.activeElement.matches('.ranking')")
        assert page.evaluate("document.getAnimations().length") == 0, "no motion where none is wanted"


def test_a_step_shows_what_it_rests_on_in_the_history(
    browser: Any, server: Running, run: Recommender, user: str
) -> None:
    answer = run.recommend(user=user)
    cited = answer.steps[-1].evidence
    assert cited
    with opened_page(browser, f"{server.url}/#recommend?user={user}") as page:
        page.locator(".part.decide .step").wait_for()
        settle(page)  # what arrives late moves the step away from under the pointer
        page.locator(".part.decide .step").hover()
        wait_until(page, "document.querySelector('.entry.lit')")
        names = page.locator(".entry.lit .title").all_inner_texts()
        assert names == [answer.history[at][1] for at in sorted(cited, reverse=True)]
        page.mouse.move(0, 0)
        wait_until(page, "!document.querySelector('.entry.lit')")
        page.locator(".part.decide .thumbs").focus()
        wait_until(page, "document.querySelector('.entry.lit')")


def test_where_a_quick_model_answers_it_is_said_and_labels_can_be_assumed(
    browser: Any, server: Running, run: Recommender
) -> None:
    user = find_user(run, "replace")
    answer = run.recommend(user=user)
    with opened_page(browser, f"{server.url}/#recommend?user={user}") as page:
        page.locator(".card").first.wait_for()
        settle(page)
        assert page.locator(".who").inner_text().startswith(f"{answer.by} answers: ")
        assert "A fast model that answers instead of toy" in page.locator(".who").inner_text()
        page.get_by_role("heading", name="Make an assumption").wait_for()
        page.locator(".step .label").first.click()
        page.locator(".step.edited").wait_for()
        assert page.locator(".who").inner_text().startswith("toy answers, using the steps as you changed them")


def test_unknown_people_and_items_are_said_and_the_rest_is_answered(
    browser: Any, server: Running, run: Recommender
) -> None:
    known = run.dataset.catalog.ids[3]
    with opened_page(browser, server.url) as page:
        page.locator("#person").fill("nobody knows me")
        page.get_by_role("option", name="someone new").wait_for()
        page.keyboard.press("Enter")
        page.locator(".card").first.wait_for()
        assert "The user is new" in page.locator(".notes").inner_text()
        page.get_by_role("button", name="A list of items").click()
        page.get_by_text("Paste ids").click()
        page.locator("#ids").fill(f"{known}\n\n  <b>no such</b> \n")
        page.get_by_role("button", name="Use these").click()
        page.locator(".entry.off").wait_for()
        settle(page)
        assert "1 unknown item in the history was skipped." in page.locator(".notes").inner_text()
        assert "<b>no such</b>" in page.locator(".entry.off").inner_text()
        assert "not in the catalogue" in page.locator(".entry.off").inner_text()
        assert listed(page) == ids_of(run.recommend(history=[known]))
        page.get_by_role("button", name="Remove: <b>no such</b>").click()
        page.locator(".entry.off").wait_for(state="detached")
        page.locator("#item").fill(run.dataset.catalog.titles[5] or run.dataset.catalog.ids[5])
        page.get_by_role("option").first.wait_for()
        page.keyboard.press("Enter")
        wait_until(page, "document.querySelectorAll('.entry').length === 2")


def test_filters_narrow_the_list_and_a_link_holds_them(
    browser: Any, server: Running, run: Recommender, user: str
) -> None:
    before = run.recommend(user=user)
    out = before.items[0]
    with opened_page(browser, f"{server.url}/#recommend?user={user}") as page:
        page.locator(".card").first.wait_for()
        settle(page)
        page.locator(".filters > summary").focus()
        page.keyboard.press("Enter")
        page.get_by_label("Only items whose").select_option("brand")
        page.locator("#value").focus()
        page.keyboard.type("acorn")
        wait_until(page, "document.querySelectorAll('#value-list [role=option]').length === 1")
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Remove the filter: brand: Acorn").wait_for()
        assert page.evaluate("document.activeElement.id") == "value", "the next value can be typed at once"
        page.keyboard.type("birch")
        wait_until(page, "document.querySelector('#value-list [role=option]')?.textContent.startsWith('Birch')")
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Remove the filter: brand: Acorn or Birch").wait_for()
        page.get_by_label("Only items whose").select_option("price")
        page.get_by_label("is at least").fill("12.5")
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Remove the filter: price at least 12.5").wait_for()
        page.locator("#exclude").fill(out.title)
        page.locator("#exclude-list [role=option]").first.wait_for()
        page.keyboard.press("Enter")
        page.get_by_role("button", name=f"Remove the filter: Not {out.title}").wait_for()
        settle(page)
        where = {"brand": ["Acorn", "Birch"], "price": {"min": 12.5}}
        narrowed = ids_of(run.recommend(user=user, where=where, exclude=[out.id]))
        assert listed(page) == narrowed != ids_of(before)
        assert page_request(page)["where"] == {"brand": ["Acorn", "Birch"], "price": {"min": "12.5"}}
        assert "Not stated" in page.locator(".chance").inner_text()
        link = page.url
        page.get_by_role("button", name="Remove the filter: price at least 12.5").click()
        wait_until(page, "!location.hash.includes('price')")
        assert page.get_by_label("is at least").input_value() == ""
        page.get_by_role("button", name="↶ Undo").click()
        wait_until(page, "location.hash.includes('price')")
        page.get_by_text("Allow only a list of items").click()
        page.locator("#only").fill(f"{narrowed[1]}\n\n {narrowed[0]} \nno such item\n")
        page.get_by_role("button", name="Allow only these").click()
        page.get_by_role("button", name="Remove the filter: Only 3 listed items").wait_for()
        settle(page)
        assert listed(page) == narrowed[:2]
        page.get_by_role("link", name="Compare").click()
        page.locator(".system").first.wait_for()
        settle(page)
        shown = page.locator(".systems .rows .title").all_inner_texts()
        assert shown
        assert set(shown) <= {run.dataset.catalog.titles[run.dataset.catalog.index[id]] for id in narrowed[:2]}
    with opened_page(browser, link) as page:
        page.locator(".card").first.wait_for()
        settle(page)
        assert listed(page) == narrowed
        assert page.locator(".filters > summary").inner_text() == "Filters (3)"
        page.get_by_role("button", name="Remove all filters").click()
        wait_until(page, "!location.hash.includes('brand')")
        settle(page)
        assert listed(page) == ids_of(before)


def test_words_alone_and_beside_a_person(browser: Any, reading_words: Path, tmp_path: Path) -> None:
    run = Recommender.open(reading_words)
    user = next(str(user) for user in run.dataset.user_index if len(run.recommend(user=user).history) > 3)
    with running(reading_words, tmp_path) as server, opened_page(browser, server.url) as page:
        page.get_by_label("In words").fill("a red kite")
        page.keyboard.press("Enter")
        page.locator(".card").first.wait_for()
        settle(page)
        answer = run.recommend(query="a red kite")
        assert listed(page) == ids_of(answer)
        assert page.get_by_role("heading", name="For “a red kite”").is_visible()
        why = answer.explained[0].why
        assert f"{why[:1].upper()}{why[1:]}" in page.locator(".card").first.inner_text()
        page.goto(f"{server.url}/#recommend?user={user}&words=a+red+kite")
        page.get_by_role("heading", name=f"For {user}, “a red kite”").wait_for()
        settle(page)
        assert listed(page) == ids_of(run.recommend(query="a red kite", user=user))
        wait_until(page, "!document.getAnimations().some(each => each.playState === 'running')")
        axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
        assert axe.run(page, options={"resultTypes": ["violations"]}).response["violations"] == []
        page.get_by_label("How much the words count").fill("1")
        wait_until(page, "location.hash.includes('weight=1')")
        settle(page)
        assert listed(page) == ids_of(run.recommend(query="a red kite", user=user, query_weight=1.0))
        page.get_by_role("button", name="Without words").click()
        wait_until(page, "!location.hash.includes('words')")
        settle(page)
        assert listed(page) == ids_of(run.recommend(user=user))


def test_no_list_is_given_where_none_is_sure_enough(browser: Any, abstaining: Path, tmp_path: Path) -> None:
    run = Recommender.open(abstaining)
    user = find_user(run, "abstain")
    with (
        running(abstaining, tmp_path) as server,
        opened_page(browser, f"{server.url}/#recommend?user={user}") as page,
    ):
        page.get_by_role("heading", name="No list is shown").wait_for()
        assert "is needed" in page.locator(".abstained").inner_text()
        assert page.locator(".card").count() == 0
        page.get_by_role("link", name="See what each model would recommend").click()
        page.locator(".system").nth(2).wait_for()
        assert page.locator(".system").count() == 3


def test_a_server_that_goes_away_loses_nothing(browser: Any, finished: Path, tmp_path: Path, user: str) -> None:
    with running(finished, tmp_path) as server:
        port = server.url.rpartition(":")[2]
        with opened_page(browser, f"{server.url}/#recommend?user={user}", ("ERR_CONNECTION",)) as page:
            page.locator(".card").first.wait_for()
            settle(page)
            before = listed(page)
            server.process.send_signal(signal.SIGINT)
            server.process.wait()
            page.locator(".icon").first.click()
            page.get_by_role("alert").get_by_text("The server is not responding").wait_for()
            assert listed(page) == before
            assert "ignore=" in page.url
            again = tmp_path / "again"
            again.mkdir()
            with running(finished, again, "--port", port):
                page.locator(".banner").wait_for(state="detached")
                page.locator(".step.edited").wait_for()
                settle(page)
                assert listed(page) != before or page.locator(".changed").count() == 1


def test_a_token_is_asked_for_and_pictures_come_with_it(
    browser: Any, finished: Path, tmp_path: Path, user: str
) -> None:
    (tmp_path / "token").write_text(TOKEN)
    with (
        running(finished, tmp_path, "--token-file", str(tmp_path / "token")) as server,
        opened_page(browser, f"{server.url}/#recommend?user={user}", ("401",)) as page,
    ):
        page.get_by_role("textbox", name="Token").fill("wrong")
        page.keyboard.press("Enter")
        page.get_by_text("That token is not correct").wait_for()
        page.get_by_role("textbox", name="Token").fill(TOKEN)
        page.get_by_role("button", name="Continue").click()
        page.locator(".card img").first.wait_for()
        wait_until(page, "document.querySelector('.card img').naturalWidth > 0")
        assert page.locator(".card img").first.get_attribute("src").startswith("blob:")
        assert page.evaluate("Object.values(sessionStorage)") == [TOKEN]
        assert TOKEN not in page.url


def test_a_busy_server_is_asked_again(browser: Any, server: Running, user: str) -> None:
    refusals = [429, 503]

    def refuse(route: Any) -> None:
        if not refusals:
            route.continue_()
            return
        status = refusals.pop(0)
        route.fulfill(status=status, json={"what": "more than 1 requests a second"}, headers={"Retry-After": "1"})

    with opened_page(browser, server.url, ("429", "503")) as page:
        page.route("**/v1/recommend", refuse)
        page.locator("#person").fill(user)
        page.keyboard.press("Enter")
        page.get_by_text("More than 1 requests a second. Trying again in 1 second.").first.wait_for()
        page.locator(".card").first.wait_for()
        assert not refusals
        assert page.locator(".banner").count() == 0


def test_every_model_answers_side_by_side(browser: Any, server: Running, user: str) -> None:
    with server.client() as client:
        systems = client.post("/v1/compare", json={"user": user, "k": 10}).json()["systems"]
    with opened_page(browser, f"{server.url}/#recommend?user={user}") as page:
        page.get_by_role("link", name="Compare").click()
        page.locator(".system").nth(2).wait_for()
        settle(page)
        shown = [
            (each.get_by_role("heading").inner_text(), each.locator(".rows .title").all_inner_texts())
            for each in page.locator(".system").all()
        ]
        assert shown == [(each["system"], [item["title"] for item in each["items"]]) for each in systems]
        page.go_back()
        page.locator(".card").first.wait_for()


def test_health_shows_latency_and_the_run(browser: Any, server: Running) -> None:
    with opened_page(browser, f"{server.url}/#health") as page:
        row = page.get_by_role("row").filter(has_text="/v1/run")
        row.wait_for()
        assert row.locator("td").nth(1).inner_text().endswith(" ms")
        facts = page.get_by_role("region", name="What answers").inner_text()
        assert "tiny" in facts
        assert "evaluated: those that were tested" in facts
        assert "transitions" in page.get_by_role("region", name="The models").inner_text()


HOSTILE = '<img src=x onerror="document.title=1"> ' + "Unbreakable" * 20


def test_no_view_scrolls_sideways_and_text_stays_text(browser: Any, server: Running, user: str) -> None:
    def lengthen(route: Any) -> None:
        response = route.fetch()
        told = response.json()
        for item in [*told.get("items", []), *(i for each in told.get("systems", []) for i in each["items"])]:
            item["title"] = HOSTILE
        told.get("notes", []).append(HOSTILE)
        for step in told.get("steps", []):
            step["claim"] = HOSTILE
        route.fulfill(response=response, json=told)

    with opened_page(browser, server.url, viewport={"width": WIDTHS[0], "height": 800}) as page:
        page.route("**/v1/recommend", lengthen)
        page.route("**/v1/compare", lengthen)
        page.wait_for_selector(".offers img")
        assert page.evaluate("document.documentElement.scrollWidth") <= WIDTHS[0]
        for fragment, ready in (
            (f"recommend?user={user}", ".card"),
            (f"recommend?user={user}&where.brand={'Unbreakable' * 20}&max.price=1&exclude=i1&only=x", ".active"),
            (f"compare?user={user}", ".system"),
            ("health", "td"),
        ):
            page.evaluate("fragment => { location.hash = fragment }", fragment)
            page.locator(ready).first.wait_for()
            settle(page)
            for width in WIDTHS:
                page.set_viewport_size({"width": width, "height": 800})
                assert page.evaluate("document.documentElement.scrollWidth") <= width, (fragment, width)
            assert page.locator("img[onerror], img[src=x]").count() == 0
            if ready in {".card", ".system"}:
                assert page.get_by_text(HOSTILE.strip()).count() >= 10


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_axe_finds_nothing_to_complain_of(browser: Any, server: Running, user: str, scheme: str, width: int) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    rules = {"resultTypes": ["violations"]}

    def check(page: Any, what: str) -> None:
        settle(page)
        wait_until(page, "!document.getAnimations().some(each => each.playState === 'running')")
        assert axe.run(page, options=rules).response["violations"] == [], what

    with opened_page(browser, server.url, color_scheme=scheme, viewport={"width": width, "height": 900}) as page:
        page.locator(".offers img").first.wait_for()
        check(page, "welcome")
        page.locator("#person").fill("u")
        page.get_by_role("option").first.wait_for()
        check(page, "proposals")
        page.evaluate("fragment => { location.hash = fragment }", f"recommend?user={user}")
        page.locator(".card").first.wait_for()
        page.get_by_text("Options").click()
        page.locator(".filters > summary").click()
        page.locator("#exclude").fill("a")
        page.locator("#exclude-list [role=option]").first.wait_for()
        page.keyboard.press("Enter")
        page.locator(".active").wait_for()
        page.locator(".icon").first.click()
        page.locator(".step.edited").first.wait_for()
        page.locator(".step .label[aria-pressed=false]").first.click()
        page.locator(".label[aria-pressed=true]").first.wait_for()
        check(page, "edited")
        page.evaluate("fragment => { location.hash = fragment }", "recommend?user=somebody+new&item=no+such")
        page.locator(".notes").wait_for()
        check(page, "unknown")
        page.get_by_role("link", name="Compare").click()
        page.locator(".system").first.wait_for()
        check(page, "compare")
        page.get_by_role("link", name="Health").click()
        page.locator("td").first.wait_for()
        check(page, "health")


SENSELESS = [
    "#",
    "#nowhere?user=",
    "#recommend?k=-5&k=x&variety=NaN&assume.=&ignore=",
    "#%",
    "#compare?user=%ff",
    "#?a",
    "#recommend?where.=1&min.=&none=2&where.constructor=a&max.__proto__=3",
]


def test_a_link_that_makes_no_sense_opens_the_page_all_the_same(browser: Any, server: Running) -> None:
    with opened_page(browser, server.url, ("404", "422")) as page:
        for fragment in SENSELESS:
            page.goto("about:blank")
            page.goto(f"{server.url}/{fragment}")
            page.get_by_role("heading", name="tiny").wait_for()
            page.get_by_role("link", name="Health").wait_for()


def test_a_request_that_is_refused_says_why(browser: Any, server: Running, user: str) -> None:
    with opened_page(browser, f"{server.url}/#recommend?user={user}&ignore=not-mine", ("422",)) as page:
        page.get_by_role("alert").get_by_text("is not in the history").wait_for()
        page.get_by_role("button", name="Clear all changes").click()
        page.locator(".card").first.wait_for()
        assert page.get_by_text("is not in the history").count() == 0


def test_chances_are_said_in_words(browser: Any, server: Running) -> None:
    script = "import('/page/words.js').then(words => %s.map(words.sayChance))"
    wanted = {
        0.001: "less than 1 in 100",
        0.0131: "about 1 in 75",
        0.08: "about 1 in 12",
        0.26: "about 1 in 4",
        0.38: "about 2 in 5",
        0.5: "about 1 in 2",
        0.74: "about 3 in 4",
        0.99: "almost certain",
    }
    with opened_page(browser, server.url) as page:
        assert page.evaluate(script % list(wanted)) == list(wanted.values())


def test_without_steps_to_change_an_item_is_taken_out_of_the_history(
    browser: Any, without_policy: Path, tmp_path: Path
) -> None:
    run = Recommender.open(without_policy)
    user = find_user(run, "replace")
    past = [id for id, _ in run.recommend(user=user).history]
    with (
        running(without_policy, tmp_path) as server,
        opened_page(browser, f"{server.url}/#recommend?user={user}") as page,
    ):
        page.locator(".card").first.wait_for()
        settle(page)
        assert page.get_by_role("heading", name="Make an assumption").count() == 0
        page.get_by_role("button", name="Remove: ").first.click()
        wait_until(page, "location.hash.includes('item=')")
        settle(page)
        assert listed(page) == ids_of(run.recommend(user=user, history=past[:-1]))
        page.get_by_role("button", name="↶ Undo").click()
        wait_until(page, "!location.hash.includes('item=')")
        settle(page)
        assert listed(page) == ids_of(run.recommend(user=user))
