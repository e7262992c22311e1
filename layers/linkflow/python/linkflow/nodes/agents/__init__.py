"""What an agent works with: its tools."""
