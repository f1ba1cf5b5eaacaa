"""What a text query finds: items that the words name, and what people chose next where words say what they are after.

    python benchmarks/text_queries.py RUN [RUN ...] --field categories --by color

RUN has the delegate alpharec on text that an encoder reads; several of them are told by their labels. Two questions:

- *words alone*: "COLOUR TYPE", for every pair with at least five items: the share of the first ten that have both.
- *intention* (Sheng et al., ICLR 2025, section 4.4): each test user asks for the type of what they chose next (the last
  label of its categories); HR@10 and NDCG@10 of that item, ranked by the history, the words, or both, the weight chosen
  on validation. The words are the target's, so this says what words can add, not how well anything predicts.

Each beside the cosine of the encoded texts alone, which learns nothing. Means over users, 95 % intervals paired.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from reasonrec_serve import Recommender
from reasonrec_serve.text_query import TextDelegate, mix_texts

from reasonrec_core.data import open_split
from reasonrec_core.types import Cases, Float32, Float64

WEIGHTS, FEWEST, K, CERTAIN = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0), 5, 10, 1.96
MOST = 3000
"""Users, drawn with seed 0."""


def main() -> None:
    """Tables per run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--field", default="categories")
    parser.add_argument("--by", default="color")
    given = parser.parse_args()
    for path in given.runs:
        measure(path, given.field, given.by)


def measure(path: Path, field: str, by: str) -> None:
    """Both questions."""
    service = Recommender.open(path, trace=False, models="evaluated")
    reader, catalog = service.text_queries.reader, service.dataset.catalog
    (name,) = reader.encoders
    types = [labels[-1] if labels else "" for labels in catalog.labels(field)]
    colours = [value or "" for value in catalog.column(by)]
    pairs = sorted({(c, t) for c, t in zip(colours, types, strict=True) if c and t})
    pairs = [p for p in pairs if sum(each == p for each in zip(colours, types, strict=True)) >= FEWEST]
    words = [*(f"{colour} {kind}" for colour, kind in pairs), *sorted(set(types) - {""})]
    place = {each: row for row, each in enumerate(words)}
    encoded = reader.encoders[name].encode(words)
    parts = service.agent.delegates.items()
    readers = {label: each.part for label, each in parts if isinstance(each.part, TextDelegate)}
    split = open_split(path / "stages" / "split-sequential" / "split", service.dataset)
    cases = {part: draw(getattr(split, part)) for part in ("valid", "test")}
    texts = unit(np.nan_to_num(np.asarray(service.agent.items.features[name], np.float32)))
    has = np.array([[c == colours[i] and t == types[i] for i in range(len(types))] for c, t in pairs])
    print(f"\n{path.name}: {len(pairs)} pairs, {len(cases['test']):,} users, {len(types):,} items\n")
    print(f"| | words alone: precision@{K} | intention: HR@{K} | NDCG@{K} | words' weight |\n|---|---|---|---|---|")
    print(f"| chance | {has.mean():.3f} | | | |")
    show("cosine of the texts", precision(unit(encoded[: len(pairs)]) @ texts.T, has), None)
    rows = {part: np.array([place.get(types[t], -1) for t in cases[part].targets]) for part in cases}
    words_only = score_texts(unit(encoded) @ texts.T, cases["test"], rows["test"])
    show("cosine of the texts, words alone", None, words_only)
    for label, delegate in readers.items():
        seen = service.agent.observe(cases["test"].queries)
        items = unit(delegate.item_vectors(seen))
        vectors = unit(delegate.feature_vectors({name: encoded}, seen))
        found = {}
        for part, some in cases.items():
            past = unit(delegate.query_vectors(some.queries, service.agent.observe(some.queries)))
            named = mix_texts(vectors[rows[part]] @ items.T, {name: encoded[rows[part]]}, {name: texts})
            found[part] = {w: score(w * named + (1 - w) * (past @ items.T), some) for w in WEIGHTS}
        best = max(WEIGHTS, key=lambda w: float(found["valid"][w].mean()))
        bare = vectors @ items.T
        learned = score(bare[rows["test"]], cases["test"])
        show(f"{label}, words alone, what was learned", precision(bare[: len(pairs)], has), learned)
        mixed = mix_texts(bare[: len(pairs)], {name: encoded[: len(pairs)]}, {name: texts})
        show(f"{label}, words alone, as served", precision(mixed, has), found["test"][1.0])
        show(f"{label}, history alone", None, found["test"][0.0])
        show(f"{label}, both", None, found["test"][best], f"{best:g}")
        show(f"{label}, both", None, found["test"][0.5], "0.5 (as served)")
        compare(f"{label}: both - history", found["test"][best] - found["test"][0.0])
        compare(f"{label}: both - words", found["test"][best] - found["test"][1.0])
        compare(f"{label}: words - cosine of the texts", found["test"][1.0] - words_only)


def draw(cases: Cases) -> Cases:
    """Some of the users."""
    return cases.sample(MOST, 0)


def unit(vectors: Float32) -> Float32:
    """Of length 1."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12), np.float32)


def score(scores: Float32, cases: Cases) -> Float64:
    """float64[B]: 1 / log2(1 + rank) of the target among what the user does not have, 0 beyond `K`."""
    history = cases.queries.history
    own = scores[np.arange(len(scores)), cases.targets].copy()
    scores[history.rows, history.items] = -np.inf
    rank = 1 + (scores > own[:, None]).sum(axis=1) + ((scores == own[:, None]).sum(axis=1) - 1).clip(min=0)
    return np.where(rank <= K, 1 / np.log2(1 + rank), 0.0)


def score_texts(scores: Float32, cases: Cases, rows: Sequence[int] | np.ndarray) -> Float64:
    """As `score`, of float32[words, n] at the cases' words."""
    return score(scores[np.asarray(rows)], cases)


def precision(scores: Float32, has: np.ndarray) -> Float64:
    """float64[P]: of the first `K`, the share that has both."""
    first = np.argsort(-scores, axis=1, kind="stable")[:, :K]
    return np.asarray(np.take_along_axis(has, first, axis=1).mean(axis=1), np.float64)


def show(label: str, named: Float64 | None, gains: Float64 | None, weight: str = "") -> None:
    """A row."""
    first = "" if named is None else f"{named.mean():.3f}"
    hits, gain = ("", "") if gains is None else (f"{(gains > 0).mean():.4f}", f"{gains.mean():.4f}")
    print(f"| {label} | {first} | {hits} | {gain} | {weight} |")


def compare(label: str, gap: Float64) -> None:
    """A difference in NDCG with its interval, as a row."""
    error = CERTAIN * gap.std() / np.sqrt(len(gap))
    print(f"| {label} | | | {gap.mean():+.4f} ({gap.mean() - error:+.4f} to {gap.mean() + error:+.4f}) | |")


if __name__ == "__main__":
    main()
