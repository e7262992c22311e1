"""Written by scripts/api_client.py: operations and types."""
