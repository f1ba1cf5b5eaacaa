"""One index of approximate nearest neighbours for any delegate whose scores are inner products."""
