"""Secrets that are rotated while an environment lives: it asks for them anew once a server refuses what they were.

Powertools fetches and keeps them here (its `parameters`). Only a refusal makes it: an environment that is let in asks
nobody, and pays for no boto3.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Mapping
from typing import Any

from linkflow.config import Config, load
from linkflow.domain.errors import Unavailable

from .secrets_manager import fill

MAX_AGE = 5
"""Seconds for which an answer of Secrets Manager holds. Short: while a rotation is under way the database has the new
password already, and the secret still says the old one."""
PATIENCE = 2.0
TRIES = 2


class Renewal:
    """The settings of this process as they are now, those with secrets that are `named` in them too."""

    def __init__(self, named: Mapping[str, str], max_age: int = MAX_AGE) -> None:
        """`named` are settings of the environment by name, as they were before secrets were put there."""
        self._named = dict(named)
        self._max_age = max_age
        self._providers: dict[str, Any] = {}
        self._making = threading.Lock()

    async def settings(self) -> Config:
        """Raises `BadConfig`, and `Unavailable` where Secrets Manager does not answer."""
        return await asyncio.to_thread(self._settings)

    def _settings(self) -> Config:
        found = {**os.environ, **self._named}
        fill(found, self._secret)
        return load(found)

    def _secret(self, arn: str) -> str:
        from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError

        try:
            return str(self._provider(arn.split(":")[3]).get(arn, max_age=self._max_age))
        except GetParameterError as error:
            raise Unavailable(f"The secret {arn} cannot be had now: {error}") from error

    def _provider(self, region: str) -> Any:
        with self._making:  # boto3's own session is for one thread
            if region not in self._providers:
                from aws_lambda_powertools.utilities.parameters.secrets import SecretsProvider
                from botocore.config import Config as Boto

                tries = {"total_max_attempts": TRIES}
                hurried = Boto(
                    region_name=region, connect_timeout=PATIENCE, read_timeout=PATIENCE, retries=tries
                )  # fmt: skip
                self._providers[region] = SecretsProvider(boto_config=hurried)
            return self._providers[region]
