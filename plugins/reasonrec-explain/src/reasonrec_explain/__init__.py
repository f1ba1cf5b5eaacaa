"""Explanations: what reviews name, what is compared with what, how well, and whether each claim is true. No torch."""
