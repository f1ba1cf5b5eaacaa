"""The group ``reasonrec data``: its verbs are names until one is called."""

from __future__ import annotations

from reasonrec_core.cli.lazy import LazyGroup

COMMANDS = {
    "import": ("reasonrec_core.cli.data_import:import_command", "Read data in any known layout and save a dataset."),
    "describe": ("reasonrec_core.cli.data_describe:describe_command", "Say what is in a dataset or in raw data."),
    "split": ("reasonrec_core.cli.data_split:split_command", "Divide a dataset into training, validation and test."),
    "check": ("reasonrec_core.cli.data_check:check_command", "Look for leaks and defects (the leakage doctor)."),
    "fetch": ("reasonrec_core.cli.data_fetch:fetch_command", "Download a public data set, with its licence."),
    "synth": ("reasonrec_core.cli.data_synth:synth_command", "Make a synthetic catalogue with known tastes."),
}

data_group = LazyGroup(
    name="data",
    commands_table=COMMANDS,
    no_args_is_help=True,
    help="""Import, describe, split, check, fetch or make data.

    \b
    Examples:
      reasonrec data fetch ml-100k --out data/ml-100k
      reasonrec data import data/ml-100k --out sets/ml-100k
      reasonrec data describe sets/ml-100k
    """,
)
