"""The reporters ``html``, the page, and ``cards``, what it shows of single decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from reasonrec_core.components import Empty, Reporter
from reasonrec_core.evaluate.schema import Results
from reasonrec_core.io import write_json
from reasonrec_core.pipeline import EvaluatedRun
from reasonrec_core.types import Task
from reasonrec_report import routing_text, summary_text
from reasonrec_report.card_schema import Card, Explanation
from reasonrec_report.console_table import ConsoleTable
from reasonrec_report.export_cards import make_cards
from reasonrec_report.export_explanations import sample_explanations
from reasonrec_report.faithfulness import describe_faithfulness, read_faithfulness
from reasonrec_report.leaderboard import Leaderboard
from reasonrec_report.load_run import read_environment
from reasonrec_report.page import write_report
from reasonrec_report.run_facts import read_command
from reasonrec_report.sections import read_sections
from reasonrec_report.verdict import make_headline


class HtmlReporter(Reporter[Empty]):
    """One HTML file that opens offline: result in words, intervals, delegation, confidence, decisions with pictures."""

    def write(self, results: Results, run_folder: Path, out: Path) -> list[Path]:
        """Write ``report.html``."""
        return [write_report(run_folder, out, results)]

    def tabulate(self, results: Results) -> ConsoleTable:
        """Systems by metrics, the best bold."""
        return ConsoleTable(Leaderboard(results))

    def summarise(self, results: Results, run_folder: Path) -> Sequence[str]:
        """The answer first: is it good, what does that mean for people, does delegating pay; then what else was found

        (a share that was missed, consulting, abstaining, faithfulness, leaks); at last what to do next.
        """
        checked = read_sections(results)
        first = make_headline(checked, read_command(read_environment(run_folder)), str(run_folder))
        said = [
            first.verdict,
            first.felt,
            first.delegating,
            routing_text.describe_missed_share(checked),
            routing_text.describe_batches(checked),
            routing_text.describe_consulting(checked),
            routing_text.describe_abstention(checked),
        ]
        if found := read_faithfulness(results):
            said += describe_faithfulness(found)
        said += [
            f"{system}: NDCG/HR is {ratio:.3f}. When nearly all hits are at rank 1, ids often give the next item away."
            for system, ratio, is_high in summary_text.find_leak_signs(Leaderboard(results))
            if is_high
        ]
        said += [f"{step.why}: {step.command}" for step in first.next_steps]
        return [each for each in said if each]


class CardReporter(Reporter[Empty]):
    """Decisions of the first task and, where the policy explains, explanations, chosen with the run's seed."""

    def analyse(self, run: EvaluatedRun) -> Mapping[str, int] | None:
        """How many decisions of the first task were hits and misses: what the cards are drawn from."""
        if not run.first.task.ranks:
            return None
        rank = next(iter(run.first.scores.values())).rank
        assert rank is not None
        return {"hits": int((rank > 0).sum()), "misses": int((rank == 0).sum())}

    def export(self, run: EvaluatedRun) -> list[Path]:
        """Write ``cards.json`` and ``explanations.json``."""
        made: dict[str, Sequence[Card | Explanation] | None] = {}
        if run.first.task.ranks:
            made["cards.json"] = make_cards(run)
        for found in run.tasks:
            if found.task is Task.EXPLAIN:
                made["explanations.json"] = sample_explanations(run, found)
        written = {run.folder / name: records for name, records in made.items() if records is not None}
        for path, records in written.items():
            write_json(path, [record.model_dump(mode="json", exclude_unset=True) for record in records])
        return list(written)
