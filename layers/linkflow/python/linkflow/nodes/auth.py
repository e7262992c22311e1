"""HTTP authentication, as webhooks ask for it and HTTP nodes send it."""

from __future__ import annotations

import base64
from typing import Any, Literal

from pydantic import AliasChoices, Field, model_validator

from linkflow.nodes.base import Params
from linkflow.nodes.fields import Secret, Text

_FLAT = ("username", "password", "token", "header_name", "header_value", "api_key", "query_name", "query_value")
_NEEDS = {
    "basic": ("username",),
    "bearer": ("token",),
    "header": ("header_name", "header_value"),
    "api_key": ("header_value",),
    "query": ("query_value",),
}


class Auth(Params):
    """Which kind, and the fields of that kind. Left out, the kind is told from the fields."""

    type: Literal["none", "basic", "bearer", "header", "api_key", "query"] = "none"
    username: Text = ""
    password: Secret = ""
    token: Secret = ""
    header_name: Text = Field(default="", validation_alias=AliasChoices("header_name", "name"))
    header_value: Secret = Field(default="", validation_alias=AliasChoices("header_value", "value", "api_key"))
    query_name: Text = "api_key"
    query_value: Secret = ""

    @model_validator(mode="before")
    @classmethod
    def _tell_kind(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("type"):
            return data
        kind = next(
            (
                kind
                for kind, mark in (
                    ("bearer", "token"),
                    ("basic", "username"),
                    ("api_key", "api_key"),
                    ("query", "query_value"),
                )
                if data.get(mark)
            ),
            "header" if {"header_name", "name"} & data.keys() else "none",
        )
        return {**data, "type": kind}

    @model_validator(mode="after")
    def _is_complete(self) -> Auth:
        missing = [name for name in _NEEDS.get(self.type, ()) if not getattr(self, name)]
        if missing:
            raise ValueError(f"auth {self.type} needs {' and '.join(f'`{name}`' for name in missing)}")
        return self

    def headers(self) -> dict[str, str]:
        """The request headers that this authentication comes to."""
        if self.type == "basic":
            pair = f"{self.username}:{self.password}".encode()
            return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
        if self.type == "bearer":
            return {"Authorization": f"Bearer {self.token}"}
        if self.type in ("header", "api_key"):
            return {self.header_name or "X-API-Key": self.header_value}
        return {}

    def query(self) -> dict[str, str]:
        """The query parameters that this authentication comes to."""
        return {self.query_name: self.query_value} if self.type == "query" else {}


def gather(data: Any) -> Any:
    """Brings the original's flat spelling (``auth_type``, ``auth_config``, ``token`` …) into one ``auth`` object."""
    if not isinstance(data, dict) or not (
        {"auth_type", "auth_config"} & data.keys() or isinstance(data.get("auth"), str)
    ):
        return data
    rest = {name: value for name, value in data.items() if name not in ("auth", "auth_type", "auth_config", *_FLAT)}
    auth = {name: data[name] for name in _FLAT if name in data}
    for inner in (data.get("auth_config"), data.get("auth")):
        if isinstance(inner, dict):
            auth.update(inner)
    kind = data.get("auth_type") or data.get("auth")
    if isinstance(kind, str) and kind:
        auth["type"] = kind
    return {**rest, "auth": auth}
