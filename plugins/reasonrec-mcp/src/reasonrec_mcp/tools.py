"""The tools: what each takes, does and gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from reasonrec_serve import Answer, Recommender
from reasonrec_serve.bodies import EditBody
from reasonrec_serve.history_store import beside_run, open_store
from reasonrec_serve.http.live import Live, LiveHistories
from reasonrec_serve.http.run_facts import find_labels
from reasonrec_serve.search import ItemSearch

from reasonrec_core.errors import ConfigError, DataError, ReasonRecError, did_you_mean
from reasonrec_mcp import arguments as take
from reasonrec_mcp.schemas import ANSWER, EXPLAINED, FOUND, SIMILAR
from reasonrec_mcp.wording import word_answer, word_found, word_labels, word_similar, word_steps

NONE = "none"


@dataclass(frozen=True)
class Result:
    """What a tool gives.

    Attributes:
        values: all of it, as JSON values.
        lines: the same in short, for a reader; texts of the catalogue are fenced.
    """

    values: dict[str, Any]
    lines: list[str]


@dataclass(frozen=True)
class RunTool:
    """A tool.

    Attributes:
        arguments: what it takes; its docstring describes the tool.
        output: JSON schema of what it gives.
        work: does it.
    """

    arguments: type[BaseModel]
    output: Mapping[str, Any]
    work: Callable[[Any], Result]


class Tools:
    """The tools of an opened run.

    Args:
        run: the run.
        live: what users did since it was made.
    """

    def __init__(self, run: Recommender, live: LiveHistories) -> None:
        self.run, self.live = run, live
        self.all = {
            "recommend": RunTool(take.RecommendArguments, ANSWER, self.recommend),
            "similar": RunTool(take.SimilarArguments, SIMILAR, self.similar),
            "explain": RunTool(take.ExplainArguments, EXPLAINED, self.explain),
            "lookup": RunTool(take.LookupArguments, FOUND, self.lookup),
            "assume": RunTool(take.AssumeArguments, ANSWER, self.assume),
        }

    @classmethod
    def open(cls, path: Path, models: str | None = None, store: str = "") -> Tools:
        """Load a run.

        Args:
            path: the run folder.
            models: "final" or "evaluated"; the final ones where there are any if None.
            store: where events are kept, "none" for nowhere; the file beside the run, where there is one, if empty.

        Raises:
            ReasonRecError: the run cannot be asked, or the store can never be used.
        """
        run = Recommender.open(path, trace=False, models=models)
        beside = beside_run(path)
        url = store or (str(beside) if beside.is_file() else NONE)
        return cls(run, LiveHistories(None if url == NONE else open_store(url)))

    def warm_up(self) -> None:
        """Answer once, with steps: the first answer takes longest."""
        log, ids = self.run.dataset.interactions, self.run.dataset.catalog.ids
        with suppress(ReasonRecError):  # whoever calls is told
            len(self.run.recommend(history=[ids[item] for item in log.items[:5].tolist()]).steps)

    def call(self, name: str, given: Mapping[str, Any]) -> Result:
        """Check what a tool is given, and do its work.

        Raises:
            ValidationError: what is given does not fit the tool's schema.
            ConfigError: a request that contradicts itself, or cannot be asked of this run.
            DataError: an unknown item.
        """
        tool = self.all[name]
        return tool.work(tool.arguments.model_validate(given))

    def recommend(self, given: take.RecommendArguments) -> Result:
        """Items for a user or a history."""
        answer, live = self._answer(given)
        return _tell(answer, live, given.because)

    def assume(self, given: take.AssumeArguments) -> Result:
        """Items by edited steps."""
        if not given.assume and not given.ignore:
            fix = 'Give assume, such as {"brand": "Acorn"}, or ignore; or call recommend.'
            raise ConfigError("nothing is assumed or ignored", where="assume", fix=fix)
        answer, live = self._answer(given)
        return _tell(answer, live, given.because)

    def explain(self, given: take.ExplainArguments) -> Result:
        """The steps of an answer, or what one item of it was recommended for."""
        answer, live = self._answer(given)
        if given.item is not None and str(given.item) not in {item.id for item in answer.items}:
            what = f"item {str(given.item)!r} is not among the {len(answer.items)} that this request gets"
            raise DataError(what, where="item", fix="Give the request of the answer; a larger k shows more of it.")
        values = {**answer.to_dict(), "live": live and asdict(live)}
        wanted = None if given.item is None else str(given.item)
        return Result(values, [*word_answer(answer, live, only=wanted), *word_steps(answer)])

    def similar(self, given: take.SimilarArguments) -> Result:
        """Items like an item."""
        found = self.run.similar(given.item, **given.model_dump(exclude={"item"}))
        return Result(found.to_dict(), word_similar(found))

    def lookup(self, given: take.LookupArguments) -> Result:
        """Items by words or ids, or labels of a field."""
        if given.labels_of is not None:
            return self._list_labels(given.labels_of, given.words, given.limit)
        index = self.run.dataset.catalog.index
        if given.ids is None:
            found, unknown = self._items.find(given.words, given.limit), 0
        else:
            names = list(dict.fromkeys(map(str, given.ids)))
            found = [index[name] for name in names if name in index]
            unknown = len(names) - len(found)
        items = [self._items.describe(item) for item in found[: given.limit]]
        values = {"items": items, "unknown": unknown, "fields": list(self._labels), "labels": None}
        return Result(values, word_found(items, unknown, list(self._labels)))

    def _list_labels(self, field: str, words: str, limit: int) -> Result:
        if field not in self._labels:
            what = f"{field!r} cannot be assumed" if self._labels else "the steps of this run cannot be edited"
            raise ConfigError(what, where="labels_of", fix=did_you_mean(field, self._labels) if self._labels else None)
        found = [label for label in self._labels[field] if words.casefold() in label.casefold()]
        values = {"items": [], "unknown": 0, "fields": list(self._labels), "labels": found[:limit]}
        return Result(values, word_labels(field, found, limit))

    def _answer(self, given: EditBody | take.RecommendArguments) -> tuple[Answer, Live | None]:
        request, live = self.live.join(self.run.dataset, given.make_request())
        return self.run.answer(request), live

    @cached_property
    def _items(self) -> ItemSearch:
        return ItemSearch(self.run.dataset.catalog)

    @cached_property
    def _labels(self) -> dict[str, tuple[str, ...]]:
        return find_labels(self.run)


def _tell(answer: Answer, live: Live | None, because: bool) -> Result:
    """An answer without its steps; ``because``: each item with what it was recommended for."""
    values = {**answer.to_dict(steps=False, because=because), "live": live and asdict(live)}
    return Result(values, word_answer(answer, live, because=because))
