"""Test cases of workflows: what a test file says, what a run came to, and how the two differ. Pure."""
