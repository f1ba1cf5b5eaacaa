"""A synthetic shop with known choice probabilities: pictures show what the text hides, and the other way round.

`make_catalogue` writes it in our own layout; `oracle_scores` and `oracle_ceiling` say what the best possible
recommender would do, so that a test can tell whether a system uses the pictures, the text, or both.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from reasonrec_core.io import require_replaceable, whole_folder, write_json
from reasonrec_core.types import Progress
from reasonrec_datasets.synth.choice_model import choose, draw_truth
from reasonrec_datasets.synth.config import SynthConfig
from reasonrec_datasets.synth.ground_truth import FILE, Truth, oracle_ceiling, oracle_scores
from reasonrec_datasets.synth.items import BLOCKS, Shop, stock
from reasonrec_datasets.synth.pictures import draw_item
from reasonrec_datasets.synth.vocabulary import REGIONS

__all__ = ["SynthConfig", "Truth", "make_catalogue", "oracle_ceiling", "oracle_scores"]


def make_catalogue(folder: Path, config: SynthConfig, progress: Progress | None = None) -> None:
    """Write the shop to ``folder``, whole or not at all; an older synthetic shop there is replaced, nothing else is.

    Equal settings write equal files (with the same version of Pillow, which encodes the pictures).
    """
    require_replaceable(folder, FILE)
    rng = np.random.default_rng(config.seed)
    shop = stock(config, rng)
    truth = draw_truth(config, shop, rng)
    users, items, times = choose(config, truth, rng)
    with whole_folder(folder, FILE) as aside:
        log = zip(truth.users[users].tolist(), truth.items[items].tolist(), times.tolist(), strict=True)
        _write_csv(aside / "interactions.csv", ("user_id", "item_id", "timestamp"), log)
        columns = ("item_id", *shop.fields)
        _write_csv(aside / "items.csv", columns, zip(shop.ids, *shop.fields.values(), strict=True))
        regions = [REGIONS[i] for i in rng.integers(0, len(REGIONS), config.users)]
        _write_csv(aside / "users.csv", ("user_id", "region"), zip(truth.users.tolist(), regions, strict=True))
        _draw(shop, config, aside, progress)
        truth.save(aside / FILE)
        blocks = [{"name": name, "seen_in": seen, "values": values} for name, seen, values in BLOCKS]
        write_json(aside / "truth.json", {"config": config.model_dump(mode="json"), "attributes": blocks})


def _draw(shop: Shop, config: SynthConfig, folder: Path, progress: Progress | None) -> None:
    (folder / "images").mkdir()
    names = {name: values for name, _, values in BLOCKS}
    seeds = np.random.SeedSequence(config.seed).spawn(len(shop.ids))
    for i, item in enumerate(shop.ids):
        if shop.pictured[i]:
            category, pattern, palette = (names[n][shop.values[n][i]] for n in ("category", "pattern", "palette"))
            rng = np.random.default_rng(seeds[i])
            picture = draw_item(category, pattern, palette, size=config.image_size, rng=rng)
            picture.save(folder / "images" / f"{item}.jpg", quality=88)
        if progress:
            progress(i + 1, len(shop.ids), "drawing pictures")


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
