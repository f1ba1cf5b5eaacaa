"""How much memory and time the import of a file like MINDsmall takes: python benchmarks/import_mind.py [--share 1].

The impressions are drawn: as many as MINDsmall's (157,000 to learn from, 73,000 to test), with as many news shown and
as long a history each. Every row of the log holds its impression's history.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

PARTS = {"MINDsmall_train": (156_965, 50_000), "MINDsmall_dev": (73_152, 50_000)}
"""Impressions and users of each part."""
NEWS, SHOWN, PAST = 65_000, 37, 32
"""News, and the means of those that an impression shows and that its user has read."""


def write_behaviors(file: Path, impressions: int, users: int, rng: np.random.Generator) -> None:
    """Impressions in MIND's form; a user's history is the same in all of them."""
    people = rng.integers(0, users, impressions)
    past = {user: " ".join(f"N{n}" for n in rng.integers(0, NEWS, rng.poisson(PAST))) for user in np.unique(people)}
    with file.open("w") as out:
        for number, user in enumerate(people):
            shown = rng.integers(0, NEWS, 1 + rng.poisson(SHOWN - 1))
            words = " ".join(f"N{item}-{int(place == 0)}" for place, item in enumerate(shown))
            clock = f"11/{1 + number % 14}/2019 {1 + number % 12}:{number % 60:02d}:{number % 59:02d} AM"
            out.write(f"{number}\tU{user}\t{clock}\t{past[user]}\t{words}\n")


def main() -> None:
    """Write the files, import them in a process of its own, say what that took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="of MINDsmall's impressions")
    share = parser.parse_args().share
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        for name, (impressions, users) in PARTS.items():
            (Path(folder) / "mind" / name).mkdir(parents=True)
            file = Path(folder) / "mind" / name / "behaviors.tsv"
            write_behaviors(file, int(impressions * share), int(users * share), rng)
        begin = time.perf_counter()
        command = [sys.executable, "-m", "reasonrec_core", "data", "import", f"{folder}/mind", "--out", f"{folder}/set"]
        subprocess.run([*command], check=True)
        seconds = time.perf_counter() - begin
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
        print(f"{share:g} of MINDsmall: {seconds:.0f} s, at most {peak:.2f} GB of memory")


if __name__ == "__main__":
    main()
