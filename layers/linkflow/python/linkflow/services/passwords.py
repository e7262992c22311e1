"""Passwords: how they are kept, and which ones will do."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Iterable
from typing import Any, NamedTuple

from linkflow.domain.errors import InvalidInput, Problem

MIN_PASSWORD, MAX_PASSWORD = 8, 200


class Cost(NamedTuple):
    """Argon2id's parameters, as OWASP has them: 20 ms and 19 MiB a hash. Less is for tests."""

    rounds: int = 2
    memory_kib: int = 19 * 1024
    lanes: int = 1


COST = Cost()

COMMON = frozenset(
    """
    abc abcd abcdef abcdefg access admin administrator adobe alexander amanda america andrew angel anthony apple
    arsenal asd asdf asdfg asdfgh asdfghjkl ashley autumn azerty babygirl bailey banana baseball basketball batman
    beautiful biteme blink butterfly buster changeme changethis charlie cheese chelsea chocolate chris computer
    cookie daniel default demo dragon eagle eminem family ferrari flower football freedom friends fuckyou george
    ginger google guest hannah harley hello hockey hunter iloveu iloveyou jessica jesus jennifer jordan joshua
    justin killer letmein linkedin linkflow liverpool login london love lovely loveme maggie manchester master
    matrix matthew merlin michael michelle mickey monday monkey monster mustang mynoob nicole ninja nothing oliver
    orange pass passcode passphrase password passwort pepper phoenix pokemon princess purple qazwsx qazwsxedc qwe
    qwer qwert qwerty qwertyui qwertyuiop qwertz ranger robert root samantha samsung sample secret secure security
    shadow silver slipknot soccer spring starwars steelers summer sunday sunshine superman system tennis test
    testing thomas thunder tigger trustno user vagrant warrior welcome whatever william willkommen winter yankees
    yellow zaq zaqwsx zxc zxcvb zxcvbn zxcvbnm
    """.split()  # noqa: SIM905 - a list of so many would be a line each
)
"""What most leaked passwords are made of, once digits and signs at their ends, and letters written as digits, are
taken off."""

_LEET = str.maketrans("013457@$!8", "oleastasib")
_ENDS = re.compile(r"^[^a-z]+|[^a-z]+$")


class Passwords:
    """Argon2id, in threads."""

    def __init__(self, at_once: int = 2, cost: Cost = COST) -> None:
        self._slots = asyncio.Semaphore(at_once)
        self._cost = cost
        self._hasher: Any = None
        self._decoy = ""

    async def hash(self, password: str) -> str:
        async with self._slots:
            return await asyncio.to_thread(self._hash, password)

    async def verify(self, stored: str, password: str) -> bool:
        """Does the password match? An empty `stored` never does, and takes as long."""
        async with self._slots:
            return await asyncio.to_thread(self._verify, stored, password)

    def outdated(self, stored: str) -> bool:
        """Was this hash made with other parameters than today's?"""
        return bool(self._argon().check_needs_rehash(stored))

    def _argon(self) -> Any:
        if self._hasher is None:
            from argon2 import PasswordHasher

            self._hasher = PasswordHasher(*self._cost)
        return self._hasher

    def _hash(self, password: str) -> str:
        return str(self._argon().hash(password))

    def _verify(self, stored: str, password: str) -> bool:
        from argon2.exceptions import Argon2Error, InvalidHashError

        if not stored:
            self._decoy = self._decoy or self._hash(secrets.token_hex(16))
        try:
            return bool(self._argon().verify(stored or self._decoy, password)) and bool(stored)
        except (Argon2Error, InvalidHashError):
            return False


def password_problems(password: str, confirmation: str, about: Iterable[str] = ()) -> list[Problem]:
    """Everything that is wrong with a new password. `about` is what everybody knows of its owner: names, address."""
    rules = {
        "too_short": (len(password) < MIN_PASSWORD, f"A password has at least {MIN_PASSWORD} characters."),
        "too_long": (len(password) > MAX_PASSWORD, f"A password has at most {MAX_PASSWORD} characters."),
        "no_mixed_case": (
            not any(c.islower() for c in password) or not any(c.isupper() for c in password),
            "A password has lower and upper case letters.",
        ),
        "no_digit": (not any(c.isdigit() for c in password), "A password has a digit."),
        "common": (
            len(password) >= MIN_PASSWORD and is_common(password),
            "This is among the first passwords that are tried. Take one of your own.",
        ),
        "personal": (_tells(password, about), "A password does not have your name or address in it."),
    }
    found = [Problem("/password", code, message) for code, (broken, message) in rules.items() if broken]
    if password != confirmation:
        found.append(Problem("/password_confirmation", "mismatch", "The two passwords differ."))
    return found


def check_password(password: str, confirmation: str, about: Iterable[str] = ()) -> None:
    """Raises `InvalidInput` with every fault."""
    if problems := password_problems(password, confirmation, about):
        raise InvalidInput("The password will not do.", problems=problems)


def is_common(password: str) -> bool:
    """Is it one of the usual words with the usual decoration, or a few characters over and over?"""
    text = password.lower()
    bare, spelt = _ENDS.sub("", text), _ENDS.sub("", text.translate(_LEET))
    words = {bare, spelt, _ENDS.sub("", bare.translate(_LEET))}
    doubled = {word[: len(word) // 2] for word in words if word and word[: len(word) // 2] * 2 == word}
    return bool((words | doubled) & COMMON) or len(set(text)) < 3


def _tells(password: str, about: Iterable[str]) -> bool:
    """Names of four letters and more only: a shorter one is in many a good password."""
    text = password.lower()
    known = {part for one in about for part in re.split(r"[^\w]+", one.lower().partition("@")[0])}
    return any(len(part) >= 4 and part in text and len(part) * 2 > len(text) for part in known)
