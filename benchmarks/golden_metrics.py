"""What other libraries say about the same lists and clicks: the numbers of `tests/evaluate/golden.json`.

    pip install scikit-learn ranx          # any of the libraries below; several environments may be needed
    python benchmarks/golden_metrics.py    # adds or renews the numbers of those that can be imported

Inputs are drawn here, from a seed, and stored beside the numbers, so that the test needs neither this script nor
the libraries. Metrics carry our names; a name after a slash says which of a library's options was chosen.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

GOLDEN = Path(__file__).parents[1] / "tests" / "evaluate" / "golden.json"
K, N_ITEMS, N_USERS = 5, 30, 40


def draw() -> dict[str, Any]:
    """Lists of 8 items without ties, 1 to 7 relevant items per user (up to more than K), and 200 clicks with ties."""
    rng = np.random.default_rng(20_26)
    users = rng.integers(0, 12, 200)
    probability = np.round(np.clip(rng.beta(2, 2, 200), 0.01, 0.99), 2)
    return {
        "lists": [rng.choice(N_ITEMS, 8, replace=False).tolist() for _ in range(N_USERS)],
        "relevant": [sorted(rng.choice(N_ITEMS, rng.integers(1, 8), replace=False).tolist()) for _ in range(N_USERS)],
        "clicks": {
            "user": users.tolist(),
            "label": (rng.random(200) < 0.3 + 0.4 * probability).astype(int).tolist(),
            "probability": probability.tolist(),
        },
    }


def scikit_learn(inputs: dict[str, Any]) -> dict[str, float]:
    from sklearn.metrics import brier_score_loss, log_loss, ndcg_score, roc_auc_score

    truth, scores = np.zeros((N_USERS, N_ITEMS)), np.zeros((N_USERS, N_ITEMS))
    for user, (items, relevant) in enumerate(zip(inputs["lists"], inputs["relevant"], strict=True)):
        truth[user, relevant] = 1
        scores[user, items] = np.arange(len(items), 0, -1)
    clicks = {name: np.array(values) for name, values in inputs["clicks"].items()}
    label, probability = clicks["label"], clicks["probability"]
    per_user = [
        roc_auc_score(label[mine], probability[mine])
        for mine in (clicks["user"] == u for u in np.unique(clicks["user"]))
        if 0 < label[mine].mean() < 1
    ]
    return {
        f"NDCG@{K}": ndcg_score(truth, scores, k=K),
        "AUC": roc_auc_score(label, probability),
        "UAUC": float(np.mean(per_user)),
        "LogLoss": log_loss(label, probability),
        "Brier": brier_score_loss(label, probability),
    }


def ranx(inputs: dict[str, Any]) -> dict[str, float]:
    from ranx import Qrels, Run, evaluate

    qrels, run = _trec(inputs)
    names = {"HR": "hit_rate", "Recall": "recall", "Precision": "precision", "NDCG": "ndcg", "MRR": "mrr", "MAP": "map"}
    found = evaluate(Qrels(qrels), Run(run), [f"{theirs}@{K}" for theirs in names.values()])
    return {f"{ours}@{K}": float(found[f"{theirs}@{K}"]) for ours, theirs in names.items()}


def pytrec_eval(inputs: dict[str, Any]) -> dict[str, float]:
    import pytrec_eval as library

    qrels, run = _trec(inputs)
    # recip_rank has no cutoff of its own, so the lists are cut.
    short = {user: dict(sorted(items.items(), key=lambda pair: -pair[1])[:K]) for user, items in run.items()}
    names = {
        "HR": f"success_{K}",
        "Recall": f"recall_{K}",
        "Precision": f"P_{K}",
        "NDCG": f"ndcg_cut_{K}",
        "MRR": "recip_rank",
        "MAP": f"map_cut_{K}",
    }
    asked = {"success", "recall", "P", "ndcg_cut", "recip_rank", "map_cut"}
    found = library.RelevanceEvaluator(qrels, asked).evaluate(short)
    return {f"{ours}@{K}": float(np.mean([f[theirs] for f in found.values()])) for ours, theirs in names.items()}


def rectools(inputs: dict[str, Any]) -> dict[str, float]:
    import pandas as pd
    from rectools import Columns
    from rectools.metrics import MAP, MRR, NDCG, HitRate, Precision, Recall, calc_metrics

    lists, relevant = inputs["lists"], inputs["relevant"]
    rows = [(user, item, rank) for user, items in enumerate(lists) for rank, item in enumerate(items, 1)]
    reco = pd.DataFrame(rows, columns=[Columns.User, Columns.Item, Columns.Rank])
    pairs = [(user, item) for user, items in enumerate(relevant) for item in items]
    truth = pd.DataFrame(pairs, columns=[Columns.User, Columns.Item])
    metrics = {
        f"HR@{K}": HitRate(K),
        f"Recall@{K}": Recall(K),
        f"Precision@{K}": Precision(K),
        f"NDCG@{K}": NDCG(K),
        f"NDCG@{K}/divide_by_achievable": NDCG(K, divide_by_achievable=True),
        f"MRR@{K}": MRR(K),
        f"MAP@{K}": MAP(K),
    }
    return {name: float(value) for name, value in calc_metrics(metrics, reco=reco, interactions=truth).items()}


def lenskit(inputs: dict[str, Any]) -> dict[str, float]:
    from lenskit.data import ItemList
    from lenskit.metrics.ranking import NDCG, AveragePrecision, Hit, Precision, Recall, RecipRank

    metrics = {
        f"HR@{K}": Hit(K),
        f"Recall@{K}": Recall(K),
        f"Precision@{K}": Precision(K),
        f"NDCG@{K}": NDCG(K),
        f"NDCG@{K}/discount=log2": NDCG(K, discount=np.log2),
        f"MRR@{K}": RecipRank(K),
        f"MAP@{K}": AveragePrecision(K),
    }
    cases = [
        (ItemList(item_ids=items, ordered=True), ItemList(item_ids=relevant))
        for items, relevant in zip(inputs["lists"], inputs["relevant"], strict=True)
    ]
    return {name: float(np.mean([m.measure_list(*case) for case in cases])) for name, m in metrics.items()}


def implicit(inputs: dict[str, Any]) -> dict[str, float]:
    from implicit.evaluation import ranking_metrics_at_k
    from scipy.sparse import csr_matrix

    lists = np.array(inputs["lists"], np.int32)
    rows = [user for user, items in enumerate(inputs["relevant"]) for _ in items]
    columns = [item for items in inputs["relevant"] for item in items]
    test = csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=(N_USERS, N_ITEMS))

    class Lists:
        """A model that recommends the given lists."""

        def recommend(self, users: Any, user_items: Any, N: int = 10) -> Any:
            return lists[users, :N], np.tile(-np.arange(N, dtype=np.float32), (len(users), 1))

    train = csr_matrix((N_USERS, N_ITEMS), dtype=np.float32)
    found = ranking_metrics_at_k(Lists(), train, test, K=K, show_progress=False, num_threads=1)
    return {f"NDCG@{K}": found["ndcg"], f"Precision@{K}": found["precision"], f"MAP@{K}": found["map"]}


LIBRARIES: dict[str, tuple[str, Callable[[dict[str, Any]], dict[str, float]]]] = {
    "scikit-learn": ("scikit-learn", scikit_learn),
    "ranx": ("ranx", ranx),
    "pytrec_eval": ("pytrec-eval-terrier", pytrec_eval),
    "RecTools": ("rectools", rectools),
    "LensKit": ("lenskit", lenskit),
    "implicit": ("implicit", implicit),
}


def _trec(inputs: dict[str, Any]) -> tuple[dict[str, dict[str, int]], dict[str, dict[str, float]]]:
    """Relevance judgements and scored lists by user and item."""
    qrels = {f"u{u}": {f"i{i}": 1 for i in items} for u, items in enumerate(inputs["relevant"])}
    run = {f"u{u}": {f"i{i}": 100.0 - r for r, i in enumerate(items)} for u, items in enumerate(inputs["lists"])}
    return qrels, run


def main() -> None:
    golden: dict[str, Any] = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {"numbers": {}}
    golden |= {"k": K, "n_items": N_ITEMS, "inputs": draw()}
    for name, (distribution, measure) in LIBRARIES.items():
        try:
            installed = version(distribution)
            found = {metric: round(float(value), 10) for metric, value in measure(golden["inputs"]).items()}
        except ImportError as error:
            print(f"{name}: skipped ({error})")
            continue
        golden["numbers"][name] = {"version": installed, "metrics": found}
        print(f"{name} {installed}: {found}")
    GOLDEN.write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
