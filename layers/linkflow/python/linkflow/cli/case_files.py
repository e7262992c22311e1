"""Test files: YAML or JSON, read with the line of every field, and written so that people like to read them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from msgspec import Struct

MAX_VALUES = 500_000
"""Values in one file, aliases counted as often as they are used."""
SUFFIXES = (".yaml", ".yml", ".json")
_TAG = "tag:yaml.org,2002:"
_CORE = (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
)
"""What is no text in YAML's core schema: unlike in YAML 1.1, `no` and dates are texts."""
_INVISIBLE = re.compile("[^\n\t\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_EDGES = re.compile(r"[ \t]\n|[ \t]$|^\s|\t")


class Fault(Struct, frozen=True):
    """What is wrong in a file. `line` counts from 1, 0 where there is none; `field` is a JSON Pointer."""

    file: str
    line: int
    field: str
    message: str


class Loaded(Struct, frozen=True):
    """A file's value, and the line of each field by its JSON Pointer."""

    path: Path
    text: str
    value: Any = None
    lines: dict[str, int] = {}
    faults: tuple[Fault, ...] = ()

    def line(self, pointer: str) -> int:
        """The line of a field, or of what is around it."""
        while pointer and pointer not in self.lines:
            pointer = pointer.rpartition("/")[0]
        return self.lines.get(pointer, 0)


def load(path: Path) -> Loaded:
    """Read a file; what is wrong with it stands in `faults`."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return Loaded(path, "", faults=(Fault(str(path), 0, "", f"It cannot be read: {error}."),))
    return _json(path, text) if path.suffix == ".json" else _yaml(path, text)


def _json(path: Path, text: str) -> Loaded:
    try:
        value = json.loads(text)
    except ValueError as error:
        line = getattr(error, "lineno", 0)
        return Loaded(path, text, faults=(Fault(str(path), line, "", f"It is not JSON: {error}."),))
    try:
        lines = _Reader(str(path)).read(text.replace("\t", " ")).lines
    except (ImportError, ValueError):  # only the lines are missing then
        lines = {}
    return Loaded(path, text, value, lines)


def _yaml(path: Path, text: str) -> Loaded:
    reader = _Reader(str(path))
    try:
        reader.read(text)
    except ImportError:
        message = "Reading YAML needs PyYAML: pip install 'linkflow[local]', or write the test as JSON."
        return Loaded(path, text, faults=(Fault(str(path), 0, "", message),))
    except ValueError as error:
        line = int(found[1]) if (found := re.search(r"line (\d+)", str(error))) else 0
        return Loaded(path, text, faults=(Fault(str(path), line, "", f"It is not YAML: {error}"),))
    return Loaded(path, text, reader.value, reader.lines, tuple(reader.faults))


class _Reader:
    """YAML with places; JSON is YAML, too."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.value: Any = None
        self.lines: dict[str, int] = {}
        self.faults: list[Fault] = []
        self._count = 0

    def read(self, text: str) -> _Reader:
        """Raises `ValueError` for what is no YAML, `ImportError` where nothing reads it."""
        import yaml

        class Core(yaml.SafeLoader):  # type: ignore[misc]  # yaml has no types
            yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - as the class it derives from has it

        for tag, pattern, first in _CORE:
            Core.add_implicit_resolver(f"{_TAG}{tag}", re.compile(f"^(?:{pattern})$"), list(first))
        try:
            node = yaml.compose(text, Loader=Core)
        except yaml.YAMLError as error:
            mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
            where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
            raise ValueError(f"{problem or error}{where}") from None
        except RecursionError:
            raise ValueError("it is nested too deeply") from None
        self.value = self._of(node, "", 0) if node is not None else None
        return self

    def _of(self, node: Any, pointer: str, depth: int) -> Any:
        self.lines.setdefault(pointer, node.start_mark.line + 1)
        self._count += 1
        if self._count > MAX_VALUES or depth > 200:
            raise ValueError("it has too many values, or is nested too deeply")
        if node.id == "scalar":
            return _scalar(node.tag, node.value)
        if node.id == "sequence":
            return [self._of(inner, f"{pointer}/{index}", depth + 1) for index, inner in enumerate(node.value)]
        found: dict[str, Any] = {}
        for key, inner in node.value:
            name = str(key.value)
            at = f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"
            if name in found:
                line = key.start_mark.line + 1
                self.faults.append(Fault(self.file, line, at, f"{name!r} stands here a second time."))
            self.lines[at] = key.start_mark.line + 1
            found[name] = self._of(inner, at, depth + 1)
        return found


def _scalar(tag: str, text: str) -> Any:
    if tag == f"{_TAG}bool":
        return text.lower() == "true"
    if tag == f"{_TAG}null":
        return None
    if tag == f"{_TAG}int":
        return int(text)
    return float(text) if tag == f"{_TAG}float" else text


def dump(value: Any, suffix: str) -> str:
    """A file's text. Raises `ImportError` where YAML cannot be written."""
    if suffix == ".json":
        return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    import yaml

    class Plain(yaml.SafeDumper):  # type: ignore[misc]
        def ignore_aliases(self, data: Any) -> bool:
            return True

    for tag, pattern, first in _CORE:  # so that a text which looks like one of these is quoted
        Plain.add_implicit_resolver(f"{_TAG}{tag}", re.compile(f"^(?:{pattern})$"), list(first))
    Plain.add_representer(str, _text)
    made: str = yaml.dump(value, Dumper=Plain, sort_keys=False, allow_unicode=True, width=110)
    return made


def _text(dumper: Any, data: str) -> Any:
    """Lines as lines, where that says the same; what is invisible is escaped."""
    style = '"' if _INVISIBLE.search(data) else "|" if "\n" in data and not _EDGES.search(data) else None
    return dumper.represent_scalar(f"{_TAG}str", data, style=style)


def with_expect(loaded: Loaded, expect: dict[str, Any]) -> str:
    """The file's text with other expectations. The rest of a YAML file stays as it is, comments too."""
    whole = dump({**loaded.value, "expect": expect}, loaded.path.suffix)
    lines = loaded.text.splitlines(keepends=True)
    begin = loaded.lines.get("/expect", 0) - 1
    if loaded.path.suffix == ".json" or begin < 0 or not lines[begin].startswith("expect:"):
        return whole
    end = begin + 1
    while end < len(lines) and (lines[end][:1] in (" ", "\t", "\n", "\r") or lines[end].startswith("- ")):
        end += 1
    while end > begin + 1 and not lines[end - 1].strip():
        end -= 1
    return "".join([*lines[:begin], dump({"expect": expect}, loaded.path.suffix), *lines[end:]])
