"""Commands about the certificates with which services call each other."""

from __future__ import annotations

import click

from .options import JSON


@click.group("certs")
def certs() -> None:
    """Certificates with which services call each other (mutual TLS)."""


@certs.command("make")
@click.argument("folder", type=click.Path(file_okay=False))
@click.option("--service", "services", multiple=True, help="Only for this service; may be repeated (default: all six).")
@click.option(
    "--host", "hosts", multiple=True, metavar="[SERVICE=]NAME",
    help="A further name or address that a service (or every one) is reached by; may be repeated.",
)  # fmt: skip
@click.option("--days", default=90, show_default=True, type=click.IntRange(1, 3650), help="How long they are good for.")
@click.option("--renew", is_flag=True, help="Make all of them again, also those that are good.")
@JSON
def make(folder: str, services: tuple[str, ...], hosts: tuple[str, ...], days: int, renew: bool, as_json: bool) -> None:
    """Make an authority in FOLDER, and a folder with a certificate for each service below it.

    Run it again before they expire: what is past two thirds of its life is renewed, and running services take it up by
    themselves. A service uses its folder by LINKFLOW_TLS=FOLDER/history. Keep FOLDER/ca.key away from the services.
    """
    from .certs_work import make as work

    raise SystemExit(work(folder, services, hosts, days, renew, as_json))


@certs.command("show")
@click.argument("folder", type=click.Path(file_okay=False, exists=True))
@JSON
def show(folder: str, as_json: bool) -> None:
    """The certificates of FOLDER, for whom they are and how long. The exit code is 1 where one has expired."""
    from .certs_work import show as work

    raise SystemExit(work(folder, as_json))
