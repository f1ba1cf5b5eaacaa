"""Whether the steps cause the answers, in sentences and tables."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ValidationError

from reasonrec_core.errors import RunError
from reasonrec_core.evaluate.schema import Estimate, Record, Results, describe_invalid
from reasonrec_core.evaluate.significance import ALPHA
from reasonrec_report.number_format import format_p_value, format_percent

DONE = {"comprehensiveness": "{share} of the history ignored", "sufficiency": "only {share} of the history kept"}
VERDICTS = {"yes": "▲ as expected", "no": "▼ the wrong way round", "even": "≈ no clear difference"}
NBSP, MINUS = "\N{NO-BREAK SPACE}", "\N{MINUS SIGN}"


class PairedEffect(Record):
    """A paired effect: a difference with its 95 % interval and p-values."""

    difference: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_corrected: float | None = None


class EvidenceEffect(PairedEffect):
    """What is lost with a ``share`` of the history removed (comprehensiveness) or kept alone (sufficiency).

    ``of``: the best item's probability (mass), or the first items (list). ``difference``: cited minus random.
    """

    measure: str
    of: str
    share: float
    cited: Estimate
    random: Estimate


class IntentEffect(PairedEffect):
    """The share of the first items that carries a label of ``field``, before and after it is assumed."""

    field: str
    before: Estimate
    after: Estimate


class ReasonEffect(PairedEffect):
    """How far a delegate's best item falls, in standard deviations, without a ``share`` of the history.

    Without what it is recommended for (``cited``) and without as much other history (``random``); ``difference``:
    cited minus random. ``none``: the delegate's answers do not rest on histories.
    """

    system: str
    none: bool = False
    share: float = 0.0
    n: int = 0
    difference: float = 0.0
    cited: Estimate = Estimate()
    random: Estimate = Estimate()


class FaithfulnessResult(Record):
    """Whether the steps cause the answers; ``skipped`` says why that was not measured. And delegates' reasons."""

    skipped: str | None = None
    task: str | None = None
    policy: str | None = None
    n: int = 0
    k: int = 10
    draws: int = 0
    mass: Estimate | None = None
    evidence: tuple[EvidenceEffect, ...] = ()
    edits: tuple[IntentEffect, ...] = ()
    delegates: tuple[ReasonEffect, ...] = ()


@dataclass(frozen=True)
class Value:
    """A number in words and its interval."""

    text: str
    interval: str


@dataclass(frozen=True)
class EffectRow:
    """What one intervention did: with what is cited and with random history, or before and after; and the verdict."""

    name: str
    values: tuple[Value, Value]
    difference: Value
    verdict: str


@dataclass(frozen=True)
class FaithfulnessView:
    """The section of the report. ``skipped`` says why there are no tables."""

    skipped: str | None
    lede: tuple[str, ...]
    note: str
    probability: tuple[EffectRow, ...]
    lists: tuple[EffectRow, ...]
    intent: tuple[EffectRow, ...]
    k: int
    delegates: tuple[EffectRow, ...] = ()
    groundless: tuple[str, ...] = ()
    has_policy: bool = True


def read_faithfulness(results: Results) -> FaithfulnessResult | None:
    """The section ``analyses.faithfulness`` of the results, None where there is none.

    Raises:
        RunError: it holds something else.
    """
    section = results.analyses.get("faithfulness")
    if section is None:
        return None
    try:
        return FaithfulnessResult.model_validate(section)
    except ValidationError as error:
        what = f"analyses.faithfulness.{describe_invalid(error)}"
        raise RunError(what, where="metrics.json", fix="Run the pipeline again, or restore the file.") from error


def make_faithfulness_view(found: FaithfulnessResult | None) -> FaithfulnessView | None:
    """The section, or None where faithfulness was switched off."""
    if found is None:
        return None
    rows = tuple(_reason_row(each) for each in found.delegates if not each.none)
    none = tuple(each.system for each in found.delegates if each.none)
    if found.skipped is not None or found.policy is None:
        said, has_policy = tuple(_on_delegates(found)), found.skipped is not None
        return FaithfulnessView(found.skipped, said, "", (), (), (), 0, rows, none, has_policy)
    mass = found.mass.value if found.mass else None
    ordered = sorted(found.evidence, key=lambda e: (e.measure, e.share))
    probability = [e for e in ordered if e.of == "mass" and mass]
    lists = [e for e in ordered if e.of == "list"]
    note = (
        f"{found.n:,} test requests with at least two history entries; random history: the mean of "
        f"{found.draws} draws. Differences with 95{NBSP}% intervals (paired bootstrap over users, corrected "
        "for the number of comparisons)."
    )
    return FaithfulnessView(
        None,
        describe_faithfulness(found),
        note,
        tuple(_evidence_row(e, -1.0 / (mass or 1.0)) for e in probability),
        tuple(_evidence_row(e, 1.0) for e in lists),
        tuple(_intent_row(e) for e in found.edits),
        found.k,
        rows,
        none,
    )


def describe_faithfulness(found: FaithfulnessResult) -> tuple[str, ...]:
    """What faithfulness came to: one sentence on the evidence, one on the intent; or why it was not measured."""
    if found.skipped is not None:
        return (f"Faithfulness was not measured: {found.skipped}.", *_on_delegates(found))
    said = [_on_evidence(found), _on_intent(found), *_on_delegates(found)]
    return tuple(each for each in said if each)


def _on_delegates(found: FaithfulnessResult) -> list[str]:
    """One sentence on the reasons of all delegates, at the smallest share."""
    tried = [each for each in found.delegates if not each.none]
    if not tried:
        return []
    least = min(each.share for each in tried)
    by = {verdict: [e.system for e in tried if e.share == least and _verdict(e) == verdict] for verdict in VERDICTS}
    words = {
        "yes": "what {} as the reason causes the answers",
        "even": "what {} matters no more than other history",
        "no": "what {} matters less than other history",
    }
    parts = [words[verdict].format(_name(names)) for verdict, names in by.items() if names]
    said = "; ".join(parts)
    return [f"{said[0].upper()}{said[1:]} (tested by leaving out {format_percent(least)} of the history)."]


def _name(names: list[str]) -> str:
    """ "a, b and c name", "a names"."""
    return f"{names[0]} names" if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]} name"


def _on_evidence(found: FaithfulnessResult) -> str:
    rows = [e for e in found.evidence if (e.measure, e.of) == ("comprehensiveness", "mass")]
    mass = found.mass.value if found.mass else None
    if not rows or not mass:
        return ""
    row = min(rows, key=lambda e: e.share)
    start = {
        "yes": "The cited history causes the answers",
        "no": "The cited history matters less than other history",
        "even": "The cited history matters no more than other history",
    }[_verdict(row)]
    cited, random = (_change(-(value.value or 0.0) / mass) for value in (row.cited, row.random))
    p = f" ({format_p_value(row.p_corrected)})" if row.p_corrected is not None else ""
    return (
        f"{start}: when the cited {format_percent(row.share)} of the history is ignored, the probability of "
        f"the best item changes by {cited}; when as much random history is ignored, by {random}{p}."
    )


def _on_intent(found: FaithfulnessResult) -> str:
    if not found.edits:
        return ""
    before, after = (
        sum((getattr(e, name).value or 0.0) for e in found.edits) / len(found.edits) for name in ("before", "after")
    )
    fields = len(found.edits)
    over = f"mean of {fields} item fields" if fields > 1 else f"item field {_plain(found.edits[0].field)}"
    return (
        f"When another label is assumed for the next item, the share of the first {found.k} items with that "
        f"label goes from {format_percent(before)} to {format_percent(after)} ({over})."
    )


def _verdict(row: EvidenceEffect | IntentEffect | ReasonEffect) -> str:
    """Whether the difference goes the way that faithful steps go: yes, no, even."""
    p = row.p_corrected if row.p_corrected is not None else row.p
    if p is None or p >= ALPHA:
        return "even"
    wanted = -1 if isinstance(row, EvidenceEffect) and row.measure == "sufficiency" else 1
    return "yes" if wanted * row.difference > 0 else "no"


def _evidence_row(row: EvidenceEffect, scale: float) -> EffectRow:
    values = (_value(row.cited, scale), _value(row.random, scale))
    difference = Value(_points(scale * row.difference), _interval(row.low, row.high, scale, signed=True))
    return EffectRow(
        DONE.get(row.measure, row.measure).format(share=format_percent(row.share)), values, difference, _said(row)
    )


def _intent_row(row: IntentEffect) -> EffectRow:
    values = (_value(row.before, 1.0), _value(row.after, 1.0))
    difference = Value(_points(row.difference), _interval(row.low, row.high, 1.0, signed=True))
    return EffectRow(_plain(row.field), values, difference, _said(row))


def _reason_row(row: ReasonEffect) -> EffectRow:
    def words(value: float | None, low: float | None, high: float | None) -> Value:
        inner = "" if low is None or high is None else f"{_places(-high)} to {_places(-low)}"
        return Value("–" if value is None else _places(-value), inner)

    named, other = (words(e.value, e.low, e.high) for e in (row.cited, row.random))
    difference = words(row.difference, row.low, row.high)
    return EffectRow(f"{row.system}, {format_percent(row.share)} left out", (named, other), difference, _said(row))


def _places(value: float) -> str:
    """A change in standard deviations, with its sign."""
    text = f"{value:+.2f}"
    return text.lstrip("+-") if float(text) == 0 else text.replace("-", MINUS)


def _said(row: EvidenceEffect | IntentEffect | ReasonEffect) -> str:
    return VERDICTS[_verdict(row)]


def _value(found: Estimate, scale: float) -> Value:
    """A share; with a negative scale a change, with its sign."""
    if found.value is None:
        return Value("–", "")
    text = _change(scale * found.value) if scale < 0 else format_percent(found.value)
    return Value(text, _interval(found.low, found.high, scale, signed=scale < 0))


def _interval(low: float | None, high: float | None, scale: float, *, signed: bool) -> str:
    if low is None or high is None:
        return ""
    ends = sorted((scale * low, scale * high))
    one, other = (_number(end, signed) for end in ends)
    return f"{one} to {other}"


def _change(share: float) -> str:
    return f"{_number(share, True)}{NBSP}%"


def _points(share: float) -> str:
    return f"{_number(share, True)} points"


def _number(share: float, signed: bool) -> str:
    """A share in percent without the sign of percent; no plus or minus before a zero."""
    text = f"{100 * share:+.0f}" if signed else f"{100 * share:.0f}"
    return text.lstrip("+-") if float(text) == 0 else text.replace("-", MINUS)


def _plain(field: str) -> str:
    return field.replace("_", " ")
