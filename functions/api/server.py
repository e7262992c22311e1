"""The control plane in a container."""

from linkflow.cli import main

main(["serve", "api"])
