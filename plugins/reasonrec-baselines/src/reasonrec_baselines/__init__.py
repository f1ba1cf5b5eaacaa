"""Strong simple delegates: EASE, SLIM, neighbours among users, neighbours by content."""
