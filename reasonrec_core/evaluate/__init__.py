"""Protocols, metrics, calibration, significance and slices."""
