"""How long recommendations for all users take, beside what cannot be avoided.

    python benchmarks/batch.py policy RUN [--k 20] [--workers 2]
    python benchmarks/batch.py als FOLDER [--users 200000 --items 50000 --asked 200000] [--k 20] [--workers 2]

``policy``: all users of a finished run by the command ``reasonrec recommend --users all``, start and file included,
beside the evaluation's own ranking: the policy and its estimators, asked about every test query as
`reasonrec_core.pipeline.predict` does, in two threads, the run loaded before.

``als``: a log is drawn (``--users``, ``--items``, 20 interactions a user on average, items by Zipf's law), implicit-als
is fitted to it (64 factors, 3 rounds: what counts here is time), and users (all, or ``--asked`` of them) are
recommended to by the same command, beside the bare product of user and item vectors in blocks, without and with the
best k of each row (`reasonrec_core.ranking.top_k`), in as many threads as there are workers: no history is looked at,
nothing is masked, named or written.

What is made in FOLDER is used again. Times are wall-clock; ``processor`` is the time of all processes together, which
says more where the machine has other work.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

BLOCK = 256
PIPELINE = """name = "batch"
delegates = [{ name = "implicit-als", factors = 64, iterations = 3 }]

[data]
path = "log"
"""


def clock(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of wall clock, and of the processor in this process and those that it started."""
    begin, spent = time.perf_counter(), _processor()
    work()
    return time.perf_counter() - begin, _processor() - spent


def _processor() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def recommend_to(run: Path, users: list[str] | None, k: int, workers: int) -> tuple[float, float]:
    """The command, from its start to the finished file; all users if None."""
    with tempfile.TemporaryDirectory() as folder:
        named, out = Path(folder) / "users.txt", str(Path(folder) / "recs.parquet")
        named.write_text("\n".join(users or ()))
        options = ["--users", str(named) if users else "all", "--k", str(k), "--workers", str(workers), "--out", out]
        command = [sys.executable, "-m", "reasonrec_core", "recommend", str(run), *options]
        found = clock(lambda: subprocess.run(command, check=True))
    print(f"largest process: {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:.0f} MB", flush=True)
    return found


def rank_as_evaluation(run: Path) -> tuple[float, float]:
    """The evaluation's own ranking of all test queries by the policy."""
    from reasonrec_core.data import open_split
    from reasonrec_core.pipeline import FinishedRun
    from reasonrec_core.pipeline.predict import THREADS, in_chunks
    from reasonrec_core.types import QueryBatch, no_progress

    service = FinishedRun.load(run)
    agent, task = service.agent, service.task
    assert agent.policy is not None
    split = open_split(service.run.require_whole(f"split-{task}") / "split", service.dataset)

    def ask(batch: QueryBatch) -> dict[str, np.ndarray]:
        seen = agent.observe(batch)
        answer = agent.deliberate(batch, seen)
        agent.estimate(None, batch, seen, answer)
        assert answer.ranking is not None
        return {"items": answer.ranking.items, "scores": answer.ranking.scores}

    queries = replace(split.test.queries, k=agent.width)
    threads = THREADS if agent.policy.part.thread_safe else 1
    in_chunks(queries.slice(0, 512), ask, threads, no_progress, "")
    print(f"{len(queries)} test queries")
    return clock(lambda: in_chunks(queries, ask, threads, no_progress, ""))


def draw_log(folder: Path, users: int, items: int) -> None:
    """A log by Zipf's law as tables."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    random = np.random.default_rng(0)
    lengths = random.poisson(17, users) + 3
    chance = 1 / np.arange(1, items + 1) ** 0.8
    drawn = random.choice(items, int(lengths.sum()), p=chance / chance.sum())
    who = np.repeat(np.arange(users), lengths)
    columns = {"user_id": [f"u{u}" for u in who], "item_id": [f"i{i}" for i in drawn], "timestamp": np.arange(len(who))}
    (folder / "log").mkdir(parents=True)
    pq.write_table(pa.table(columns), folder / "log" / "interactions.parquet")
    titles = {"item_id": [f"i{i}" for i in range(items)], "title": [f"Item no. {i}" for i in range(items)]}
    pq.write_table(pa.table(titles), folder / "log" / "items.parquet")


def fit_als(folder: Path, users: int, items: int) -> Path:
    """A run with implicit-als alone."""
    if not (folder / "run" / "stages" / "agent").exists():
        if not (folder / "log").exists():
            draw_log(folder, users, items)
        (folder / "batch.toml").write_text(PIPELINE)
        command = [sys.executable, "-m", "reasonrec_core", "fit", str(folder / "batch.toml")]
        subprocess.run([*command, "--out", str(folder / "run")], check=True)
    return folder / "run"


def multiply_bare(run: Path, asked: int, k: int, *, best: bool) -> tuple[float, float]:
    """Products of user and all item vectors in blocks, and the best of each row."""
    from reasonrec_core.pipeline import FinishedRun
    from reasonrec_core.ranking import top_k

    part = FinishedRun.load(run).agent.delegates["implicit-als"].part
    users, items = part._users[:asked], part._items
    kept = np.empty((len(users), k), np.int32)

    def multiply() -> None:
        for start in range(0, len(users), BLOCK):
            scores = users[start : start + BLOCK] @ items.T
            if best:
                kept[start : start + BLOCK] = top_k(scores, k)

    return clock(multiply)


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["policy", "als"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--users", type=int, default=200_000)
    parser.add_argument("--items", type=int, default=50_000)
    parser.add_argument("--asked", type=int, help="users that are recommended to; all unless given")
    parser.add_argument("--k", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    k, workers = given.k, given.workers
    if given.what == "policy":
        show("the evaluation's own ranking", rank_as_evaluation(given.folder))
        show("recommend --users all", recommend_to(given.folder, None, k, workers))
        return
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, str(workers))
    run, asked = fit_als(given.folder, given.users, given.items), given.asked or given.users
    show("bare product", multiply_bare(run, asked, k, best=False))
    show("bare product and the best of it", multiply_bare(run, asked, k, best=True))
    users = [f"u{number}" for number in range(asked)] if given.asked else None
    show("recommend --users", recommend_to(run, users, k, workers))


def show(name: str, found: tuple[float, float]) -> None:
    """Print a row of the table."""
    print(f"| {name} | {found[0]:.1f} s | {found[1]:.1f} s |", flush=True)


if __name__ == "__main__":
    main()
