"""What is measured beside the metrics, for the results of a run: reporters that fill sections of `Results`."""
