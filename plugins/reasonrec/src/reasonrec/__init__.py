"""ReasonRec: recommenders that observe, deliberate, know how sure they are, and act within a budget."""

__version__ = "0.2.0"
