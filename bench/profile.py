"""``python -m bench.profile``: where LinkFlow's process spends its time under a load, as a flame graph's top in words.

py-spy looks at the process from outside, 250 times a second; it is installed on demand beside the peers. What C code does
(psycopg, msgspec, grpc, uvloop) counts for the Python function that called it, or with ``--native`` for itself.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from . import api, workflows
from .lab import Lab
from .peers import tools
from .report import RESULTS
from .sizes import IN_FLIGHT, Size

PY_SPY = "py-spy==0.4.3"
RATE = 250
DOCUMENTS: dict[str, Callable[[Lab], dict[str, Any]]] = {
    "chain-pure": lambda _lab: workflows.chain_pure(),
    "chain-step": lambda lab: workflows.chain_step(lab.address),
    "chain-step-bare": lambda _lab: workflows.chain_step_bare(),
}
CALLS = {"api-list": api.api_list, "api-show": api.api_show, "api-execute": api.api_execute}
FRAME = re.compile(r"^(?P<function>.*) \((?P<file>[^()]*?)(?::\d+)?\)$")
OURS = re.compile(r"^(?:.*/)?linkflow/((?:\w+/)*)(\w+)\.py$")
THEIRS = re.compile(r"^(?:.*/(?:site-packages|python3\.\d+)/)?(\w[\w.-]*)")


WAITING = {"threading", "concurrent"}
"""A stack of these alone is a thread that waits for work, which py-spy cannot always tell from one that works."""


class Profile(NamedTuple):
    """Samples, and of how many each function was the innermost (`own`) or took part (`all`); likewise modules."""

    samples: int
    own: Counter[str]
    all: Counter[str]
    modules: Counter[str]
    parts: Counter[str]


def module_of(file: str) -> str:
    """`linkflow.services.history` of a file of ours, the package's name of another's."""
    if ours := OURS.search(file):
        return ".".join(["linkflow", *ours[1].split("/")[:2]]).rstrip(".")
    if not file.endswith(".py"):
        return f"{Path(file).name.split('.')[0]} (C)" if file else "?"
    found = THEIRS.search(file)
    return found[1].removesuffix(".py") if found else file


def read(lines: Iterable[str]) -> Profile:
    """What py-spy wrote: a line a stack, its frames from the outside in, and how often it was seen."""
    made = Profile(0, Counter(), Counter(), Counter(), Counter())
    samples = 0
    for line in lines:
        stack, _, count = line.strip().rpartition(" ")
        if not stack or not count.isdigit():
            continue
        frames = [_frame(frame) for frame in stack.split(";")]
        if {module for _, module, _ in frames} <= WAITING:
            continue
        seen = int(count)
        samples += seen
        made.own[_name(frames[-1])] += seen
        made.modules[frames[-1][1]] += seen
        for name in {_name(frame) for frame in frames if frame[1].startswith("linkflow")}:
            made.all[name] += seen
        for module in {module for _, module, _ in frames}:
            made.parts[module] += seen
    return made._replace(samples=samples)


def _frame(text: str) -> tuple[str, str, str]:
    found = FRAME.match(text)
    if not found:
        return text, "?", ""
    return found["function"], module_of(found["file"]), Path(found["file"]).stem


def _name(frame: tuple[str, str, str]) -> str:
    function, module, file = frame
    return f"{function} ({module}{f'.{file}' if module.startswith('linkflow') else ''})"


def words(profile: Profile, workload: str, top: int = 20) -> str:
    """Markdown: the functions with most time of their own, modules, and our functions with all that they call."""
    whole = max(1, profile.samples)

    def table(title: str, what: str, counts: Counter[str], most: int) -> list[str]:
        rows = [f"| `{name}` | {100 * seen / whole:.1f} % |" for name, seen in counts.most_common(most)]
        return ["", f"**{title}**", "", f"| {what} | share |", "|---|---|", *rows]

    first = ", ".join(f"{name} {100 * seen / whole:.0f} %" for name, seen in profile.modules.most_common(6))
    return "\n".join(
        [
            f"{workload}, {profile.samples:,} samples. By the module whose code runs: {first}.",
            *table("Own time", "function", profile.own, top),
            *table("Own time by module", "module", profile.modules, top),
            *table("With all that they call", "function of ours", profile.all, top),
        ]
    )


def _loading(lab: Lab, workload: str) -> Callable[[], object]:
    """What loads the server for about a second; it is warm already."""
    if workload in CALLS:
        each = CALLS[workload]
        each(lab, Size(seconds=1.0, warm_up=1.0, runs=1))
        return lambda: each(lab, Size(seconds=1.0, warm_up=0.1, runs=1))
    workflow = lab.save(DOCUMENTS[workload](lab))
    ask = {"at": "linkflow", "workflow": workflow, "trigger": {"i": 0, "name": "order-42"}, "in_flight": IN_FLIGHT}
    lab.load("runs", seconds=2.0, **ask)
    return lambda: lab.load("runs", seconds=1.0, **ask)


def _record(lab: Lab, workload: str, seconds: float, native: bool, to: Path) -> None:
    """Load the server, and have py-spy watch it meanwhile."""
    spy = tools.python(PY_SPY).with_name("py-spy")
    load = _loading(lab, workload)
    command = [str(spy), "record", "--pid", str(lab.server.pid), "--format", "raw", "--rate", str(RATE)]
    command += ["--duration", str(round(seconds)), "--output", str(to), *(["--native"] if native else [])]
    watching = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + seconds + 60
    while watching.poll() is None and time.monotonic() < deadline:
        load()
    watching.kill()
    _, said = watching.communicate()
    if not to.exists():
        raise RuntimeError(f"py-spy has written nothing: {said[-400:]}")


def main() -> int:
    """Profile, and print it. It needs the right to look into other processes (root, or ptrace allowed)."""
    parser = argparse.ArgumentParser(prog="python -m bench.profile", description="Where LinkFlow's time goes.")
    parser.add_argument("--workload", choices=[*DOCUMENTS, *CALLS], default="chain-pure")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--native", action="store_true", help="C functions by themselves")
    options = parser.parse_args()
    RESULTS.mkdir(parents=True, exist_ok=True)
    raw = RESULTS / f"profile-{options.workload}.txt"
    raw.unlink(missing_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="home-", dir=RESULTS, ignore_cleanup_errors=True) as home,
        Lab(Path(home)) as lab,
    ):
        _record(lab, options.workload, options.seconds, options.native, raw)
    print(words(read(raw.read_text().splitlines()), options.workload))
    print(f"stacks for a flame graph: {raw}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
