"""What a person reads: the console table and the one-file HTML report."""
