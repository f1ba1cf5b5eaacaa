"""What this plugin offers; read for every ``reasonrec --help``, so nothing heavy is imported here."""

from reasonrec_core.hookspecs import ComponentSpec, hookimpl


@hookimpl
def reasonrec_reporters() -> list[ComponentSpec]:
    """The reporter ``template``."""
    return [ComponentSpec("template", "reasonrec_template.reporter:Template", "Every value as a row of CSV")]
