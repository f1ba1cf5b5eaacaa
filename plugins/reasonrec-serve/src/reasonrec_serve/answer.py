"""What a request gets: items, who answered, how sure that is, what was skipped or left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

from reasonrec_core.types import Step
from reasonrec_serve.causes import Cause


@dataclass(frozen=True)
class Recommended:
    """One recommended item.

    Attributes:
        id: raw id.
        title: what it is called.
        score: of whoever answered; comparable within one answer only.
        because: what it was recommended for, the largest share first, where that was asked for.
        why: that in a sentence, or how popular it is where the history is no reason; "" where it was not asked for.
    """

    id: str
    title: str
    score: float
    because: tuple[Cause, ...] = ()
    why: str = ""


@dataclass(frozen=True)
class Edited:
    """What was edited in the steps, and what that changed against the policy's own answer.

    Attributes:
        assumed: item field -> label that was taken for granted.
        ignored: items of the history that did not count, as (id, title).
        entered: items of the answer that are not in the policy's own answer, best first.
        left: items of the policy's own answer that are no longer in it, best first.
    """

    assumed: dict[str, str]
    ignored: tuple[tuple[str, str], ...]
    entered: tuple[Recommended, ...]
    left: tuple[Recommended, ...]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The answer to one request.

    Attributes:
        items: best first.
        history: what the answer rests on, oldest first, as (id, title).
        unknown: how many history items do not exist in the catalogue and were skipped.
        skipped: part of the request ("candidates", "exclude", "only") -> how many of its ids are unknown and were
            skipped; parts without such ids are not named.
        route: "self", "replace", "consult" or "abstain".
        by: the policy or delegate that answered; empty where no answer is given.
        reason: why that one, in words.
        confidence: calibrated P(the target is among the first ``cutoff`` items), or None without a router, and where
            ``limited``: it was calibrated on answers that nothing was left out of.
        risk: calibrated P(the policy would have been worse than the delegate), or None, as ``confidence``.
        uncertainty: per estimator, those that were needed; empty where ``limited``.
        explain: makes `steps`.
        justify: makes `explained`.
        seconds: of the request.
        models: "final" where a part that answers has learned from all interactions, else "evaluated".
        personalised: whether it rests on a history; where no item of one is known, it is the same for everybody.
        known_user: whether the user that was named is one of the data set's; None where none was named.
        limited: whether what the request asks for (``exclude``, ``only``, ``where``, ``include_seen``, ``diversity``)
            changed which items are the first ``cutoff``.
        notes: what was skipped, left out or could not be done, a sentence each.
        attempts: what went wrong with the delegates that were asked and did not answer, in turn.
        edited: what was edited, None where nothing was. An edited request is answered by the policy itself, and
            confidence, risk and uncertainty are not stated: they were calibrated on answers without edits.
    """

    items: tuple[Recommended, ...]
    history: tuple[tuple[str, str], ...]
    unknown: int
    skipped: Mapping[str, int] = field(default_factory=dict)
    route: str
    by: str
    reason: str
    confidence: float | None = None
    cutoff: int
    risk: float | None = None
    uncertainty: dict[str, float] = field(default_factory=dict)
    explain: Callable[[], tuple[Step, ...]] = field(repr=False, compare=False)
    justify: Callable[[tuple[Step, ...]], tuple[Recommended, ...]] | None = field(
        default=None, repr=False, compare=False
    )
    seconds: float
    edited: Edited | None = None
    attempts: tuple[str, ...] = ()
    personalised: bool = True
    models: str = "evaluated"
    known_user: bool | None = None
    limited: bool = False
    notes: tuple[str, ...] = ()

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """Of the policy, or of a delegate that takes steps (`policy`); empty where another answered, or nobody.

        They are worked out when they are first asked for: it takes about as long as the answer itself.
        """
        return self.explain()

    @cached_property
    def explained(self) -> tuple[Recommended, ...]:
        """The items with what each was recommended for, and that in a sentence, whoever answered.

        It is worked out when it is first asked for; the delegate or policy is asked again without each entry of the
        history where it has no faster way.
        """
        return self.items if self.justify is None else self.justify(self.steps)

    def _repr_html_(self) -> str:
        from reasonrec_serve.answer_html import render_answer  # a notebook's affair: services never import it

        return render_answer(self)

    def to_dict(self, *, steps: bool = True, because: bool | None = None) -> dict[str, Any]:
        """As JSON values.

        Args:
            steps: whether with those of the policy, to be worked out.
            because: whether with what items were recommended for, to be worked out; as ``steps`` if None.
        """
        values = asdict(replace(self, explain=tuple, justify=None))
        del values["explain"], values["justify"]
        if steps if because is None else because:
            values["items"] = [asdict(item) for item in self.explained]
        if steps:
            values["steps"] = [asdict(step) for step in self.steps]
        return values
