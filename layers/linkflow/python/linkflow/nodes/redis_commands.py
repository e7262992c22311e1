"""From the fields of the Redis node to commands, and from answers to JSON."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from linkflow.nodes.base import NodeFailure
from linkflow.nodes.fields import to_text
from linkflow.nodes.replies import parse_json

if TYPE_CHECKING:
    from linkflow.nodes.redis_client import Command
    from linkflow.nodes.redis_node import RedisParams

Part = Sequence[str | bytes | int | float]
Make = Callable[["RedisParams"], "Command"]
Read = Callable[[Any, "RedisParams"], Any]


def command_of(params: RedisParams) -> Command:
    """The command of an operation. Raises `NodeFailure` ``redis_invalid`` for a value that it cannot have."""
    return OPERATIONS[params.operation][0](params)


def result_of(answer: Any, params: RedisParams) -> Any:
    """What the operation hands on for the server's answer."""
    return OPERATIONS[params.operation][1](answer, params)


def shown(value: Any, params: RedisParams) -> Any:
    """An answer as JSON: bytes are text, parsed where `parse_json` says so, or ``{"base64": …}``."""
    if isinstance(value, bytes):
        if params.parse_json:
            try:
                return parse_json(value)
            except ValueError:
                pass
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, Exception):  # one of several answers inside of one
        return {"error": str(value)}
    return [shown(item, params) for item in value] if isinstance(value, list) else value


def plain(value: Any) -> str | bytes:
    """A value as it is kept: text as it is, bytes of ``{"base64": …}``, anything else as JSON."""
    if isinstance(value, dict) and value.keys() == {"base64"} and isinstance(value["base64"], str):
        try:
            return base64.b64decode(value["base64"], validate=True)
        except ValueError:
            raise NodeFailure("redis_invalid", "`base64` of a value is no base64.", retryable=False) from None
    return str(to_text(value)) if value is not None else ""


def _pairs(fields: Mapping[str, Any]) -> list[str | bytes]:
    return [part for name, value in fields.items() for part in (name, plain(value))]


def _keys(params: RedisParams) -> list[str]:
    return [*([params.key] if params.key else []), *params.keys]


def _members(params: RedisParams) -> list[str | bytes]:
    """`values`, or the one `value`."""
    given = params.values if "values" in params.model_fields_set else [params.value]
    return [plain(one) for one in given]


def _set(params: RedisParams) -> Command:
    ttl: Part = ["PX", round(params.ttl * 1000)] if params.ttl else []
    only = {"missing": ["NX"], "exists": ["XX"]}.get(params.only_if, [])
    return ["SET", params.key, plain(params.value), *ttl, *only]


def _zadd(params: RedisParams) -> Command:
    only = {"missing": ["NX"], "exists": ["XX"]}.get(params.only_if, [])
    return ["ZADD", params.key, *only, *(part for name, score in params.scores.items() for part in (score, name))]


def _zrange(params: RedisParams) -> Command:
    low, high = params.start, params.stop
    if params.by_score:
        low, high = low or "-inf", high or "+inf"
        if params.reverse:
            low, high = high, low
    by = ["BYSCORE"] if params.by_score else []
    limit: Part = ["LIMIT", 0, params.count] if params.by_score and params.count else []
    scores = ["WITHSCORES"] if params.with_scores else []
    reverse = ["REV"] if params.reverse else []
    return ["ZRANGE", params.key, low or "0", high or "-1", *by, *reverse, *limit, *scores]


def _xadd(params: RedisParams) -> Command:
    most: Part = ["MAXLEN", "~", params.max_length] if params.max_length else []
    return ["XADD", params.key, *most, "*", *_pairs(params.fields)]


def _xread(params: RedisParams) -> Command:
    block: Part = ["BLOCK", round(params.wait * 1000)] if params.wait else []
    return ["XREAD", "COUNT", params.count or 100, *block, "STREAMS", params.key, params.start or "0"]


def _incr(params: RedisParams) -> Command:
    whole = float(params.by).is_integer()
    return ["INCRBY", params.key, round(params.by)] if whole else ["INCRBYFLOAT", params.key, params.by]


def _by_field(answer: Any, params: RedisParams) -> Any:
    """An object of names and values that come one after the other."""
    names, values = answer[::2], answer[1::2]
    return {str(_text(name)): shown(value, params) for name, value in zip(names, values, strict=False)}


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _named(answer: Any, params: RedisParams) -> Any:
    return dict(zip(params.keys, shown(answer, params), strict=False))


def _scored(answer: Any, params: RedisParams) -> Any:
    if not params.with_scores:
        return shown(answer, params)
    pairs = zip(answer[::2], answer[1::2], strict=False)
    return [{"member": shown(member, params), "score": number(score, params)} for member, score in pairs]


def number(answer: Any, params: RedisParams) -> Any:
    """An answer that is a number, however it is spelt."""
    if not isinstance(answer, bytes):
        return answer
    found = float(answer)
    return int(found) if found.is_integer() and abs(found) < 2**53 else found


def _entries(answer: Any, params: RedisParams) -> Any:
    """Entries of a stream; XREAD gives them by stream, of which there is one."""
    found: Sequence[Any] = answer or []
    if found and isinstance(found[0][1], list) and found[0][1] and isinstance(found[0][1][0], list):
        found = found[0][1]
    return [{"id": _text(id), "fields": _by_field(fields or [], params)} for id, fields in found]


def _done(answer: Any, params: RedisParams) -> Any:
    """True where the server did it: OK, or 1."""
    return answer is not None and answer != 0


def _ttl(answer: Any, params: RedisParams) -> Any:
    """Seconds; -1 for a key that stays, null where there is none."""
    return None if answer == -2 else answer if answer < 0 else answer / 1000


OPERATIONS: dict[str, tuple[Make, Read]] = {
    "get": (lambda p: ["GET", p.key], shown),
    "get_many": (lambda p: ["MGET", *p.keys], _named),
    "set": (_set, _done),
    "delete": (lambda p: ["DEL", *_keys(p)], shown),
    "exists": (lambda p: ["EXISTS", *_keys(p)], shown),
    "expire": (lambda p: ["PEXPIRE", p.key, round(p.ttl * 1000)], _done),
    "persist": (lambda p: ["PERSIST", p.key], _done),
    "ttl": (lambda p: ["PTTL", p.key], _ttl),
    "incr": (_incr, number),
    "hash_get": (lambda p: ["HGET", p.key, p.field], shown),
    "hash_get_all": (lambda p: ["HGETALL", p.key], _by_field),
    "hash_set": (lambda p: ["HSET", p.key, *_pairs(p.fields)], shown),
    "hash_delete": (lambda p: ["HDEL", p.key, *_members(p)], shown),
    "hash_incr": (lambda p: ["HINCRBYFLOAT", p.key, p.field, p.by], number),
    "list_push": (lambda p: ["LPUSH" if p.left else "RPUSH", p.key, *_members(p)], shown),
    "list_pop": (lambda p: ["LPOP" if p.left else "RPOP", p.key, *([p.count] if p.count else [])], shown),
    "list_range": (lambda p: ["LRANGE", p.key, p.start or "0", p.stop or "-1"], shown),
    "list_length": (lambda p: ["LLEN", p.key], shown),
    "set_add": (lambda p: ["SADD", p.key, *_members(p)], shown),
    "set_remove": (lambda p: ["SREM", p.key, *_members(p)], shown),
    "set_members": (lambda p: ["SMEMBERS", p.key], shown),
    "set_has": (lambda p: ["SISMEMBER", p.key, plain(p.value)], _done),
    "sorted_add": (_zadd, shown),
    "sorted_remove": (lambda p: ["ZREM", p.key, *_members(p)], shown),
    "sorted_range": (_zrange, _scored),
    "sorted_score": (lambda p: ["ZSCORE", p.key, plain(p.value)], number),
    "sorted_incr": (lambda p: ["ZINCRBY", p.key, p.by, plain(p.value)], number),
    "publish": (lambda p: ["PUBLISH", p.channel, plain(p.value)], shown),
    "stream_add": (_xadd, shown),
    "stream_read": (_xread, _entries),
    "stream_range": (
        lambda p: ["XREVRANGE" if p.reverse else "XRANGE", p.key,
                   *((p.stop or "+", p.start or "-") if p.reverse else (p.start or "-", p.stop or "+")),
                   "COUNT", p.count or 100],
        _entries,
    ),
    "command": (lambda p: [plain(part) for part in p.command], shown),
}  # fmt: skip

NEEDS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(OPERATIONS, ("key",)),
    "get_many": ("keys",), "delete": (), "exists": (), "expire": ("key", "ttl"),
    "set": ("key", "value"), "hash_get": ("key", "field"), "hash_set": ("key", "fields"),
    "hash_incr": ("key", "field"), "set_has": ("key", "value"), "sorted_add": ("key", "scores"),
    "sorted_score": ("key", "value"), "sorted_incr": ("key", "value"), "publish": ("channel", "value"),
    "stream_add": ("key", "fields"), "command": ("command",),
}  # fmt: skip
"""Fields that an operation cannot do without."""

ONE_OF: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("delete", "exists"), ("key", "keys")),
    **dict.fromkeys(("hash_delete", "list_push", "set_add", "set_remove", "sorted_remove"), ("value", "values")),
}
"""Fields of which an operation needs one."""
