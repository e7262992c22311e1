"""Frontend in a container."""

from linkflow.cli import main

main(["serve", "frontend"])
