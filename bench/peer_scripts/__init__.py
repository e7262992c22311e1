"""What runs in the peers' own environment. Nothing of LinkFlow can be imported here."""
