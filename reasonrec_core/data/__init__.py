"""Datasets: importing, splitting, checking."""
