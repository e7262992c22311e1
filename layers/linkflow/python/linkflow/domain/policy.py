"""What a workspace lets its workflows do: node types, hosts, models, caps. Checked when a workflow is saved and
published, when a run begins, and when a node goes out.

Lists of names take patterns: ``action_*``, ``gpt-4o*``, ``anthropic/*``. An empty list of allowed things allows all;
what is denied is denied although it is allowed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from .definition import TRIGGERS, Definition, Node
from .errors import Problem
from .reach import MOST, faults, place

MAX_PATTERN = 100
LISTS = ("allowed_nodes", "denied_nodes", "allowed_models", "denied_models")
PLACES = ("allowed_hosts", "denied_hosts")
CAPS = {"max_nodes": 1_000, "max_concurrent_runs": 1_000_000, "max_payload": 1 << 30}
MOST_DOLLARS = 1_000_000.0

_URLS = ("url", "endpoint", "base_url", "webhook_url")
_HOSTS = ("host", "server")


class Policy(Struct, frozen=True, omit_defaults=True):
    """Caps are 0 where there is none: nodes of a workflow, runs that are under way at once, bytes of the data with
    which a run begins and of what a node that goes out comes to, US dollars for AI a run. `changed_at` is ms."""

    allowed_nodes: tuple[str, ...] = ()
    denied_nodes: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    denied_hosts: tuple[str, ...] = ()
    allowed_models: tuple[str, ...] = ()
    denied_models: tuple[str, ...] = ()
    max_nodes: int = 0
    max_concurrent_runs: int = 0
    max_payload: int = 0
    max_cost_per_run: float = 0.0
    changed_at: int = 0
    changed_by: str = ""

    @property
    def is_open(self) -> bool:
        """Does it forbid nothing?"""
        lists = any(getattr(self, name) for name in (*LISTS, *PLACES))
        return not (lists or self.max_cost_per_run or any(getattr(self, name) for name in CAPS))


OPEN = Policy()


def wrong(policy: Policy) -> list[Problem]:
    """Everything wrong with how a policy is written."""
    found: list[Problem] = []
    for name in LISTS:
        for at, text in enumerate(getattr(policy, name)):
            if not text or len(text) > MAX_PATTERN or not text.isprintable():
                message = f"Write a name or a pattern of up to {MAX_PATTERN} characters."
                found.append(Problem(f"/{name}/{at}", "invalid_value", message))
    for name in PLACES:
        found += faults(name, getattr(policy, name))
    for name in (*LISTS, *PLACES):
        if len(getattr(policy, name)) > MOST:
            found.append(Problem(f"/{name}", "too_many", f"{MOST} entries are the most."))
    for name, most in CAPS.items():
        if not 0 <= getattr(policy, name) <= most:
            found.append(Problem(f"/{name}", "out_of_range", f"Must be from 1 to {most:,}, or 0 for no cap."))
    if not 0 <= policy.max_cost_per_run <= MOST_DOLLARS:
        message = f"Must be dollars up to {MOST_DOLLARS:,.0f}, or 0 for no cap."
        found.append(Problem("/max_cost_per_run", "out_of_range", message))
    return found


def violations(policy: Policy, definition: Definition) -> list[Problem]:
    """What of a definition the policy forbids, as far as that is written out in it."""
    if policy.is_open:
        return []
    found = []
    if policy.max_nodes and len(definition.nodes) > policy.max_nodes:
        message = (
            f"The workspace's policy allows {policy.max_nodes:,} nodes; this workflow has {len(definition.nodes):,}."
        )
        found.append(Problem("/nodes", "policy_max_nodes", message))
    for at, node in enumerate(definition.nodes):
        found += [Problem(f"/nodes/{at}{path}", code, message) for path, code, message in _of_node(policy, node)]
    return found


def type_fault(policy: Policy, type: str) -> str:
    """Why nodes of this type may not run; empty where they may. Triggers may always."""
    if type in TRIGGERS or _may(type, policy.allowed_nodes, policy.denied_nodes):
        return ""
    return f"The workspace's policy does not allow nodes of type {type!r}."


def model_fault(policy: Policy, model: str, provider: str = "") -> str:
    """Why this model may not be asked; empty where it may. Patterns may name the provider: ``openai/gpt-*``."""
    names = (model, f"{provider}/{model}") if provider else (model,)
    denied = any(_fits(name, policy.denied_models) for name in names)
    if not denied and (not policy.allowed_models or any(_fits(name, policy.allowed_models) for name in names)):
        return ""
    return f"The workspace's policy does not allow the model {model!r}."


def host_fault(policy: Policy, host: str, port: int) -> str:
    """Why this host may not be called; empty where it may. Names that lead to a forbidden address are found when it is
    called."""
    denied = any(place(text).has(host, port) for text in policy.denied_hosts)
    if not denied and (not policy.allowed_hosts or any(place(text).has(host, port) for text in policy.allowed_hosts)):
        return ""
    return f"The workspace's policy does not allow calls to {host}:{port}."


def _of_node(policy: Policy, node: Node) -> Iterator[tuple[str, str, str]]:
    if message := type_fault(policy, node.type):
        yield "/type", "policy_node_type", message
    if policy.allowed_hosts or policy.denied_hosts:
        for path, host, port in _hosts(node.config):
            if message := host_fault(policy, host, port):
                yield f"/config{path}", "policy_host", message
    model = node.config.get("model")
    if (policy.allowed_models or policy.denied_models) and _is_plain(model):
        provider = node.config.get("provider")
        if message := model_fault(policy, str(model), provider if isinstance(provider, str) else ""):
            yield "/config/model", "policy_model", message


def _hosts(config: Mapping[str, Any]) -> Iterator[tuple[str, str, int]]:
    """Hosts that a config names as they are. What an expression gives is for the node's run to check."""
    for name in _URLS:
        text = config.get(name)
        if not isinstance(text, str) or "{{" in text.partition("://")[2].partition("/")[0]:
            continue
        try:
            url = urlsplit(text)
            port = url.port or (80 if url.scheme == "http" else 443)
        except ValueError:
            continue
        if url.hostname:
            yield f"/{name}", url.hostname.lower(), port
    for name in _HOSTS:
        if _is_plain(config.get(name)):
            given = config.get("port")
            yield f"/{name}", str(config[name]).lower(), given if isinstance(given, int) else 0


def _is_plain(value: Any) -> bool:
    return isinstance(value, str) and bool(value) and "{{" not in value


def _may(name: str, allowed: Iterable[str], denied: Iterable[str]) -> bool:
    return not _fits(name, denied) and (not allowed or _fits(name, allowed))


def _fits(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
