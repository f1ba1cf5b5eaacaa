"""Delegate `transitions`: what tends to come next, counted, not trained; and its counts for other packages.

Other packages build on `reasonrec_transitions.api`; this module imports nothing, so that a plugin is listed at once.
"""
