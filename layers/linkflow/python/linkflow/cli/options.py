"""Options that many commands share."""

from __future__ import annotations

import click

HOME = click.option("--home", default=".linkflow", envvar="LINKFLOW_HOME", show_default=True, help="Where data lives.")
URL = click.option("--url", default="", envvar="LINKFLOW_URL", help="A running LinkFlow (default: the one of --home).")
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
