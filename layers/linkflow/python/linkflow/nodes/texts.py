"""Text as nodes that convert it take it."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from linkflow.nodes.base import NodeFailure

MAX_TEXT = 1024 * 1024
"""Characters that are converted at once."""


def text_of(value: Any, most: int = MAX_TEXT) -> str:
    """Text, or that of bytes as HTTP nodes hand them on (``{"base64": …}``). Raises `NodeFailure` ``not_a_text``."""
    if isinstance(value, dict) and isinstance(value.get("base64"), str):
        try:
            value = base64.b64decode(value["base64"], validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise NodeFailure("not_a_text", "The bytes are no text in UTF-8.", retryable=False) from None
    if not isinstance(value, str):
        raise NodeFailure("not_a_text", "There is no text: give it in `value`.", retryable=False)
    if len(value) > most:
        text = f"The text has {len(value):,} characters; {most:,} are the most that are converted at once."
        raise NodeFailure("not_a_text", text, retryable=False)
    return value
