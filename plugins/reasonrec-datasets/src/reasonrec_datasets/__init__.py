"""Public layouts of data, public data sets by name, and a synthetic shop, for ReasonRec."""
