"""What this plugin offers; read for every ``reasonrec --help``, so nothing heavy is imported here."""

from reasonrec_core.hookspecs import ComponentSpec, hookimpl


@hookimpl
def reasonrec_metrics() -> list[ComponentSpec]:
    """The metric ``template``."""
    tasks = ("sequential", "direct")
    return [ComponentSpec("template", "reasonrec_template.metric:METRIC", "Gain that falls by rank", tasks)]
