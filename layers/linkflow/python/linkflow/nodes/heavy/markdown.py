"""Markdown to HTML, by markdown-it."""

from __future__ import annotations

from markdown_it import MarkdownIt


def to_html(text: str, allow_html: bool, breaks: bool) -> str:
    """CommonMark with tables and strikethrough. HTML in it is shown as text unless it is allowed."""
    reader = MarkdownIt("commonmark", {"html": allow_html, "breaks": breaks}).enable(["table", "strikethrough"])
    return str(reader.render(text))
