"""Where scripts run: worker processes that can do nothing but compute.

`pool` hands out the processes, `child` is their program, `lockdown` takes from a process what a script has no use for.
What holds what: docs/security-scripts.md.
"""
