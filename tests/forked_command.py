"""Commands in processes of their own that start in no time: forked from one that has imported everything."""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing.context import ForkServerContext, ForkServerProcess

IMPORTED = (
    "reasonrec_core.cli.run",
    "reasonrec_core.pipeline.run",
    "reasonrec_core.builtin.leave_one_out",
    "reasonrec_core.builtin.popularity",
    "reasonrec_core.cli.main",
    "reasonrec_chain.policy",
    "reasonrec_explain.faithfulness",
    "reasonrec_explain.reporter",
    "reasonrec_profile.policy",
    "reasonrec_report.measure.calibration",
    "reasonrec_report.measure.delegation",
    "reasonrec_report.measure.risk_coverage",
    "reasonrec_report.measure.slices",
    "reasonrec_report.page",
    "reasonrec_report.reporter",
    "reasonrec_routers.cascade",
    "reasonrec_routers.expected_gain",
    "reasonrec_routers.latency_budget",
    "reasonrec_routers.risk_control",
    "reasonrec_routers.threshold",
    "reasonrec_routers.uncertainty",
    "reasonrec_trace.reporter",
    "reasonrec_transitions.delegate",
    "rich.markdown",
    "rich.progress",
    "rich.table",
    "scipy.optimize",
    "scipy.stats",
    "sklearn.linear_model",
    "torch._dynamo",
)
"""What takes long to import; a name that is gone only makes the start slower."""
THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def call(words: list[str], environment: dict[str, str]) -> None:
    """The command line, as ``reasonrec WORDS`` has it."""
    from reasonrec_core.cli.main import main

    os.environ.update(environment)
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    main(words)


def start_command(words: list[str], **environment: str) -> ForkServerProcess:
    """Start it; the exit code is that of the process."""
    context: ForkServerContext = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, *IMPORTED])
    process = context.Process(target=call, args=(words, THREADS | environment))
    process.start()
    return process
