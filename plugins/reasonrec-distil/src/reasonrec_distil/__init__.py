"""Delegate `distilled`: a small student of a policy or of delegates."""
