"""Asking every system the validation and test queries, once; answers are kept in the run folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from reasonrec_core.components import Kind
from reasonrec_core.errors import RunError
from reasonrec_core.evaluate.loop import run_batches
from reasonrec_core.io import content_hash, read_arrays
from reasonrec_core.pipeline.agent import Agent, Named
from reasonrec_core.pipeline.prepare import Prepared
from reasonrec_core.ranking import percentile_rank
from reasonrec_core.routing import fit_monotone_platt
from reasonrec_core.types import Bool, Cases, Float32, Int64, Progress, QueryBatch, Ranking, Task, Uncertainty
from reasonrec_core.validation import check_scores

CHUNK = 256
"""Queries per batch: few enough for scores of the whole catalogue, enough for the processor to be busy."""
THREADS = 2
KEPT = "uncertainty with its parts, tokens, own probability, of every item"
"""What answers hold besides the lists; part of their key, so that older ones are asked for again."""

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Answers:
    """One system's answers to one set of cases.

    Attributes:
        ranking: one column more than the largest cut-off, so that ties at the boundary can be counted.
        uncertainty: per estimator; empty for delegates.
        tokens: int64[B] language-model tokens, None for delegates.
        mass: float32[B] the policy's own probability that the target is among the first ``max(evaluate.k)`` items,
            None where it states none.
        probability: float32[B, C] for click probabilities, else None.
        text: B explanations, else None.
        masses: float32[B, K] the policy's own probability of each listed item, None where it states none.
        seconds: that answering all took.
        asked: bool[B] which queries were asked, None for all; elsewhere another system's answers stand.
        digest: hash of all that the answers depend on.
    """

    ranking: Ranking | None
    uncertainty: Mapping[str, Uncertainty]
    probability: Float32 | None
    seconds: float
    digest: str
    tokens: Int64 | None = None
    mass: Float32 | None = None
    text: tuple[str, ...] | None = None
    masses: Float32 | None = None
    asked: Bool | None = None


def ask_policy(prepared: Prepared, agent: Agent, task: Task, part: str) -> Answers:
    """The policy's rankings and every estimator's uncertainty; its click probabilities; its explanations."""
    assert agent.policy is not None
    k = max(prepared.config.evaluate.k)

    def ask(batch: QueryBatch) -> Arrays:
        observation = agent.observe(batch)
        answer = agent.deliberate(batch, observation)
        if task is Task.EXPLAIN:
            return {"text": np.array(answer.text, np.str_), "tokens": spread_tokens(answer.cost.tokens, len(batch))}
        if task is Task.CTR:
            assert answer.probability is not None
            return {"probability": answer.probability, "tokens": spread_tokens(answer.cost.tokens, len(batch))}
        assert answer.ranking is not None
        signals = agent.estimate(None, batch, observation, answer)
        tokens = spread_tokens(answer.cost.tokens, len(batch))
        found: dict[str, np.ndarray] = {"items": answer.ranking.items, "scores": answer.ranking.scores}
        found |= {"tokens": tokens, **_flat(signals)}
        if answer.mass is not None:
            found["mass"] = np.clip(answer.mass[:, :k].sum(axis=1), 0.0, 1.0)
            found["masses"] = answer.mass
        return found

    extra = [KEPT, *(each.identity for each in agent.estimators.values())]
    threads = THREADS if agent.policy.part.thread_safe else 1
    return _answers(prepared, agent.policy, task, part, ask, threads, extra, agent.width)


def ask_delegate(prepared: Prepared, agent: Agent, label: str, task: Task, part: str) -> Answers:
    """A delegate's rankings, or its click probabilities.

    Where clicks are drawn beside rankings, ``probability`` is the standing of each item among the delegate's scores of
    the whole catalogue (`reasonrec_core.ranking.percentile_rank`), which `delegate_clicks` makes a probability.
    """
    named = agent.delegates[label]

    def ask(batch: QueryBatch) -> Arrays:
        observation = agent.observe(batch)
        if task is Task.CTR:
            asked = replace(batch, task=Task.SEQUENTIAL, candidates=None) if prepared.config.draws_clicks else batch
            with prepared.registry.guard(Kind.DELEGATE, named.name, "score"):
                scores = check_scores(named.part.score(asked, observation), asked, agent.n_items)
                return {"probability": scores if asked is batch else percentile_rank(scores, batch)}
        ranking = agent.delegate(label, batch, observation)
        return {"items": ranking.items, "scores": ranking.scores}

    threads = THREADS if named.part.thread_safe else 1
    return _answers(prepared, named, task, part, ask, threads, [], agent.width)


def everybodys_answers(prepared: Prepared, agent: Agent, task: Task, part: str) -> dict[str, Answers]:
    """The rankings of the policy, first, and of every delegate."""
    assert agent.policy is not None
    answers = {agent.policy.label: ask_policy(prepared, agent, task, part)}
    return answers | {label: ask_delegate(prepared, agent, label, task, part) for label in agent.delegates}


def ask_consulted(prepared: Prepared, agent: Agent, task: Task, part: str, asked: Bool) -> Answers:
    """The policy's rankings with the delegates' in view where bool[B] ``asked``, its own elsewhere."""
    assert agent.policy is not None
    named, mine = agent.policy, ask_policy(prepared, agent, task, part)
    if not asked.any():
        return replace(mine, uncertainty={}, asked=asked)

    def ask(batch: QueryBatch) -> Arrays:
        answer = agent.consult(batch, agent.observe(batch))
        assert answer.ranking is not None
        tokens = spread_tokens(answer.cost.tokens, len(batch))
        return {"items": answer.ranking.items, "scores": answer.ranking.scores, "tokens": tokens}

    safe = all(each.part.thread_safe for each in (named, *agent.delegates.values()))
    extra = ["consult", *(each.identity for each in agent.delegates.values())]
    rows = np.flatnonzero(asked)
    made = _answers(prepared, named, task, part, ask, THREADS if safe else 1, extra, agent.width, rows)
    assert made.ranking is not None
    assert mine.ranking is not None
    ranking, tokens = mine.ranking.put(asked, made.ranking), np.zeros(len(asked), np.int64)
    tokens[asked] = 0 if made.tokens is None else made.tokens
    return Answers(ranking, {}, None, made.seconds, made.digest, tokens, asked=asked)


def ask_delegate_for_clicks(prepared: Prepared, agent: Agent, label: str) -> Answers:
    """A delegate's click probabilities on test: its own, or made from where the items stand among its scores.

    The log-odds of an item's standing (`ranking.percentile_rank`), times a slope, plus a shift (Platt, 1999), both
    fitted on the validation rows: the order of the scores stays as it is (a slope below 0 is not taken), and neither
    their unit nor how many items there are matters.
    """
    test = ask_delegate(prepared, agent, label, Task.CTR, "test")
    if not prepared.config.draws_clicks:
        return test
    valid = ask_delegate(prepared, agent, label, Task.CTR, "valid")
    assert valid.probability is not None
    assert test.probability is not None
    cases = prepared.cases(Task.CTR, "valid")
    assert cases.labels is not None
    assert cases.queries.candidates is not None
    shown = cases.queries.candidates >= 0
    chance = fit_monotone_platt(valid.probability[shown].astype(np.float64), cases.labels[shown] > 0)
    made = chance(test.probability.ravel()).reshape(test.probability.shape)
    return replace(test, probability=made.astype(np.float32))


def _answers(
    prepared: Prepared,
    named: Named,
    task: Task,
    part: str,
    ask: Callable[[QueryBatch], Arrays],
    threads: int,
    extra: list[str],
    width: int,
    rows: npt.NDArray[np.intp] | None = None,
) -> Answers:
    """Answers that are kept in the run folder; of some ``rows`` alone where they are given."""
    if named.final:
        raise RunError(f"{named.label} has already seen the test data", fix="Measure the evaluated models instead.")
    cases = prepared.cases(task, part)
    cases = cases if rows is None else cases.take(rows)
    key = content_hash(named.identity, extra, task, part, width, _print(cases))

    def make(folder: Path) -> None:
        batch = replace(cases.queries, task=task, k=width)
        label = f"{named.label}, {part} {task}"
        begin = time.perf_counter()
        arrays = in_chunks(batch, ask, threads, prepared.progress, label)
        arrays["seconds"] = np.array(time.perf_counter() - begin)
        np.savez(folder / "answers.npz", **arrays)  # type: ignore[arg-type]

    name = named.label if rows is None else f"{named.label}-consulted"
    stage = prepared.run.stage(f"answers-{task}-{part}-{name}", key, make)
    arrays = read_arrays(stage.folder / "answers.npz")
    return Answers(
        Ranking(arrays["items"], arrays["scores"]) if "items" in arrays else None,
        _nested(arrays),
        arrays.get("probability"),
        float(arrays["seconds"]),
        key,
        arrays.get("tokens"),
        arrays.get("mass"),
        tuple(arrays["text"].tolist()) if "text" in arrays else None,
        arrays.get("masses"),
    )


def spread_tokens(total: int, size: int) -> Int64:
    """int64[size]: what a batch spent, divided evenly over its queries without losing any."""
    return np.diff(np.arange(size + 1, dtype=np.int64) * total // max(size, 1))


def _flat(signals: Mapping[str, Uncertainty]) -> dict[str, np.ndarray]:
    """Uncertainty as arrays, ``part:stage:estimator`` by name."""
    parts = ("total", "epistemic", "aleatoric")
    values = {f"{part}:{u.stage}:{label}": getattr(u, part) for label, u in signals.items() for part in parts}
    return {name: value for name, value in values.items() if value is not None}


def _nested(arrays: Arrays) -> dict[str, Uncertainty]:
    """What `_flat` made flat."""
    totals = [name.split(":", 2)[1:] for name in arrays if name.startswith("total:")]
    return {
        label: Uncertainty(
            arrays[f"total:{stage}:{label}"],
            stage,
            arrays.get(f"epistemic:{stage}:{label}"),
            arrays.get(f"aleatoric:{stage}:{label}"),
        )
        for stage, label in totals
    }


def in_chunks(
    batch: QueryBatch, ask: Callable[[QueryBatch], Arrays], threads: int, progress: Progress, label: str
) -> dict[str, np.ndarray]:
    """Ask in chunks and join the arrays."""
    found: dict[int, Arrays] = {}

    def work(start: int, piece: QueryBatch) -> None:
        found[start] = ask(piece)

    run_batches(work, batch, CHUNK, threads, progress, label)
    names = next(iter(found.values()))
    return {name: np.concatenate([found[start][name] for start in sorted(found)]) for name in names}


def _print(cases: Cases) -> str:
    queries = cases.queries
    arrays = [queries.users, queries.history.indptr, queries.history.items, queries.candidates, cases.targets]
    return content_hash(*(np.ascontiguousarray(a).tobytes() for a in arrays if a is not None))
