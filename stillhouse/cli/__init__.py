"""The command line, thin over Dagster: commands, runs from a terminal, what is printed."""
