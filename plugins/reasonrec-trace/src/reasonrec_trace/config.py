"""The settings of the reporter ``trace``: the table ``[trace]`` of a pipeline file."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from reasonrec_core.components import Settings

KEY_VARIABLE = "REASONREC_TRACE_KEY"


class TraceConfig(Settings):
    """What is written about each decision, and what of it is hashed.

    Hashes are keyed (HMAC-SHA-256), so that nobody without the key can try ids until one fits. The key is read from
    an environment variable and written nowhere; keep it as long as you want to find people's requests again.
    """

    format: Literal["parquet", "jsonl", "both"] = Field(
        "parquet", description="trace.parquet (compact, fast), trace.jsonl (one JSON object per line), or both."
    )
    history: int = Field(50, ge=0, description="Newest history items that each row keeps.")
    hash_users: bool = Field(
        False, description="Write keyed hashes of user ids, and shuffle the rows so that their order tells nothing."
    )
    hash_items: bool = Field(
        False,
        description="Write keyed hashes of item ids (history, targets, answers), and leave out steps and times.",
    )
    key_env: str = Field(
        KEY_VARIABLE,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="The environment variable that holds the key, 16 characters or more.",
    )
    requests: bool = Field(
        False,
        description="Whether answering requests (`reasonrec recommend`, `Recommender`) leaves a trace, too: "
        "requests-TASK.jsonl in the run folder.",
    )
    rows: int = Field(10_000, ge=1, description="Requests that a file of this trace holds before a new one is begun.")
    files: int = Field(5, ge=1, description="Files of it that are kept; the oldest is deleted.")
