"""HTML, by lexbor's parser: as browsers read it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from selectolax.lexbor import LexborHTMLParser, LexborNode, SelectolaxError

MAX_FOUND = 100_000
_NOT_SHOWN = ["script", "style", "noscript", "template", "head", "iframe", "object", "svg"]
_BLANKS = re.compile(r"\s+")


def extract(text: str, each: str, fields: list[dict[str, Any]]) -> Any:
    """Values by CSS selectors: an object, or with `each` a list of them, one for each element found."""
    root = LexborHTMLParser(text).root
    if root is None:
        return [] if each else _values(None, fields)
    if not each:
        return _values(root, fields)
    return [_values(one, fields) for one in _found(root, each)]


def _found(node: LexborNode, selector: str) -> list[LexborNode]:
    try:
        return list(node.css(selector))[:MAX_FOUND]
    except (SelectolaxError, ValueError, RuntimeError):
        raise ValueError(f"{selector!r} is no CSS selector that can be used") from None


def _values(node: LexborNode | None, fields: list[dict[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for field in fields:
        selector = field["selector"]
        nodes = [] if node is None else _found(node, selector) if selector else [node]
        taken = [_taken(one, field["take"]) for one in (nodes if field["all"] else nodes[:1])]
        values[field["name"]] = taken if field["all"] else taken[0] if taken else None
    return values


def _taken(node: LexborNode, take: str) -> Any:
    if take == "text":
        return _BLANKS.sub(" ", node.text(separator=" ") or "").strip()
    if take == "html":
        return node.html
    return node.inner_html if take == "inner_html" else node.attributes.get(take)


def text(html: str) -> str:
    """What a reader sees, a line for each block."""
    parser = LexborHTMLParser(html)
    parser.strip_tags(_NOT_SHOWN)
    body = parser.body
    lines = (_BLANKS.sub(" ", line).strip() for line in markdown(html, plain=True).split("\n")) if body else iter(())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def table(html: str, selector: str) -> list[Any]:
    """The rows of a table, as objects by the names in its header, or lists where it has none."""
    root = LexborHTMLParser(html).root
    tables = _found(root, selector or "table") if root else []
    if not tables:
        raise ValueError("there is no such table")
    rows = [[(cell.tag, _taken(cell, "text")) for cell in row.css("th, td")] for row in tables[0].css("tr")]
    rows = [row for row in rows if row]
    if not rows or not all(tag == "th" for tag, _ in rows[0]):
        return [[value for _, value in row] for row in rows]
    names = [value or f"column_{place}" for place, (_, value) in enumerate(rows[0], 1)]
    if len(names) * len(rows) > 1_000_000:
        raise ValueError("the table is too large")
    return [
        {name: row[at][1] if at < len(row) else None for at, name in enumerate(names)} for row in rows[1:]
    ]  # fmt: skip


def markdown(html: str, plain: bool = False) -> str:
    """The page as Markdown; `plain` leaves the marks out."""
    parser = LexborHTMLParser(html)
    parser.strip_tags(_NOT_SHOWN)
    if parser.body is None:
        return ""
    written = re.sub(r"(?m)^[ \t]+$|(?<! ) $", "", _Writer(plain).block(parser.body, 0))
    return re.sub(r"\n{3,}", "\n\n", written).strip()


_MARKS = {"strong": "**", "b": "**", "em": "*", "i": "*", "del": "~~", "s": "~~", "code": "`", "kbd": "`"}
_BLOCKS = frozenset(
    ["address", "article", "aside", "blockquote", "body", "dd", "details", "div", "dl", "dt", "fieldset", "figure",
     "figcaption", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol", "p",
     "pre", "section", "summary", "table", "ul"]
)  # fmt: skip
_SPECIAL = re.compile(r"([\\`*_\[\]])")
MAX_DEPTH = 200


class _Writer:
    def __init__(self, plain: bool) -> None:
        self.plain = plain

    def block(self, node: LexborNode, depth: int) -> str:
        if depth > MAX_DEPTH:
            raise ValueError(f"the HTML is nested deeper than {MAX_DEPTH} levels")
        parts: list[str] = []
        for child in _children(node):
            if child.tag in _BLOCKS:
                parts.append(f"\n\n{self._one(child, depth + 1)}\n\n")
            else:
                parts.append(self.inline(child, depth + 1))
        return "".join(parts)

    def _one(self, node: LexborNode, depth: int) -> str:
        tag = node.tag or ""
        if tag == "hr":
            return "" if self.plain else "---"
        if tag == "pre":
            code = (node.text() or "").strip("\n")
            return code if self.plain else f"```\n{code}\n```"
        if tag in ("ul", "ol"):
            return self._items(node, tag == "ol", depth)
        if tag == "table":
            return self._table(node)
        inner = self.block(node, depth).strip()
        if self.plain or not inner:
            return inner
        if len(tag) == 2 and tag[0] == "h" and tag[1] in "123456":
            return f"{'#' * int(tag[1])} {inner}"
        if tag == "blockquote":
            return "\n".join(f"> {line}".rstrip() for line in inner.split("\n"))
        return inner

    def _items(self, node: LexborNode, ordered: bool, depth: int) -> str:
        lines, number = [], 1
        for child in _children(node):
            if child.tag != "li":
                continue
            mark = "" if self.plain else f"{number}. " if ordered else "- "
            inner = re.sub(r"\n{2,}", "\n", self.block(child, depth + 1).strip())
            lines.append(mark + inner.replace("\n", "\n" + " " * len(mark)))
            number += 1
        return "\n".join(lines)

    def _table(self, node: LexborNode) -> str:
        rows = [[_taken(cell, "text") for cell in row.css("th, td")] for row in node.css("tr")]
        rows = [row for row in rows if row]
        if self.plain:
            return "\n".join("\t".join(row) for row in rows)
        width = max((len(row) for row in rows), default=0)
        lines = [
            "| " + " | ".join((cell or "").replace("|", "\\|") for cell in [*row, *[""] * (width - len(row))]) + " |"
            for row in rows
        ]
        return "\n".join([*lines[:1], "|" + "---|" * width, *lines[1:]]) if lines else ""

    def inline(self, node: LexborNode, depth: int) -> str:
        if depth > MAX_DEPTH:
            raise ValueError(f"the HTML is nested deeper than {MAX_DEPTH} levels")
        tag = node.tag or ""
        if tag == "-text":
            found = _BLANKS.sub(" ", node.text_content or "")
            return found if self.plain else _SPECIAL.sub(r"\\\1", found)
        if tag == "br":
            return "\n" if self.plain else "  \n"
        if tag == "img":
            alt = node.attributes.get("alt") or ""
            return alt if self.plain else f"![{alt}]({_address(node, 'src')})"
        if tag.startswith(("-", "!", "#")):
            return ""
        inner = "".join(
            f"\n\n{self._one(child, depth + 1)}\n\n" if child.tag in _BLOCKS else self.inline(child, depth + 1)
            for child in _children(node)
        )
        if self.plain or not inner.strip():
            return inner
        if tag == "a":
            address = _address(node, "href")
            return f"[{inner.strip()}]({address})" if address else inner
        mark = _MARKS.get(tag, "")
        return f"{inner[: len(inner) - len(inner.lstrip())]}{mark}{inner.strip()}{mark}{inner[len(inner.rstrip()) :]}"


def _address(node: LexborNode, name: str) -> str:
    """An address as it may stand in Markdown: nothing that runs code, and no blank or bracket that ends it."""
    found = (node.attributes.get(name) or "").strip()
    if re.match(r"(?i)\s*(javascript|vbscript|data)\s*:", found):
        return ""
    return found.replace(" ", "%20").replace("(", "%28").replace(")", "%29").replace("\n", "")


def _children(node: LexborNode) -> Iterator[LexborNode]:
    child = node.child
    while child is not None:
        yield child
        child = child.next
