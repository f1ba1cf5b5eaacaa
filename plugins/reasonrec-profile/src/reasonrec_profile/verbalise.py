"""The steps of one query in words: what was looked at, what follows, who proposes what, and why the best is best."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from reasonrec_core.data.catalog import Catalog
from reasonrec_core.types import Float32, Observation, QueryBatch, Step, StepKind, format_percent
from reasonrec_profile.decide import RankedMixture, attribute, compute_entry_votes
from reasonrec_profile.fitting import ProfileModel
from reasonrec_profile.history_weights import AgeDecay, HistoryWeights
from reasonrec_profile.infer import Inference, compute_label_belief
from reasonrec_profile.propose import AFFINITY, POPULARITY, ExpertProposals

CITED = 3
LISTED = 5
WORTH_SAYING = 0.02
"""Share below which something is not worth a word."""
MUCH = 1.2
"""How many times the usual interest is worth a word."""
EXPERT_PHRASES = {
    "transitions": "what people took next",
    AFFINITY: "what you like",
    POPULARITY: "what is popular",
    "image": "pictures",
    "sequence": "the order of what you took",
}
"""Who proposes, in people's words; features go by their names."""


def name_expert(name: str) -> str:
    """An expert in people's words."""
    return EXPERT_PHRASES.get(name, name.replace("_", " "))


def quote_titles(titles: Sequence[str]) -> str:
    """Titles in a sentence: “A”, “B” and “C”."""
    quoted = [f"“{title}”" for title in dict.fromkeys(titles)]
    return " and ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)


def list_shares(parts: Iterable[tuple[str, float]]) -> str:
    """Who counted how much, without fillers: "text 40 %, pictures 23 %"."""
    return ", ".join(f"{name_expert(name)} {format_percent(share)}" for name, share in parts if share >= WORTH_SAYING)


def verbalise_steps(
    model: ProfileModel,
    catalog: Catalog,
    query: QueryBatch,
    observation: Observation,
    evidence: HistoryWeights,
    inference: Inference,
    proposals: ExpertProposals,
    weights: Float32,
    decision: RankedMixture,
) -> tuple[Step, ...]:
    """The steps of a batch of one; positions count from the oldest history entry."""
    titles = catalog.titles
    votes = attribute(model.experts, observation, evidence, proposals, weights, decision)
    cited = [int(p) for p in np.argsort(-votes, kind="stable")[:CITED] if votes[p] > 0]
    steps = [describe_evidence(evidence, titles, votes, cited)]
    for f in order_fields(inference):
        inferred = (
            inference.beliefs[f]
            if inference.assumed[0, f] < 0
            else compute_label_belief(evidence, observation, inference.fields[f])
        )
        steps.append(describe_inference(f, inference, evidence, inferred[0]))
    steps += _propose_steps(model, query, observation, evidence, proposals, weights, titles)
    steps += [
        describe_weights(query, observation, proposals.names, weights),
        _decide_step(decision, proposals, titles, cited),
    ]
    return tuple(steps)


def describe_evidence(evidence: HistoryWeights, titles: list[str], votes: Float32, cited: list[int]) -> Step:
    """What was looked at by a batch of one; ``votes``: float32[L], how much each entry spoke for the answer."""
    items, used = evidence.history.items, int((evidence.weights(AgeDecay(1.0)) > 0).sum())
    ignored = list(dict.fromkeys(items[evidence.relevance == 0].tolist()))
    asked = f"you ignored {', '.join(f'“{titles[i]}”' for i in ignored)}; " if ignored else ""
    edited = bool((evidence.relevance != 1).any())
    if not used:
        return Step(
            StepKind.OBSERVE, f"{asked}nothing in the history counts, so what is popular decides", edited=edited
        )
    share = votes / max(float(votes.sum()), 1e-30)
    whole = min(float(share[cited].sum()), 1.0)
    because = (
        f"because you took {quote_titles([titles[items[p]] for p in cited])}" if cited else "no single item stands out"
    )
    part = format_percent(whole)
    few = cited and used > len(cited) and part != format_percent(1.0)
    some = f", which make up {part} of the reasons" if few else ""
    others = [int(p) for p in np.argsort(-votes, kind="stable") if votes[p] > 0][CITED : CITED + LISTED]
    return Step(
        StepKind.OBSERVE,
        f"{asked}{because}{some}",
        tuple(cited),
        whole,
        tuple((titles[items[p]], float(share[p])) for p in others),
        edited,
    )


def order_fields(inference: Inference) -> list[int]:
    """The fields, those that gate most strongly first."""
    order = np.argsort(-inference.exponents[0], kind="stable")
    return [int(f) for f in order]


def describe_inference(f: int, inference: Inference, evidence: HistoryWeights, belief: Float32) -> Step:
    """One field of a batch of one; ``belief``: float32[L] as it was inferred, also where a label was assumed."""
    field, assumed = inference.fields[f], int(inference.assumed[0, f])
    top = assumed if assumed >= 0 else int(np.argmax(belief * np.log(belief / field.prior)))
    others = [int(a) for a in np.argsort(-belief, kind="stable")[: LISTED + 1] if a != top][:LISTED]
    alternatives = tuple((field.labels[a], float(belief[a])) for a in others)
    about = (field.name, field.labels[top])
    if assumed >= 0:
        own = format_percent(float(belief[top]))
        claim = f"you assumed {field.name} is “{field.labels[top]}” (without that: {own})"
        return Step(StepKind.INFER, claim, (), 1.0, alternatives, edited=True, about=about)
    holders = field.membership[evidence.history.items][:, [top]].toarray()[:, 0] * evidence.weights(AgeDecay(1.0)) > 0
    now, usual = float(belief[top]), float(field.prior[top])
    times, what = now / max(usual, 1e-9), f"interest in “{field.labels[top]}” ({field.name.replace('_', ' ')})"
    claim = f"about the usual {what}: {format_percent(now)}"
    if times >= MUCH:
        claim = f"{times:.2g} × as much {what} as usual: {format_percent(now)} instead of {format_percent(usual)}"
    return Step(
        StepKind.INFER,
        claim,
        (*(int(p) for p in np.flatnonzero(holders)), field.modality or field.name),
        float(np.clip(belief[top], 0.0, 1.0)),
        alternatives,
        about=about,
    )


def _propose_steps(
    model: ProfileModel,
    query: QueryBatch,
    observation: Observation,
    evidence: HistoryWeights,
    proposals: ExpertProposals,
    weights: Float32,
    titles: list[str],
) -> list[Step]:
    steps = []
    for e, name in enumerate(proposals.names):
        likelihood = proposals.scores[e][0] * proposals.normaliser(e)[0]
        columns = [int(c) for c in np.argsort(-likelihood, kind="stable")[: LISTED + 1] if likelihood[c] > 0]
        if not columns:
            steps.append(Step(StepKind.PROPOSE, f"{name_expert(name)}: nothing to propose", weight=0.0))
            continue
        items = columns if query.candidates is None else [int(query.candidates[0, c]) for c in columns]
        said = [(titles[i], float(min(likelihood[c], 1.0))) for i, c in zip(items, columns, strict=True)]
        cause: tuple[int | str, ...] = ()
        if e < len(model.experts):
            expert = model.experts[e]
            votes = compute_entry_votes(expert, evidence, observation, np.array(items[:1], dtype=np.int32))
            cause = tuple(int(p) for p in np.argsort(-votes, kind="stable")[:CITED] if votes[p] > 0)
        elif name == AFFINITY:
            cause = tuple(f.modality or f.name for f in model.fields)
        claim = f"{name_expert(name)}: “{said[0][0]}” ({format_percent(said[0][1], 1)})"
        steps.append(Step(StepKind.PROPOSE, claim, cause, float(min(weights[0, e], 1.0)), tuple(said[1:])))
    return steps


def describe_weights(query: QueryBatch, observation: Observation, names: tuple[str, ...], weights: Float32) -> Step:
    """How much each expert counts for a batch of one; ``weights``: float32[1, E]."""
    order = np.argsort(-weights[0], kind="stable")
    parts = [(names[e], float(weights[0, e])) for e in order if weights[0, e] >= 0.005]
    length = int(query.history.lengths[0])
    claim = f"for a history of {length} item{'' if length == 1 else 's'}, what counts: {list_shares(parts)}"
    return Step(StepKind.WEIGH, claim, (), min(parts[0][1], 1.0), tuple((name_expert(n), w) for n, w in parts[1:]))


def _decide_step(decision: RankedMixture, proposals: ExpertProposals, titles: list[str], cited: list[int]) -> Step:
    items, mass = decision.ranking.items[0], decision.mass[0]
    ranked = [(titles[i], float(m)) for i, m in zip(items, mass, strict=True) if i >= 0][: LISTED + 1]
    if not ranked:
        return Step(StepKind.DECIDE, "nothing is left to recommend", weight=0.0)
    shares = decision.shares[0, 0]
    parts = list_shares((proposals.names[e], float(shares[e])) for e in np.argsort(-shares, kind="stable"))
    claim = f"“{ranked[0][0]}” first ({format_percent(ranked[0][1], 1)}): {parts}"
    return Step(StepKind.DECIDE, claim, tuple(cited), min(ranked[0][1], 1.0), tuple(ranked[1:]))
