"""`run`, `open` and the finished run that both give."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from reasonrec_frames import (
    Evaluation,
    FrameDataset,
    FrameKind,
    SingleModel,
    WrittenReport,
    check_kind,
    python_words,
    rewrite_report,
    say,
    show_progress,
    tabulate_item_vectors,
    tabulate_recommendations,
    tabulate_similar,
    tabulate_user_vectors,
    write_frame,
)
from reasonrec_frames.html import make_paragraphs
from reasonrec_frames.model import ask_users, find_users
from reasonrec_serve import Answer, Recommender
from reasonrec_serve.final_models import fit_final

from reasonrec_core.config import NAME, check_config
from reasonrec_core.data import Dataset
from reasonrec_core.evaluate.schema import Results
from reasonrec_core.pipeline.run import run_pipeline
from reasonrec_core.registry import Registry
from reasonrec_core.types import Observation

AnyComponent = str | Mapping[str, Any] | SingleModel
"""A name, settings with the ``name`` among them, or what `make` gave."""


def run(
    ds: Dataset | str | os.PathLike[str],
    policy: AnyComponent | None = None,
    delegates: Sequence[AnyComponent] = (),
    out: str | os.PathLike[str] | None = None,
    *,
    progress: bool = True,
    final: bool = False,
    refit: Sequence[str] = (),
    **settings: Any,
) -> OpenRun:
    """Fit, calibrate and evaluate, and write a run folder with a report; finished stages of it are used again.

    Args:
        ds: the data, or its path.
        policy: who reasons; without one the delegates are compared.
        delegates: cheap models that may answer instead.
        out: the run folder; ``runs/NAME`` by default.
        progress: whether to show it, in a notebook or on a terminal.
        final: whether to fit again to all data afterwards, for serving: answers then come from these models, numbers
            from those that never saw the test part.
        refit: labels of what is to be fitted again though nothing changed; ``["*"]``: everything.
        settings: the further tables of a pipeline file (docs/settings.md): ``router={"share": 0.3}``,
            ``observe={"text": {"encoder": "text"}}``, ``evaluate={"k": [5, 10]}``, ``seed=1``.

    Raises:
        ReasonRecError: what is wrong, and what to do.
    """
    stored = ds if isinstance(ds, Dataset) else FrameDataset.open(ds)
    named = {"name": stored.name} if re.fullmatch(NAME, stored.name) else {}
    tree = {**named, **settings, "data": {"path": str(stored.folder)}}
    tree |= {} if policy is None else {"policy": _describe(policy)}
    tree |= {"delegates": [_describe(each) for each in delegates]} if delegates else {}
    with python_words():
        config = check_config(tree, "run")
        folder = Path("runs") / config.name if out is None else Path(out)
        with show_progress(progress) as step:
            run_pipeline(config, folder, Registry.discover(), step, refit=tuple(refit), say=say)
            if final:
                fit_final(folder, step, say=say)
    return OpenRun(folder, getattr(stored, "frames", None))


def open(
    path: str | os.PathLike[str],
    *,
    frames: FrameKind | None = None,
    models: Literal["final", "evaluated"] | None = None,
) -> OpenRun:
    """A finished run, made here or on the command line.

    Args:
        path: the run folder.
        frames: what is given back: "pandas", "polars", "pyarrow" or "duckdb"; pandas where it is installed, else Arrow.
        models: who answers; the final ones where there are any.

    Raises:
        ReasonRecError: there is no finished run.
    """
    opened = OpenRun(Path(path), frames, models)
    _ = opened.results
    return opened


def _describe(component: AnyComponent) -> dict[str, Any]:
    if isinstance(component, SingleModel):
        return {"name": component.name, **component.settings}
    return {"name": component} if isinstance(component, str) else dict(component)


class OpenRun:
    """A finished run: what it measured, and its answers. Its models are loaded when they are first asked.

    Attributes:
        path: the run folder.
        frames: the kind of frames that are given back.
    """

    def __init__(self, path: Path, frames: FrameKind | None = None, models: str | None = None) -> None:
        self.path, self.frames, self._models = path, check_kind(frames), models

    @cached_property
    def results(self) -> Results:
        """``metrics.json``, typed."""
        return Results.read(self.path)

    @cached_property
    def metrics(self) -> Evaluation:
        """Every metric of every system: ``metrics["chain"]["NDCG@10"].value``, ``metrics.frame()``."""
        return Evaluation.of_results(self.results, self.frames)

    @cached_property
    def service(self) -> Recommender:
        """What answers requests."""
        return Recommender.open(self.path, models=self._models)

    @property
    def dataset(self) -> FrameDataset:
        """The run's own copy of the data, with the items that were imported since."""
        return FrameDataset.of(self.service.dataset, self.frames)

    def report(self, out: str | os.PathLike[str] | None = None) -> WrittenReport:
        """Write the report again, into ``out`` or the run folder, and say what it says first."""
        return rewrite_report(self.results, self.path, out)

    def plot(self, metric: str) -> Any:
        """Every system's value of a metric, such as "NDCG@10", with its interval; ``plot(...).save("plot.svg")``."""
        return self.metrics.plot(metric)

    def recommend(
        self,
        users: Literal["all"] | Iterable[Any] | None = None,
        *,
        history: Iterable[Any] | None = None,
        k: int = 10,
        because: bool = False,
        **request: Any,
    ) -> Any:
        """Recommendations as a frame.

        Args:
            users: ids, or "all"; what each of them did is the history.
            history: item ids, oldest first, instead.
            k: items for each.
            because: whether to work out what items are recommended for; takes about as long again, user by user.
            request: further fields of `reasonrec_serve.Request`: ``exclude``, ``only``, ``where``, ``assume``,
                ``ignore``, ``include_seen``, ``diversity``.

        Returns:
            a row per item: ``user_id`` (null for a history), ``rank``, ``item_id``, ``title``, ``score``, ``by``,
            ``confidence`` (of the whole answer), ``because`` (items of the history, each with its share).
        """
        with python_words():
            found = tabulate_recommendations(self.service, users, history, k, because, **request)
        return write_frame(found, self.frames)

    def answer(self, *, user: Any = None, history: Iterable[Any] | None = None, k: int = 10, **request: Any) -> Answer:
        """One request, answered in full: items, who answered and why, confidence, steps, what edits changed.

        Args:
            user: a known user's id.
            history: item ids, oldest first, instead.
            k: how many items.
            request: further fields of `reasonrec_serve.Request`: ``exclude``, ``only``, ``where``, ``assume``,
                ``ignore``, ``candidates``, ``include_seen``, ``diversity``.
        """
        with python_words():
            return self.service.recommend(user=user, history=history, k=k, **request)

    def similar(self, item: Any, k: int = 10, *, by: str | None = None, **limits: Any) -> Any:
        """Items like an item, as a frame: ``rank``, ``item_id``, ``title``, ``score``, ``by``, ``reasons``.

        Args:
            item: its id.
            k: how many.
            by: "content", "together", or the label of a policy or delegate; the best that knows the item if None.
            limits: ``exclude``, ``only``, ``where``, as for `recommend`.
        """
        with python_words():
            found = tabulate_similar(self.service, item, k, by, **limits)
        return write_frame(found, self.frames)

    def item_vectors(self, by: str | None = None) -> Any:
        """A frame of ``item_id`` and ``vector``, of the policy or the first delegate that has vectors, or of ``by``."""
        items = self.service.agent.items
        seen = Observation(items.features, items.present, np.empty(0, np.float32))
        return write_frame(tabulate_item_vectors(self._parts, self.service.dataset, seen, by), self.frames)

    def user_vectors(self, users: Literal["all"] | Iterable[Any] = "all", by: str | None = None) -> Any:
        """A frame of ``user_id`` and ``vector``; each user's whole log is the history. See `item_vectors`."""
        dataset, agent = self.service.dataset, self.service.agent
        batch = ask_users(dataset, find_users(dataset, users), 1)
        return write_frame(tabulate_user_vectors(self._parts, dataset, batch, agent.observe, by), self.frames)

    @property
    def _parts(self) -> dict[str, Any]:
        agent = self.service.agent
        named = [*([agent.policy] if agent.policy else []), *agent.delegates.values()]
        return {each.label: each.part for each in named}

    def __repr__(self) -> str:
        return f"<Run {os.fspath(self.path)!r}>\n{self.metrics!r}"

    def _repr_html_(self) -> str:
        return make_paragraphs([f"Run {os.fspath(self.path)}"]) + self.metrics._repr_html_()
