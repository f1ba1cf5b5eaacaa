"""Conformance suites: a plugin's whole test is a subclass of three lines."""
