"""``reasonrec explanations``: explanations of a dataset next to what they must be better than."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(epilog="Example: reasonrec explanations data/reviews --part valid --json")
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--part", type=click.Choice(["valid", "test"]), default="valid", show_default=True,
              help="Which requests to use; look at the test part only once.")  # fmt: skip
@click.option("--split", "kind", type=click.Choice(["leave-one-out", "temporal", "ratio"]), default="leave-one-out",
              show_default=True, help="How interactions are split.")  # fmt: skip
@click.option("--reference", type=click.Choice(["sentence", "review", "summary"]), default="sentence",
              show_default=True, help="Which part of a review to compare explanations with.")  # fmt: skip
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of the data's indices, the split and the intervals.",
)
@click.option("--json", "as_json", is_flag=True, help="Print all numbers as JSON.")
def explanations(data: Path, part: str, kind: str, reference: str, seed: int, as_json: bool) -> None:
    """Evaluate explanations on DATA with reviews: the most similar user's review of the item, the item's most common
    phrases, and what the product says without a language model (consensus). BLEU-4, ROUGE-L, the share of claims
    that the evidence verifies, and the differences with 95 % intervals over resampled requests.
    """
    import json

    from reasonrec_core.data import SplitConfig, make_split, open_or_import
    from reasonrec_core.types import format_percent
    from reasonrec_explain import evaluation
    from reasonrec_explain.references import ReferenceSettings

    dataset = open_or_import(data, seed=seed)
    split = make_split(dataset, SplitConfig.model_validate({"kind": kind, "seed": seed}))
    chosen = ReferenceSettings.model_validate({"part": reference})
    asked = evaluation.collect_cases(dataset, split, part, reference=chosen)
    answers = evaluation.explain_by_baselines(asked, dataset, split)
    answers[evaluation.CONSENSUS] = evaluation.explain_by_mbr(asked, dataset.n_items, seed=seed)
    found = evaluation.summarise_systems(evaluation.judge(asked, answers), against=evaluation.CONSENSUS, seed=seed)
    if as_json:
        about = {"data": dataset.hash, "split": split.hash, "protocol": split.protocol, "part": part}
        click.echo(json.dumps({**about, **found}, indent=2))
        return
    click.echo(f"{found['requests']:,} requests, {part}; {split.protocol}")
    click.echo(f"{'':16}{'BLEU-4':>8}{'ROUGE-L':>9}{'verified':>10}{'words':>7}")
    for name, row in found["systems"].items():
        share = "-" if row["verified"] is None else format_percent(row["verified"])
        click.echo(f"{name:16}{row['BLEU-4']:8.3f}{row['ROUGE-L']:9.3f}{share:>10}{row['words']:7.1f}")
    for name, row in found["systems"].items():
        for metric, (value, low, high) in row.get("behind", {}).items():
            click.echo(f"{evaluation.CONSENSUS} over {name}, {metric}: {value:+.3f} [{low:+.3f}, {high:+.3f}]")
    click.echo(f"BLEU: {found['signature']}")
