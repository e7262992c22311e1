"""What the parts of the compiler share: the closure type, and the state of one compilation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from linkflow.domain.expressions.errors import Fault
from linkflow.domain.expressions.facts import Facts
from linkflow.domain.expressions.scope import Run
from linkflow.domain.expressions.syntax import Node

Closure = Callable[[Run], Any]


class Context(ABC):
    """One compilation: what was found on the way, and the arrow functions' parameters in reach."""

    def __init__(self) -> None:
        self.nodes: dict[str, int] = {}
        """Name to the offset where it first stands; so too for `names`."""
        self.names: dict[str, int] = {}
        self.credentials: set[str] = set()
        self.fixed: set[str] = set()
        self.any_node = False
        self.prev = False
        self.faults: list[Fault] = []
        """What is wrong so far. Whoever can go on after a fault reports it here, so that all are told at once."""
        self.uses_clock = False
        self.uses_random = False
        self.builds = False
        """Whether the result may hold something new, so that it must be checked before it leaves."""
        self.size = 0
        """Tree nodes compiled so far; what a function's body costs is reckoned from it."""
        self.parameters: dict[str, int] = {}
        """Parameter to its place in `Run.locals`. No function can call itself, so a fixed place each is enough."""
        self.places = 0

    @abstractmethod
    def compile(self, node: Node) -> Closure:
        """The closure of a part of the tree; raises `Fault`."""

    def new_place(self, name: str) -> int:
        """A place for the parameter `name`, which hides what had this name before."""
        place = self.places
        self.parameters[name] = place
        self.places += 1
        return place

    def report(self, fault: Fault) -> None:
        """Note a fault and go on: what is compiled will not be used."""
        self.faults.append(fault)

    def absorb(self, other: Context) -> None:
        """Take over what `other` found."""
        self.nodes = other.nodes | self.nodes
        self.names = other.names | self.names
        self.credentials |= other.credentials
        self.fixed |= other.fixed
        self.faults += other.faults
        self.any_node |= other.any_node
        self.prev |= other.prev
        self.uses_clock |= other.uses_clock
        self.uses_random |= other.uses_random

    def facts(self) -> Facts:
        """What was found."""
        found = frozenset(self.nodes), frozenset(self.names), frozenset(self.credentials)
        return Facts(
            *found,
            uses_clock=self.uses_clock,
            uses_random=self.uses_random,
            fixed=frozenset(self.fixed),
            any_node=self.any_node,
            prev=self.prev,
        )
