"""Which encoder can look at texts or pictures here: installed, and with weights that are found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from reasonrec_core.components import Encoder, Kind
from reasonrec_core.errors import PluginError, WeightsError
from reasonrec_core.registry import Registry

DEFAULT = {"text": "text", "image": "timm"}
"""Modality -> the encoder that reads it by itself."""


@dataclass(frozen=True)
class EncoderState:
    """Whether an encoder can be used, and what to install where it cannot.

    Attributes:
        name: of the encoder.
        weights: what they are called, "" where it cannot be used.
        missing: what is missing, in words; "" where it can be used.
        install: what brings it.
    """

    name: str
    weights: str = ""
    missing: str = ""
    install: str = ""


def find_encoder(modality: str, registry: Registry) -> EncoderState:
    """The encoder for a modality ("text" or "image")."""
    name = DEFAULT[modality]
    install = f"pip install 'reasonrec[{name},weights]'"
    if name not in registry.names(Kind.ENCODER):
        return EncoderState(name, missing="no encoder for them is installed", install=install)
    try:
        component: type[Encoder[Any]] = registry.load(Kind.ENCODER, name)
        with registry.guard(Kind.ENCODER, name, "weights_info"):
            found = component.weights_info(component.Config())
    except WeightsError:
        return EncoderState(name, missing=f"the weights of the encoder {name!r} were not found", install=install)
    except PluginError as error:
        return EncoderState(name, missing=f"the encoder {name!r} does not work here ({error.what})", install=install)
    return EncoderState(name, weights=str(found.get("source") or name))
