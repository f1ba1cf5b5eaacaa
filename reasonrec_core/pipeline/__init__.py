"""Fit, calibrate, evaluate, recommend: the one loop of the system."""
