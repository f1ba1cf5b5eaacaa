"""The suites of metrics and of reporters catch what they are for: each broken one fails the test that is named."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reasonrec_core.components import Empty, MetricInfo, Reporter
from reasonrec_core.errors import PluginError
from reasonrec_core.evaluate import RankedLists
from reasonrec_core.evaluate.schema import Results
from reasonrec_core.io import write_text
from reasonrec_core.testing import MetricConformance, ReporterConformance
from reasonrec_core.types import Float64


def share(lists: RankedLists, k: int) -> Float64:
    return lists.count_hits(k) / k + lists.undefined


BROKEN: dict[str, tuple[Callable[..., Any], str]] = {
    "larger than it can be": (lambda lists, k: 2 * k * share(lists, k), "values_lie_within_the_bounds"),
    "by position": (
        lambda lists, k: np.linspace(0, 1, len(lists.cases)),
        "the_order_of_queries_does_not_matter",
    ),
    "relative to the batch": (
        lambda lists, k: share(lists, k) / share(lists, k).max(),
        "a_query_has_its_value_whoever_is_asked_beside_it",
    ),
    "the wrong way": (lambda lists, k: 1 - share(lists, k), "better_is_better"),
    "another formula": (lambda lists, k: share(lists, k) ** 2, "it_is_what_is_computed_by_hand"),
    "one value short": (lambda lists, k: share(lists, k)[1:], "values_lie_within_the_bounds"),
    "infinite": (lambda lists, k: share(lists, k) / 0, "values_lie_within_the_bounds"),
    "a text": (lambda lists, k: "0.5", "better_is_better"),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_a_broken_metric_is_caught(name: str) -> None:
    function, test = BROKEN[name]

    class Suite(MetricConformance):
        info = MetricInfo("broken", function, "higher", "broken")  # type: ignore[assignment]

        def by_hand(self, ranked: list[int], relevant: set[int], k: int) -> float:  # type: ignore[override]
            return len(relevant & set(ranked[:k])) / k

    with pytest.raises((AssertionError, PluginError)) as raised:
        getattr(Suite(), f"test_{test}")()
    if name == "larger than it can be":
        assert "set the metric's bounds in the test's class" in str(raised.value)


class Plain(Reporter[Empty]):
    """What the broken ones start from, which is sound."""

    def text(self, results: Results) -> str:
        return "<p>fine</p>"

    def write(self, results: Results, run_folder: Path, out: Path) -> list[Path]:
        write_text(out / "page.html", self.text(results))
        return [out / "page.html"]


class Unescaped(Plain):
    def text(self, results: Results) -> str:
        return f"<p>{results.dataset.name}</p>"


class Online(Plain):
    def text(self, results: Results) -> str:
        return "<link rel=stylesheet href='https://example.org/x.css'>"


class Dated(Plain):
    def text(self, results: Results) -> str:
        return f"<p>{datetime.now().isoformat()}</p>"


class Half(Plain):
    def write(self, results: Results, run_folder: Path, out: Path) -> list[Path]:
        (out / "half.html").write_text(str(len(list(out.iterdir()))))
        return super().write(results, run_folder, out)


class Elsewhere(Plain):
    def write(self, results: Results, run_folder: Path, out: Path) -> list[Path]:
        return super().write(results, run_folder, run_folder)


@pytest.mark.parametrize(
    ("made", "test"),
    [
        (Unescaped, "titles_are_no_markup_and_nothing_is_fetched"),
        (Online, "titles_are_no_markup_and_nothing_is_fetched"),
        (Dated, "the_same_run_gives_the_same_files"),
        (Half, "writes_whole_files_or_none"),
        (Elsewhere, "writes_files_into_the_folder_that_it_is_given"),
    ],
)
def test_a_broken_reporter_is_caught(made: type[Plain], test: str, tmp_path: Path) -> None:
    (tmp_path / "sound").mkdir()
    (tmp_path / "broken").mkdir()
    run = getattr(ReporterConformance(), f"test_{test}")
    run(Plain(Empty()), tmp_path / "sound")
    with pytest.raises(AssertionError):
        run(made(Empty()), tmp_path / "broken")
