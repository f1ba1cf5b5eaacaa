"""The verbs of the core: where each command is, and its line in ``reasonrec --help``. Read without importing any."""

VERBS = {
    "run": ("reasonrec_core.cli.run:run_command", "Fit, calibrate and evaluate a pipeline; write report and metrics."),
    "fit": ("reasonrec_core.cli.fit:fit_command", "Fit and calibrate a pipeline, without evaluating it."),
    "evaluate": ("reasonrec_core.cli.evaluate:evaluate_command", "Evaluate a fitted run on its test part."),
    "recommend": ("reasonrec_core.cli.recommend:recommend_command", "Recommend to a user or a history, and say why."),
    "report": ("reasonrec_core.cli.report:report_command", "Write the report of a run: one HTML file."),
    "trace": ("reasonrec_core.cli.trace:trace_group", "Read the decisions of a run, sum them up, or replay them."),
    "data": ("reasonrec_core.cli.data:data_group", "Import, describe, split, check, fetch or make data."),
    "plugins": ("reasonrec_core.cli.plugins:plugins_group", "List plugins, explain one, or start your own."),
    "completion": ("reasonrec_core.cli.completion:completion_command", "Print the completion script of a shell."),
}
