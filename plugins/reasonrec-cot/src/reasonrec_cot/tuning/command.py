"""``reasonrec tune``: the tuned policy of a pipeline, and what tuning says about itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

EPILOG = """\b
Examples:
  reasonrec tune examples/movielens-cot.toml --set policy.tuning.minutes=60
  reasonrec tune pipeline.toml --out runs/mine && reasonrec run pipeline.toml --out runs/mine
"""


TITLES = {"proposed": "among candidates", "listed": "among listed candidates", "clicks": "about clicks"}


@click.command(epilog=EPILOG)
@click.argument("pipeline", type=click.Path(path_type=Path), metavar="PIPELINE")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE",
              help="Change a setting, e.g. --set policy.tuning.steps=500. Repeatable.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR",
              help="The run folder. [default: runs/NAME, after the pipeline's name]")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the report of tuning as JSON.")
def tune(pipeline: Path, overrides: tuple[str, ...], out: Path | None, as_json: bool) -> None:
    """Tune the cot policy of PIPELINE according to its table policy.tuning.

    Adapters, projector and head are kept in the run folder: `reasonrec run` with the same settings continues from
    there. An interrupted tuning continues when it is started again. No test target is read.
    """
    import json

    from reasonrec_core.cli import console
    from reasonrec_core.cli.run import load_pipeline
    from reasonrec_core.errors import ConfigError
    from reasonrec_core.pipeline.fit import check_components, fit_components
    from reasonrec_core.pipeline.prepare import prepare
    from reasonrec_core.pipeline.run_folder import RunFolder
    from reasonrec_core.registry import Registry

    config, folder = load_pipeline(pipeline, overrides, out)
    if config.policy is None or config.policy.name != "cot" or not config.policy.settings.get("tuning"):
        raise ConfigError(
            "there is nothing to tune",
            where=f"{pipeline}: policy",
            fix='Set policy.name = "cot", with a table policy.tuning.',
        )
    registry = Registry.discover()
    check_components(config, registry)
    with console.progress() as progress, RunFolder.create(folder, config) as run:
        prepared = prepare(config, registry, run, progress)
        agent = fit_components(prepared)
    assert agent.policy is not None
    report: Mapping[str, Any] = getattr(agent.policy.part, "report", {})
    if as_json:
        seconds = {each.label: each.seconds for _, each in agent.parts}
        click.echo(json.dumps({"folder": str(folder), "seconds": seconds, **report}, indent=2))
        return
    for line in format_report(report):
        click.echo(line)
    click.echo(f"Saved in {folder}. Next, evaluate it: reasonrec run {pipeline} --out {folder}")


def format_report(report: Mapping[str, Any]) -> list[str]:
    """The report of tuning as a table of what happened between validations."""
    training = report["training"]
    epochs = training["epochs"]
    parts = sorted({name for epoch in epochs for name in epoch["losses"] if name != "loss"})
    said = [f"{'step':>6}{'min':>7}{'places/s':>10}{'targets/s':>11}" + "".join(f"{p[:14]:>16}" for p in parts)]
    said[0] += f"  {training['figure']}"
    minutes = 0.0
    for epoch in epochs:
        minutes += (epoch["seconds"] + epoch["validating"]) / 60
        losses = "".join(f"{epoch['losses'][p]:16.3f}" if p in epoch["losses"] else f"{'-':>16}" for p in parts)
        spent = max(epoch["seconds"], 1e-9)
        speed = f"{epoch['used'] / spent:10.0f}{epoch['samples'] / spent:11.0f}"
        figure = "-" if epoch["validation"] is None else f"{epoch['validation']:.4f}"
        best = " *" if epoch["epoch"] == training["best"] else ""
        said.append(f"{epoch['step']:6}{minutes:7.1f}{speed}{losses}  {figure}{best}")
    said.append(f"Stopped by {training['stopped']} after {training['steps']} steps; the row with * is kept.")
    return [*said, *format_decision(report.get("decision", {})), *format_exit(report.get("exit"))]


def format_exit(exit: Mapping[str, Any] | None) -> list[str]:
    """What early answers save and what they cost; nothing without them."""
    if exit is None:
        return []
    depths, spent = list(exit["answered after"].items()), exit["milliseconds"]
    if exit["threshold"] is None:
        return [f"No early answers: none keeps the risk of {exit['risk']:g} on {exit['rows']} validation rows."]
    shares = ", ".join(f"{layer}: {share:.0%}" for layer, share in depths if share)
    saved = 1 - spent["early"] / spent["whole"] if spent["whole"] else 0.0
    figure = f"AUC {exit['AUC']:.4f} against {exit['AUC by layer'][depths[-1][0]]:.4f}" if exit["AUC"] else "no AUC"
    return [
        f"Early answers use {exit['share of layers']:.0%} of the layers (answered after layer {shares}).",
        f"  {spent['early']:.1f} ms per request instead of {spent['whole']:.1f} ({saved:.0%} less); {figure}.",
        f"  Expected rise of the squared error: at most {exit['bound']:.4f} ({exit['rows']} validation rows).",
    ]


def format_decision(decision: Mapping[str, Any]) -> list[str]:
    """What decides among candidates and about clicks, and how good each source is alone."""
    parts = {"proposed": decision if "figures" in decision else None}
    parts |= {title: decision.get(title) for title in ("listed", "clicks")}
    said = []
    for title, part in parts.items():
        if part is None:
            continue
        said.append(f"Decision {TITLES[title]}, {part['pairs']} validation requests:")
        for name, row in part["figures"].items():
            said.append(f"  {name:26}" + "  ".join(f"{metric} {value:.4f}" for metric, value in row.items()))
        said.append(
            f"  decided by: {part['decides']}" + (f" ({', '.join(part['sources'])})" if "sources" in part else "")
        )
    return said
