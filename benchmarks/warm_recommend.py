"""How long a request to a loaded run takes: ``Recommender.recommend(user=ID)``, one request after another.

    reasonrec run examples/movielens.toml --set data.path=../shared/data/ml-100k --out RUN
    OMP_NUM_THREADS=1 python benchmarks/warm_recommend.py RUN [--requests 400] [--steps]

The users are drawn with seed 0; fifty requests warm up and are not counted. With ``--steps`` the reasoning steps
of each answer are worked out, too.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
from reasonrec_serve import Recommender

WARM_UP = 50


def main() -> None:
    """Print the median and the 95th percentile in milliseconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--requests", type=int, default=400)
    parser.add_argument("--steps", action="store_true", help="work out the steps of each answer, too")
    given = parser.parse_args()
    service = Recommender.open(given.run)
    users = list(service.dataset.user_index)
    drawn = [users[i] for i in np.random.default_rng(0).permutation(len(users))[: given.requests]]
    for user in drawn[:WARM_UP]:
        service.recommend(user=user)
    spent = []
    for user in drawn:
        begin = time.perf_counter()
        answer = service.recommend(user=user)
        if given.steps:
            len(answer.steps)
        spent.append(1000 * (time.perf_counter() - begin))
    print(f"median {statistics.median(spent):.2f} ms, p95 {np.quantile(spent, 0.95):.2f} ms of {len(spent)} requests")


if __name__ == "__main__":
    main()
