"""Components of a run may read reviews, and none that tells of what they will be asked."""

from __future__ import annotations

from pathlib import Path

from reasonrec_core.config import check_config
from reasonrec_core.pipeline.prepare import prepare
from reasonrec_core.pipeline.run_folder import RunFolder
from reasonrec_core.registry import Registry

from .conftest import pipeline, silent


def test_a_component_reads_the_reviews_of_the_training_part(data: Path, tmp_path: Path) -> None:
    rows = [
        (f"u{u}", f"i{(u * 3 + n) % 20}", n, f"what u{u} writes as number {n} at last")
        for u in range(8)
        for n in range(5)
    ]
    log = tmp_path / "shop.csv"
    log.write_text("\n".join(["user_id,item_id,timestamp,review", *(",".join(map(str, row)) for row in rows)]))
    config = check_config(pipeline(log), "tiny.toml")
    with RunFolder.create(tmp_path / "run", config) as run:
        prepared = prepare(config, Registry.discover(), run, silent)
    read = prepared.fit_data("x").reviews
    assert read is not None
    assert {text.split()[5] for text in read().texts} == {"0", "1", "2"}, "the last two of each user are held out"
    without = check_config(pipeline(data), "tiny.toml")
    with RunFolder.create(tmp_path / "other", without) as run:
        plain = prepare(without, Registry.discover(), run, silent)
    assert plain.fit_data("x").reviews is None
