"""`linkflow certs`: what is made, what is left, what is renewed."""

from __future__ import annotations

import datetime
import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography import x509

from linkflow.cli import main
from linkflow.cli.serve import serve
from linkflow.local import certificates


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["certs", *words])


def made(folder: Path, *words: str) -> set[str]:
    result = run("make", str(folder), "--json", *words)
    assert result.exit_code == 0, result.output
    return {one["service"] for one in json.loads(result.stdout) if one["made"]}


def test_each_service_has_a_certificate_for_its_names_and_keys_are_for_the_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "certs"
    assert made(folder, "--host", "history=history.internal", "--host", "10.0.0.5") == set(certificates.SERVICES)
    for service in certificates.SERVICES:
        certificate = x509.load_pem_x509_certificate((folder / service / "tls.crt").read_bytes())
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        hosts = names.get_values_for_type(x509.DNSName)
        assert {service, f"linkflow-{service}", "localhost"} <= set(hosts)
        assert ("history.internal" in hosts) == (service == "history")
        assert "10.0.0.5" in map(str, names.get_values_for_type(x509.IPAddress))
    keys = [folder / "ca.key", *folder.glob("*/tls.key")]
    assert len(keys) == 7
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}
    assert not list(folder.glob("*/ca.key")), "who has it can be anybody"


def test_what_is_good_is_left_and_what_is_not_is_made_again(tmp_path: Path) -> None:
    assert len(made(tmp_path)) == 6
    assert made(tmp_path) == set()
    (tmp_path / "timer" / "tls.key").unlink()
    assert made(tmp_path) == {"timer"}
    assert made(tmp_path, "--host", "worker=w.internal") == {"worker"}
    assert made(tmp_path, "--service", "api", "--renew") == {"api"}
    for name in ("ca.crt", "ca.key"):
        (tmp_path / name).unlink()
    assert len(made(tmp_path)) == 6, "another authority's are no good"

    now = datetime.datetime.now(datetime.UTC)
    for days, renewed in ((59, 0), (61, 6)):
        later = now + datetime.timedelta(days=days)
        found = certificates.make(tmp_path, certificates.SERVICES, {}, 90, now=later)
        assert sum(one.made for one in found) == renewed, f"after {days} of 90 days"


def test_show_says_when_one_has_expired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path, "--days", "2")
    shown = run("show", str(tmp_path))
    assert shown.exit_code == 0
    assert "2 days left" in shown.output
    monkeypatch.setattr("linkflow.cli.certs_work._left", lambda one: -1.0)
    shown = run("show", str(tmp_path))
    assert (shown.exit_code, shown.output.count("expired")) == (1, 6)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--service", "mail"], "There is no service mail"),
        (["--host", "mail=x"], "There is no service mail"),
        (["--host", "history=two words"], "is no host name"),
        (["--host", "http://x"], "is no host name"),
    ],
)
def test_wrong_words_are_refused(tmp_path: Path, words: list[str], says: str) -> None:
    result = run("make", str(tmp_path), *words)
    assert result.exit_code == 2
    assert says in result.output


def test_half_an_authority_is_refused_not_replaced(tmp_path: Path) -> None:
    made(tmp_path)
    (tmp_path / "ca.key").unlink()
    result = run("make", str(tmp_path))
    assert result.exit_code == 2
    assert "ca.key is missing" in result.output


def test_a_service_does_not_listen_in_plain_text_beyond_its_machine(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/x")
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")
    monkeypatch.setenv("LINKFLOW_SECRET", "s" * 32)
    monkeypatch.setenv("LINKFLOW_HISTORY_URL", "grpc://127.0.0.1:1")
    assert serve("matching", "0.0.0.0:0", "127.0.0.1:0") == 2
    assert "LINKFLOW_TLS" in capsys.readouterr().err
