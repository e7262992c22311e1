"""Work for a process of its own (`linkflow.nodes.aside`): parsers and interpreters of other people's input.

Functions here take and give JSON values, raise `ValueError` for bad input, and import nothing of LinkFlow: a process
has to start quickly.
"""
