"""Repeatable benchmarks of LinkFlow, end to end, beside the storage floor of the same machine. See README.md."""
