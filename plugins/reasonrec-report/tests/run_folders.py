"""Finished run folders for the report's tests: small, seeded, with everything that the formats allow."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
from PIL import Image, ImageDraw

SYSTEMS = {"routed": 0.092, "profile": 0.078, "transitions": 0.0905, "implicit-als": 0.071, "popularity": 0.031}
"""NDCG@10 of each system."""


@dataclass(frozen=True)
class Item:
    id: str
    title: str
    image: str | None


def drawn_items(images: Path, n: int = 40) -> list[Item]:
    """Items with pictures that are drawn here; every seventh has none."""
    rng = np.random.default_rng(3)
    images.mkdir(parents=True)
    items = []
    for i in range(n):
        colour, back = (tuple(int(c) for c in rng.integers(40, 230, 3)) for _ in range(2))
        picture = Image.new("RGB", (200, 280), back)
        draw = ImageDraw.Draw(picture)
        (draw.ellipse if i % 2 else draw.rectangle)((40, 60, 160, 220), fill=colour)
        picture.save(images / f"{i}.jpg")
        items.append(Item(str(i), f"Item {i}, {'round' if i % 2 else 'square'}", None if i % 7 == 6 else f"{i}.jpg"))
    return items


def estimate(value: float, spread: float = 0.008) -> dict[str, float]:
    return {"value": value, "low": max(value - spread, 0.0), "high": value + spread * 1.1}


def hit_rate(ndcg: float, k: int) -> float:
    return ndcg * (1.2 if k == 5 else 1.9) + 0.01


def ranking_metrics(images: Path | None) -> dict[str, Any]:
    """``metrics.json`` of a sequential run, every key present."""
    systems = {
        name: {
            **{f"NDCG@{k}": estimate(v * (0.8 if k == 5 else 1)) for k in (5, 10)},
            **{f"HR@{k}": estimate(hit_rate(v, k)) for k in (5, 10)},
            **{f"Recall@{k}": estimate(hit_rate(v, k)) for k in (5, 10)},
            **{f"MRR@{k}": estimate(v * 0.7 + 0.005) for k in (5, 10)},
            **{f"Precision@{k}": estimate(hit_rate(v, k) / k, 0.8 / k) for k in (5, 10)},
            "coverage@10": {"value": 0.2 + v},
            "novelty@10": {"value": 9 - 10 * v},
            "NDCG@10[uni99]": estimate(v * 4),
        }
        for name, v in SYSTEMS.items()
    }
    values = {"routed": (0, 0.0), "profile": (0.0139, 0.0006), "transitions": (0.0015, 0.41)}
    comparisons = [
        {
            "a": "routed",
            "b": name,
            "metric": metric,
            "difference": difference,
            "low": difference - 0.006,
            "high": difference + 0.006,
            "p": p,
            "p_corrected": min(2 * p, 1.0),
        }
        for metric in ("NDCG@10", "HR@10", "MRR@10")
        for name, (difference, p) in values.items()
        if name != "routed"
    ]
    groups = {
        "evidence horizon": ["short history", "middle", "long history"],
        "item popularity": ["rare", "middle", "popular"],
        "missing modality": ["picture and text", "no picture"],
    }
    slices = [
        {
            "slice": name,
            "group": group,
            "system": system,
            "metric": "NDCG@10",
            "n": 943 // len(members) + i,
            **estimate(SYSTEMS[system] * (0.6 + 0.4 * i) + (0.01 if system == "transitions" and i == 0 else 0), 0.012),
        }
        for name, members in groups.items()
        for i, group in enumerate(members)
        for system in ("routed", "profile", "transitions")
    ]
    coverage = np.linspace(0.01, 1, 400)
    return {
        "dataset": {
            "name": "Drawn shapes",
            "hash": "9f2c" * 16,
            "users": 943,
            "items": 1682,
            "interactions": 100000,
            "images_root": str(images) if images else None,
        },
        "protocol": "leave-one-out, full ranking over 1,682 items, history masked; 943 test queries",
        "systems": systems,
        "delegation": {"share": 0.352, "latency_ratio": 0.71, "time": {"value": -0.29, "low": -0.35, "high": -0.22}},
        "seconds": {
            "fit": {"profile": 2.31, "transitions": 0.42, "implicit-als": 3.9, "popularity": 0.01},
            "evaluate": {"routed": 1.8, "profile": 2.2, "transitions": 0.3},
        },
        "comparisons": comparisons,
        "slices": slices,
        "calibration": calibration(),
        "delegation_curve": delegation_curve(),
        "costs": costs(),
        "risk_coverage": {
            "coverage": coverage.tolist(),
            "risk": (0.55 + 0.29 * np.sqrt(coverage)).tolist(),
            "aurc": 0.742,
        },
        "routing": {
            "kind": "threshold",
            "stage": "before",
            "delegate": "transitions",
            "estimators": ["evidence-horizon", "entropy"],
            "threshold": 0.62,
            "target": 0.35,
            "reached": 0.352,
        },
        "observe": [
            {
                "name": "text",
                "encoder": "minilm",
                "present": 1669,
                "missing": 13,
                "refused": 0,
                "provenance": {"source": "registry package", "licence": "Apache-2.0", "sha256": "ab" * 32},
            },
            {
                "name": "poster",
                "encoder": "timm",
                "present": 1660,
                "missing": 19,
                "refused": 3,
                "provenance": {"source": "hub", "licence": "Apache-2.0"},
            },
        ],
        "roles": {"routed": "routed", "policy": "profile", "delegates": ["transitions", "implicit-als", "popularity"]},
        "analyses": {"faithfulness": faithfulness(), "cards": {"hits": 174, "misses": 769}},
    }


def trust(ece: float, shift: float = 0.0) -> dict[str, Any]:
    """A confidence of 943 answers and how well it holds."""
    bins = [
        {
            "low": i / 15,
            "high": (i + 1) / 15,
            "n": int(420 * 0.5**i),
            "confidence": (i + 0.5) / 15 if i < 9 else None,
            "accuracy": min((i + 0.5) / 15 + shift + (-1) ** i * 0.004 * i, 1) if i < 9 else None,
        }
        for i in range(15)
    ]
    errors = {"ece": ece, "ece_mass": ece + 0.01, "ece_chance": 0.019, "ece_mass_chance": 0.025, "brier": 0.121}
    return {"cases": 943, "events": 0.18, "mean": 0.19, **errors, "bins": bins}


def calibration() -> dict[str, Any]:
    """Recalibrated for two ways, and the policy's own probability beside."""
    both = {**trust(0.0213), "before": trust(0.1374, 0.1)}
    ways = {"self": "platt", "replace:transitions": "none"}
    routes = [{"way": way, "kind": kind, **both} for way, kind in ways.items()]
    own = {"of": "profile", "kind": "isotonic", **both}
    return {"of": "routed", "event": "target in top 10", **both, "routes": routes, "own": own}


def delegation_curve() -> dict[str, Any]:
    """Routing that gains a little at first and loses in the end; an oracle that leaves the picture."""
    base = SYSTEMS["profile"]
    points = [
        {
            "share": i / 10,
            **estimate(base + 0.02 * (i / 10) - 0.03 * (i / 10) ** 2, 0.002 + 0.0006 * i),
            "random": base - 0.001 * i,
            "oracle": base + 0.3 * (i / 10) * (1.2 - i / 10),
        }
        for i in range(11)
    ]
    limits = {
        "validation": {"value": 0.01, "low": -0.004, "high": 0.024},
        "test": {"value": 0, "low": -0.02, "high": 0.02},
    }
    quarters = [
        {"group": name, "n": 230, "share": share, "routed": 0.08, "policy": 0.081, "relative": limits["validation"]}
        for name, share in (("<= 32", 1.0), ("33-64", 0.4), ("65-147", 0.0), (">= 148", 0.0))
    ]
    return {
        "metric": "NDCG@10",
        "policy": base,
        "points": points,
        "chosen": {"share": 0.352, **estimate(base + 0.003, 0.004)},
        "not_inferior": {"limit": 0.01, "share": 0.25, "confirmed": False, **limits},
        "decisions": {
            "by": "gain",
            "threshold": -0.03,
            "edges": [i / 100 for i in range(-8, 8)],
            "kept": [40, 52, 90, 140, 180, *(10,) * 10],
            "delegated": [0, 0, 0, 0, 10, *(33,) * 10],
        },
        "horizon": quarters,
    }


def costs() -> dict[str, Any]:
    """Costs of the routes and of the systems."""
    spent = {"mean": 0.004, "p50": 0.0036, "p95": 0.009, "n": 200}
    who = [("routed", "system"), ("self", "route"), ("replace: transitions", "route"), ("profile", "system")]
    rows = [
        {"who": name, "kind": kind, "single": {**spent, "mean": 0.004 + 0.001 * i}, "batched": spent, "requests": 943}
        for i, (name, kind) in enumerate(who)
    ]
    quarters = [{"group": name, "routed": spent, "policy": spent} for name in ("<= 32", "33-64", "65-147", ">= 148")]
    return {"batch": 32, "rows": rows, "horizon": quarters}


def effect(difference: float, p: float, **values: float) -> dict[str, Any]:
    ends = {"low": difference - 0.002, "high": difference + 0.002, "p": p / 8, "p_corrected": p}
    return {name: estimate(v, 0.001) for name, v in values.items()} | {"difference": difference} | ends


def faithfulness() -> dict[str, Any]:
    """Cited evidence matters, but keeping half of the history serves the list no better than chance."""
    rows = [
        ("comprehensiveness", "mass", 0.2, 0.03, 0.002, 0.001),
        ("sufficiency", "mass", 0.2, -0.02, 0.01, 0.001),
        ("comprehensiveness", "list", 0.2, 0.42, 0.28, 0.001),
        ("sufficiency", "list", 0.2, 0.41, 0.40, 0.6),
    ]
    return {
        "task": "sequential",
        "policy": "profile",
        "n": 500,
        "k": 10,
        "draws": 5,
        "mass": estimate(0.04),
        "evidence": [
            {"measure": m, "of": of, "share": share, **effect(a - b, p, cited=a, random=b)}
            for m, of, share, a, b, p in rows
        ],
        "edits": [{"field": "item_colour", **effect(0.77, 0.0004, before=0.2, after=0.97)}],
    }


def card(query: int, items: list[Item], *, hit: bool) -> dict[str, Any]:
    """A decision card over some of the items."""
    rng = np.random.default_rng(query)
    picked = [items[i] for i in rng.permutation(len(items))[:23]]
    shown = [{"id": i.id, "title": i.title, "image": i.image} for i in picked]
    ranking = [{**item, "score": 0.41 / (rank + 1)} for rank, item in enumerate(shown[12:22])]
    delegated = query % 3 == 1
    steps = [
        step("observe", "Three of the last items carry the evidence; older ones fade", [9, 10, 11], 0.82),
        step("infer", "Looks for square things", [10, "category"], 0.58, [["round things", 0.22], ["lines", 0.09]]),
        step("propose", "Nearest by co-occurrence and by picture", ["co-occurrence", "picture"], 0.64),
        step("weigh", "Co-occurrence 55 %, picture 30 %, text 15 %", [], 0.55, [["picture", 0.3], ["text", 0.15]]),
        step("decide", f"{shown[12]['title']} first, well ahead of {shown[13]['title']}", [], 0.31),
    ]
    return {
        "query": query,
        "user": str(100 + query),
        "outcome": "hit" if hit else "miss",
        "route": "replace" if delegated else "self",
        "delegate": "transitions" if delegated else None,
        "reason": "little evidence: 4 items in the history" if delegated else "enough evidence and a clear favourite",
        "confidence": 0.41 if hit else 0.12,
        "risk": 0.74 if delegated else 0.28,
        "history": shown[:12],
        "target": [shown[14 if hit else 22]],
        "ranking": ranking,
        "steps": steps,
        "others": [
            {"system": "transitions", "items": shown[15:18], "rank": 2 if hit else None, "of": 10},
            {"system": "profile", "role": "policy", "items": shown[18:21], "rank": None, "of": 10},
        ],
    }


def step(
    kind: str, claim: str, evidence: list[int | str], weight: float, alternatives: list[Any] | None = None
) -> dict[str, Any]:
    return {"kind": kind, "claim": claim, "evidence": evidence, "weight": weight, "alternatives": alternatives or []}


def explanation(query: int, items: list[Item], shown: str) -> dict[str, Any]:
    """An explanation over some of the items; those of odd queries claim something that is not true."""
    first, *past = [{"id": i.id, "title": i.title, "image": i.image} for i in items[query : query + 5]]
    claims = [
        {"kind": "aspect", "text": "outline", "verified": True},
        {"kind": "number", "text": f"{query} corners", "verified": query % 2 == 0},
    ]
    return {
        "query": query,
        "user": str(100 + query),
        "shown": shown,
        "item": first,
        "text": f"Its outline has {query} corners",
        "reference": "The corners of this outline are sharp",
        "value": 33.3,
        "claims": claims if query else [],
        "history": past,
        "steps": [
            step("observe", "12 reviews of it, mean 4.5 stars; they name outline (7).", [0, 2], 1.0),
            step("decide", "Explain it", [], 1.0),
        ],
        "others": [{"system": "similar-user", "text": "Nice shape", "value": 4.0}],
    }


def write_explanations(folder: Path, told: list[dict[str, Any]]) -> Path:
    """Explanations beside the results of a run."""
    (folder / "explanations.json").write_text(json.dumps(told), encoding="utf-8")
    return folder


def write_run(folder: Path, metrics: dict[str, Any], cards: list[dict[str, Any]] | None = None) -> Path:
    """A run folder with these results."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    data = {"path": str(folder.parent)}
    config = {"name": "shapes", "seed": 7, "data": data, "evaluate": {"tasks": ["sequential"], "k": [5, 10]}}
    (folder / "config.toml").write_text(tomli_w.dumps(config), encoding="utf-8")
    environment = {
        "reasonrec": "0.1.0",
        "python": "3.11.9",
        "packages": {"numpy": "2.1.0", "pyarrow": "17.0.0"},
        "command": ["reasonrec", "run", "examples/shapes.toml", "--set", "seed=7"],
    }
    (folder / "environment.json").write_text(json.dumps(environment), encoding="utf-8")
    if cards is not None:
        (folder / "cards.json").write_text(json.dumps(cards), encoding="utf-8")
    return folder


def ranking_run(folder: Path, items: list[Item] | None = None, images: Path | None = None) -> Path:
    """A complete sequential run with pictures."""
    if items is None:
        images = folder / "images"
        items = drawn_items(images)
    cards = [card(q, items, hit=q < 4) for q in range(8)]
    return write_run(folder / "run", ranking_metrics(images), cards)


def ctr_run(folder: Path) -> Path:
    """A run on click probabilities: no rankings, no pictures, no router."""
    systems = {
        name: {"AUC": estimate(auc), "UAUC": estimate(auc - 0.04), "LogLoss": estimate(ll), "Brier": estimate(ll / 3)}
        for name, auc, ll in (("lightgbm-ctr", 0.761, 0.57), ("popularity", 0.672, 0.62))
    }
    systems["lightgbm-ctr"]["ECE"] = {"value": 0.019, "low": 0.012, "high": 0.03}
    metrics = ranking_metrics(None)
    metrics = {
        "dataset": {**metrics["dataset"], "name": "ctr-ml-1m"},
        "protocol": "predefined parts; 7,331 labelled test rows",
        "systems": systems,
        "seconds": metrics["seconds"],
        "calibration": {
            "ece": 0.019,
            "bins": [
                {"low": i / 15, "high": (i + 1) / 15, "n": 100 + i, "confidence": (i + 0.5) / 15, "accuracy": i / 15}
                for i in range(15)
            ],
        },
        "comparisons": [
            {
                "a": "popularity",
                "b": "lightgbm-ctr",
                "metric": m,
                "difference": d,
                "low": d - 0.02,
                "high": d + 0.02,
                "p": 0,
                "p_corrected": 0,
            }
            for m, d in (("AUC", -0.089), ("LogLoss", 0.05))
        ],
        "roles": {"routed": None, "policy": None, "delegates": ["lightgbm-ctr", "popularity"]},
    }
    return write_run(folder / "run", metrics)
