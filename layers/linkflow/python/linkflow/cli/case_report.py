"""What tests came to: for people, for programs, and for CI (JUnit)."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import click
import msgspec
from msgspec import Struct

from linkflow.domain.cases.checking import MISSING, Difference

from .case_files import Fault

WIDEST = 600
"""Characters of a value in a diff."""
_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_COMMANDS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
SHOWN = 20
"""Differences of one test that people see."""


class Told(Struct, frozen=True):
    """How a test went: ``passed``, ``failed`` or ``updated``."""

    file: str
    name: str
    status: str
    seconds: float
    differences: Sequence[Difference] = ()


class Report(Struct):
    tests: Sequence[Told] = ()
    faults: Sequence[Fault] = ()
    seconds: float = 0.0

    def count(self, status: str) -> int:
        return sum(one.status == status for one in self.tests)


def tell(report: Report, junit: str, as_json: bool) -> None:
    """Print it, and write the JUnit file."""
    if as_json:
        print(json.dumps(_data(report), indent=2, ensure_ascii=False))
    else:
        _print(report)
    if junit:
        path = Path(junit)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_junit(report))


def _print(report: Report) -> None:
    for told in report.tests:
        colour = {"passed": "green", "updated": "yellow"}.get(told.status, "red")
        mark = {"passed": "ok", "updated": "updated", "failed": "FAILED"}[told.status]
        _line(f"{click.style(f'{mark:<8}', fg=colour)}{_shown(told.name)}  {click.style(_shown(told.file), dim=True)}")
        for difference in told.differences[:SHOWN]:
            _line(_as_text(difference))
        if len(told.differences) > SHOWN:
            _line(f"    … and {len(told.differences) - SHOWN} more")
    for fault in report.faults:
        where = f"{fault.file}:{fault.line}" if fault.line else fault.file
        said = _shown(f"{where} {fault.field}: {fault.message}".replace(" : ", ": "))
        _line(f"{click.style('bad file', fg='red')} {said}")
    counts = [f"{report.count('passed')} passed"]
    counts += [f"{count} {status}" for status in ("failed", "updated") if (count := report.count(status))]
    if report.faults:
        counts.append(f"{len(report.faults)} {'fault' if len(report.faults) == 1 else 'faults'} in files")
    if report.tests or report.faults:
        _line(f"{', '.join(counts)} in {report.seconds:.2f} s")


def _line(text: str) -> None:
    click.echo(text, color=None if sys.stdout.isatty() else False)


def _as_text(difference: Difference) -> str:
    lines = [_shown(f"    {difference.path or 'run'}" + (f": {difference.said}" if difference.said else ""))]
    if difference.path or difference.expected != "a run":
        lines.append(click.style(f"      - expected {_short(difference.expected)}", fg="red"))
        lines.append(click.style(f"      + actual   {_short(difference.actual)}", fg="green"))
    return "\n".join(lines)


def _short(value: Any) -> str:
    text = value if value == MISSING else json.dumps(value, ensure_ascii=False)
    return _shown(text) if len(text) <= WIDEST else f"{_shown(text[:WIDEST])}… ({len(text):,} characters)"


def _shown(text: str) -> str:
    """Without what commands a terminal: names and messages may be anybody's."""
    return _COMMANDS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def _data(report: Report) -> dict[str, Any]:
    return {
        "passed": report.count("passed"),
        "failed": report.count("failed"),
        "updated": report.count("updated"),
        "seconds": round(report.seconds, 3),
        "tests": [msgspec.to_builtins(told) for told in report.tests],
        "faults": [msgspec.to_builtins(fault) for fault in report.faults],
    }


def _junit(report: Report) -> bytes:
    """The form that CI systems read."""
    failed, bad = report.count("failed"), len(report.faults)
    root = Xml.Element("testsuites")
    suite = Xml.SubElement(
        root, "testsuite", name="linkflow", tests=str(len(report.tests) + bad), failures=str(failed), errors=str(bad),
        skipped="0", time=f"{report.seconds:.3f}",
    )  # fmt: skip
    for told in report.tests:
        case = _case(suite, told.name, told.file, told.seconds)
        if told.status == "failed":
            text = "\n".join(click.unstyle(_as_text(one)) for one in told.differences)
            first = told.differences[0]
            what = f"{first.path or 'run'}{f': {first.said}' if first.said else ' differs'}"
            failure = Xml.SubElement(case, "failure", message=_storable(what))
            failure.text = _storable(text)
    for fault in report.faults:
        case = _case(suite, f"{fault.file}:{fault.line}", fault.file, 0.0)
        Xml.SubElement(case, "error", message=_storable(f"{fault.field}: {fault.message}"))
    made: bytes = Xml.tostring(root, encoding="utf-8", xml_declaration=True)
    return made


def _case(suite: Xml.Element, name: str, file: str, seconds: float) -> Xml.Element:
    return Xml.SubElement(suite, "testcase", name=_storable(name), classname=_storable(file), time=f"{seconds:.3f}")


def _storable(text: str) -> str:
    """Without what XML has no way to write."""
    return _UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", text)
