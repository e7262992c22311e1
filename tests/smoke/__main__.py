"""`make smoke`: one story, told on every way of running the product; `make deploy-local` on AWS Lambda's alone.

Postgres and Valkey are real and each deployment's own; everything is gone at the end. Exit code 1 where a step failed.
"""

from __future__ import annotations

import argparse
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests.e2e.person import Person
from tests.smoke import functions, stages
from tests.smoke.stages import Stage
from tests.smoke.story import Story
from tests.smoke.telling import GONE, READY, Telling, table

NAMES = {
    "up": "linkflow up, one process",
    "containers": "six services, gRPC with mTLS",
    "lambda": "AWS Lambda (emulated)",
}


class Deployment:
    """One way, and how far the story is there."""

    def __init__(self, way: str, folder: Path) -> None:
        self.way, self._folder = way, folder
        self.telling = Telling(NAMES[way])
        self._stack = ExitStack()
        self._stage: Stage | None = None
        self._story: Story | None = None
        self._person: Person | None = None
        self._functions: functions.Functions | None = None

    def open(self) -> None:
        """Start it, and tell all of the story but what has to be waited for."""
        self._folder.mkdir()
        stage = self._stage = self.telling.step(READY, self._start)
        if stage is None:
            return
        person = self._person = self.telling.step("register, sign in, make a workspace", stage.somebody)
        if person is not None:
            self._stack.callback(person.close)
            self._story = Story(person, stage)
            for what, step in self._story.steps():
                self.telling.step(what, step)

    def close(self, runs: int) -> None:
        """The story's end, then that of the deployment; of functions also what `runs` runs cost."""
        if self._story is not None:
            for what, step in self._story.ending():
                self.telling.step(what, step)
        lines: list[str] = []
        if self._stage is not None:
            if self._functions is not None and self._person is not None and runs and not self.telling.failed:
                lines += self._functions.costs(self._person, self._stage.web, runs)
            if self.telling.failed:
                print(f"--- logs of {self.telling.name}\n{self._stage.logs()}")
            self.telling.step(GONE, self._stage.end)
        self.leave()
        print(*["", *lines, ""] if lines else [], sep="\n", end="", flush=True)

    def leave(self) -> None:
        """Whatever is left of it goes."""
        self._stack.close()

    def _start(self) -> Stage:
        if self.way == "lambda":
            stage, self._functions = self._stack.enter_context(functions.deployed(self._folder, self.telling))
            return stage
        start = {"up": stages.one_process, "containers": stages.six_services}[self.way]
        return self._stack.enter_context(start(self._folder))


def main() -> int:
    parser = argparse.ArgumentParser(prog="make smoke", description=__doc__)
    parser.add_argument("--on", choices=NAMES, action="append", help="only on this; may be repeated")
    parser.add_argument("--runs", type=int, default=20, help="runs on Lambda of which the billed time is taken")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="linkflow-smoke-") as name, ExitStack() as stack:
        every = [Deployment(way, Path(name) / way) for way in NAMES if not arguments.on or way in arguments.on]
        for one in every:
            stack.callback(one.leave)
            one.open()  # the earlier ones wait for their schedules meanwhile
        for one in every:
            one.close(arguments.runs)
    told = [one.telling for one in every]
    print("", *table(told), sep="\n")
    return int(any(one.failed for one in told))


if __name__ == "__main__":
    raise SystemExit(main())
