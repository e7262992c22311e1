"""XML, by xmltodict: attributes as ``@name``, text beside them as ``#text``."""

from __future__ import annotations

from typing import Any
from xml.parsers import expat

import xmltodict

MAX_DEPTH = 100
MAX_ELEMENTS = 200_000


def parse(text: str, lists: list[str], namespaces: bool) -> Any:
    """The document as an object. Raises `ValueError`; also for any entity that it declares."""
    _measure(text)
    try:
        return xmltodict.parse(
            text, disable_entities=True, force_list=tuple(lists) or None, process_namespaces=namespaces
        )
    except expat.ExpatError as error:
        raise ValueError(f"this is no XML: {error}") from None


def _measure(text: str) -> None:
    """Refuses documents that nest too deeply, have too many elements, or a document type of their own."""
    depth = count = 0

    def begin(_name: str, _attributes: Any) -> None:
        nonlocal depth, count
        depth, count = depth + 1, count + 1
        if depth > MAX_DEPTH:
            raise ValueError(f"the XML is nested deeper than {MAX_DEPTH} levels")
        if count > MAX_ELEMENTS:
            raise ValueError(f"the XML has more than {MAX_ELEMENTS:,} elements")

    def end(_name: str) -> None:
        nonlocal depth
        depth -= 1

    def refuse(*_: Any) -> int:
        raise ValueError("XML with entities of its own is refused")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.EntityDeclHandler = parser.ExternalEntityRefHandler = refuse
    try:
        parser.Parse(text.encode("utf-8"), True)
    except expat.ExpatError as error:
        raise ValueError(f"this is no XML: {error}") from None


def write(value: Any, root: str, pretty: bool, declaration: bool) -> str:
    """An object as XML. Raises `ValueError` for names that XML cannot have."""
    document = {root: value} if root else value
    if not isinstance(document, dict) or len(document) != 1:
        raise ValueError("XML has one outermost element: give an object with one name, or `root`")
    try:
        text: str = xmltodict.unparse(document, pretty=pretty, indent="  ", full_document=declaration)
    except (TypeError, AttributeError) as error:
        raise ValueError(f"the value cannot be written as XML: {error}") from None
    _measure(text)  # whatever names and values were given, what is written is XML
    return text
