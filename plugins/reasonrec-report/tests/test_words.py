from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import run_folders as folders
from hypothesis import given
from hypothesis import strategies as st
from reasonrec_report import checks, number_format, routing_text, summary_text, verdict
from reasonrec_report.axes import Scale, make_axis_around, make_axis_from_zero
from reasonrec_report.leaderboard import Leaderboard, SystemRole, Verdict
from reasonrec_report.metric_names import choose_headline, parse_metric
from reasonrec_report.reporter import HtmlReporter
from reasonrec_report.sections import ReportedResults

from reasonrec_core.evaluate.schema import Results

VALUES = st.floats(0, 1e6, allow_subnormal=False)


def summarise(results: Results) -> Sequence[str]:
    return HtmlReporter(HtmlReporter.Config()).summarise(results, Path("runs/none"))


def board(**changes: Any) -> Leaderboard:
    return Leaderboard(ReportedResults.model_validate({**folders.ranking_metrics(None), **changes}))


def compared(metric: str, difference: float, p: float, *, systems: dict[str, float]) -> Leaderboard:
    a, b = systems
    return board(
        systems={name: {metric: {"value": value}} for name, value in systems.items()},
        comparisons=[{"a": a, "b": b, "metric": metric, "difference": difference, "p_corrected": p}],
        roles={"delegates": list(systems)},
    )


@pytest.mark.parametrize(
    ("metric", "difference", "p", "verdict"),
    [
        ("NDCG@10", 0.01, 0.01, Verdict.BETTER),
        ("NDCG@10", -0.01, 0.01, Verdict.WORSE),
        ("NDCG@10", 0.01, 0.06, Verdict.EVEN),
        ("LogLoss", -0.01, 0.01, Verdict.BETTER),
        ("LogLoss", 0.01, 0.01, Verdict.WORSE),
    ],
)
def test_a_verdict_needs_significance_and_a_direction(
    metric: str, difference: float, p: float, verdict: Verdict
) -> None:
    found = compared(metric, difference, p, systems={"a": 0.2, "b": 0.2})
    forward = found.difference("a", "b", parse_metric(metric))
    backward = found.difference("b", "a", parse_metric(metric))
    assert forward is not None
    assert backward is not None
    assert forward.verdict is verdict
    opposite = {Verdict.BETTER: Verdict.WORSE, Verdict.WORSE: Verdict.BETTER, Verdict.EVEN: Verdict.EVEN}
    assert backward.verdict is opposite[verdict]


def test_an_interval_turns_with_its_comparison() -> None:
    found = board().difference("profile", "routed", parse_metric("NDCG@10"))
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((-0.0139, -0.0199, -0.0079))


def test_no_interval_contradicts_its_verdict() -> None:
    """Uncorrected it excludes 0, and the corrected p-value is 0.06: the interval that is shown reaches 0."""
    row = {"a": "a", "b": "b", "metric": "NDCG@10", "difference": 0.01, "low": 0.001, "high": 0.02}
    row |= {"p": 0.03, "p_corrected": 0.06, "low_corrected": -0.001, "high_corrected": 0.022}
    systems = {name: {"NDCG@10": {"value": 0.2}} for name in "ab"}
    found = board(systems=systems, comparisons=[row], roles={"delegates": ["a", "b"]})
    difference = found.difference("b", "a", parse_metric("NDCG@10"))
    assert difference is not None
    assert difference.verdict is Verdict.EVEN
    assert (difference.low, difference.high) == (-0.022, 0.001)


def test_who_is_who() -> None:
    found = board()
    assert found.systems == ("routed", "profile", "transitions", "implicit-als", "popularity")
    assert [found.role(s) for s in found.systems[:3]] == [SystemRole.ROUTED, SystemRole.POLICY, SystemRole.DELEGATE]
    assert found.rivals == ("profile", "transitions")


def test_without_a_router_the_policy_comes_first() -> None:
    found = board(roles={"policy": "profile", "delegates": ["transitions", "popularity"]}, systems={
        "popularity": {"NDCG@10": {"value": 0.1}},
        "profile": {"NDCG@10": {"value": 0.2}},
        "transitions": {"NDCG@10": {"value": 0.3}},
    })  # fmt: skip
    assert found.systems == ("profile", "transitions", "popularity")
    assert found.rivals == ("transitions",)
    assert "profile" in verdict.judge(found)[1]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["HR@10", "NDCG@5", "NDCG@10", "coverage@10"], "NDCG@10"),
        (["NDCG@10[uni99]", "NDCG@5"], "NDCG@5"),
        (["NDCG@10[uni99]", "HR@10[uni99]"], "NDCG@10[uni99]"),
        (["NDCG@5", "NDCG@20"], "NDCG@20"),
        (["LogLoss", "AUC"], "AUC"),
        (["my own"], "my own"),
    ],
)
def test_what_a_report_is_about(names: list[str], expected: str) -> None:
    head = choose_headline(parse_metric(name) for name in names)
    assert head is not None
    assert head.name == expected


@pytest.mark.parametrize(("low", "told"), [(0.0, True), (0.01, False)])
def test_too_little_to_tell_is_said(low: float, told: bool) -> None:
    best = {"value": 0.1, "low": low, "high": 0.3}
    found = board(systems={"a": {"NDCG@10": best}, "b": {"NDCG@10": {"value": 0.0, "low": 0.0, "high": 0.0}}})
    assert ("There is too little data to tell" in verdict.judge(found)[1]) is told
    assert (verdict.judge(found)[0] is verdict.Tone.UNKNOWN) or not told
    assert any("There is too little data to tell" in said for said in summarise(found.results)) is told


def test_nothing_measured() -> None:
    assert choose_headline([]) is None
    assert verdict.judge(board(systems={"a": {}}))[1] == "This run measured nothing."


def test_repeated_metrics_are_not_shown_twice() -> None:
    names = [m.name for m in board().columns(20)]
    assert "HR@10" in names
    assert "Recall@10" not in names
    assert "Precision@10" not in names


@pytest.mark.parametrize(("p", "text"), [(0, "p < 0.001"), (0.0123, "p = 0.012"), (0.05, "p = 0.05"), (1, "p = 1")])
def test_p_values(p: float, text: str) -> None:
    assert number_format.format_p_value(p) == text


@given(st.lists(VALUES, min_size=1, max_size=8))
def test_an_axis_shows_every_value_with_ticks_in_order(values: list[float]) -> None:
    for scale in (make_axis_around(values), make_axis_from_zero(values, start=200.0, end=10.0)):
        low, high = sorted((scale.start, scale.end))
        assert all(low <= scale(v) <= high for v in values)
        assert scale.low <= min(values) + 1e-9 * max(values)
        assert scale.high >= max(values) * (1 - 1e-9)
        ticks = scale.ticks()
        assert all(low <= t.at <= high for t in ticks)
        assert len({t.label for t in ticks}) == len(ticks) <= 12


def test_an_axis_of_nothing() -> None:
    assert math.isfinite(make_axis_around([None])(0.5))
    assert make_axis_from_zero([], start=0, end=1).high == 1.0
    assert Scale(0, 1)(2) == 100


def test_a_hit_rate_in_plain_words() -> None:
    told = "The next choice is among the first 10 for 18 of 100 people; best-sellers alone reach 7."
    assert verdict.describe_hits(board()) == told
    rare = board(systems={"a": {"HR@10": {"value": 0.004}}}, comparisons=[], protocol="temporal")
    assert verdict.describe_hits(rare) == "The next choice is among the first 10 for 4 of 1,000 requests."
    sampled = board(systems={"a": {"HR@10[uni99]": {"value": 0.5}}}, comparisons=[])
    assert "among the first 10 of 100 candidates" in verdict.describe_hits(sampled)


def test_a_few_lucky_hits_are_no_leak() -> None:
    lucky = {"NDCG@5": {"value": 0.001}, "HR@5": {"value": 0.001, "low": 0.0, "high": 0.004}}
    leaking = {"NDCG@5": {"value": 0.19}, "HR@5": {"value": 0.2, "low": 0.18, "high": 0.22}}
    ratios = summary_text.find_leak_signs(board(systems={"lucky": lucky, "leaking": leaking}, comparisons=[]))
    assert [(name, suspicious) for name, _, suspicious in ratios] == [("leaking", True)]


def routed(**changes: Any) -> ReportedResults:
    """Results of a run with routing, some of it changed."""
    base = folders.ranking_metrics(None)
    routing = base["routing"] | {"consulted": 0.1, "abstained": 0.2} | changes.pop("routing", {})
    return ReportedResults.model_validate({**base, "routing": routing, **changes})


def test_batches_that_the_policy_answers_alone_are_named() -> None:
    saves, none = {"value": -0.1, "low": -0.2, "high": -0.05}, {"value": 0.1, "low": -0.01, "high": 0.2}
    goal = {"goal": "free", "batches": {"8": none, "32": none, "256": saves}}
    said = routing_text.describe_batches(routed(routing={"validation": {"goal": goal}}))
    assert (
        said
        == "In batches of about 8 and 32 requests, profile answers alone, because handing over saves no time there."
    )
    never = routed(routing={"validation": {"goal": {"goal": "free", "batches": {"8": none}}}})
    assert "In batches of all measured sizes" in routing_text.describe_batches(never)
    for batches in ({}, {"8": saves}):
        fast = routed(routing={"validation": {"goal": {"goal": "free", "batches": batches}}})
        assert routing_text.describe_batches(fast) == ""


def test_consulting_that_gained_nothing_is_not_done_and_that_is_said() -> None:
    tried = {"policy": 0.15, "consulted": 0.16, "queries": 230, "gain": {"value": 0.05, "low": -0.03, "high": 0.16}}
    kept = routed(routing={"consulted": 0.0, "validation": {"consult": {**tried, "used": False}}})
    used = routed(routing={"validation": {"consult": {**tried, "used": True}}})
    never = routed(routing={"consulted": 0.0, "validation": {"consult": {"queries": 0, "used": False}}})
    space = "\N{NO-BREAK SPACE}"
    assert "in view" not in routing_text.describe_delegation(kept)
    assert f"on 10{space}% profile decided after seeing the delegates' answers" in routing_text.describe_delegation(
        used
    )
    assert routing_text.describe_consulting(kept).endswith("not a clear gain, so no delegate is consulted.")
    assert routing_text.describe_consulting(used).endswith(f"+5.0{space}% (−3.0 to +16.0).")
    assert "no delegate needs to be consulted" in routing_text.describe_consulting(never)
    assert routing_text.describe_consulting(routed()) == ""
    assert routing_text.describe_consulting(kept) in summarise(kept)


def test_giving_no_answer_is_told_with_what_the_given_answers_are_worth() -> None:
    found = {
        "coverage": 0.8,
        "wanted": {"abstain": 0.2},
        "answered": {"NDCG@10": {"value": 0.15, "low": 0.14, "high": 0.16}},
        "risk": {"value": 0.7},
        "held_back": {"NDCG@10": 0.03},
    }
    said = routing_text.describe_abstention(routed(abstention=found)).replace("\N{NO-BREAK SPACE}", " ")
    assert said.startswith(
        "The 20 % of the requests with the least confidence get no answer (goal: 20 % without an answer)"
    )
    assert "NDCG@10 0.150 (0.140–0.160)" in said
    assert "70 % of them miss; on the other requests the policy would have reached 0.0300." in said
    assert not routing_text.describe_abstention(routed())


def test_nothing_is_saved_where_nothing_was_routed() -> None:
    alone = ReportedResults.model_validate(folders.ranking_metrics(None) | {"routing": None})
    assert verdict.describe_delegating(routed())
    assert not routing_text.describe_price(alone)
    assert not verdict.describe_delegating(alone)


@pytest.mark.parametrize(
    ("time", "told", "effect"),
    [
        ((-0.3, -0.4, -0.2), "takes 30 % less time (95 % interval −40 to −20 %)", "Delegating pays"),
        ((0.04, -0.02, 0.11), "does not change measurably (95 % interval −2 to +11 %)", "makes no measurable diff"),
        ((0.2, 0.1, 0.3), "takes 20 % more time (95 % interval +10 to +30 %)", "costs time and gains nothing"),
        (None, "the times were not compared", "keeps the quality"),
    ],
)
def test_time_is_compared_pair_by_pair_or_not_at_all(
    time: tuple[float, float, float] | None, told: str, effect: str
) -> None:
    facts = {"share": 0.3, "latency_ratio": 0.7}
    facts |= {"time": dict(zip(("value", "low", "high"), time, strict=True))} if time else {}
    said = verdict.describe_delegating(routed(delegation=facts)).replace("\N{NO-BREAK SPACE}", " ")
    assert told in said
    assert effect in said


def test_without_anything_handed_over_no_time_is_said_to_be_saved() -> None:
    facts = {"share": 0.0, "time": {"value": -0.07, "low": -0.14, "high": -0.004}}
    said = verdict.describe_delegating(routed(delegation=facts)).replace("\N{NO-BREAK SPACE}", " ")
    assert "by chance" in said
    assert "takes" not in said


def test_who_loses_by_delegating_is_told_what_to_run() -> None:
    base = folders.ranking_metrics(None)
    curve = base["delegation_curve"]
    worse = {"value": 0.07, "low": 0.065, "high": 0.075}
    found = routed(
        delegation_curve=curve | {"chosen": curve["chosen"] | worse},
        delegation={"share": 0.3, "time": {"value": 0.1, "low": 0.05, "high": 0.2}},
        routing={"target": "share 0.35"},
    )
    made = verdict.make_headline(found, ["reasonrec", "run", "my shop.toml"], "runs/shop")
    assert made.delegating.startswith("Delegating hurts: ")
    assert made.next_steps[0].command == "reasonrec run 'my shop.toml' --set router.share=0"
    long = ["reasonrec", "run", "shop.toml", "--set", "seed=1", "--set", "data.path=x", "--out", "runs/shop"]
    short = verdict.make_headline(found, long, "runs/shop").next_steps[0].command
    assert short == "reasonrec run runs/shop/config.toml --out runs/shop --set router.share=0"


def test_limits_are_checked_by_metric_system_and_time() -> None:
    limits = {
        "NDCG@10": {"min": 0.1},
        "profile/HR@10": {"min": 0.1, "max": 0.2},
        "ms": {"max": 5.0},
        "NDGC@10": {"min": 0},
    }
    made = checks.run_checks(ReportedResults.model_validate(folders.ranking_metrics(None)), limits)
    assert [each.passed for each in made] == [False, True, True, False]
    assert made[0].text == "NDCG@10 is 0.0920, wanted: at least 0.1"
    assert made[2].text == "ms is 4.00, as wanted: at most 5"
    assert made[3].text == "NDGC@10 was not measured. Did you mean 'NDCG@10'?"


def test_a_share_that_came_out_otherwise_is_said_on_the_console() -> None:
    missed = routed(routing={"target": "share 0.35", "reached": 0.48})
    said = routing_text.describe_missed_share(missed)
    assert said.replace("\N{NO-BREAK SPACE}", " ").startswith(
        "48 % of the test requests were handed over instead of the 35 %"
    )
    assert said in summarise(missed)
    for near in ({"target": "share 0.35", "reached": 0.33}, {"target": "risk 0.1", "reached": 0.5}, {"target": None}):
        assert routing_text.describe_missed_share(routed(routing=near)) == ""


def test_delegating_to_an_equal_costs_nothing() -> None:
    base = folders.ranking_metrics(None)["delegation_curve"]
    same = {"value": base["policy"], "low": base["policy"], "high": base["policy"]}
    said = routing_text.describe_price(routed(delegation_curve=base | {"chosen": base["chosen"] | same}))
    assert "NDCG@10 stays the same" in said


def test_only_delegates_that_answered_are_named() -> None:
    base = folders.ranking_metrics(None)["costs"]
    row = next(each for each in base["rows"] if each["who"].startswith("replace"))
    costs = base | {"rows": [row | {"who": "replace: popularity"}]}
    said = routing_text.describe_delegation(routed(routing={"delegate": "popularity or transitions"}, costs=costs))
    assert "were handed to popularity" in said
    assert "transitions" not in said


def test_a_run_that_delegating_makes_worse_is_not_called_good() -> None:
    base = folders.ranking_metrics(None)
    worse = {"a": "routed", "b": "profile", "metric": "NDCG@10", "difference": -0.02, "p_corrected": 0.003}
    rest = [row for row in base["comparisons"] if row["b"] != "profile" or row["metric"] != "NDCG@10"]
    tone, said = verdict.judge(board(comparisons=[worse, *rest]))
    assert tone is verdict.Tone.MIXED
    assert said == "Better without delegating: the policy alone (profile) beats the routed system (NDCG@10)."


def test_a_delegate_that_answers_everything_is_not_called_spare() -> None:
    """The routed system is that delegate: of course it does as well."""
    values = {"routed": 0.3, "profile": 0.28, "a": 0.3, "popularity": 0.1}
    differences = {"profile": (0.02, 0.01), "a": (0.0, 1.0), "popularity": (0.2, 0.001)}
    found = board(
        systems={name: {"NDCG@10": {"value": value}} for name, value in values.items()},
        comparisons=[
            {"a": "routed", "b": other, "metric": "NDCG@10", "difference": difference, "p_corrected": p}
            for other, (difference, p) in differences.items()
        ],
        roles={"routed": "routed", "policy": "profile", "delegates": ["a", "popularity"]},
        delegation={"share": 1.0},
        routing={"delegate": "a"},
    )
    assert verdict.judge(found) == (verdict.Tone.GOOD, "Good: a answers every request and clearly beats best-sellers.")
    mixed = board(**found.results.model_dump() | {"delegation": {"share": 0.5}})
    assert verdict.judge(mixed)[1].startswith("Good, but not needed: ")


def test_in_a_table_of_models_none_is_called_spare() -> None:
    """Without a policy there is nothing that a delegate could make unnecessary."""
    values = {"a": 0.3, "b": 0.3, "popularity": 0.1}
    found = board(
        systems={
            name: {"NDCG@10": {"value": value, "low": value - 0.01, "high": value + 0.01}}
            for name, value in values.items()
        },
        comparisons=[
            {"a": "a", "b": "b", "metric": "NDCG@10", "difference": 0.0, "p_corrected": 0.9},
            {"a": "a", "b": "popularity", "metric": "NDCG@10", "difference": 0.2, "p_corrected": 0.001},
        ],
        roles={"delegates": list(values)},
    )
    assert verdict.judge(found) == (
        verdict.Tone.GOOD,
        "Good: the best delegate (a) clearly beats best-sellers; b does about as well.",
    )


@pytest.mark.parametrize(
    ("difference", "said"),
    [
        (-0.02, "Mixed: a answers, but b is better on the test part (NDCG@10)."),
        (0.02, "Good: the delegate that answers (a) is clearly better than b alone."),
    ],
)
def test_a_table_of_models_is_about_the_one_that_was_chosen_on_validation(difference: float, said: str) -> None:
    """Not about the one that happens to be best on the test part."""
    found = board(
        systems={"a": {"NDCG@10": {"value": 0.3}}, "b": {"NDCG@10": {"value": 0.3 - difference}}},
        comparisons=[{"a": "a", "b": "b", "metric": "NDCG@10", "difference": difference, "p_corrected": 0.001}],
        roles={"delegates": ["b", "a"], "chosen": "a"},
    )
    assert found.main == "a"
    assert verdict.judge(found)[1] == said


def test_hardly_any_people_are_counted_themselves() -> None:
    rates = {"HR@10": {"value": 0.5, "low": 0.1, "high": 0.9}, "NDCG@10": {"value": 0.2, "low": 0.1, "high": 0.3}}
    compared = {
        "a": "routed",
        "b": "popularity",
        "metric": "NDCG@10",
        "difference": 0.1,
        "low": 0.0,
        "high": 0.2,
        "n": 8,
    }
    found = board(systems={"routed": rates, "popularity": rates}, comparisons=[compared], protocol="leave-one-out")
    told = "The next choice is among the first 10 for 4 of 8 people; best-sellers alone reach 4."
    assert verdict.describe_hits(found) == told


@pytest.mark.parametrize(
    ("differences", "said", "tone"),
    [
        (
            (-2.0, -3.0),
            "Good: the explanations of cot are clearly closer to what people then wrote (ROUGE-L) than",
            "good",
        ),
        ((-2.0, 0.0), "Mixed: the explanations of cot are not measurably closer", "mixed"),
        ((2.0, 0.0), "Not good yet: those of similar-user are closer", "bad"),
    ],
)
def test_explanations_are_judged_by_what_people_then_wrote(
    differences: tuple[float, float], said: str, tone: str
) -> None:
    found = folders.ranking_metrics(None)
    others = ("similar-user", "common-phrases")
    scores = {"cot": 14.0, **{name: 14.0 + d for name, d in zip(others, differences, strict=True)}}
    checked = {"Verified": folders.estimate(0.97)}
    found |= {
        "systems": {name: {"ROUGE-L": folders.estimate(value, 0.5), **checked} for name, value in scores.items()},
        "comparisons": [
            {"a": name, "b": "cot", "metric": "ROUGE-L", "difference": d, "low": d - 0.5, "high": d + 0.5}
            | ({"p": 0.001, "p_corrected": 0.001} if d else {"p": 0.9, "p_corrected": 0.9})
            for name, d in zip(others, differences, strict=True)
        ],
        "roles": {"routed": None, "policy": "cot", "delegates": ["transitions"]},
    }
    made = verdict.make_headline(ReportedResults.model_validate(found), ["reasonrec", "run", "x.toml"], "runs/x")
    assert made.verdict.startswith(said)
    assert made.tone == tone
    assert made.felt == "The evidence confirms 97 of 100 claims that they make about an item."
    assert made.next_steps[-1].command == "reasonrec report runs/x --open"


def test_differences_have_three_digits_that_count() -> None:
    assert [number_format.format_signed(value) for value in (1.0732, -0.0312, 0.379, 0.00004, -12.34)] == [
        "+1.07", "\u22120.0312", "+0.379", "0", "\u221212.3",
    ]  # fmt: skip


def test_with_hardly_any_people_nothing_is_promised_about_handing_over() -> None:
    curve = board().results.delegation_curve
    assert curve is not None
    assert routing_text.describe_rest(curve).startswith("How much could be handed over: up to ")
    little = routing_text.describe_rest(curve, enough=False)
    assert little == "How much could be handed over: there is too little data to tell."
    assert not routing_text.describe_rest(None, enough=False)


def test_numbers_have_three_digits_that_count_and_nothing_is_nothing() -> None:
    shown = [number_format.format_digits(value) for value in (0, 0.0117, 0.1166, 1.234, 53.74, 1234.5)]
    assert shown == ["0", "0.0117", "0.117", "1.23", "53.7", "1,234"]
