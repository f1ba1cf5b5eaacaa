"""A request as a caller makes it, checked: what is wrong with it is said before any component sees it."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from reasonrec_core.errors import ConfigError
from reasonrec_core.types import Task

RANKING = tuple(str(task) for task in Task if task.ranks)
Id = str | int | np.integer[Any]
"""How a caller may write an id: numbers mean their digits."""
WHOLE = re.compile(r"^([-+]?\d+)\.0*$")
EXACT = 2**53
"""A larger float may have lost digits."""
LONGEST_QUERY = 2_000


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked. It is checked when it is made; what the data set says of it shows when it is answered.

    Attributes:
        user: raw id of who asks. Of a known user the whole log is the history; somebody new gets an answer that is not
            personalised. A number is its digits, here and below.
        history: raw item ids, oldest first, instead of the user's log; unknown ones are skipped and counted.
        candidates: raw item ids to rank, for `Task.DIRECT`; unknown ones are skipped and counted, one that is named
            twice is ranked once.
        k: how many items are wanted; no more than there are.
        task: sequential unless candidates are given.
        assume: item field -> label that the next item is taken to have.
        ignore: raw ids of items of the history that shall not count as evidence.
        exclude: raw ids of items that shall not be recommended.
        only: raw ids of the items that may be recommended, all if None; any number of them.
        where: item field -> what it must be: a value, a list of values (any of them), ``{"min": a, "max": b}`` (one of
            the two may be missing), or None (the item has none). All fields must fit.
        context: column of the data's context -> its value now; what is not named is not known.
        include_seen: whether items of the history may be recommended again.
        diversity: in [0, 1]: 0 takes the best items, 1 those that are least alike.
        query: words for what is wanted, beside a user or history or alone; answered by a delegate that reads text.
        query_weight: in [0, 1], how much the words count beside the history.
    """

    user: Id | None = None
    history: Iterable[Id] | None = None
    candidates: Iterable[Id] | None = None
    k: int = 10
    task: Task | str | None = None
    assume: Mapping[str, str] | None = field(default_factory=dict)
    ignore: Iterable[Id] = ()
    exclude: Iterable[Id] = ()
    only: Iterable[Id] | None = None
    where: Mapping[str, Any] = field(default_factory=dict)
    context: Mapping[str, Id] = field(default_factory=dict)
    include_seen: bool = False
    diversity: float = 0.0
    query: str | None = None
    query_weight: float = 0.5

    def __post_init__(self) -> None:
        """Bring every part into one form: ids are tuples of text.

        Raises:
            ConfigError: the request contradicts itself, or a value is of no use as what it is given for.
        """
        if self.user is None and self.history is None and self.query is None:
            raise ConfigError(
                "give either a user or a history, or a text query",
                where="recommend",
                fix="Add --user ID, --history A,B,C or --query TEXT.",
            )
        if self.query is not None and (self.assume or tuple(self.ignore)):
            what = "steps of the policy cannot be edited in a text query, which it does not answer"
            raise ConfigError(what, where="--query", fix="Leave out assume and ignore, or the query.")
        user = None if self.user is None else read_id(self.user, "user")
        if user == "":
            raise ConfigError("the user id is empty", where="--user", fix="Give their id, or what they did: --history.")
        if not isinstance(self.include_seen, bool):
            raise ConfigError(f"must be true or false, not {self.include_seen!r}", where="--include-seen")
        made: dict[str, Any] = {
            "user": user,
            "k": read_k(self.k),
            "task": _read_task(self.task, self.candidates is not None),
            "assume": _read_assumptions(self.assume),
            "where": read_where(self.where),
            "context": _read_context(self.context),
            "diversity": _read_share(self.diversity, "--diversity"),
            "query": _read_query(self.query),
            "query_weight": _read_share(self.query_weight, "--query-weight"),
        }
        for name in ("history", "candidates", "only"):
            given = getattr(self, name)
            made[name] = None if given is None else tuple(read_ids(given, name))
        for name in ("ignore", "exclude"):
            made[name] = tuple(read_ids(getattr(self, name), name))
        for name, value in made.items():
            object.__setattr__(self, name, value)

    @property
    def edited(self) -> bool:
        """Whether steps of the policy are edited."""
        return bool(self.assume or self.ignore)


def read_k(given: object) -> int:
    """How many items are wanted."""
    if isinstance(given, bool) or not isinstance(given, int | np.integer) or given < 1:
        raise ConfigError(f"k must be a whole number of at least 1, not {given!r}", where="recommend")
    return int(given)


def read_ids(given: object, what: str) -> list[str]:
    """Ids as text, in their order."""
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
        raise ConfigError(f"{what} must be a list of ids, not {given!r}", where="recommend")
    return [read_id(each, what) for each in given]


def read_id(given: object, what: str) -> str:
    """An id as text, by the rule of an import: ``1``, ``1.0`` and ``" 1 "`` are one id, ``01`` is another."""
    if isinstance(given, str):
        return WHOLE.sub(r"\1", given.strip())
    if isinstance(given, int | np.integer) and not isinstance(given, bool):
        return str(int(given))
    if isinstance(given, float | np.floating) and (number := float(given)).is_integer() and abs(number) <= EXACT:
        return str(int(number))
    raise ConfigError(f"{given!r} is not an id", where=f"recommend: {what}", fix="Ids must be text or whole numbers.")


def read_where(given: object) -> Mapping[str, Any]:
    """Conditions by item field; what the fields are shows when they are looked at (`ItemFilter`)."""
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
        fix = 'Write {"brand": "Acorn", "price": {"max": 20}}.'
        raise ConfigError(f"must contain conditions by item field, not {given!r}", where="--where", fix=fix)
    return dict(given)


def read_path(given: str | os.PathLike[str]) -> Path:
    """The path of a run folder."""
    if isinstance(given, str | os.PathLike) and isinstance(text := os.fspath(given), str) and text:
        return Path(text)
    raise ConfigError(f"{given!r} is not a path", where="Recommender.open", fix="Give the run folder as text or Path.")


def _read_assumptions(given: object) -> Mapping[str, str]:
    """Labels by item field."""
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not all(isinstance(part, str) for pair in given.items() for part in pair):
        raise ConfigError(f"assume must contain labels by item field, not {given!r}", where="recommend")
    return dict(given)


def _read_context(given: object) -> Mapping[str, str]:
    """Values by column; numbers mean their digits."""
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
        fix = 'Write {"device": "phone", "hour": 9}.'
        raise ConfigError(f"must contain values by column, not {given!r}", where="--context", fix=fix)
    return {name: read_id(value, f"context {name}") for name, value in given.items()}


def _read_task(given: object, has_candidates: bool) -> Task:
    if given is None:
        return Task.DIRECT if has_candidates else Task.SEQUENTIAL
    if not isinstance(given, str) or given not in RANKING:
        what = f"the task {str(given)!r} has no ranking"
        raise ConfigError(what, where="--task", fix=f"Use {' or '.join(RANKING)}.")
    task = Task(given)
    if (task is Task.DIRECT) != has_candidates:
        raise ConfigError("direct ranks given candidates, sequential the whole catalogue", where="--task")
    return task


def _read_query(given: object) -> str | None:
    if given is None:
        return None
    if not isinstance(given, str) or not given.strip():
        raise ConfigError(f"must be words, not {given!r}", where="--query")
    if len(given) > LONGEST_QUERY:
        raise ConfigError(f"has {len(given):,} characters, and {LONGEST_QUERY:,} is the limit", where="--query")
    return given.strip()


def _read_share(given: object, where: str) -> float:
    number = isinstance(given, int | float | np.integer | np.floating) and not isinstance(given, bool)
    if not number or not math.isfinite(float(given)) or not 0 <= float(given) <= 1:  # type: ignore[arg-type]
        raise ConfigError(f"must be a number from 0 to 1, not {given!r}", where=where)
    return float(given)  # type: ignore[arg-type]
