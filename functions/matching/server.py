"""Matching in a container."""

from linkflow.cli import main

main(["serve", "matching"])
