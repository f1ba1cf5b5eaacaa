"""The command line, a file per verb, loaded when called."""
