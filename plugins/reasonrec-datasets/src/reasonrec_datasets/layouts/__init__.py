"""The layouts that are read: our own tables and public ones, each a data source."""
