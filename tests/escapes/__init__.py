"""Attempts to get out of the sandboxes: `python -m tests.escapes` runs them all and prints what became of each."""
