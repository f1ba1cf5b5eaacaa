"""The answer first: is the result good, does delegating pay, what next; in words that need no statistics."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from reasonrec_report import summary_text
from reasonrec_report.leaderboard import Leaderboard, SystemRole, Verdict, is_about_clicks
from reasonrec_report.metric_names import ParsedMetric
from reasonrec_report.number_format import format_percent
from reasonrec_report.routing_text import Effect, judge_quality, judge_time
from reasonrec_report.sections import ReportedResults

BESTSELLERS = "popularity"
"""The delegate that recommends what sells best: the least that anything must beat."""
EXPLAINED = "rouge-l"
"""The metric that explanations are judged by."""
COIN = 0.5
"""The AUC of tossing a coin."""
LIST_DELEGATES = "reasonrec plugins list --kind delegate"
RESAMPLES_PER_COMPARISON = 40
"""With fewer no corrected p-value can be below .05 (Holm): the smallest one is 2 / (resamples + 1)."""


class Tone(StrEnum):
    """Whether the result is good."""

    GOOD = "good"
    MIXED = "mixed"
    BAD = "bad"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class NextStep:
    """What to do next, why, and the command that does it."""

    why: str
    command: str


@dataclass(frozen=True)
class Headline:
    """The whole report in a few sentences.

    Attributes:
        tone: whether the result is good.
        verdict: the same in a sentence.
        felt: what it means for a hundred people; empty where no metric says that.
        delegating: what handing requests over did to quality and time; empty where nothing was routed.
        next_steps: the most urgent first.
    """

    tone: Tone
    verdict: str
    felt: str
    delegating: str
    next_steps: tuple[NextStep, ...]


def make_headline(results: ReportedResults, command: list[str], folder: str) -> Headline:
    """Judge a run. ``command``: that made it, ``folder``: of the run; for the next steps."""
    board = Leaderboard(results)
    tone, verdict = judge(board)
    steps = tuple(propose_steps(results, board, tone, _shorten(command, folder), folder))
    return Headline(tone, verdict, describe_hits(board), describe_delegating(results), steps)


def judge(board: Leaderboard) -> tuple[Tone, str]:
    """Whether the main system is good: against best-sellers, and against whoever is best alone."""
    metric, main = board.headline, board.main
    if metric is None:
        return Tone.UNKNOWN, "This run measured nothing."
    if shortage := summary_text.describe_shortage(board):
        return Tone.UNKNOWN, shortage
    name = summary_text.name_system(board, main)
    if any(high for _, _, high in summary_text.find_leak_signs(board)):
        return (
            Tone.BAD,
            "Too good to be true: nearly all hits are at rank 1, as happens when ids give the next item away.",
        )
    against = {s: d.verdict for s in board.systems if (d := board.difference(main, s, metric))}
    if not against and _beats_chance(board, metric):
        reached = f"{metric.name} {summary_text.state_value(board, main, metric)}"
        return Tone.MIXED, f"Better than chance, but compared with no other model: {name} reaches {reached}."
    if not against:
        return (
            Tone.UNKNOWN,
            f"{summary_text.capital(name)} reaches {metric.name} {summary_text.state_value(board, main, metric)}.",
        )
    if metric.family == EXPLAINED:
        return _judge_explanations(main, metric, against)
    rivals = [s for s in against if s != BESTSELLERS and board.role(s) not in (SystemRole.POLICY, SystemRole.CONSULT)]
    better = next((s for s in rivals if against[s] is Verdict.WORSE), None)
    even = [s for s in rivals if against[s] is Verdict.EVEN]
    policy = next((s for s in against if board.role(s) is SystemRole.POLICY), None)
    if policy and against[policy] is Verdict.WORSE:
        return Tone.MIXED, f"Better without delegating: the policy alone ({policy}) beats {name} ({metric.name})."
    if better and main == board.chosen:
        return Tone.MIXED, f"Mixed: {main} answers, but {better} is better on the test part ({metric.name})."
    if better:
        return Tone.BAD, f"Not good yet: {better} alone is better than {name} ({metric.name})."
    beats = against.get(BESTSELLERS)
    if beats is Verdict.WORSE:
        return Tone.BAD, f"Not good yet: best-sellers alone are better than {name} ({metric.name})."
    if beats is Verdict.EVEN and board.leans(main, BESTSELLERS, metric):
        return Tone.UNKNOWN, (
            f"Not sure yet: {name} does better than recommending best-sellers ({metric.name}), but with this many "
            "comparisons that may be chance."
        )
    if beats is Verdict.EVEN:
        return Tone.BAD, f"Not good yet: {name} is no better than recommending best-sellers ({metric.name})."
    clear = f"{name} clearly beats best-sellers" if beats is Verdict.BETTER else ""
    if even:
        does = "does" if len(even) == 1 else "do"
        if clear and board.role(main) is SystemRole.DELEGATE:  # a table of models: none of them is spare
            return Tone.GOOD, f"Good: {clear}; {summary_text.join(even)} {does} about as well."
        facts, routing = board.results.delegation, board.results.routing
        if clear and facts and facts.share == 1 and routing and routing.delegate in even:
            return Tone.GOOD, f"Good: {routing.delegate} answers every request and clearly beats best-sellers."
        as_well = f"{summary_text.join(even)} alone {does} about as well"
        return Tone.MIXED, f"Good, but not needed: {clear}, yet {as_well}." if clear else f"Mixed: {as_well} as {name}."
    others = f"{'every delegate' if len(rivals) > 1 else rivals[0]} alone" if rivals else ""
    if clear:
        return Tone.GOOD, f"Good: {clear}{f' and {others}' if others else ''}."
    return Tone.GOOD, f"Good: {name} is clearly better than {others or policy or summary_text.join(list(against))}."


def _judge_explanations(main: str, metric: ParsedMetric, against: dict[str, Verdict]) -> tuple[Tone, str]:
    """Whether explanations are closer to what people then wrote than every other way to make some."""
    closer, own = f"closer to what people then wrote ({metric.name})", f"the explanations of {main}"
    if worse := [s for s, verdict in against.items() if verdict is Verdict.WORSE]:
        return Tone.BAD, f"Not good yet: those of {summary_text.join(worse)} are {closer} than {own}."
    if even := [s for s, verdict in against.items() if verdict is Verdict.EVEN]:
        return Tone.MIXED, f"Mixed: {own} are not measurably {closer} than those of {summary_text.join(even)}."
    return Tone.GOOD, f"Good: {own} are clearly {closer} than those of {summary_text.join(list(against))}."


def _describe_claims(board: Leaderboard) -> str:
    """How many claims of explanations hold; empty where none was checked."""
    checked = next((m for m in board.metrics if m.family == "verified"), None)
    found = board.estimate(board.main, checked) if checked else None
    if found is None or found.value is None:
        return ""
    return f"The evidence confirms {100 * found.value:.0f} of 100 claims that they make about an item."


def _beats_chance(board: Leaderboard, metric: ParsedMetric) -> bool:
    """Whether clicks are told apart better than by tossing a coin."""
    found = board.estimate(board.main, metric)
    return metric.family in {"auc", "uauc"} and found is not None and (found.low or 0.0) > COIN


def describe_hits(board: Leaderboard) -> str:
    """What the result means for a hundred people (of hardly any: for them); empty where no metric says that."""
    found = [m for m in board.metrics if m.family == "hr"]
    wanted = next((m for m in found if m.k == 10), found[0] if found else None)
    if wanted is None:
        return _describe_clicks(board)
    mine, theirs = board.estimate(board.main, wanted), None
    if mine is None or mine.value is None:
        return ""
    if BESTSELLERS in board.systems and board.main != BESTSELLERS:
        theirs = board.estimate(BESTSELLERS, wanted)
    known = [mine.value, *([theirs.value] if theirs and theirs.value is not None else [])]
    whole = 100 if min((v for v in known if v > 0), default=1.0) >= 0.01 else 1000
    who, users = "people" if board.results.protocol.startswith("leave-one-out") else "requests", board.count_users()
    if who == "people" and users and 1 < users < summary_text.FEW_USERS:
        whole = users
    among = f"among the first {wanted.k}{_candidates(wanted.protocol)}"
    said = f"The next choice is {among} for {whole * mine.value:.0f} of {whole:,} {who}"
    return f"{said}; best-sellers alone reach {whole * known[1]:.0f}." if len(known) > 1 else f"{said}."


def _describe_clicks(board: Leaderboard) -> str:
    auc = next((m for m in board.metrics if m.family == "auc"), None)
    if auc is None:
        return _describe_claims(board)
    found = board.estimate(board.main, auc)
    if found is None or found.value is None:
        return ""
    return (
        "Shown one clicked and one unclicked row, it gives the clicked one the higher probability in "
        f"{100 * found.value:.0f} of 100 cases; tossing a coin would get 50."
    )


def _candidates(protocol: str) -> str:
    """What was ranked, where it was not everything: ``uni99`` = the target and 99 uniformly drawn items."""
    drawn = re.fullmatch(r"[a-z]+(\d+)", protocol)
    return f" of {int(drawn[1]) + 1} candidates" if drawn else f" ({protocol})" if protocol else ""


def describe_delegating(results: ReportedResults) -> str:
    """What handing requests over did to quality and time, and whether it pays."""
    facts, routing = results.delegation, results.routing
    if facts is None or facts.share is None or routing is None:
        return ""
    quality, time = judge_quality(results), judge_time(results)
    if not facts.share:
        if routing.nothing:
            return f"Nothing was worth handing over: {routing.nothing}."
        return f"No request was handed over; {time.text}."
    whom = routing.delegate or "a delegate"
    pays = {
        (Effect.SAME, Effect.BETTER): "Delegating pays",
        (Effect.BETTER, Effect.BETTER): "Delegating pays",
        (Effect.BETTER, Effect.SAME): "Delegating pays",
        (Effect.BETTER, Effect.WORSE): "Delegating improves quality but costs time",
        (Effect.WORSE, Effect.BETTER): "Delegating saves time but costs quality",
        (Effect.SAME, Effect.SAME): "Delegating makes no measurable difference",
        (Effect.SAME, Effect.WORSE): "Delegating costs time and gains nothing",
        (Effect.SAME, Effect.UNKNOWN): "Delegating keeps the quality",
        (Effect.BETTER, Effect.UNKNOWN): "Delegating pays",
        (Effect.UNKNOWN, Effect.BETTER): "Delegating saves time",
        (Effect.UNKNOWN, Effect.UNKNOWN): "Delegating was not measured",
    }.get((quality.effect, time.effect), "Delegating hurts")
    return f"{pays}: with {format_percent(facts.share)} handed to {whom}, {quality.text}, and {time.text}."


def propose_steps(
    results: ReportedResults, board: Leaderboard, tone: Tone, command: list[str], folder: str
) -> Iterator[NextStep]:
    """What to do next, the most urgent first."""
    run, data = shlex.quote(folder), shlex.quote(f"{folder}/stages/data/dataset")
    again = command[1:2] == ["run"]
    if any(high for _, _, high in summary_text.find_leak_signs(board)):
        yield NextStep("First look for a leak", f"reasonrec data check {data}")
    elif tone is Tone.UNKNOWN and board.headline is not None and summary_text.describe_shortage(board):
        yield NextStep("See how much data there is, and add more", f"reasonrec data describe {data}")
    elif again and board.headline is not None and board.leans(board.main, BESTSELLERS, board.headline):
        enough = 1000 * (1 + RESAMPLES_PER_COMPARISON * len(results.comparisons) // 1000)
        more = _with(command, f"evaluate.resamples={enough}")
        yield NextStep("Draw more resamples, to see whether this is chance", more)
    if again and results.routing is not None:
        yield from _propose_share(results, board, command)
    if (
        again
        and results.dataset.images_root
        and not any("image" in f.name or "poster" in f.name for f in results.observe)
    ):
        step = "--set observe.image.encoder=timm"
        yield NextStep("The data has pictures that were not used", f"{shlex.join(command)} {step}")
    if board.headline is not None and board.headline.family == EXPLAINED:
        yield NextStep("Read some of them, with what they rest on", f"reasonrec report {run} --open")
    if is_about_clicks(board.headline) and len(board.systems) == 1:
        yield NextStep("See which other models predict clicks, and compare one", LIST_DELEGATES)
    if tone in (Tone.GOOD, Tone.MIXED) and board.headline is not None and results.roles and board.headline.k:
        yield NextStep("Try it: one answer with its reasons", f"reasonrec recommend {run} --user ID --why")


def _propose_share(results: ReportedResults, board: Leaderboard, command: list[str]) -> Iterator[NextStep]:
    """Another share, where the measured one is worse than none or than all."""
    metric, policy = board.headline, board.first(SystemRole.POLICY)
    delegate = board.first(SystemRole.DELEGATE)
    if metric is None or policy is None or delegate is None or not _shares(command, results):
        return
    quality, time = judge_quality(results).effect, judge_time(results).effect
    between = board.difference(policy, delegate, metric)
    if between is not None and between.verdict is Verdict.WORSE:
        yield NextStep(f"{delegate} alone is better; let it answer everything", _with(command, "router.share=1"))
    elif results.delegation and results.delegation.share and _costs(quality, time):
        saved = " if the time saved is not worth it" if time is Effect.BETTER else ""
        yield NextStep(f"Let the policy answer everything{saved}", _with(command, "router.share=0"))


def _costs(quality: Effect, time: Effect) -> bool:
    """Whether delegating costs quality, or time without a gain of quality."""
    return quality is Effect.WORSE or (time is Effect.WORSE and quality is not Effect.BETTER)


def _shares(command: list[str], results: ReportedResults) -> bool:
    """Whether another share can be asked for: it was a share that was wanted."""
    return str(results.routing.target if results.routing else "").startswith("share")


def _shorten(command: list[str], folder: str) -> list[str]:
    """The command; one with several settings of its own by way of the run's copy of all settings."""
    copied = command[1:2] == ["run"] and command.count("--set") > 1
    return ["reasonrec", "run", f"{folder}/config.toml", "--out", folder] if copied else command


def _with(command: list[str], setting: str) -> str:
    """The command with a setting, in the place of an earlier one of that name."""
    name = setting.partition("=")[0] + "="
    values = {i for i, part in enumerate(command) if i and command[i - 1] == "--set" and part.startswith(name)}
    kept = [part for i, part in enumerate(command) if i not in values and i + 1 not in values]
    return f"{shlex.join(kept)} --set {setting}"
