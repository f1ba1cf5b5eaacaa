"""Data in files, public data sets by name, splitters, and a synthetic shop, for ReasonRec.

For other packages: `tables` and `csv_reader` (files as tables), `options` (of verbs that take raw data), `synth`.
"""
