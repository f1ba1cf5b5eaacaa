"""Our numbers against other libraries', on the same lists and clicks; where they differ, the formula that explains it.

The others' numbers are in `golden.json`, made by `benchmarks/golden_metrics.py`. Libraries that can be imported here
are asked again.
"""

from __future__ import annotations

import importlib.util
import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_cases import listed, make_cases, make_clicks

from reasonrec_core.evaluate import score_ctr, score_ranking
from reasonrec_core.types import Ranking

HERE = Path(__file__).parent
GOLDEN = json.loads((HERE / "golden.json").read_text())
K = GOLDEN["k"]
LISTS, RELEVANT = GOLDEN["inputs"]["lists"], GOLDEN["inputs"]["relevant"]

Metric = Callable[[Sequence[int], set[int]], float]


def mean(metric: Metric) -> float:
    return float(np.mean([metric(items, set(relevant)) for items, relevant in zip(LISTS, RELEVANT, strict=True)]))


def hits(items: Sequence[int], relevant: set[int]) -> list[int]:
    return [place for place, item in enumerate(items[:K], 1) if item in relevant]


def map_over_all_relevant(items: Sequence[int], relevant: set[int]) -> float:
    return sum(i / place for i, place in enumerate(hits(items, relevant), 1)) / len(relevant)


def recall_of_possible(items: Sequence[int], relevant: set[int]) -> float:
    return len(hits(items, relevant)) / min(len(relevant), K)


def ndcg_with_ranks_one_and_two_alike(items: Sequence[int], relevant: set[int]) -> float:
    def weight(place: int) -> float:
        return 1 / max(1.0, math.log2(place))

    ideal = sum(weight(place) for place in range(1, min(len(relevant), K) + 1))
    return sum(weight(place) for place in hits(items, relevant)) / ideal


def ndcg_with_the_ideal_of_k_relevant(items: Sequence[int], relevant: set[int]) -> float:
    ideal = sum(1 / math.log2(place + 1) for place in range(1, K + 1))
    return sum(1 / math.log2(place + 1) for place in hits(items, relevant)) / ideal


def precision_of_possible_over_all_users() -> float:
    found = sum(len(hits(items, set(relevant))) for items, relevant in zip(LISTS, RELEVANT, strict=True))
    return found / sum(min(len(relevant), K) for relevant in RELEVANT)


DIFFERENT: dict[tuple[str, str], float] = {
    ("ranx", "MAP"): mean(map_over_all_relevant),
    ("pytrec_eval", "MAP"): mean(map_over_all_relevant),
    ("RecTools", "MAP"): mean(map_over_all_relevant),
    ("RecTools", "NDCG"): mean(ndcg_with_the_ideal_of_k_relevant),
    ("LensKit", "Recall"): mean(recall_of_possible),
    ("LensKit", "NDCG"): mean(ndcg_with_ranks_one_and_two_alike),
    ("LensKit", "NDCG/discount=log2"): mean(ndcg_with_ranks_one_and_two_alike),
    ("implicit", "Precision"): precision_of_possible_over_all_users(),
}
"""Where a library means something else, and what: docs/metrics.md tells each in words."""


def ours() -> dict[str, float]:
    ranked = score_ranking(listed(LISTS), make_cases(RELEVANT), (K,), n_items=GOLDEN["n_items"])
    clicks = GOLDEN["inputs"]["clicks"]
    probability = np.array(clicks["probability"], np.float32)[:, None]
    return ranked.values | score_ctr(probability, make_clicks(clicks["label"], users=clicks["user"])).values


def check(library: str, numbers: dict[str, float]) -> None:
    values = ours()
    for name, theirs in numbers.items():
        metric, _, option = name.partition("/")
        key = (library, metric.removesuffix(f"@{K}") + (f"/{option}" if option else ""))
        expected = DIFFERENT.get(key, values[metric])
        assert theirs == pytest.approx(expected, abs=1e-6), f"{library}: {name}"
        if key in DIFFERENT:
            assert theirs != pytest.approx(values[metric], abs=1e-4), f"{library}: {name} no longer differs from ours"


@pytest.mark.parametrize("library", GOLDEN["numbers"])
def test_numbers_on_file(library: str) -> None:
    check(library, GOLDEN["numbers"][library]["metrics"])


def benchmark() -> Any:
    path = HERE.parents[1] / "benchmarks" / "golden_metrics.py"
    spec = importlib.util.spec_from_file_location("golden_metrics", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("library", GOLDEN["numbers"])
def test_numbers_of_the_installed_library(library: str) -> None:
    module = benchmark()
    try:
        numbers = module.LIBRARIES[library][1](GOLDEN["inputs"])
    except ImportError as error:
        pytest.skip(f"{library} is not installed ({error})")
    check(library, numbers)


def test_inputs_are_those_that_the_script_draws() -> None:
    assert benchmark().draw() == GOLDEN["inputs"]


def test_at_least_two_other_libraries_agree_on_every_shared_metric() -> None:
    agree: dict[str, int] = {}
    values = ours()
    for entry in GOLDEN["numbers"].values():
        for name, theirs in entry["metrics"].items():
            metric = name.partition("/")[0]
            agree[metric] = agree.get(metric, 0) + (abs(theirs - values[metric]) < 1e-6)
    assert {m: n for m, n in agree.items() if "@" in m and n < 2} == {}


def test_scikit_learn_averages_over_ties_where_we_take_the_worst() -> None:
    from sklearn.metrics import ndcg_score

    scores = np.array([[1.0, 1.0, 0.0]])
    theirs = ndcg_score(np.array([[1, 0, 0]]), scores, k=2)
    assert theirs == pytest.approx((1 + 1 / math.log2(3)) / 2)
    ranking = Ranking(np.array([[0, 1, 2]], np.int32), scores.astype(np.float32))
    assert score_ranking(ranking, make_cases([[0]]), (2,), n_items=3).values["NDCG@2"] == pytest.approx(
        1 / math.log2(3)
    )


def test_scikit_learn_gives_nan_for_one_class_since_1_6() -> None:
    from sklearn.exceptions import UndefinedMetricWarning
    from sklearn.metrics import roc_auc_score

    with pytest.warns(UndefinedMetricWarning):
        assert math.isnan(roc_auc_score([1, 1], [0.2, 0.4]))
    scores = score_ctr(
        np.array([[0.2], [0.4], [0.1], [0.3]], np.float32), make_clicks([1, 1, 0, 1], users=[0, 0, 1, 1])
    )
    assert scores.values["UAUC"] == 1, "the user of one class is left out"
