"""crun's behaviour without a server: one reply for each request, and the state, settings and faults behind it."""

import hmac
import threading
import time
from collections import deque
from collections.abc import Callable

from local.simulator import h5
from local.simulator.assets import AssetWorker
from local.simulator.contract import Contract, route_of
from local.simulator.faults import FaultBook, FaultRule, spoil
from local.simulator.generation import MEDIA_PATH, Generation
from local.simulator.messages import Answer, Reply, Request
from local.simulator.settings import SimulatorSettings
from local.simulator.state import Clock, CreateRequest, LogEntry, Store

_RATE_WINDOW_SECONDS = 10.0


class Crun:
    """The API, the H5 page and the media of generations. All methods may be called from any thread.

    ``public_base_url`` returns the URL that H5 links and media links start with.
    """

    def __init__(
        self,
        api_key: str,
        public_base_url: Callable[[], str],
        settings: SimulatorSettings | None = None,
        faults: tuple[FaultRule, ...] = (),
    ) -> None:
        self._api_key = api_key
        self._settings = settings or SimulatorSettings()
        self.clock = Clock()
        self.store = Store(self.clock)
        self.faults = FaultBook()
        self.faults.add(list(faults))
        self._worker = AssetWorker(self.store, lambda: self._settings)
        self.generation = Generation(self.store, self.clock, lambda: self._settings, public_base_url)
        self._contract = Contract(
            self.store, self.clock, self._worker, self.generation, lambda: self._settings, public_base_url
        )
        self.h5 = h5.H5(self.store, self.clock, lambda: self._settings)
        self._recent: deque[float] = deque()
        self._recent_lock = threading.Lock()

    # -- control: the same as over HTTP under /_sim/ --------------------------------------------------

    @property
    def settings(self) -> SimulatorSettings:
        """The current settings."""
        return self._settings

    def update_settings(self, **changes: object) -> SimulatorSettings:
        """Replace some settings. Raises `pydantic.ValidationError`."""
        self._settings = self._settings.updated(changes)
        return self._settings

    def add_faults(self, *rules: FaultRule) -> None:
        """Activate fault rules."""
        self.faults.add(list(rules))

    def clear_faults(self) -> None:
        """Deactivate all fault rules."""
        self.faults.clear()

    def set_clock(self, offset_seconds: float) -> None:
        """Set the simulated time to the real one plus this; links and tokens expire by it."""
        self.clock.offset_seconds = offset_seconds

    def advance(self, seconds: float) -> None:
        """Move the simulated time forward."""
        self.clock.offset_seconds += seconds

    def change_key(self, api_key: str) -> None:
        """Replace the API key; the old one is no longer accepted."""
        self._api_key = api_key

    def reset(self) -> None:
        """Delete sessions, groups, assets, tasks, log, faults and clock; settings and key stay."""
        self._worker.clear()
        self.generation.clear()
        self.faults.clear()
        self.set_clock(0.0)
        with self._recent_lock:
            self._recent.clear()
        self.store.clear()

    def log(self) -> list[LogEntry]:
        """Return the API calls received."""
        return self.store.log()

    def create_requests(self) -> list[CreateRequest]:
        """Return the CreateTask calls received, with their bodies."""
        return self.store.create_requests()

    def state(self) -> dict[str, object]:
        """Return the counts of sessions, lookups per hashed token, uploads, assets and tasks, and the balance."""
        return self.store.summary() | self.generation.summary()

    # -- requests -----------------------------------------------------------------------------------

    def handle(self, request: Request) -> Reply:
        """Returns the reply of the API, of the H5 page, or of a media link."""
        if request.path == h5.PATH and request.method in ("GET", "HEAD", "POST"):
            return self.h5.handle(request)
        if request.path.startswith(MEDIA_PATH):
            return self._media(request)
        return self._api(request)

    def _media(self, request: Request) -> Reply:
        received = time.monotonic()
        rule = self.faults.pick("media")
        if rule is None:
            reply = self.generation.serve(request)
        else:
            reply = spoil(rule, lambda: self.generation.serve(request), self._settings.refusal_style)
        self._record(request, "media", received, rule, reply)
        return reply

    def _api(self, request: Request) -> Reply:
        received = time.monotonic()
        method, call = route_of(request.path)
        rule = self.faults.pick(call) if call else None

        def work() -> Answer:
            refusal = self._refusal(request)
            if refusal is not None:
                return refusal
            if call is None or request.method != method:
                return Answer(404, "endpoint not found")
            return self._contract.answer(call, request)

        style = self._settings.refusal_style
        reply = spoil(rule, work, style) if rule else work().render(style)
        self._record(request, call or "unknown", received, rule, reply)
        return reply

    def _record(self, request: Request, call: str, received: float, rule: FaultRule | None, reply: Reply) -> None:
        self.store.record(
            request.method,
            call,
            received,
            status=None if reply.delivery == "reset" else reply.status,
            code=reply.outcome,
            fault=rule.kind if rule else None,
            asset_id=reply.asset_id,
            token_hash=reply.token_hash,
            correlation_id=request.headers.get("x-correlation-id"),
            task_id=reply.task_id,
            create_body=request.body if call == "create_task" else None,
        )

    def _refusal(self, request: Request) -> Answer | None:
        """Return the refusal that precedes a call: a wrong or disabled key, or too many calls."""
        given = request.headers.get("x-api-key", "")
        if not hmac.compare_digest(given.encode(), self._api_key.encode()):
            return Answer(401, "invalid API key")
        settings = self._settings
        if settings.key_disabled:
            return Answer(403, "API key disabled")
        if settings.rate_limit_per_10s is None:
            return None
        now = time.monotonic()
        with self._recent_lock:
            while self._recent and self._recent[0] <= now - _RATE_WINDOW_SECONDS:
                self._recent.popleft()
            if len(self._recent) >= settings.rate_limit_per_10s:
                return Answer(429, "rate limit exceeded", retry_after=settings.rate_limit_retry_after)
            self._recent.append(now)
        return None
