"""`lightgbm-ctr` on click labels in CoLLM's time split of MovieLens 1M.

    python benchmarks/ctr.py --data PATH/ctr-ml-1m --fields PATH/ml-1m/items.csv

Learns from the training file alone; the validation file stops the trees; the test file is scored once. Histories are
as the file gives them. Item content: titles alone (with their years and sentence vectors), and, with ``--fields``,
genres, directors, actors and plots joined by title. UAUC is the mean AUC of the users that have both labels.
"Prequential" is another, easier protocol: the labels of earlier rows of the same file are known to later rows.
Needs reasonrec-lightgbm and reasonrec-text. Writes benchmarks/results/ctr.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
from reasonrec_lightgbm.ctr import CTRConfig, LightGBMCTR

from reasonrec_core.components import FitData, Kind
from reasonrec_core.data import SplitConfig, make_split, open_or_import
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.evaluate import score_ctr, summarise
from reasonrec_core.observe import observe_items
from reasonrec_core.registry import Registry
from reasonrec_core.types import Cases, Float32, Task

RESULTS = Path(__file__).parent / "results" / "ctr.md"
METRICS = ("AUC", "UAUC", "LogLoss", "ECE")
JOINED = ("categories", "director", "actors", "description")


def with_fields(catalog: Catalog, path: Path) -> tuple[Catalog, float]:
    """The catalogue with the fields of the items of the same title, and the share of items that found one."""
    read = pc.ConvertOptions(column_types={name: pa.string() for name in ("title", *JOINED)})
    other = pc.read_csv(path, parse_options=pc.ParseOptions(newlines_in_values=True), convert_options=read)
    rows = {title: row for row, title in enumerate(other.column("title").to_pylist())}
    found = [rows.get(title) for title in catalog.titles]
    table = catalog.table
    for name in JOINED:
        table = table.append_column(name, other.column(name).combine_chunks().take(pa.array(found, pa.int64())))
    return Catalog(table), float(np.mean([row is not None for row in found]))


def observed(fit: FitData, cache: Path) -> FitData:
    """With sentence vectors of the items' texts."""
    encoder = Registry.discover().create(Kind.ENCODER, "text", {})
    items = observe_items(fit.catalog, {"text": encoder}, cache / "features")
    assert fit.valid is not None
    return replace(fit, observation=items.observation(np.zeros(len(fit.valid), np.float32)))


def row(label: str, part: str, answer: Float32, cases: Cases, seed: int) -> str:
    found = summarise(score_ctr(answer, cases), seed=seed, resamples=500)
    cells = [f"{found[m]['value']:.4f}" for m in METRICS]
    between = [f"{found[m]['low']:.3f} to {found[m]['high']:.3f}" for m in METRICS[:2]]
    line = f"| {label} | {part} | {' | '.join(cells)} | {' | '.join(between)} |"
    print(line, flush=True)
    return line


def measure(label: str, fit: FitData, test: Cases, settings: dict[str, Any]) -> tuple[list[str], str]:
    delegate = LightGBMCTR(CTRConfig(**settings))
    started = time.perf_counter()
    delegate.fit(fit)
    seconds = time.perf_counter() - started
    assert fit.valid is not None
    lines = []
    for part, cases in (("valid", fit.valid), ("test", test)):
        if delegate.config.prequential:
            answer = delegate.score_prequential(cases, fit.observation)
        else:
            answer = delegate.score(cases.queries, fit.observation)
        lines.append(row(label, part, answer, cases, fit.seed))
    gains = np.mean([m.feature_importance("gain") for m in delegate._models], axis=0)
    best = ", ".join(f"{delegate.names[k]} {gains[k] / gains.sum():.0%}" for k in np.argsort(-gains)[:8])
    trees = [m.best_iteration for m in delegate._models]
    return lines, f"- {label}: fit {seconds:.0f} s, trees {trees}; gain: {best}."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--fields", type=Path)
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/reasonrec/bench").expanduser())
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    dataset = open_or_import(options.data, options.cache, seed=options.seed)
    split = make_split(dataset, SplitConfig(kind="predefined", seed=options.seed))
    nothing: Any = None
    bare = FitData(
        dataset.catalog, dataset.n_users, split.train, split.valid, nothing, task=Task.CTR, seed=options.seed
    )
    fits = {"titles": observed(bare, options.cache)}
    note = ""
    if options.fields:
        catalog, share = with_fields(dataset.catalog, options.fields)
        fits["titles, genres, directors, plots"] = observed(replace(bare, catalog=catalog), options.cache)
        note = f"{share:.1%} of the items found a title to join."
    lines, notes = [], []
    for label, fit in fits.items():
        for settings in ({}, {"prequential": True}):
            name = f"{label}; prequential" if settings else label
            found, said = measure(name, fit, split.test, settings)
            lines += found
            notes.append(said)
    RESULTS.write_text(
        "\n".join(
            [
                "# Click probability",
                "",
                f"`python benchmarks/ctr.py --seed {options.seed}"
                f"{' --fields ml-1m/items.csv' if options.fields else ''}` on {options.data.name}, {date.today()}, "
                f"Python {platform.python_version()}, {os.cpu_count()} cores of an AMD EPYC, 24 GB, shared with other "
                "work (so seconds are upper bounds).",
                "",
                " ".join(__doc__.split("\n\n")[2].split("Needs")[0].split()),
                note,
                "",
                f"{len(split.train)} training rows, {len(split.valid)} validation rows, {len(split.test)} test rows.",
                "",
                f"| content | part | {' | '.join(METRICS)} | AUC, 95 % | UAUC, 95 % |",
                "|---|---|" + "---|" * (len(METRICS) + 2),
                *lines,
                "",
                "Published on this test file (AUC, UAUC): MF .6482 .6361, SASRec .7078 .6884, CoLLM-DIN .7353 .6923, "
                "BinLLM .7425 .6956.",
                "",
                *notes,
                "",
            ]
        )
    )


if __name__ == "__main__":
    main()
