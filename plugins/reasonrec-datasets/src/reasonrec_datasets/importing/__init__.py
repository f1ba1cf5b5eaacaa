"""From tables to a stored dataset: columns matched, cells parsed and checked, ids indexed."""
