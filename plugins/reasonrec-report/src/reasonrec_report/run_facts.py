"""What was run: the facts of a run folder that the page lists."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reasonrec_report import delegation_section
from reasonrec_report.leaderboard import Leaderboard, SystemRole, shorten_protocol
from reasonrec_report.load_run import Run


@dataclass(frozen=True)
class Fact:
    """A term and what it is."""

    term: str
    value: str


def list_facts(run: Run) -> tuple[Fact, ...]:
    """What was run."""
    data, config = run.results.dataset, run.config
    counts = (("Users", data.users), ("Items", data.items), ("Interactions", data.interactions))
    task = config.get("evaluate", {}).get("tasks", []) if isinstance(config.get("evaluate"), dict) else []
    facts = [Fact("Data", data.name), *(Fact(name, f"{n:,}") for name, n in counts if n is not None)]
    if task:
        facts.append(Fact("Task", ", ".join(str(t) for t in task)))
    if run.results.protocol:
        facts.append(Fact("Protocol", run.results.protocol))
    if "seed" in config:
        facts.append(Fact("Seed", str(config["seed"])))
    if data.hash:
        facts.append(Fact("Data hash", data.hash[:16]))
    facts += [Fact(f"Left out: {reason}", f"{n:,}") for reason, n in run.results.left_out.items() if n]
    versions = run.environment.get("versions", run.environment)
    version = versions.get("reasonrec") if isinstance(versions, dict) else None
    return (*facts, Fact("ReasonRec", str(version))) if version else tuple(facts)


def list_seconds(run: Run) -> tuple[tuple[str, tuple[Fact, ...]], ...]:
    """Wall-clock time by part, fitting and evaluating apart."""
    found = run.results.seconds
    if found is None:
        return ()
    parts = (("Fitting", found.fit), ("Evaluating", found.evaluate))
    return tuple(
        (name, tuple(Fact(k, delegation_section.format_duration(v)) for k, v in spent.items()))
        for name, spent in parts
        if spent
    )


def flatten(values: Mapping[str, Any], prefix: str = "") -> list[Fact]:
    """Nested settings as one list of facts."""
    facts: list[Fact] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            facts += flatten(value, "" if name == "versions" else f"{prefix}{name} ")
        elif name != "command" and value is not None:
            text = ", ".join(str(v) for v in value) if isinstance(value, list) else str(value)
            facts.append(Fact(f"{prefix}{name}", text))
    return facts


def describe_command(run: Run) -> str:
    """The command that made the run, as a shell takes it."""
    command = run.environment.get("command")
    if isinstance(command, list):
        return shlex.join(str(part) for part in command)
    return str(command) if command else "reasonrec run config.toml"


def list_about(run: Run, board: Leaderboard) -> tuple[Fact, ...]:
    """What the page is about, in one line."""
    date, seed = run.environment.get("date"), run.config.get("seed")
    data = run.results.dataset
    counts = ((data.users, "users"), (data.items, "items"), (data.interactions, "interactions"))
    size = ", ".join(f"{n:,} {what}" for n, what in counts if n is not None)
    facts = [
        ("Run", run.config.get("name")),
        ("Date", str(date).replace("T", " ")[:16] if date else None),
        ("Policy", board.first(SystemRole.POLICY)),
        ("Data", f"{data.name} ({size})" if size else data.name),
        ("Protocol", shorten_protocol(run.results.protocol)),
        ("Seed", seed),
    ]
    return tuple(Fact(term, str(value)) for term, value in facts if value not in (None, ""))


def read_command(environment: dict[str, Any]) -> list[str]:
    """The words of the command that made the run."""
    command = environment.get("command")
    return [str(part) for part in command] if isinstance(command, list) else ["reasonrec", "run", "config.toml"]
