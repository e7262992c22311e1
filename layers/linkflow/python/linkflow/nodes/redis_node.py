"""Values, lists, sets and streams of Redis or Valkey. The output is ``{result}``."""

from __future__ import annotations

import builtins
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import ANY, GOING_OUT, Example, Fault, Refusal
from linkflow.nodes.base import Base, Context, NodeFailure, Params
from linkflow.nodes.connections import connection
from linkflow.nodes.fields import Text, TextList, ui
from linkflow.nodes.slots import Slot

FAMILY = "redis"
_NO_ANSWER = frozenset(
    {"SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "MONITOR", "SYNC", "PSYNC", "QUIT", "RESET", "HELLO", "CLIENT", "AUTH",
     "SELECT", "MULTI", "WATCH", "REPLICAOF", "SLAVEOF", "SHUTDOWN", "MIGRATE", "DEBUG"}
)  # fmt: skip
"""Commands that change the connection or lead the server elsewhere, or that never answer once."""

Operation = Literal[
    "get", "get_many", "set", "delete", "exists", "expire", "persist", "ttl", "incr",
    "hash_get", "hash_get_all", "hash_set", "hash_delete", "hash_incr",
    "list_push", "list_pop", "list_range", "list_length",
    "set_add", "set_remove", "set_members", "set_has",
    "sorted_add", "sorted_remove", "sorted_range", "sorted_score", "sorted_incr",
    "publish", "stream_add", "stream_read", "stream_range", "command",
]  # fmt: skip


class RedisParams(Params):
    operation: Operation
    key: Text = ""
    keys: TextList = Field(default_factory=list, description="For get_many, delete, exists.")
    value: Any = Field(None, description="Text is kept as it is, {base64: …} as bytes, anything else as JSON.")
    values: list[Any] = Field(default_factory=list, description="Several, where an operation takes them.")
    ttl: float = Field(0, ge=0, le=10**10, description="Seconds that it lives, for set and expire. 0: it stays.")
    only_if: Literal["", "missing", "exists"] = Field("", description="For set and sorted_add.")
    by: float = Field(1, description="For incr, hash_incr, sorted_incr.")
    field: Text = Field("", description="Of a hash.")
    fields: dict[str, Any] = Field(default_factory=dict, description="Names and values: for hash_set, stream_add.")
    scores: dict[str, float] = Field(default_factory=dict, description="Members and their scores, for sorted_add.")
    start: Text = Field("", description="First place, score or entry id. Left out: the first there is.")
    stop: Text = Field("", description="Last place, score or entry id, inclusive. Left out: the last there is.")
    count: int = Field(0, ge=0, le=100_000, description="At most so many; streams: 100 where it is left out.")
    left: bool = Field(False, description="For list_push, list_pop: at the beginning.")
    reverse: bool = Field(False, description="From the other end: sorted_range, stream_range.")
    by_score: bool = Field(False, description="sorted_range: `start` and `stop` are scores.")
    with_scores: bool = Field(False, description="sorted_range: {member, score} in place of members.")
    channel: Text = Field("", description="For publish.")
    max_length: int = Field(0, ge=0, description="stream_add: about so many entries stay. 0: all.")
    wait: float = Field(0, ge=0, le=300, description="stream_read: seconds to wait for an entry. `start` $ is the end.")
    command: Annotated[list[Any], Field(max_length=10_000)] = Field(
        default_factory=list, description="Any command: its name and arguments.", json_schema_extra=ui(group="More")
    )
    parse_json: bool = Field(False, description="Hand on values that are JSON as what they say.")
    timeout: float = Field(30, gt=0, le=600, description="Seconds, connecting included.")

    @model_validator(mode="after")
    def _is_complete(self) -> RedisParams:
        from linkflow.nodes.redis_commands import NEEDS, ONE_OF

        given = self.model_fields_set
        missing = [name for name in NEEDS[self.operation] if name not in given or getattr(self, name) in ("", [], {})]
        if missing:
            raise ValueError(f"operation {self.operation} needs {' and '.join(f'`{name}`' for name in missing)}")
        either = ONE_OF.get(self.operation, ())
        if either and not given & {*either}:
            raise ValueError(f"operation {self.operation} needs {' or '.join(f'`{name}`' for name in either)}")
        if self.command and str(self.command[0]).upper() in _NO_ANSWER:
            raise ValueError(f"a node cannot use the command {str(self.command[0]).upper()}")
        return self


class Redis(Base):
    type: ClassVar[str] = "action_redis"
    aliases: ClassVar[tuple[str, ...]] = ("redis", "valkey", "action_valkey")
    name: ClassVar[str] = "Redis"
    description: ClassVar[str] = "Read and write a Redis or Valkey server."
    category: ClassVar[str] = "action"
    params: ClassVar[builtins.type[Params]] = RedisParams
    slots = (Slot(FAMILY, ("redis",), "Where the server is."),)
    help = """
    `result` is what the operation came to: the value of `get` (null where there is none), an object for `get_many` and
    `hash_get_all`, true or false for `set` (with `only_if`), `expire`, `persist` and `set_has`, seconds for `ttl` (-1:
    it stays; null: there is no such key), `[{id, fields}]` for streams, and a number for what counts.

    `set`, `delete`, `hash_set`, `set_add`, `sorted_add` may be repeated without harm. `incr`, `list_push`, `list_pop`,
    `publish` and `stream_add` are done again by a retry whose first answer was lost.

    A connection is made for each node run, to the address that was checked: `MOVED` of a cluster is not followed.
    """
    produces = {"main": {"type": "object", "properties": {"result": ANY}, "required": ["result"]}}
    faults = (
        Fault("redis_connect", "The server cannot be reached, or the connection broke.", True),
        Fault("redis_timeout", "The server did not answer in time.", True),
        Fault("redis_auth", "The server turned the user away."),
        Fault("redis_error", "The server refused the command; retryable while it loads or is busy.", True),
        Fault("redis_too_large", "The answer is larger than may be read."),
        Fault("redis_invalid", "A value cannot be sent."),
        Fault("no_credential", "There is no server."),
        Fault("bad_credential", "The server's address or certificates cannot be used."),
        *GOING_OUT[:3],
    )
    examples = (
        Example(
            name="Keep a value for an hour",
            config={"operation": "set", "key": "linkflow:example:{{ input.id }}", "value": {"paid": True}, "ttl": 3600},
            input={"id": 7},
            needs="redis",
            output={"result": True},
        ),
    )
    refuses = (
        Refusal({"key": "x"}, "/operation", "missing_field"),
        Refusal({"operation": "set", "key": "x"}, "", "invalid_value"),
        Refusal({"operation": "command", "command": ["MONITOR"]}, "", "invalid_value"),
    )

    async def run(self, params: RedisParams, context: Context) -> Outcome:
        secrets = connection(context, FAMILY)
        if not secrets.get("url"):
            text = "Redis is not set up: give the node a credential with a `url`."
            raise NodeFailure("no_credential", text, retryable=False)
        from linkflow.nodes.redis_client import ask, read, refused
        from linkflow.nodes.redis_commands import command_of, result_of

        server = read(str(secrets["url"]), str(secrets.get("ca") or ""))
        [answer] = await ask(server, [command_of(params)], context.http(), params.timeout)
        if isinstance(answer, Exception):
            raise refused(answer)
        return Completed(output={"result": result_of(answer, params)})


node = Redis()
