"""What a request rules out is left out before the best k are taken, whoever answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reasonrec_serve import Answer, Recommender, Request

from reasonrec_core.cli.main import main
from reasonrec_core.config import check_config
from reasonrec_core.pipeline.run import fit_pipeline
from reasonrec_core.registry import Registry

from .conftest import pipeline, silent

PAST = ["item-01", "item-05", "item-08"]
SYSTEMS: dict[str, dict[str, Any]] = {
    "routed": {},
    "policy": {"router": None},
    "delegate": {"policy": None, "router": None},
    "abstaining": {"router": {"share": 0.3, "stage": "after", "abstain": 0.3}},
}


@pytest.fixture(scope="module")
def systems(data: Path, finished: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Recommender]:
    found = {"routed": Recommender.open(finished)}
    for name, changes in SYSTEMS.items():
        if changes:
            run = tmp_path_factory.mktemp(name) / "run"
            fit_pipeline(check_config(pipeline(data, **changes), "x"), run, Registry.discover(), silent)
            found[name] = Recommender.open(run)
    return found


@pytest.fixture(params=SYSTEMS)
def service(request: pytest.FixtureRequest, systems: dict[str, Recommender]) -> Recommender:
    return systems[request.param]


def ids(answer: Answer) -> list[str]:
    return [item.id for item in answer.items]


def users(service: Recommender) -> Iterator[str]:
    yield from service.dataset.users.column("user_id").to_pylist()[:12]


def test_what_is_excluded_makes_room_for_what_comes_next(service: Recommender) -> None:
    for user in users(service):
        whole = service.recommend(user=user, k=12)
        without = service.recommend(user=user, k=6, exclude=ids(whole)[:6])
        assert ids(without) == ids(whole)[6:12]
        assert [item.score for item in without.items] == [item.score for item in whole.items[6:12]]
        assert (without.by, without.route) == (whole.by, whole.route), "who answers does not depend on what is left out"
        assert without.limited == bool(whole.items)
        assert without.confidence is None or not whole.items
        assert ids(service.recommend(user=user, k=6, exclude=ids(whole)[9:])) == ids(whole)[:6]


def test_a_list_of_three_gets_these_three_in_the_order_of_who_answers(service: Recommender) -> None:
    catalog = service.dataset.catalog
    for at, user in enumerate(users(service)):
        whole = ids(service.recommend(user=user, k=10**6))
        three = [each for each in catalog.ids[at:] if each in whole][:3]
        assert ids(service.recommend(user=user, only=three)) == [each for each in whole if each in three]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_an_answer_within_limits_is_the_whole_ranking_without_what_is_ruled_out(
    systems: dict[str, Recommender], data: st.DataObject
) -> None:
    service = systems[data.draw(st.sampled_from(list(SYSTEMS)))]
    catalog = service.dataset.catalog
    some = st.lists(st.sampled_from([*catalog.ids, "unknown"]), max_size=data.draw(st.sampled_from([3, 60])))
    request: dict[str, Any] = {"history": data.draw(some), "k": data.draw(st.integers(1, 20))}
    whole = ids(service.recommend(**{**request, "k": 10**6}))
    limits: dict[str, Any] = {"exclude": data.draw(some)}
    allowed = set(catalog.ids) - set(limits["exclude"])
    if data.draw(st.booleans()):
        limits["only"] = data.draw(some)
        allowed &= set(limits["only"])
    if data.draw(st.booleans()):
        limits["where"] = {"brand": data.draw(st.sampled_from(["Acorn", "Birch", ["Acorn", "Cedar"], "nothing"]))}
        wanted = np.atleast_1d(limits["where"]["brand"]).tolist()
        allowed &= {i for i, brand in zip(catalog.ids, catalog.column("brand"), strict=True) if brand in wanted}
    answer = service.recommend(**request, **limits)
    assert ids(answer) == [each for each in whole if each in allowed][: request["k"]]
    first = whole[: service.cutoff]
    assert answer.limited == (not set(first) <= allowed)
    if not answer.limited:
        assert answer.confidence == service.recommend(**request).confidence


def test_conditions_that_nothing_meets_leave_nothing_and_say_so(service: Recommender) -> None:
    answer = service.recommend(history=PAST, where={"brand": "nothing"})
    assert answer.items == ()
    if answer.route != "abstain":
        assert "No item fits `where`, so there is nothing to recommend." in answer.notes
        nobody = service.recommend(history=PAST, only=[])
        assert (nobody.items, nobody.notes[-1]) == ((), "No item fits `only`, so there is nothing to recommend.")
    few = service.recommend(user="user-03", only=["item-02", "item-03"], exclude=["item-03"])
    assert ids(few) == ["item-02"] or not few.items


def test_seen_items_come_back_on_wish_among_the_others(service: Recommender) -> None:
    catalog = service.dataset.catalog
    for user in users(service):
        before = service.recommend(user=user, k=5)
        past = {item for item, _ in before.history}
        assert not past & set(ids(before))
        seen = service.recommend(user=user, k=10**6, include_seen=True)
        if seen.route == "abstain":
            assert not seen.items
            continue
        assert set(ids(seen)) == set(catalog.ids), "every item, each once"
        assert sorted((item.score for item in seen.items), reverse=True) == [item.score for item in seen.items]
        again = service.recommend(user=user, k=4, include_seen=True, only=sorted(past), exclude=[min(past)])
        assert set(ids(again)) <= past - {min(past)}
        assert len(again.items) == min(4, len(past) - 1)
        assert again.confidence is None


def test_unknown_ids_are_skipped_and_counted(service: Recommender) -> None:
    lists = {"candidates": ["item-03", "x", "item-02", "x"], "exclude": ["y", "z"], "only": ["item-03", "item-02", "q"]}
    answer = service.recommend(history=PAST, **lists)
    assert set(ids(answer)) == {"item-02", "item-03"}
    assert answer.skipped == {"candidates": 1, "exclude": 2, "only": 1}
    assert "1 unknown item among the candidates was skipped." in answer.notes
    nothing = service.recommend(history=PAST, candidates=["x", "y"])
    assert (nothing.items, nothing.skipped) == ((), {"candidates": 2})
    assert "No candidate is left: none of them is both known and allowed." in nothing.notes


def test_candidates_are_limited_too(service: Recommender) -> None:
    listed = ["item-02", "item-03", "item-04", "item-06"]
    whole = ids(service.recommend(history=PAST, candidates=listed))
    some = service.recommend(history=PAST, candidates=listed, exclude=["item-03"], k=2)
    assert set(whole) == set(listed)
    assert ids(some) == [each for each in whole if each != "item-03"][:2]


def test_somebody_new_gets_what_everybody_gets(service: Recommender) -> None:
    answer = service.recommend(user="never seen")
    assert (answer.personalised, answer.known_user) == (False, False)
    assert ids(answer) == ids(service.recommend(history=[]))
    if answer.items:
        assert answer.notes[0].startswith("The user is new")
    known = service.recommend(user="user-01")
    assert (known.personalised, known.known_user) == (True, True)
    assert service.recommend(history=PAST).known_user is None


def test_a_history_replaces_the_user_s_log(service: Recommender) -> None:
    answer = service.recommend(user="user-01", history=PAST)
    assert [item for item, _ in answer.history] == PAST
    assert service.recommend(user="never seen", history=PAST).personalised


def test_diversity_makes_items_less_alike(service: Recommender) -> None:
    def alike(answer: Answer) -> float:
        at = np.array([[service.dataset.catalog.index[each] for each in ids(answer)]], np.int32)
        if not at.size:
            return 0.0
        gathered = service.likeness.gather(at)
        return float(np.mean([gathered.compare(np.array([c])).sum() - 1 for c in range(at.shape[1])]))

    found = {d: [service.recommend(user=u, k=6, diversity=d) for u in users(service)] for d in (0.0, 0.5, 1.0)}
    spread = [np.mean([alike(answer) for answer in answers]) for answers in found.values()]
    assert spread[0] > spread[1] > spread[2]
    for plain, diverse in zip(found[0.0], found[0.5], strict=True):
        assert len(set(ids(diverse))) == len(ids(plain))
        assert ids(diverse)[:1] == ids(plain)[:1], "the best item stays first"
        assert diverse.confidence is None or not plain.items
    limited = service.recommend(user="user-01", k=4, diversity=0.7, where={"brand": "Acorn"})
    assert all("Acorn" in item.title for item in limited.items)


def test_edited_steps_keep_to_limits(systems: dict[str, Recommender]) -> None:
    service = systems["policy"]
    whole = service.recommend(history=PAST, k=10, assume={"brand": "Cedar"})
    some = service.recommend(history=PAST, k=4, assume={"brand": "Cedar"}, exclude=ids(whole)[:5])
    assert ids(some) == ids(whole)[5:9]
    only = service.recommend(history=PAST, assume={"brand": "Cedar"}, only=["item-02", "item-03", "item-04"])
    assert set(ids(only)) == {"item-02", "item-03", "item-04"}
    seen = service.recommend(history=PAST, k=3, assume={"brand": "Cedar"}, only=PAST, include_seen=True)
    assert set(ids(seen)) == set(PAST)


def test_the_last_step_speaks_of_what_is_recommended(systems: dict[str, Recommender]) -> None:
    service = systems["policy"]
    whole = service.recommend(history=PAST)
    assert whole.to_dict()["items"][0]["because"], "what the last step cites"
    some = service.recommend(history=PAST, exclude=ids(whole)[:1])
    assert some.steps[-1].claim.endswith(f"the first that is left: {some.items[0].title}.")
    assert {cause.id for cause in some.explained[0].because} <= {*PAST}, "it has reasons, but no step that cites them"


def test_every_answer_has_its_reasons_whoever_answers(service: Recommender) -> None:
    by_history = set[str]()
    for user in users(service):
        answer = service.recommend(user=user, k=4)
        assert all(not item.because and not item.why for item in answer.items), "nobody asked"
        for item in answer.explained:
            assert item.why, (answer.by, item)
            assert {cause.id for cause in item.because} <= {past for past, _ in answer.history}
            assert sum(cause.share for cause in item.because) < 1 + 1e-4
            assert all(cause.title in item.why for cause in item.because[:3])
            by_history |= {answer.by} if item.because else set()
        if answer.items:
            assert answer.to_dict()["items"][0]["why"] == answer.explained[0].why
    assert by_history, "history is never a reason"


def test_without_a_history_the_reason_is_how_popular_an_item_is(systems: dict[str, Recommender]) -> None:
    answer = systems["delegate"].recommend(user="somebody new", k=3)
    assert answer.explained[0].why.startswith("a best-seller: number ")
    assert not answer.explained[0].because


def test_without_what_it_is_recommended_for_an_item_falls(systems: dict[str, Recommender]) -> None:
    service, fell = systems["delegate"], list[bool]()
    for user in users(service):
        answer = service.recommend(user=user, k=1)
        if not (causes := answer.explained[0].because):
            continue
        past = [item for item, _ in answer.history]
        rest = service.recommend(history=[item for item in past if item != causes[0].id], k=10**6, include_seen=True)
        fell.append(rest.items[0].id != answer.items[0].id)
    assert np.mean(fell) > 0.5, "what is named is not what it rests on"


def run_cli(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as left:
        main([str(each) for each in arguments])
    return int(left.value.code or 0)


def test_the_command_line_answers_as_python_does(
    finished: Path, systems: dict[str, Recommender], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "only.txt").write_text("\n".join([f"item-{i:02}" for i in range(2, 40)] + ["gone"]))
    (tmp_path / "not.txt").write_text("item-03\nitem-04\n")
    limits = {"only": [f"item-{i:02}" for i in range(2, 40)] + ["gone"], "exclude": ["item-03", "item-04"]}
    base = ["recommend", finished, "--user", "user-02", "--only-file", tmp_path / "only.txt", "--k", "4", "--json"]
    more = ["--exclude-file", tmp_path / "not.txt", "--where", "brand=Acorn", "--where", "brand=Cedar"]
    assert run_cli(*base, *more, "--diversity", "0.4", "--include-seen") == 0
    shown = json.loads(capsys.readouterr().out)
    request = Request(
        user="user-02", k=4, **limits, where={"brand": ["Acorn", "Cedar"]}, diversity=0.4, include_seen=True
    )
    wanted = json.loads(json.dumps(systems["routed"].answer(request).to_dict(steps=False)))
    assert {**shown, "seconds": 0} == {**wanted, "seconds": 0}
    assert run_cli("recommend", finished, "--user", "new", "--where", "brand=nobody") == 0
    out = capsys.readouterr().out
    assert "The user is new" in out
    assert "No item fits `where`" in out
    assert run_cli("recommend", finished, "--user", "user-02", "--where", "brand<3") == 2
    assert "--where: cannot read 'brand<3'" in capsys.readouterr().err
    assert run_cli("recommend", finished, "--user", "user-02", "--only", "a", "--only-file", tmp_path / "not.txt") == 2
    assert "--only: the ids are given in more than one way" in capsys.readouterr().err
