"""What this plugin offers; read whenever plugins are listed, so nothing heavy is imported here."""

from reasonrec_core.hookspecs import ComponentSpec, hookimpl


@hookimpl
def reasonrec_uncertainty() -> list[ComponentSpec]:
    """The estimator `template`."""
    summary = "Probability that the policy leaves outside its list"
    return [ComponentSpec("template", "reasonrec_template.uncertainty:Template", summary)]
