"""``reasonrec data check``: the leakage doctor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from reasonrec_datasets.options import choose_split, open_data, source_options, split_options
from rich.text import Text

from reasonrec_core.cli.console import out, plain, print_json, progress
from reasonrec_core.data import Split
from reasonrec_doctor.checks import CHECKS, Finding, Severity, examine_dataset, is_safe

STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}


@click.command(name="check")
@click.argument("path", type=click.Path(path_type=Path))
@split_options
@click.option("--only", multiple=True, type=click.Choice(list(CHECKS)), help="Run only this check. Repeatable.")
@click.option("--no-images", is_flag=True, help="Do not open the pictures.")
@source_options
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.pass_context
def check_command(
    context: click.Context,
    path: Path,
    split: dict[str, Any],
    only: tuple[str, ...],
    no_images: bool,
    source: dict[str, Any],
    as_json: bool,
) -> None:
    """Look for leaks and defects in a dataset, or raw data, and in the way it would be split.

    Exit code: 0 safe (warnings allowed), 1 unsafe (at least one error), 2 the input cannot be used.

    \b
    Examples:
      reasonrec data check sets/ml-1m
      reasonrec data check hm-week --kind temporal
      reasonrec data check sets/ml-1m --only last-id --json
    """
    names = [name for name in only or CHECKS if not (no_images and name == "unreadable-images")]
    with open_data(path, source) as dataset, progress() as report:
        findings, made = examine_dataset(dataset, choose_split(dataset, split), checks=names, progress=report)
        safe = is_safe(findings)
        if as_json:
            print_json(_facts(dataset.name, names, findings, made))
        else:
            _show(dataset.name, names, findings, made)
    context.exit(0 if safe else 1)


def _facts(name: str, checks: list[str], findings: list[Finding], split: Split | None) -> dict[str, Any]:
    return {
        "dataset": name,
        "safe": is_safe(findings),
        "protocol": split.protocol if split else None,
        "checks": checks,
        "findings": [finding.to_dict() for finding in findings],
    }


def _show(name: str, checks: list[str], findings: list[Finding], split: Split | None) -> None:
    out.print(Text(plain(f"{name}: {split.protocol if split else 'cannot be split'}")), soft_wrap=True)
    for finding in sorted(findings, key=lambda f: list(Severity).index(f.severity)):
        head = Text.assemble((f"{finding.severity.value:8}", STYLES[finding.severity]), f"{finding.check}: ")
        head.append(plain(f"{finding.message} ({finding.count:,} of {finding.total:,})"))
        out.print(head, soft_wrap=True)
        out.print(Text(plain(f"        e.g. {finding.example}")), soft_wrap=True)
        out.print(Text(plain(f"        {finding.remedy}")), soft_wrap=True)
    quiet = [check for check in checks if check not in {finding.check for finding in findings}]
    if quiet:
        out.print(Text(f"{'clean':8}{', '.join(quiet)}", style="green"), soft_wrap=True)
    verdict = "safe" if is_safe(findings) else "NOT SAFE: results on this data would be wrong"
    out.print(Text(verdict, style="bold green" if is_safe(findings) else "bold red"))
