"""compose.yaml, deploy/kubernetes and template.yaml say nothing that nobody reads: variables, commands, probes; and
Kubernetes' own schemas have nothing against ours."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import click
import httpx
import kubernetes_validate
import pytest
import yaml

from linkflow.cli import main
from linkflow.cli.probes import Probed
from linkflow.config import Config, load
from tests.e2e.containers import compose, filled, image, served
from tests.lambda_environment import ROOT
from tests.unit.test_kubernetes import BASE, KUSTOMIZATION, container, objects

KUBERNETES = "1.33"
"""The oldest version that the manifests are for."""
OVERLAY = yaml.safe_load((BASE.parent / "overlays" / "production" / "kustomization.yaml").read_text())
COMMON = yaml.safe_load((BASE / "common.yaml").read_text())
GIVEN = {"POSTGRES_PASSWORD": "p", "LINKFLOW_SECRET": "s" * 32}
OTHERS = frozenset({
    "PATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PYDANTIC_DISABLE_PLUGINS",
    "AWS_USE_DUALSTACK_ENDPOINT", "POWERTOOLS_SERVICE_NAME",
})  # fmt: skip
"""Read by Python, by libraries and by AWS."""


def known() -> frozenset[str]:
    """Every variable that LinkFlow reads where it serves: settings, addresses of services, options of commands."""
    plain = {"database_url": "DATABASE_URL", "redis_url": "REDIS_URL"}
    settings = {plain.get(name, f"LINKFLOW_{name.upper()}") for name in Config.__struct_fields__}
    peers = {f"LINKFLOW_{name.upper()}_URL" for name in served(compose()) if name != "api"}
    return frozenset(settings | peers | set(_options(main)) | OTHERS)


def _options(command: click.Command) -> Iterator[str]:
    for option in command.params:
        if option.envvar:
            yield from [option.envvar] if isinstance(option.envvar, str) else option.envvar
    for inner in command.commands.values() if isinstance(command, click.Group) else ():
        yield from _options(inner)


def literals(kustomization: Mapping[str, Any]) -> dict[str, str]:
    (generated,) = kustomization["configMapGenerator"]
    return dict(pair.split("=", 1) for pair in generated["literals"])


def deployed() -> Iterator[dict[str, Any]]:
    """The objects with what kustomize lays over deployments."""
    for one in objects():
        yield laid(COMMON, one) if one["kind"] == "Deployment" else one


def laid(under: Any, over: Any) -> Any:
    """A strategic merge, as far as ours goes: dicts by key, lists of named things by name."""
    if isinstance(under, dict) and isinstance(over, dict):
        return {key: laid(under.get(key), over.get(key)) for key in {**under, **over}}
    if isinstance(under, list) and isinstance(over, list) and all("name" in one for one in (*under, *over)):
        named = [{one["name"]: one for one in each} for each in (under, over)]
        return list(laid(*named).values())
    return under if over is None else over


def containers() -> Iterator[dict[str, Any]]:
    for one in deployed():
        if one["kind"] in ("Deployment", "Job"):
            yield container(one)


class Template(yaml.SafeLoader):
    """YAML with CloudFormation's tags, of which only the values are taken."""


def _untagged(loader: yaml.SafeLoader, _: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_scalar(node)  # type: ignore[arg-type]


Template.add_multi_constructor("!", _untagged)


def variables(part: Any) -> Iterator[str]:
    """Names under every ``Environment: {Variables: …}``."""
    for key, value in part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ():
        if key == "Environment" and isinstance(value, dict):
            yield from value.get("Variables", {})
        yield from variables(value)


def test_kubernetes_takes_every_object_to_the_letter() -> None:
    seen = {one["kind"] for one in deployed() if kubernetes_validate.validate(one, KUBERNETES, strict=True)}
    assert seen >= {"Deployment", "Service", "Job", "PodDisruptionBudget", "HorizontalPodAutoscaler", "NetworkPolicy"}
    wrong = next(one for one in deployed() if one["kind"] == "Deployment")
    wrong["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="readynessProbe"):
        kubernetes_validate.validate(wrong, KUBERNETES, strict=True)


def test_the_overlay_changes_what_is_there() -> None:
    names = {(one["kind"], one["metadata"]["name"]) for one in objects()}
    assert {("Deployment", one["name"]) for one in OVERLAY["replicas"]} <= names
    assert {one["name"] for one in OVERLAY["images"]} == {one["image"] for one in containers()}
    assert OVERLAY["configMapGenerator"][0]["name"] == KUSTOMIZATION["configMapGenerator"][0]["name"]


def test_every_variable_is_one_that_is_read() -> None:
    template = yaml.load((ROOT / "template.yaml").read_text(), Template)
    said = {
        "Dockerfile": set(image()),
        "compose.yaml": {name for one in served(compose()).values() for name in one["environment"]},
        "deploy/kubernetes": {entry["name"] for one in containers() for entry in one.get("env", ())}
        | set(literals(KUSTOMIZATION)) | set(literals(OVERLAY)),
        "template.yaml": set(variables(template)),
    }  # fmt: skip
    assert all(said.values())
    unread = {name: sorted(found - known()) for name, found in said.items()}
    assert not any(unread.values()), unread


def test_settings_are_such_that_processes_start_with_them() -> None:
    file = {key: filled(str(value), GIVEN) for key, value in compose()["services"]["worker"]["environment"].items()}
    for values in (file, literals(KUSTOMIZATION), literals(KUSTOMIZATION) | literals(OVERLAY)):
        assert load(image() | values).peers["history"] == "grpc://history:7001"


def test_every_command_is_one_of_the_command_line() -> None:
    commands = [one["command"] for one in compose()["services"].values() if "build" in one]
    commands += [one["args"] for one in containers()]
    assert len(commands) == 15
    for words in commands:
        group: click.Command = main
        context = click.Context(main)
        while isinstance(group, click.Group):
            name, found, words = group.resolve_command(context, list(words))
            assert found is not None
            group, context = found, click.Context(found, context, name)
        group.make_context(context.info_name, list(words))  # refuses what is no option of it


async def test_every_probe_is_answered() -> None:
    asked = {(probe["httpGet"]["path"], probe["httpGet"]["port"]) for one in containers()
             for kind, probe in one.items() if kind.endswith("Probe")}  # fmt: skip
    assert {port for _, port in asked} == {"probes"}, "by its name, which each deployment has"
    paths = {path for path, _ in asked}
    for one in served(compose()).values():
        ((port, path),) = re.findall(r"http://127\.0\.0\.1:(\d+)(/[a-z/]+)", shlex.join(one["healthcheck"]["test"]))
        assert f":{port}" == image()["LINKFLOW_PROBES"]
        paths.add(path)
    annotations = COMMON["spec"]["template"]["metadata"]["annotations"]
    assert f":{annotations['prometheus.io/port']}" == image()["LINKFLOW_PROBES"]
    paths.add(annotations.get("prometheus.io/path", "/metrics"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(Probed({})), base_url="http://probes") as client:  # type: ignore[arg-type]
        answers = {path: (await client.get(path)).status_code for path in paths}
        assert (await client.get("/elsewhere")).status_code == 404
    assert answers == {"/health/live": 200, "/health/ready": 503, "/metrics": 200}, "not ready: it serves nothing yet"
