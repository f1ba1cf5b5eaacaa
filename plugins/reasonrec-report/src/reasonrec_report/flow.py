"""The pipeline as a picture: how a request went through this run, and how many went where."""

from __future__ import annotations

from dataclasses import dataclass

from reasonrec_report.delegation_section import format_duration
from reasonrec_report.number_format import format_percent
from reasonrec_report.sections import ReportedResults


@dataclass(frozen=True)
class FlowBox:
    """What stands in a box: what it is, its name, a remark, and whose colour it has."""

    kind: str
    name: str
    note: str = ""
    tone: str = "other"


@dataclass(frozen=True)
class FlowStage:
    """Boxes side by side: a request goes through one of them."""

    boxes: tuple[FlowBox, ...]


def draw_flow(results: ReportedResults, *, clicks: bool = False) -> tuple[FlowStage, ...]:
    """The stages that a request goes through, in order."""
    data, roles, routing = results.dataset, results.roles, results.routing
    seen = ", ".join(f"{each.name} ({each.encoder})" if each.encoder else each.name for each in results.observe)
    policy = roles.policy if roles else None
    stages = [FlowStage((FlowBox("Request", "a person’s history", data.name),))]
    stages.append(FlowStage((FlowBox("Observe", seen or "history alone", "" if seen else "no item features"),)))
    share = results.delegation.share if results.delegation else None
    if routing is not None and policy and share is not None:
        kept = 1 - share - routing.abstained
        when = {"before": "before the policy answers", "after": "after the policy has answered"}.get(
            routing.stage or "", ""
        )
        stages.append(FlowStage((FlowBox("Router", routing.kind or "router", when, "routed"),)))
        ways = [FlowBox("Policy", policy, _note(results, kept, "self"), "policy")]
        ways += [FlowBox("Delegate", routing.delegate or "delegate", _note(results, share, "replace"), "delegate")]
        if routing.abstained:
            ways.append(FlowBox("No answer", "not sure enough", format_percent(routing.abstained)))
        stages.append(FlowStage(tuple(ways)))
    elif policy:
        stages.append(FlowStage((FlowBox("Policy", policy, "answers everything", "policy"),)))
    else:
        names = roles.delegates if roles and roles.delegates else tuple(results.systems)
        stages.append(FlowStage(tuple(FlowBox("Delegate", name, "", "delegate") for name in names)))
    explains = any(name.startswith("ROUGE") for values in results.systems.values() for name in values)
    answer = "an explanation" if explains else "a probability of a click" if clicks else "a ranked list"
    return (*stages, FlowStage((FlowBox("Answer", answer),)))


def _note(results: ReportedResults, share: float, way: str) -> str:
    spent = results.delegation.latency.get(way) if results.delegation else None
    time = f", {format_duration(spent.mean)}" if spent else ""
    return f"{format_percent(share)} of the requests{time}"
