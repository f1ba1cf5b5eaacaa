"""What this plugin offers; read for every ``reasonrec --help``, so nothing heavy is imported here."""

from reasonrec_core.hookspecs import ComponentSpec, hookimpl


@hookimpl
def reasonrec_routers() -> list[ComponentSpec]:
    """The router ``template``."""
    return [ComponentSpec("template", "reasonrec_template.router:Template", "Delegates where alike users lost least")]
