"""A plugin for ReasonRec."""
