"""What a study is made of beside its models: data sources, splitters, metrics, reporters."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeVar

from pydantic import Field

from reasonrec_core.components.base import C, Configured, Settings
from reasonrec_core.types import Interactions, QueryBatch

if TYPE_CHECKING:
    from rich.console import RenderableType

    from reasonrec_core.data.cases import Division
    from reasonrec_core.data.dataset import Dataset
    from reasonrec_core.evaluate.schema import Results
    from reasonrec_core.pipeline.act import Outcome
    from reasonrec_core.pipeline.evaluate import EvaluatedRun
    from reasonrec_core.pipeline.finished_run import FinishedRun


@dataclass(frozen=True)
class ImportRequest:
    """How a path is to be imported.

    Attributes:
        format: the name that the source is registered under.
        columns: ``{ours: theirs}`` for columns with names of their own; an empty name leaves a column out.
        options: the source's own settings, as they were given.
        name: of the dataset; None: what the source calls it.
        seed: of the order of the indices.
    """

    format: str
    columns: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    name: str | None = None
    seed: int = 0


class DataSource(Configured[C]):
    """Makes a dataset of data of one layout, and says which paths it reads.

    What reads tables extends `reasonrec_datasets.TableSource`, which does all but reading them.
    """

    order: ClassVar[float] = 100
    """Sources are asked in ascending order, equal ones by name; the first that matches reads the path."""

    @abstractmethod
    def matches(self, path: Path) -> bool:
        """Whether ``path`` (a file or folder that exists) is what this source reads. Cheap, and True only if sure."""

    def files(self, path: Path) -> list[Path]:
        """The files that `build` opens for ``path``, without pictures: an import is kept until one of them changes.

        By default a file itself, and all that lie in a folder; extend it where something beside a file is read.
        """
        return sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]

    @abstractmethod
    def build(self, path: Path, folder: Path, request: ImportRequest) -> Dataset:
        """Store what is at ``path`` in ``folder`` (new or empty) as a dataset, whole or not at all.

        `reasonrec_core.data.storage.write_dataset` does the storing. Equal data gives an equal dataset, wherever it
        lies.

        Raises:
            DataError: what is wrong, in which file, line and column, and what to do.
        """


class SplitterSettings(Settings):
    """What every splitter's ``Config`` has; extend it."""

    min_history: int = Field(1, ge=0)
    """Queries whose history is shorter are left out and counted."""
    repeats: Literal["drop", "keep"] = "drop"
    """Targets that the query's history already holds: full ranking masks the history, so they cannot be reached."""
    min_value: float | None = None
    """Interactions of a smaller value are no positives: left out of a ranking split, label 0 in a CTR split."""
    negatives: int = Field(99, ge=1)
    """How many candidates are drawn beside the target for the direct task."""
    seed: int = Field(0, ge=0)
    """Of every random choice."""


S = TypeVar("S", bound=SplitterSettings)


class Splitter(Configured[S]):
    """Divides a dataset into what is trained on, tuned on and tested.

    `reasonrec_core.data.make_split` does the rest: it leaves out weak values and unreachable targets, says so, and
    hashes the outcome.
    """

    Config: ClassVar[type[Settings]] = SplitterSettings
    reads_labels: ClassVar[bool] = False
    """Whether ``min_value`` divides labels rather than leaves interactions out; the splitter then does so itself."""

    @abstractmethod
    def divide(self, dataset: Dataset, log: Interactions) -> Division:
        """The part of each row of ``log`` (N rows, sorted by user, oldest first), and the queries with their targets.

        Made of whole arrays from data, settings and seed alone. `reasonrec_core.data.make_user_cases` makes queries.

        Raises:
            DataError: nothing is left for a part, with the numbers that show why.
        """


class RequestWatcher(Protocol):
    """Told of a request as soon as it was answered."""

    def __call__(self, batch: QueryBatch, outcome: Outcome, user: str | None, *, words: str | None = None) -> None:
        """``batch``: of one query; ``user``: the raw id, None for somebody unknown; ``words``: of a text query.

        An error would fail the request.
        """


class Reporter(Configured[C]):
    """Measures, keeps or writes what a reader wants to see of a run. The same run gives the same files, to the byte."""

    sections: ClassVar[tuple[str, ...]] = ()
    """The fields of `reasonrec_core.evaluate.schema.Results` that `analyse` gives."""

    def check(self) -> None:
        """Refuse what could not be reported, before any data is read (`ConfigError`); nothing by default."""

    def write(self, results: Results, run_folder: Path, out: Path) -> Sequence[Path]:
        """Write files into ``out``, each whole or not at all (`reasonrec_core.io.write_text`); gives their paths.

        Nothing by default.

        Args:
            results: ``metrics.json``, checked.
            run_folder: what else the run left (``cards.json``, ``config.toml``...); any of it may be missing. Titles,
                texts and pictures in it are untrusted.
            out: a folder that exists, often the run folder itself.

        Raises:
            RunError: a file of the run is broken.
        """
        return ()

    def analyse(self, run: EvaluatedRun) -> Mapping[str, Any] | None:
        """Measure more of an evaluated run, before its results are written; nothing by default.

        Returns:
            without `sections` JSON values, which stand under ``analyses.NAME`` of ``metrics.json`` (``skipped``, a
            clause, says why it was not measured); with `sections` those fields of `Results` by name. None leaves it
            out.
        """
        return None

    def export(self, run: EvaluatedRun) -> Sequence[Path]:
        """Write what only an evaluated run can give into ``run.folder``, whole or not at all; nothing by default."""
        return ()

    def watch(self, service: FinishedRun) -> RequestWatcher | None:
        """Who is told of the requests that a finished run answers; of the reporter ``trace`` alone, if it is wanted."""
        return None

    def tabulate(self, results: Results) -> RenderableType | None:
        """The table that a run prints, in place of the core's; none by default."""
        return None

    def summarise(self, results: Results, run_folder: Path) -> Sequence[str]:
        """Sentences that a run prints below its table; none by default."""
        return ()

    def find_failures(self, results: Results) -> Sequence[str]:
        """What fails the run for whoever starts it unattended (exit code 3), a sentence each; none by default."""
        return ()


@dataclass(frozen=True)
class MetricInfo:
    """A metric: how it is computed, and what a reader must know about it.

    What ``function`` gives decides how sure it can be: float64[B] (one value per query, NaN where undefined; of clicks
    one per row) and `reasonrec_core.evaluate.Totals` (a function of sums) get an interval and a p-value by resampling
    users; a plain number is what it is. None: it cannot be computed here, e.g. because item counts are not known.

    Attributes:
        name: as tables show it, e.g. ``NDCG``; in lower case it is the name of the component.
        function: of rankings ``function(lists, k)`` with `reasonrec_core.evaluate.RankedLists`, without ``cutoff``
            ``function(lists)``; of clicks ``function(clicks)`` with `reasonrec_core.evaluate.Clicks`; None where a
            policy brings the values (explanations).
        better: which way is better; "neither" for what only describes a system.
        meaning: one line for a reader; ``{k}`` is the cut-off.
        order: its place in tables; smaller first.
        tasks: the tasks it is defined for.
        cutoff: whether it looks at the first k of a list.
        definition: the formula, in Markdown, for the table of definitions.
    """

    name: str
    function: Callable[..., Any] | None
    better: Literal["higher", "lower", "neither"]
    meaning: str
    order: int = 100
    tasks: tuple[str, ...] = ("sequential", "direct")
    cutoff: bool = True
    definition: str = ""
