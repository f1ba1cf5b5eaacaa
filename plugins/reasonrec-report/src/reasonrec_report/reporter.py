"""The reporter ``html``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reasonrec_core.components import Empty, Reporter
from reasonrec_core.evaluate.leaderboard import Leaderboard
from reasonrec_core.evaluate.schema import Results
from reasonrec_report import routing_text, summary_text
from reasonrec_report.faithfulness import describe_faithfulness, read_faithfulness
from reasonrec_report.page import write_report


class HtmlReporter(Reporter[Empty]):
    """One HTML file that opens offline: result in words, intervals, delegation, confidence, decisions with pictures."""

    def write(self, results: Results, run_folder: Path, out: Path) -> list[Path]:
        """Write ``report.html``."""
        return [write_report(run_folder, out, results)]

    def summarise(self, results: Results) -> Sequence[str]:
        """Whether there is too little to tell, what was delegated, saved and held back, what looks like a leak."""
        said = [
            summary_text.describe_shortage(Leaderboard(results)),
            routing_text.describe_delegation(results),
            routing_text.describe_consulting(results),
            routing_text.describe_saving(results),
            routing_text.describe_abstention(results),
        ]
        if found := read_faithfulness(results):
            said += describe_faithfulness(found)
        said += [
            f"{system}: NDCG/HR {ratio:.3f} is suspiciously near 1; check for leaks: reasonrec data check"
            for system, ratio, is_high in summary_text.find_leak_signs(Leaderboard(results))
            if is_high
        ]
        return [each for each in said if each]
