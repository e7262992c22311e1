"""Text to tokens, and finding where a `{{ … }}` or `${ … }` ends."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from linkflow.domain.expressions.errors import Fault

MAX_NESTING = 64
"""How deep brackets, operators and template strings may nest. Each level takes some eight Python frames to parse, and
an expression that was saved must also compile where the stack is already deep."""


class Token(NamedTuple):
    """`value`: a number, a string's text, a template string's parts, or the spelling of a name or operator."""

    kind: str  # number | string | template | regex | name | op | end
    value: Any
    at: int


_SPACE = re.compile(r"(?:\s+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO][0-7]+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NAME = re.compile(r"(?:[^\W\d]|\$)[\w$]*")
_OPERATOR = re.compile(
    r">>>=|\.\.\.|===|!==|\*\*=|&&=|\|\|=|\?\?=|<<=|>>=|>>>|\+\+|--|=>|\*\*|==|!=|<=|>=|&&|\|\||\?\?|<<|>>|\?\.(?![0-9])"
    r"|[-+*/%&|^]=|[-+*/%<>!?:.,()\[\]{}=;&|^~]"
)
_REGEX = re.compile(r"/(?!\*)((?:[^/\\\[\n]|\\[^\n]|\[(?:[^\]\\\n]|\\[^\n])*\])+)/([a-z]*)")
_NO_BRACKETS = re.compile(r"\\.|\[(?:[^\]\\]|\\.)*\]")
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_WORD_BEFORE = re.compile(r"[\w$]+\Z")
_WORDS = "return typeof in of instanceof case delete new else do throw void and or not AND OR NOT"
_BEFORE_VALUES = frozenset(_WORDS.split())
"""Words behind which a slash begins a regular expression; behind any other name it divides."""
_STRING_STOP = {quote: re.compile(rf"[{quote}\\\n]") for quote in "\"'"}
_TEMPLATE_STOP = re.compile(r"`|\\|\$\{")
_BRACE_STOP = re.compile(r"[\"'`{}/]")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0", "\n": ""}
_CODE = re.compile(r"x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]{1,6})\}")
_LOW_SURROGATE = re.compile(r"\\u([dD][c-fC-F][0-9a-fA-F]{2})")


def tokenize(source: str, start: int, end: int) -> list[Token]:
    """The tokens of `source[start:end]`, closed by an ``end`` token; offsets count from the start of `source`."""
    tokens: list[Token] = []
    at = start
    while True:
        at = _skip_space(source, at, end)
        if at >= end:
            tokens.append(Token("end", "", end))
            return tokens
        if source[at] == "/" and (not tokens or _awaits_value(tokens[-1])):
            token, at = _regex(source, at, end)
        else:
            token, at = _next_token(source, at, end)
        tokens.append(token)


def _awaits_value(last: Token) -> bool:
    if last.kind == "op":
        return last.value not in (")", "]", "}", "++", "--")
    return last.kind == "name" and last.value in _BEFORE_VALUES


def _regex(source: str, at: int, end: int) -> tuple[Token, int]:
    found = _REGEX.match(source, at, end)
    if found is None:
        raise Fault("a value is missing before '/', or the regular expression is never closed", at)
    if set(found[2]) - set("dgimsuvy") or len(set(found[2])) < len(found[2]):
        raise Fault(f"a regular expression has no flags '{found[2][:20]}'", found.end(2) - len(found[2]))
    if not _balanced(found[1]):
        raise Fault("the brackets of the regular expression do not match", at)
    return Token("regex", (found[1], found[2]), at), found.end()


def _balanced(pattern: str) -> bool:
    depth = 0
    for char in _NO_BRACKETS.sub("", pattern):
        depth += (char == "(") - (char == ")")
        if depth < 0:
            return False
    return depth == 0


def skip_slash(source: str, start: int, at: int, end: int) -> int:
    """The offset behind the comment, the regular expression or the division that the slash at `at` begins, in the
    expression that begins at `start`."""
    if found := _COMMENT.match(source, at, end):
        return found.end()
    before = source[max(start, at - 200) : at].rstrip()
    word = _WORD_BEFORE.search(before[-40:])
    divides = word[0] not in _BEFORE_VALUES if word else before[-1:] in tuple(")]}\"'`")
    found = None if divides else _REGEX.match(source, at, end)
    return found.end() if found else at + 1


def _skip_space(source: str, at: int, end: int) -> int:
    found = _SPACE.match(source, at, end)
    return found.end() if found else at


def _next_token(source: str, at: int, end: int) -> tuple[Token, int]:
    char = source[at]
    if char in "\"'":
        text, after = read_string(source, at, end)
        return Token("string", text, at), after
    if char == "`":
        parts, after = read_template(source, at, end)
        return Token("template", parts, at), after
    if found := _NUMBER.match(source, at, end):
        if (name := _NAME.match(source, found.end(), end)) is not None:
            raise Fault(f"unexpected '{name[0][:40]}' after a number", found.end())
        return Token("number", _number(found[0]), at), found.end()
    if found := _NAME.match(source, at, end):
        return Token("name", found[0], at), found.end()
    found = _OPERATOR.match(source, at, end)
    if found is None:
        raise Fault(f"unexpected character {char!r}", at)
    return Token("op", found[0], at), found.end()


def _number(text: str) -> int | float:
    if text[:2].lower() in ("0x", "0b", "0o"):
        value = int(text, 0)
        # Past 1e21 JavaScript, too, has only a floating point number, and past 1e308 only Infinity.
        return value if value < 10**21 else float(value) if value.bit_length() < 1024 else float("inf")
    if text.isdigit() and len(text) <= 21:
        return int(text)
    number = float(text)
    return int(number) if number.is_integer() and number <= 2**53 else number


def read_string(source: str, at: int, end: int) -> tuple[str, int]:
    """The text of the quoted string at `at`, and the offset behind it."""
    stop = _STRING_STOP[source[at]]
    out: list[str] = []
    position = at + 1
    while found := stop.search(source, position, end):
        out.append(source[position : found.start()])
        if found[0] == "\\":
            text, position = _escape(source, found.start(), end)
            out.append(text)
            continue
        if found[0] == "\n":
            break
        return "".join(out), found.end()
    raise Fault("the string is never closed", at)


def _escape(source: str, at: int, end: int) -> tuple[str, int]:
    """The character that the backslash at `at` stands for, and the offset behind it."""
    if at + 1 >= end:
        raise Fault("the string is never closed", at)
    char = source[at + 1]
    if char not in "xu":
        return _ESCAPES.get(char, char), at + 2
    found = _CODE.match(source, at + 1, end)
    if found is None:
        raise Fault(f"'\\{char}' needs hexadecimal digits", at)
    code = int(found[1] or found[2] or found[3], 16)
    after = found.end()
    if 0xD800 <= code < 0xDC00 and (low := _LOW_SURROGATE.match(source, after, end)):
        code = 0x10000 + ((code - 0xD800) << 10) + (int(low[1], 16) - 0xDC00)
        after = low.end()
    # Half a surrogate pair is no character: it could be stored nowhere.
    return ("\ufffd" if code > 0x10FFFF or 0xD800 <= code < 0xE000 else chr(code)), after


def read_template(source: str, at: int, end: int, depth: int = 0) -> tuple[list[str | tuple[int, int]], int]:
    """The template string at `at` as texts and `(start, end)` ranges of expressions, and the offset behind it."""
    if depth > MAX_NESTING:
        raise Fault("template strings are nested too deeply", at)
    parts: list[str | tuple[int, int]] = []
    position = at + 1
    while found := _TEMPLATE_STOP.search(source, position, end):
        parts.append(source[position : found.start()])
        if found[0] == "`":
            return parts, found.end()
        if found[0] == "\\":
            text, position = _escape(source, found.start(), end)
            parts.append(text)
            continue
        close = find_close(source, found.end(), end, "}", depth + 1)
        if close < 0:
            raise Fault("'${' is never closed", found.start())
        parts.append((found.end(), close))
        position = close + 1
    raise Fault("the template string is never closed", at)


def find_close(source: str, at: int, end: int, closer: str, depth: int = 0) -> int:
    """The offset of the `closer` (``}`` or ``}}``) that ends the expression begun at `at`; -1 if there is none.

    Braces inside strings, template strings, regular expressions, comments and object literals do not count.
    """
    braces, start = 0, at
    while found := _BRACE_STOP.search(source, at, end):
        char, at = found[0], found.end()
        if char == "{":
            braces += 1
        elif char == "}":
            if braces == 0:
                return found.start() if source.startswith(closer, found.start()) else -1
            braces -= 1
        elif char == "/":
            at = skip_slash(source, start, found.start(), end)
        elif char == "`":
            _, at = read_template(source, found.start(), end, depth)
        else:
            _, at = read_string(source, found.start(), end)
    return -1
