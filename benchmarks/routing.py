"""Delegation and calibration of a policy with its delegates, proved on real data; a piece at a time.

    python benchmarks/routing.py answer amazon-beauty --fitted WORK/amazon-beauty/full/0/fitted --data ../shared/data
    python benchmarks/routing.py prove amazon-beauty --fitted WORK/amazon-beauty/full/0/fitted
    python benchmarks/routing.py time amazon-beauty --fitted WORK/amazon-beauty/full/0/fitted
    python benchmarks/routing.py answer ml-100k --policy cot --fitted WORK/ml-100k/full/0/fitted --systems cot ...
    python benchmarks/routing.py table

``answer`` asks the policy and its delegates every validation and test query, once, and keeps the answers under
``--work``; the policy is one that benchmarks/chain.py or cot.py fitted (seed 0); `chain` is fitted here where
``--fitted`` is not given. ``prove`` does all routing on those answers: the share without loss of every router (chosen
on validation, decided once on test), calibration. ``time`` measures requests. ``table`` writes
benchmarks/results/routing.md. Data, split and item order are those of seed 0. Needs reasonrec-chain, -text, -timm and
-implicit; `lightgbm-rank` and `profile` are asked too where ``--systems`` names them.
"""

from __future__ import annotations

import argparse
import json
from datetime import date
from pathlib import Path

from routing_answers import DELEGATES, POLICY, STUDENT, Bank
from routing_calibration import calibrated
from routing_ceiling import ceiling
from routing_proof import prove
from routing_shift import shifted
from routing_table import write_table
from routing_time import timed
from threadpoolctl import threadpool_limits

ASKED = (POLICY, *DELEGATES[:-1], STUDENT)
ROUTED = ("transitions", STUDENT)
"""Delegates that routers choose from, the one that is closest to the policy last."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["answer", "prove", "time", "table"])
    parser.add_argument("datasets", nargs="*")
    parser.add_argument("--policy", default=POLICY)
    parser.add_argument("--systems", nargs="*", default=ASKED, help="whom `answer` asks")
    parser.add_argument("--delegates", nargs="*", default=ROUTED, help="whom routers choose from, the closest last")
    parser.add_argument("--routers", nargs="*", default=[], help="names of routers to prove; all without")
    parser.add_argument(
        "--parts", nargs="*", default=["routers", "calibration"], help="of `prove`; also: ceiling, shift"
    )
    parser.add_argument("--surrogates", nargs="*", default=["transitions"], help="delegates that `shift` fits again")
    parser.add_argument("--sample", type=int, default=100, help="requests that `time` measures")
    parser.add_argument("--router", default=f"deferral, before, answers of {STUDENT}", help="that `time` measures")
    parser.add_argument("--shares", nargs="*", type=float, default=[0.35, 0.8], help="that `time` measures")
    parser.add_argument("--fitted", type=Path, help="the policy, saved by benchmarks/chain.py with seed 0")
    parser.add_argument("--seed", type=int, default=0, help="of what is fitted here")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "reasonrec")
    parser.add_argument("--work", type=Path, default=Path.home() / ".cache" / "reasonrec" / "routing-benchmark")
    given = parser.parse_args()
    with threadpool_limits(1):
        if given.what == "table":
            write_table(given.work)
        for name in given.datasets:
            do(given, Bank.of(given, name))


def do(given: argparse.Namespace, bank: Bank) -> None:
    """One verb on one data set."""
    if given.what == "answer":
        for system in given.systems:
            bank.answer(system)
        return
    near = tuple(given.delegates)
    if given.what == "time":
        keep(bank, "time", {f"{s:g}": timed(bank, near, given.router, s, given.sample) for s in given.shares})
        return
    if "routers" in given.parts:
        keep(bank, "proof", prove(bank, near, tuple(given.routers)))
    if "ceiling" in given.parts:
        keep(bank, "ceiling", ceiling(bank))
    if "shift" in given.parts:
        keep(bank, "shift", shifted(bank, given.surrogates))
    if "calibration" in given.parts:
        keep(bank, "calibration", calibrated(bank, near, given.router))


def keep(bank: Bank, name: str, found: object) -> None:
    """Write a piece, with its date."""
    aside = bank.folder / f"{name}.part"
    aside.write_text(json.dumps({"date": date.today().isoformat(), "found": found}, indent=1) + "\n")
    aside.replace(bank.folder / f"{name}.json")
    print(bank.bench.name, name, "done", flush=True)


if __name__ == "__main__":
    main()
