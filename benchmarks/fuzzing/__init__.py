"""Hostile inputs for every reader of the toolkit, drawn by seed, and what a command may make of them."""
