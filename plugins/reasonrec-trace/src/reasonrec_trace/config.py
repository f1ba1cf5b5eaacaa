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
    history: int = Field(50, ge=0, description="How many of the newest history items each row keeps.")
    hash_users: bool = Field(
        False, description="Write keyed hashes of user ids, and shuffle the rows so that their order reveals nothing."
    )
    hash_items: bool = Field(
        False,
        description="Write keyed hashes of item ids (history, targets, answers), and leave out steps and times.",
    )
    key_env: str = Field(
        KEY_VARIABLE,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="The environment variable with the key, at least 16 characters.",
    )
    requests: bool = Field(
        False,
        description="Also keep a trace of requests that are answered later (`reasonrec recommend`, "
        "`Recommender`): requests-TASK.jsonl in the run folder.",
    )
    rows: int = Field(10_000, ge=1, description="Requests per file of this trace, before a new one is started.")
    files: int = Field(5, ge=1, description="How many of these files are kept; the oldest is deleted.")
