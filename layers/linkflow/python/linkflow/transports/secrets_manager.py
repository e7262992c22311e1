"""Settings that are secrets: named in a function's configuration, fetched from Secrets Manager when an environment
starts, so that whoever may read the configuration has not read them.

A setting may have ``{{secretsmanager:ARN}}`` in it, or ``{{secretsmanager:ARN:key}}`` for one value of a JSON secret.
Signed and asked here, where an environment starts: Powertools asks through boto3, which would be 160 ms of every cold
start. Later on it is Powertools that asks (`renewing`).
"""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

from linkflow.config import BadConfig
from linkflow.domain.errors import Unavailable
from linkflow.nodes.sigv4 import canonical_url, signed

PATIENCE = 3.0
TRIES = 3
_ARN = r"arn:[^:{}]*:secretsmanager:[^:{}]*:[^:{}]*:secret:[^:{}]+"
_NAMED = re.compile(r"\{\{secretsmanager:(" + _ARN + r")(?::([^:{}]+))?\}\}")


Fetch = Callable[[str], str]
"""A secret's text by its ARN. Raises `Unavailable`."""


def fill(environ: MutableMapping[str, str], fetch: Fetch | None = None) -> None:
    """Put secrets where they are named. What stands within more text, such as an address, is encoded for addresses.

    Raises `BadConfig` naming the setting and the secret, never its value, and `Unavailable` where another try may do.
    """
    asked = {name: text for name, text in environ.items() if "{{secretsmanager:" in text}
    arns = sorted({found[0] for text in asked.values() for found in _NAMED.findall(text)})
    if not asked:
        return
    with ThreadPoolExecutor(max_workers=max(1, len(arns))) as pool:
        secrets = dict(zip(arns, pool.map(fetch or (lambda arn: _secret(arn, environ)), arns), strict=True))
    for name, text in asked.items():
        environ[name] = _filled(name, text, secrets)


def _filled(name: str, text: str, secrets: Mapping[str, str]) -> str:
    def one(match: re.Match[str]) -> str:
        value = secrets[match[1]] if match[2] is None else _part(name, match[1], match[2], secrets[match[1]])
        return value if match[0] == text else quote(value, safe="")

    done = _NAMED.sub(one, text)
    if "{{secretsmanager:" in done:
        raise BadConfig(f"{name}: a secret is named {{{{secretsmanager:ARN}}}} or {{{{secretsmanager:ARN:key}}}}.")
    return done


def _part(name: str, arn: str, key: str, secret: str) -> str:
    try:
        found = json.loads(secret)[key]
    except (ValueError, KeyError, TypeError):
        raise BadConfig(f"{name}: the secret {arn} is no JSON object with {key!r}.") from None
    return str(found)


def _secret(arn: str, environ: Mapping[str, str]) -> str:
    request = _request(arn, environ)
    for left in reversed(range(TRIES)):
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310 - AWS', or what stands for it
                found = json.load(answer)
            break
        except urllib.error.HTTPError as error:
            if error.code < 500 and error.code != 429:
                kind = _kind(error.read())
                raise BadConfig(f"The secret {arn} cannot be had: {kind or error.code}.") from None
            if not left:
                raise Unavailable(f"Secrets Manager answers with {error.code}.") from None
        except (OSError, ValueError) as error:
            if not left:
                raise Unavailable(f"Secrets Manager does not answer: {error}") from None
        time.sleep(0.1 * (TRIES - left))
    if "SecretString" not in found:
        raise BadConfig(f"The secret {arn} is no text.")
    return str(found["SecretString"])


def _request(arn: str, environ: Mapping[str, str]) -> urllib.request.Request:
    region = arn.split(":")[3]
    url = canonical_url(_endpoint(region, environ))
    body = json.dumps({"SecretId": arn}).encode()
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "secretsmanager.GetSecretValue"}
    keys = {
        "service": "secretsmanager",
        "region": region,
        "access_key_id": environ.get("AWS_ACCESS_KEY_ID", ""),
        "secret_access_key": environ.get("AWS_SECRET_ACCESS_KEY", ""),
        "session_token": environ.get("AWS_SESSION_TOKEN", ""),
    }
    headers |= signed("POST", url, headers, body, keys, round(time.time() * 1000))
    return urllib.request.Request(url, body, headers, method="POST")  # noqa: S310 - see above


def _endpoint(region: str, environ: Mapping[str, str]) -> str:
    """AWS' own variables: another endpoint, or addresses of both kinds."""
    given = environ.get("AWS_ENDPOINT_URL_SECRETS_MANAGER") or environ.get("AWS_ENDPOINT_URL")
    if given:
        return f"{given.rstrip('/')}/"
    both = environ.get("AWS_USE_DUALSTACK_ENDPOINT", "").lower() == "true"
    china = region.startswith("cn-")
    if both:
        return f"https://secretsmanager.{region}.{'api.amazonwebservices.com.cn' if china else 'api.aws'}/"
    return f"https://secretsmanager.{region}.amazonaws.com{'.cn' if china else ''}/"


def _kind(body: bytes) -> str:
    try:
        return str(json.loads(body).get("__type", "")).rpartition("#")[2]
    except (ValueError, AttributeError):
        return ""
