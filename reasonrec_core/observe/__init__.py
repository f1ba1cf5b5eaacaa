"""Observe: item text and images become vectors, once, through encoders; what is missing stays visibly missing."""

from reasonrec_core.observe.encode import ObservedItems, observe_items
from reasonrec_core.observe.inputs import RefusedImage

__all__ = ["ObservedItems", "RefusedImage", "observe_items"]
