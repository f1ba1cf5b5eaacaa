"""Several processes fill one cache of features at once: each has all its rows, and nothing half-written is left."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from reasonrec_core.io import is_leftover
from reasonrec_core.observe.feature_cache import RowStore

FILL = """
import sys, time
from pathlib import Path
import numpy as np
from reasonrec_core.observe.feature_cache import RowStore
folder, number, begin = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
names = [b"%032d" % i for i in range(60)]
time.sleep(max(begin - time.time(), 0))
for turn in range(6):
    store = RowStore(folder)
    keys = np.array([names[(i * (turn + 1) + number % 2) % 60] for i in range(40)], dtype="S32")
    unique = np.unique(keys)
    pending = unique[store.known(unique).pending]
    for start in range(0, len(pending), 5):
        some = pending[start : start + 5].tolist()
        store.add(some, np.array([[int(key)] * 3 for key in some], np.float32), {})
    made = store.assemble(keys)
    wanted = np.array([[int(key)] * 3 for key in keys], np.float32)
    assert np.array_equal(made.values, wanted), (number, turn, made.values[:, 0], wanted[:, 0])
"""


def test_processes_that_share_a_cache_do_not_lose_rows(tmp_path: Path) -> None:
    import time

    begin = str(time.time() + 1.5)
    begun = [
        subprocess.Popen(
            [sys.executable, "-c", FILL, str(tmp_path), str(number), begin], stderr=subprocess.PIPE, text=True
        )
        for number in range(4)
    ]
    said = [process.communicate()[1] for process in begun]
    assert [process.returncode for process in begun] == [0] * 4, said
    assert not [path for path in tmp_path.rglob("*") if is_leftover(path.name)]


def test_what_is_being_written_is_not_taken_for_damage(tmp_path: Path) -> None:
    store, keys = RowStore(tmp_path), np.array([b"a" * 32], dtype="S32")
    store.add(keys.tolist(), np.ones((1, 2), np.float32), {})
    (aside := tmp_path / "parts" / f".name.{'0' * 8}-1.abcdefgh").mkdir()
    store.assemble(keys)
    assert aside.exists()
    assert not (tmp_path / "parts").joinpath("name").exists()
