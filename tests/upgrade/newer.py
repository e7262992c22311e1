"""The next release, made from today's code: what a release may change is changed in it, each time once.

`build` copies the package and edits the copy. A process runs it where its folder is in PYTHONPATH.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import linkflow

VERSION = "0.999.0"
MIGRATION = "9001_release_notes.sql"
EDITS: dict[str, tuple[tuple[str, str], ...]] = {
    "__init__.py": ((f'"{linkflow.__version__}"', f'"{VERSION}"'),),
    "domain/events.py": (
        # An event has one attribute more, which old code does not know.
        ('    logs: tuple[str, ...] = ()\n    mocked: bool = False\n\n\nclass NodeFailed',
         '    logs: tuple[str, ...] = ()\n    mocked: bool = False\n    release: str = ""\n\n\nclass NodeFailed'),
        # An event has a new version, which old code cannot read.
        ('    node: str\n    attempt: int\n    name: str\n    key: str = ""\n    due_at: int = 0\n',
         '    version: Annotated[int, Meta(ge=2, le=2)] = _version(2)\n    node: str\n    attempt: int\n    name: str\n'
         '    key: str = ""\n    due_at: int = 0\n    opened_at: int = msgspec.field(name="opened_at")\n'),
        ('class WaitStarted(Base, frozen=True, tag="WaitStarted")',
         'class WaitStarted(Base, frozen=True, tag="WaitStarted", kw_only=True)'),
    ),
    "domain/upcasting.py": (
        ('\n\nUPCASTERS: dict', '\n\ndef _opened(event: dict[str, Any]) -> None:\n    event["opened_at"] = event["at"]\n'
         '\n\nUPCASTERS: dict'),
        ('    ("NodeTimedOut", 1): _timed_out_says_why,\n',
         '    ("NodeTimedOut", 1): _timed_out_says_why,\n    ("WaitStarted", 1): _opened,\n'),
    ),
    "domain/waiting.py": (("due_at=outcome.until)", "due_at=outcome.until, opened_at=draft.at)"),),
    "domain/draft.py": (
        ("        event: Any = kind(", f'        if kind.__name__ == "NodeCompleted":\n            attributes["release"] = "{VERSION}"\n'
         "        event: Any = kind("),
    ),
    # The state has one field more, so it is of another format.
    "domain/state.py": (
        ("FORMAT = 3\n", "FORMAT = 4\n"),
        ("    answered: bool = False\n", "    answered: bool = False\n    releases: tuple[str, ...] = ()\n"),
    ),
    "domain/evolve.py": (
        ("def _completed(state: State, event: e.NodeCompleted) -> None:\n",
         "def _completed(state: State, event: e.NodeCompleted) -> None:\n"
         "    if event.release and event.release not in state.releases:\n"
         "        state.releases = (*state.releases, event.release)\n"),
    ),
    # A request and a reply between services have one field more.
    "contracts/history.py": (
        ("    steps: tuple[StepReport, ...] = ()\n",
         f'    steps: tuple[StepReport, ...] = ()\n    release: str = msgspec.field(default_factory=lambda: "{VERSION}")\n'),
        ("    results: tuple[Recorded, ...]\n    next: tuple[Task, ...] = ()\n",
         "    results: tuple[Recorded, ...]\n    next: tuple[Task, ...] = ()\n"
         f'    release: str = msgspec.field(default_factory=lambda: "{VERSION}")\n'),
    ),
}  # fmt: skip
"""By file, what stands there exactly once (or first) and what comes in its place."""


def build(folder: Path) -> Path:
    """The next release's package in `folder`, which is returned. Raises `ValueError` where the code has moved on from
    under an edit."""
    source = Path(linkflow.__file__).parent
    package = folder / "linkflow"
    shutil.copytree(source, package, ignore=shutil.ignore_patterns("__pycache__", "console"))
    for name, edits in EDITS.items():
        text = (package / name).read_text()
        for old, new in edits:
            if old not in text:
                raise ValueError(f"{name} has no {old!r} any more")
            text = text.replace(old, new, 1)
        (package / name).write_text(text)
    (package / "postgres" / "migrations" / MIGRATION).write_text(
        "ALTER TABLE executions ADD COLUMN release_note text;\n"
        "CREATE TABLE release_notes (id bigint PRIMARY KEY, note text NOT NULL);\n"
    )
    return folder
