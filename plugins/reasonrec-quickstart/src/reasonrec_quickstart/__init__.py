"""From data to a served run: what the data is, which pipeline suits it, the file that says so."""
