"""A reporter: files about a finished run, made from its results."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from pydantic import Field

from reasonrec_core.components import Reporter, Settings
from reasonrec_core.evaluate.schema import Results
from reasonrec_core.io import write_text


class TemplateConfig(Settings):
    """Settings of `Template`."""

    file: str = Field("systems.csv", pattern=r"^[\w-]+\.csv$", description="Name of the file.")


class Template(Reporter[TemplateConfig]):
    """A row per system and metric: value, and the ends of its 95 % interval."""

    Config = TemplateConfig

    def write(self, results: Results, run_folder: Path, out: Path) -> list[Path]:
        """Write the table."""
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(["system", "metric", "value", "low", "high"])
        for system, values in results.systems.items():
            for metric, found in values.items():
                rows.writerow([system, metric, found.value, found.low, found.high])
        write_text(out / self.config.file, text.getvalue())
        return [out / self.config.file]
