"""The encoders of a finished run, as they were when it was fitted: for items and for words that come later."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from reasonrec_core.components import Encoder, Kind
from reasonrec_core.config import PipelineConfig
from reasonrec_core.errors import RunError
from reasonrec_core.pipeline import ServingCatalog, hash_encoders, is_learned, make_encoders
from reasonrec_core.registry import Registry


def load_encoders(
    served: ServingCatalog, config: PipelineConfig, registry: Registry, names: Collection[str] | None = None
) -> tuple[dict[str, Encoder[Any]], dict[str, str]]:
    """The run's encoders (those called ``names``, if given), and what their vectors depend on besides fingerprints.

    Those that learn from the catalogue come as they were fitted.

    Raises:
        RunError: an encoder is not what it was.
    """
    encoders = make_encoders(config, registry)
    encoders = {name: each for name, each in encoders.items() if names is None or name in names}
    for name, encoder in encoders.items():
        plugin = config.observe[name].encoder
        if is_learned(encoder):
            stage, catalog = served.run.path / "stages" / f"encoder-{name}", served.dataset.catalog
            encoders[name] = served.run.load_part(registry, Kind.ENCODER, plugin, stage, catalog)
        with registry.guard(Kind.ENCODER, plugin, "fingerprint"):
            fingerprint = encoders[name].fingerprint()
        if fingerprint != served.state.get("encoders", {}).get(name):
            raise refuse_changed(served, name)
    state = hash_encoders(config, registry, served.run, encoders)
    for name in encoders:
        if state.get(name) != served.state.get("encoder_state", {}).get(name):
            raise refuse_changed(served, name)
    return encoders, state


def refuse_changed(served: ServingCatalog, name: str) -> RunError:
    """The error for an encoder whose vectors would not fit the run's."""
    return RunError(
        "the encoder's weights, library or settings have changed since the run was fitted",
        where=f"{served.run.path}: observe.{name}",
        fix="Restore them (environment.json has the versions), or run the pipeline again with the new items.",
    )
