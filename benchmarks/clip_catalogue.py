"""Image-to-text recall of `clip-catalogue` on held-out items, before and after it learns, beside simpler ways.

    python benchmarks/clip_catalogue.py ../shared/data/hm-week --out benchmarks/results/clip_catalogue.json

Items are divided by product (their title), so that no colour variant of a test item is learned from. The defaults were
chosen on one random tenth of the products of `hm-week`, of which about a fifth falls into each of these test parts.
All ways see the same images and texts.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from reasonrec_clip.catalogue import CatalogueClip, CatalogueConfig
from reasonrec_clip.learning import draw_held_out, make_canonical_heads, project, tune_heads
from reasonrec_clip.towers import Head, Towers
from reasonrec_clip.tuning import compute_trunk_features
from torch.nn.functional import normalize

from reasonrec_core.data import open_or_import
from reasonrec_core.observe import observe_items
from reasonrec_core.registry import Registry

Tensors = dict[str, torch.Tensor]
Pair = tuple[torch.Tensor, torch.Tensor]


def recalls(images: torch.Tensor, texts: torch.Tensor, same: np.ndarray) -> dict[str, float]:
    """Image to text. Ties count against; ``[text]`` also accepts another item whose text is word for word the same."""
    scores = (images @ texts.T).numpy()
    own = scores.diagonal()[:, None]
    strict = (scores >= own).sum(1)
    alike = same[:, None] == same[None, :]
    best = np.where(alike, scores, -np.inf).max(1)[:, None]
    lenient = ((scores >= best) & ~alike).sum(1) + 1
    back = (own <= scores.T).sum(1)
    told = {f"recall@{k}": float((strict <= k).mean()) for k in (1, 5, 10)}
    told |= {f"recall@{k}[text]": float((lenient <= k).mean()) for k in (1, 10)}
    return told | {f"text-to-image recall@{k}": float((back <= k).mean()) for k in (1, 10)}


def ridge(train: Tensors, test: Tensors, penalty: float) -> Pair:
    """Texts predicted from images by ridge regression, compared by cosine."""
    mean = {side: values.mean(0) for side, values in train.items()}
    seen, read = (train[side] - mean[side] for side in ("image", "text"))
    weights = torch.linalg.solve(seen.T @ seen + penalty * torch.eye(seen.shape[1]), seen.T @ read)
    return normalize((test["image"] - mean["image"]) @ weights, dim=1), normalize(test["text"] - mean["text"], dim=1)


def random_heads(towers: Towers, config: CatalogueConfig, seed: int) -> dict[str, Head]:
    """The open_clip model as it is assembled: pretrained towers, projections not learned yet."""
    torch.manual_seed(seed)
    return {side: Head(sum(blocks), config.dim, 0.0) for side, blocks in towers.blocks.items()}


def part(values: Tensors, rows: np.ndarray) -> Tensors:
    return {side: each[torch.from_numpy(np.flatnonzero(rows))] for side, each in values.items()}


def measured(ways: dict[str, Callable[[], Pair]], same: np.ndarray) -> dict[str, Any]:
    told = {}
    for name, way in ways.items():
        start = time.perf_counter()
        told[name] = recalls(*way(), same) | {"seconds": round(time.perf_counter() - start, 2)}
        print(f"{name:42s}", {k: round(v, 3) for k, v in told[name].items()}, flush=True)
    return told


def ways_of(
    deep: Tensors, plain: Tensors, train: np.ndarray, test: np.ndarray, encoder: CatalogueClip, seed: int
) -> dict[str, Callable[[], Pair]]:
    """Every way to be compared, from chance to what the plugin does."""
    config, towers = encoder.config, encoder._towers
    last = {"image": [towers.blocks["image"][-1]], "text": [towers.blocks["text"][-1]]}

    def by(heads: dict[str, Head], values: Tensors) -> Pair:
        some = part(values, test)
        return project(heads["image"], some["image"]), project(heads["text"], some["text"])

    def start(values: Tensors, blocks: dict[str, list[int]]) -> dict[str, Head]:
        return make_canonical_heads(part(values, train), blocks, config)

    def tuned(values: Tensors, blocks: dict[str, list[int]], settings: CatalogueConfig) -> dict[str, Head]:
        heads = make_canonical_heads(part(values, train), blocks, settings)
        return tune_heads(heads, part(values, train), settings, seed, lambda *_: None)[0]

    def from_random() -> dict[str, Head]:
        longer = config.model_copy(update={"epochs": 60, "learning_rate": 1e-3})
        heads = start(deep, towers.blocks)
        for side, head in random_heads(towers, config, seed).items():
            heads[side][2] = head[2]
        return tune_heads(heads, part(deep, train), longer, seed, lambda *_: None)[0]

    return {
        "before: assembled, projections untrained": lambda: by(random_heads(towers, config, seed), deep),
        "ridge, final features": lambda: ridge(part(plain, train), part(plain, test), 0.03),
        "CCA, final features": lambda: by(start(plain, last), plain),
        "CLIP loss after CCA, final features": lambda: by(tuned(plain, last, config), plain),
        "CCA, all stages and layers": lambda: by(start(deep, towers.blocks), deep),
        "CLIP loss from random, all stages and layers": lambda: by(from_random(), deep),
        "after: clip-catalogue (CLIP loss after CCA)": lambda: by(tuned(deep, towers.blocks, config), deep),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "reasonrec")
    parser.add_argument("--share", type=float, default=0.2, help="of the products, held out for the test")
    parser.add_argument("--seeds", type=int, default=3, help="splits to average over")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    catalog = open_or_import(args.data, args.cache).catalog
    encoder = CatalogueClip(CatalogueConfig())
    start = time.perf_counter()
    deep, present = compute_trunk_features(catalog, encoder.config, encoder._towers, args.cache / "features")
    seconds = time.perf_counter() - start
    # The frozen encoders as other pipelines use them: final features of the middle crop, sentence vectors.
    frozen = {
        "image": Registry.discover().create("encoder", "timm", {}),
        "text": Registry.discover().create("encoder", "text", {}),
    }
    plain = observe_items(catalog, frozen, args.cache / "features").features
    rows = np.flatnonzero(present)
    deep_all = {side: torch.from_numpy(np.asarray(values[rows])) for side, values in deep.items()}
    plain_all = {side: torch.from_numpy(np.asarray(values[rows])) for side, values in plain.items()}
    texts = catalog.texts()
    same = np.unique([texts[row] or "" for row in rows], return_inverse=True)[1]
    titles = [catalog.titles[row] for row in rows]
    runs: list[Any] = []
    held: list[Any] = []
    for seed in range(args.seeds):
        test = draw_held_out(titles, args.share, seed)
        print(f"seed {seed}: {len(rows)} pairs, {int(test.sum())} held out", flush=True)
        runs.append(
            measured(ways_of(deep_all, plain_all, ~test, test, encoder, seed), same[test])
            | {"held_out": int(test.sum())}
        )
    names = [name for name in runs[0] if name != "held_out"]
    mean = {
        name: {k: round(float(np.mean([run[name][k] for run in runs])), 4) for k in runs[0][name]} for name in names
    }
    told = {
        "data": args.data.name,
        "pairs": len(rows),
        "distinct texts": len(np.unique(same)),
        "held out": held,
        "chance recall@10": round(10 / float(np.mean(held)), 4),
        "mean over splits": mean,
        "splits": runs,
        "seconds for the towers (from the cache if small)": round(seconds, 1),
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        "date": datetime.now(UTC).date().isoformat(),
    }
    print(json.dumps(mean, indent=2))
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
