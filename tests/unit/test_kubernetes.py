"""deploy/kubernetes: what the manifests say fits the image, the certificates and each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from linkflow.cli.serve import NEEDS
from linkflow.local.certificates import SERVICES, names_of
from tests.e2e.containers import image
from tests.lambda_environment import ROOT

BASE = ROOT / "deploy" / "kubernetes" / "base"
KUSTOMIZATION: dict[str, Any] = yaml.safe_load((BASE / "kustomization.yaml").read_text())


def objects() -> Iterator[dict[str, Any]]:
    for name in KUSTOMIZATION["resources"]:
        yield from yaml.safe_load_all((BASE / name).read_text())


def named(kind: str) -> dict[str, dict[str, Any]]:
    return {one["metadata"]["name"]: one for one in objects() if one["kind"] == kind}


def container(deployment: dict[str, Any]) -> dict[str, Any]:
    (one,) = deployment["spec"]["template"]["spec"]["containers"]
    assert one["name"] == "linkflow", "what the common patch is laid over"
    found: dict[str, Any] = one
    return found


def test_every_file_is_used() -> None:
    files = {file.name for file in BASE.glob("*.yaml")}
    assert files == {*KUSTOMIZATION["resources"], "kustomization.yaml", *(p["path"] for p in KUSTOMIZATION["patches"])}


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_has_its_door_its_certificate_and_its_budget(service: str) -> None:
    deployment = named("Deployment")[service]
    assert deployment["metadata"]["labels"]["linkflow.dev/service"] == "true"
    labels = {"app.kubernetes.io/component": service}
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    assert deployment["spec"]["template"]["metadata"]["labels"] == labels
    one = container(deployment)
    assert one["args"] == ["serve", service]
    assert set(one["resources"]) == {"requests", "limits"}
    mounts = {mount["name"]: mount["mountPath"] for mount in one["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in deployment["spec"]["template"]["spec"]["volumes"]}
    assert set(mounts) == set(volumes)
    assert mounts["tls"] == literals()["LINKFLOW_TLS"]
    assert volumes["tls"]["secret"]["secretName"] == f"linkflow-tls-{service}"
    assert mounts["home"] == image()["LINKFLOW_HOME"]
    ports = {port["name"]: port["containerPort"] for port in one["ports"]}
    assert ports.pop("probes") == int(image()["LINKFLOW_PROBES"].lstrip(":"))
    ((door, port),) = ports.items()
    assert port == int(image()["LINKFLOW_HTTP" if service == "api" else "LINKFLOW_GRPC"].lstrip(":"))
    served = named("Service")[service]["spec"]
    assert served["selector"] == labels
    assert served["ports"] == [{"name": door, "port": port, "targetPort": door}]
    assert (served.get("clusterIP") == "None") == (service != "api"), "gRPC spreads calls only over replicas it sees"
    budget = named("PodDisruptionBudget")[service]["spec"]
    assert (budget["selector"]["matchLabels"], budget["maxUnavailable"]) == (labels, 1)


def literals() -> dict[str, str]:
    (generated,) = KUSTOMIZATION["configMapGenerator"]
    return dict(pair.split("=", 1) for pair in generated["literals"])


def test_services_find_each_other_by_names_that_certificates_have() -> None:
    found = literals()
    for service in {peer for needs in NEEDS.values() for peer in needs}:
        host, _, port = found[f"LINKFLOW_{service.upper()}_URL"].removeprefix("grpc://").partition(":")
        assert host in names_of(service, ())
        assert host in named("Service")
        assert port == "7001"


def test_only_who_seals_or_opens_secrets_has_the_keys() -> None:
    having = {
        name
        for name, one in named("Deployment").items()
        if any(env["name"] == "LINKFLOW_KEYS" for env in container(one).get("env", ()))
    }
    assert having == {"api", "worker"}


def test_probes_are_those_that_are_answered_and_stores_restart_nobody() -> None:
    one = container(yaml.safe_load((BASE / "common.yaml").read_text()))
    assert one["readinessProbe"]["httpGet"] == {"path": "/health/ready", "port": "probes"}
    assert one["livenessProbe"]["httpGet"] == {"path": "/health/live", "port": "probes"}
    assert one["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_workers_follow_the_age_of_what_waits() -> None:
    scaler = named("HorizontalPodAutoscaler")["worker"]["spec"]
    assert scaler["scaleTargetRef"]["name"] == "worker"
    assert "replicas" not in named("Deployment")["worker"]["spec"], "the scaler decides"
    assert scaler["metrics"][0]["external"]["metric"]["name"] == "linkflow_queue_oldest_age_seconds"
