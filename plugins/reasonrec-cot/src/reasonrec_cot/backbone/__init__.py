"""The language model: weights, device, prompts as numbers, shared beginnings, generation."""

from reasonrec_cot.backbone.config import BackboneConfig

__all__ = ["BackboneConfig"]
