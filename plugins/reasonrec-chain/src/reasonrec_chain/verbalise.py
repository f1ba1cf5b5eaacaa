"""The steps of one query in words, with item titles."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from reasonrec_profile.api import (
    AFFINITY,
    CITED,
    LISTED,
    HistoryWeights,
    compute_entry_votes,
    describe_evidence,
    describe_inference,
    describe_weights,
    list_shares,
    name_expert,
)

from reasonrec_chain.deliberate import ChunkResult, rank_mass
from reasonrec_chain.gating import GateWeights
from reasonrec_chain.model import ChainModel
from reasonrec_chain.propose import SEQUENCE, Proposals
from reasonrec_core.types import Float32, Observation, QueryBatch, Step, StepKind, format_percent

WORTH_SAYING = 0.02


def verbalise_steps(
    model: ChainModel,
    titles: list[str],
    query: QueryBatch,
    observation: Observation,
    evidence: HistoryWeights,
    thought: ChunkResult,
    votes: Float32,
) -> tuple[Step, ...]:
    """The steps of a batch of one; positions count from the oldest history entry.

    Args:
        model: fitted.
        titles: of all items.
        query, observation, evidence: what was asked and looked at.
        thought: what followed.
        votes: float32[L], how much each entry spoke for the best item.
    """
    cited = [int(p) for p in np.argsort(-votes, kind="stable")[:CITED] if votes[p] > 0]
    inference = replace(thought.inference, exponents=np.maximum(thought.weighed.labels, 0.0))
    steps = [describe_evidence(evidence, titles, votes, cited)]
    for f in np.argsort(-inference.exponents[0], kind="stable").tolist():
        steps.append(describe_inference(f, inference, evidence, thought.inferred.beliefs[f][0]))
    steps += _propose_steps(model, titles, observation, evidence, thought, cited)
    steps += [_weigh(query, observation, thought), _decide(titles, query, thought, cited)]
    return tuple(steps)


def _propose_steps(
    model: ChainModel,
    titles: list[str],
    observation: Observation,
    evidence: HistoryWeights,
    thought: ChunkResult,
    cited: list[int],
) -> list[Step]:
    proposals, steps = thought.proposals, []
    by_name = {link.name: link for link in model.experts.links}
    delegates = {each.name for each in model.experts.delegates}
    for e, name in enumerate(proposals.names):
        share = proposals.shares[0, e]
        columns = [int(c) for c in np.argsort(-share, kind="stable")[: LISTED + 1] if share[c] > 0]
        if not columns:
            steps.append(Step(StepKind.PROPOSE, f"{name_expert(name)}: nothing to propose", weight=0.0))
            continue
        items = [int(proposals.items[0, c]) for c in columns]
        said = [(titles[i], float(min(share[c], 1.0))) for i, c in zip(items, columns, strict=True)]
        cause: tuple[int | str, ...] = ()
        if name in by_name:
            spoke = compute_entry_votes(by_name[name], evidence, observation, np.array(items[:1], np.int32))
            cause = tuple(int(p) for p in np.argsort(-spoke, kind="stable")[:CITED] if spoke[p] > 0)
        elif name == SEQUENCE or name in delegates:
            cause = tuple(cited)
        elif name == AFFINITY:
            cause = tuple(each.field.modality or each.field.name for each in model.experts.labels)
        claim = f"{name_expert(name)}: “{said[0][0]}” ({format_percent(said[0][1], 1)})"
        weight = float(min(thought.weighed.experts[0, e], 1.0))
        steps.append(Step(StepKind.PROPOSE, claim, cause, weight, tuple(said[1:])))
    return steps


def _weigh(query: QueryBatch, observation: Observation, thought: ChunkResult) -> Step:
    """The mixture, and which experts' agreement counts besides."""
    step = describe_weights(query, observation, thought.proposals.names, thought.weighed.experts)
    agreed = thought.weighed.agreement[0]
    named = [
        name_expert(thought.proposals.names[e]) for e in np.argsort(-agreed, kind="stable") if agreed[e] >= WORTH_SAYING
    ]
    return replace(step, claim=f"{step.claim}; more where it agrees with {', '.join(named)}") if named else step


def _decide(titles: list[str], query: QueryBatch, thought: ChunkResult, cited: list[int]) -> Step:
    ranking, mass = rank_mass(thought, replace(query, k=LISTED + 1), len(titles))
    best = [(int(i), float(m)) for i, m in zip(ranking.items[0], mass[0], strict=True) if i >= 0]
    if not best:
        return Step(StepKind.DECIDE, "nothing is left to recommend", weight=0.0)
    spoke = compute_expert_shares(thought.proposals, thought.weighed, best[0][0])
    parts = list_shares((thought.proposals.names[e], float(spoke[e])) for e in np.argsort(-spoke, kind="stable"))
    claim = f"“{titles[best[0][0]]}” first ({format_percent(best[0][1], 1)}): {parts}"
    others = tuple((titles[i], min(m, 1.0)) for i, m in best[1:])
    return Step(StepKind.DECIDE, claim, tuple(cited), min(best[0][1], 1.0), others)


def compute_expert_shares(proposals: Proposals, weighed: GateWeights, item: int) -> Float32:
    """float32[E]: part of an item's mixed share that each expert gave, for a batch of one."""
    column = int((proposals.items[0] == item).argmax())
    given = weighed.experts[0] * proposals.shares[0, :, column]
    return np.asarray(given / max(float(given.sum()), 1e-30), np.float32)
