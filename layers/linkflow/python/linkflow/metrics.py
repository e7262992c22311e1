"""Numbers of this process, for whoever collects them: Prometheus in containers, CloudWatch (EMF) on Lambda, under the
same names. Kept in plain dictionaries, so that counting costs a fraction of a microsecond.

Names end in their unit (seconds) or in ``_total``, as Prometheus wants it. docs/operations.md says what to watch.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter as _Counts
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence

Labels = tuple[str, ...]

MOST_SERIES = 500
"""Series of one instrument; further ones are counted as `OTHER`: names that users give must not fill the memory."""
OTHER = "other"

FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SLOW = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0)
SIZES = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0)


class Instrument:
    """What all three have: a name, what it says, the names of its labels."""

    kind = ""

    def __init__(self, name: str, help: str, labels: Sequence[str] = ()) -> None:
        self.name, self.help, self.labels = name, help, tuple(labels)
        INSTRUMENTS.append(self)

    def clear(self) -> None:
        """Forget everything (tests)."""
        raise NotImplementedError


INSTRUMENTS: list[Instrument] = []


class Counter(Instrument):
    """Only grows."""

    kind = "counter"

    def __init__(self, name: str, help: str, labels: Sequence[str] = ()) -> None:
        super().__init__(name, help, labels)
        self.values: _Counts[tuple[object, ...]] = _Counts()

    def add(self, *labels: str, by: int = 1) -> None:
        values = self.values
        if labels not in values and len(values) >= MOST_SERIES:
            labels = (OTHER,) * len(labels)
        values[labels] += by

    def types(self, things: Iterable[object]) -> None:
        """One more for the type of each. Types are few: they are not bounded."""
        values = self.values
        for thing in things:
            values[type(thing),] += 1

    def clear(self) -> None:
        self.values.clear()


class Gauge(Instrument):
    """Is what it was set to last."""

    kind = "gauge"

    def __init__(self, name: str, help: str, labels: Sequence[str] = ()) -> None:
        super().__init__(name, help, labels)
        self.values: dict[Labels, float] = {}

    def set(self, value: float, *labels: str) -> None:
        if labels in self.values or len(self.values) < MOST_SERIES:
            self.values[labels] = value

    def replace(self, values: Mapping[Labels, float]) -> None:
        """All of it anew: what is not named is gone."""
        self.values = dict(list(values.items())[:MOST_SERIES])

    def clear(self) -> None:
        self.values.clear()


class Histogram(Instrument):
    """How often a value was at most each of `bounds`, how many there were, and their sum."""

    kind = "histogram"

    def __init__(self, name: str, help: str, labels: Sequence[str] = (), bounds: Sequence[float] = FAST) -> None:
        super().__init__(name, help, labels)
        self.bounds = tuple(bounds)
        self.counts: dict[Labels, list[int]] = {}
        self.sums: dict[Labels, float] = {}
        self.recent: deque[float] | None = None
        """The latest values, for those who want more than buckets."""

    def keep(self, most: int) -> None:
        """Have the latest values as well, `most` of them."""
        self.recent = deque(maxlen=most)

    def observe(self, value: float, *labels: str) -> None:
        counts = self.counts.get(labels)
        if counts is None:
            if len(self.counts) >= MOST_SERIES:
                labels = (OTHER,) * len(labels)
            counts = self.counts.setdefault(labels, [0] * (len(self.bounds) + 1))
            self.sums.setdefault(labels, 0.0)
        counts[bisect_left(self.bounds, value)] += 1
        self.sums[labels] += value
        if self.recent is not None:
            self.recent.append(value)

    def clear(self) -> None:
        self.counts.clear()
        self.sums.clear()


EVENTS = Counter(
    "linkflow_events_total", "Events that this process committed: ExecutionStarted, NodeCompleted …", ["type"]
)
COMMIT_SECONDS = Histogram("linkflow_commit_seconds", "How long History's transactions took.")
COMMIT_RUNS = Histogram("linkflow_commit_executions", "Executions that shared a transaction.", bounds=SIZES)
NODE_SECONDS = Histogram(
    "linkflow_node_seconds", "How long attempts of nodes with effects took.", ["type", "outcome"], SLOW
)
TASK_WAIT_SECONDS = Histogram(
    "linkflow_task_wait_seconds", "From the moment a node run was due until a worker had it.", ["queue"], SLOW
)
RUNNING = Gauge("linkflow_worker_running", "Node runs in this worker now.")
TIMER_LAG_SECONDS = Histogram("linkflow_timer_lag_seconds", "How late timers were.", bounds=SLOW)
RPC_SECONDS = Histogram("linkflow_rpc_seconds", "Calls that this process served.", ["service", "method"])
RPC_ERRORS = Counter(
    "linkflow_rpc_errors_total", "Calls that were answered with an error.", ["service", "method", "code"]
)
HTTP_SECONDS = Histogram("linkflow_http_seconds", "Requests to the API and to webhooks.", ["method", "route"])
HTTP_REQUESTS = Counter("linkflow_http_requests_total", "The same, by status.", ["method", "route", "status"])
QUEUE_WAITING = Gauge("linkflow_queue_waiting", "Tasks that wait for a worker.", ["queue"])
QUEUE_LEASED = Gauge("linkflow_queue_leased", "Tasks that workers have.", ["queue"])
QUEUE_OLDEST_SECONDS = Gauge("linkflow_queue_oldest_age_seconds", "Age of the oldest task that waits.", ["queue"])
QUEUE_WORKERS = Gauge("linkflow_queue_workers", "Live workers of a queue.", ["queue"])
QUEUE_PLACES = Gauge("linkflow_queue_places", "Tasks that the live workers of a queue have places for.", ["queue"])
QUEUE_INVITED = Gauge("linkflow_queue_invited", "Workers of a queue that are invoked and not there yet.", ["queue"])
WORKERS_INVOKED = Counter(
    "linkflow_workers_invoked_total", "Workers that were woken on Lambda, and wakes that were refused.", ["outcome"]
)
DEAD_LETTERS = Gauge("linkflow_dead_letters", "Tasks that were given up.", ["queue"])

Collect = Callable[[], Awaitable[None]]
MEASURES: list[Collect] = []
"""What brings numbers up to date that are looked up, before somebody reads them."""


def families() -> Iterator[tuple[Instrument, list[tuple[str, Labels, Labels, float]]]]:
    """Each instrument with its samples: suffix, label names, label values, value (OpenMetrics' model)."""
    for one in INSTRUMENTS:
        if isinstance(one, Histogram):
            yield one, list(_buckets(one))
        elif isinstance(one, Counter | Gauge):
            yield one, [("", one.labels, _texts(labels), float(value)) for labels, value in list(one.values.items())]


def _buckets(one: Histogram) -> Iterable[tuple[str, Labels, Labels, float]]:
    for labels, counts in list(one.counts.items()):
        total = 0
        for bound, count in zip((*map(repr, one.bounds), "+Inf"), counts, strict=True):
            total += count
            yield "_bucket", (*one.labels, "le"), (*labels, bound), float(total)
        yield "_count", one.labels, labels, float(total)
        yield "_sum", one.labels, labels, one.sums[labels]


def _texts(labels: tuple[object, ...]) -> Labels:
    """Types stand for their names: who counts them need not look these up."""
    return tuple(label.__name__ if isinstance(label, type) else str(label) for label in labels)
