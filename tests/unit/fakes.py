"""In-memory implementations of the ports. They return scripted answers and record the calls."""

from __future__ import annotations

import io
import itertools
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO, TypeVar

from likeness.domain.consent import ConsentText
from likeness.domain.crun import AssetReport, H5Session, UpstreamProblem
from likeness.domain.events import Event
from likeness.domain.executions import ExecutionStatus, Results
from likeness.domain.files import Download, FoundFile, UploadForm
from likeness.domain.polling import NOTHING_SEEN, History
from likeness.domain.session import Language
from likeness.domain.terms import ConsentTerms
from likeness.domain.webhooks import ALONE_SECONDS, Endpoint, WaitingDelivery, WebhookAnswer
from likeness.errors import StorageUnavailable, UpstreamError
from likeness.ports.crun import Crun, PollHistory
from likeness.ports.files import Downloads, Files
from likeness.ports.notifications import EVENTS_PER_PUT, EventBus, WebhookPost, Webhooks
from likeness.ports.onboarding import Workflows
from likeness.ports.system import Clock, Queue, SigningKeys

Answer = TypeVar("Answer")


@dataclass
class FakeClock:
    """Returns ``at`` (epoch seconds) until a test changes it. Its entropy is a counter."""

    at: float = 1_800_000_000.0
    drawn: itertools.count[int] = field(default_factory=itertools.count)

    def now(self) -> float:
        return round(self.at, 3)

    def entropy(self) -> bytes:
        return next(self.drawn).to_bytes(10, "big")


@dataclass
class FakeQueue:
    """Records the messages, each with its delay in seconds."""

    sent: list[tuple[str, int]] = field(default_factory=list)

    def send(self, body: str, *, delay_seconds: int = 0) -> None:
        self.sent.append((body, delay_seconds))


@dataclass
class FakeEventBus:
    """Records each put. Rejects the event with the id ``refuses``, and is unavailable after ``away_after`` puts."""

    refuses: str = ""
    away_after: int | None = None
    puts: list[list[Event]] = field(default_factory=list)

    def put(self, events: Sequence[Event]) -> int:
        assert 0 < len(events) <= EVENTS_PER_PUT
        if len(self.puts) == self.away_after:
            raise StorageUnavailable
        self.puts.append(list(events))
        ids = [each.detail["id"] for each in events]
        return ids.index(self.refuses) if self.refuses in ids else len(events)


@dataclass
class FakeWorkflows:
    """Executions by name, with their input documents. ``ended`` has the names of those that have ended."""

    started: dict[str, str] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    #: The final statuses of executions that did not succeed, and what executions received from crun.
    statuses: dict[str, ExecutionStatus] = field(default_factory=dict)
    histories: dict[str, Results] = field(default_factory=dict)

    def start(self, name: str, document: str) -> bool:
        # Like Step Functions: a start with the name and input of a running execution succeeds.
        if name in self.started:
            return name not in self.ended and self.started[name] == document
        self.started[name] = document
        return True

    def status(self, name: str) -> ExecutionStatus | None:
        if name not in self.started:
            return None
        ended = self.statuses.get(name, ExecutionStatus.SUCCEEDED)
        return ended if name in self.ended else ExecutionStatus.RUNNING

    def is_running(self, name: str) -> bool:
        return name in self.started and name not in self.ended

    def results(self, name: str) -> Results:
        return self.histories.get(name, Results())

    def stop(self, name: str) -> None:
        self.ended |= {name} & set(self.started)


@dataclass
class FakeCrun:
    """Returns the scripted answers in order and raises scripted errors. An unscripted call fails the test."""

    sessions: deque[H5Session | UpstreamError] = field(default_factory=deque)
    groups: deque[str | UpstreamError] = field(default_factory=deque)
    uploads: deque[str | UpstreamError] = field(default_factory=deque)
    reports: dict[str, AssetReport | UpstreamProblem] = field(default_factory=dict)
    no_permit: UpstreamError | None = None
    callback_urls: list[str] = field(default_factory=list)
    looked_up: list[str] = field(default_factory=list)
    uploaded: list[tuple[str, str, str, str]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    traced: list[str | None] = field(default_factory=list)
    credits: deque[float | UpstreamError] = field(default_factory=deque)
    #: The client of each call.
    clients: list[str | None] = field(default_factory=list)

    def create_validation(self, callback_url: str, correlation_id: str | None = None) -> H5Session:
        self.callback_urls.append(callback_url)
        self.traced.append(correlation_id)
        return _next_answer(self.sessions)

    def group_of(self, byted_token: str, correlation_id: str | None = None, client_id: str | None = None) -> str:
        self.clients.append(client_id)
        self.traced.append(correlation_id)
        self.looked_up.append(byted_token)
        return _next_answer(self.groups)

    def upload_asset(
        self,
        *,
        name: str,
        asset_type: str,
        asset_url: str,
        group_id: str,
        correlation_id: str | None = None,
        client_id: str | None = None,
    ) -> str:
        self.clients.append(client_id)
        self.traced.append(correlation_id)
        self.uploaded.append((name, asset_type, asset_url, group_id))
        return _next_answer(self.uploads)

    def asset_reports(
        self, crun_asset_ids: Sequence[str], correlation_id: str | None = None, client_id: str | None = None
    ) -> dict[str, AssetReport | UpstreamProblem]:
        self.clients.append(client_id)
        self.traced.append(correlation_id)
        if self.no_permit:
            raise self.no_permit
        self.asked += crun_asset_ids
        return {each: self.reports[each] for each in crun_asset_ids}

    def balance(self) -> float:
        return _next_answer(self.credits)


def _next_answer(script: deque[Answer | UpstreamError]) -> Answer:
    answer = script.popleft()
    if isinstance(answer, UpstreamError):
        raise answer
    return answer


@dataclass
class FakeFiles:
    """Objects by key. Every download URL has a different signature."""

    objects: dict[str, bytes] = field(default_factory=dict)
    signed: itertools.count[int] = field(default_factory=itertools.count)

    def upload_form(self, key: str, content_type: str, size_bytes: int, now: float) -> UploadForm:
        return UploadForm("https://bucket.test/", {"key": key, "Content-Type": content_type}, now + 3600)

    def keeps(self, key: str, version_id: str | None) -> bool:
        return key in self.objects

    def download_url(self, key: str, version_id: str | None) -> str:
        return f"https://bucket.test/{key}?versionId={version_id}&X-Amz-Signature={next(self.signed)}"

    def preview_url(self, key: str, version_id: str | None, content_type: str) -> str:
        return f"{self.download_url(key, version_id)}&response-content-type={content_type}"

    def put(self, key: str, content_type: str, content: bytes) -> str | None:
        self.objects[key] = content
        return f"v{next(self.signed)}"

    def erase(self, prefix: str) -> None:
        self.objects = {key: content for key, content in self.objects.items() if not key.startswith(prefix)}

    def delete(self, key: str, version_id: str | None) -> None:
        self.objects.pop(key, None)

    def find(self, key: str) -> FoundFile | None:
        found = self.objects.get(key)
        return None if found is None else FoundFile("v1", len(found), 1_800_000_000.0)

    def open(self, key: str, version_id: str | None, size_bytes: int) -> BinaryIO:
        return io.BytesIO(self.objects[key])


@dataclass
class FakeConsentTexts:
    """Implements the port ``ConsentTexts`` with one text, which a test can change."""

    text: ConsentText = ConsentText("1", Language.EN, "Title", "First.\n\nSecond.")  # noqa: RUF009 - frozen

    def current(self, language: Language, terms: ConsentTerms | None = None) -> ConsentText:
        """Returns the text as if it were in ``language``, with the purposes of the terms as its sentence."""
        named = (",".join(terms.purposes),) if terms else ()
        return replace(self.text, language=language, sentences=named, terms=terms.canonical if terms else "")

    def purpose(self, name: str, language: Language) -> str:
        """Returns the name, as if it were a word of ``language``."""
        return f"{name} in {language.value}"

    def purposes(self, language: Language) -> dict[str, str]:
        """Returns one purpose."""
        return {"advertising": self.purpose("advertising", language)}


def no_generations(session_id: str) -> None:
    """Erases the generations of a person who is in none."""


@dataclass
class FakePollHistory:
    """The history that a test sets for each kind, and the number of reads."""

    seen: dict[str, History] = field(default_factory=dict)
    asked: int = 0

    def of(self, kind: str, now: float) -> History:
        self.asked += 1
        return self.seen.get(kind, NOTHING_SEEN)


@dataclass
class FixedKeys:
    """Signing keys, newest first."""

    keys: tuple[bytes, ...] = (b"k" * 32,)

    def current(self) -> Sequence[bytes]:
        return self.keys

    def fresh(self) -> Sequence[bytes]:
        return self.keys


@dataclass
class FakeWebhooks:
    """Endpoints by client and id. All calls fail while ``away`` is true."""

    endpoints: dict[tuple[str, str], Endpoint] = field(default_factory=dict)
    away: bool = False
    #: The waiting deliveries, by endpoint.
    kept: dict[str, list[WaitingDelivery]] = field(default_factory=dict)

    def add(self, *endpoints: Endpoint) -> None:
        self.endpoints |= {(each.client_id, each.id): each for each in endpoints}

    def of(self, client_id: str) -> list[Endpoint]:
        self._check_available()
        return [each for each in self.endpoints.values() if each.client_id == client_id]

    def find(self, client_id: str, endpoint_id: str) -> Endpoint | None:
        self._check_available()
        return self.endpoints.get((client_id, endpoint_id))

    def disable(self, client_id: str, endpoint_id: str, reason: str, now: float) -> None:
        self._check_available()
        found = self.endpoints.get((client_id, endpoint_id))
        if found and found.disabled_at is None:
            self.add(replace(found, disabled_at=now, disabled_reason=reason))

    def failed(self, endpoint: Endpoint, since: float, failure: str) -> None:
        found = self.find(endpoint.client_id, endpoint.id)
        if found is not None:
            earlier = since if found.failing_since is None else found.failing_since
            self.add(replace(found, failing_since=earlier, trying_until=None, last_failure=failure))

    def try_alone(self, endpoint: Endpoint, now: float) -> bool:
        found = self.find(endpoint.client_id, endpoint.id)
        if found is None or (found.trying_until is not None and found.trying_until > now):
            return False
        self.add(replace(found, trying_until=now + ALONE_SECONDS))
        return True

    def pause(self, endpoint: Endpoint, since: float, probe: str, now: float, failure: str) -> bool:
        found = self.find(endpoint.client_id, endpoint.id)
        if found is None or found.paused_at is not None or found.failing_since not in (None, since):
            return False
        self.add(
            replace(found, paused_at=now, probe=probe, failing_since=since, trying_until=None, last_failure=failure)
        )
        return True

    def resume(self, endpoint: Endpoint, resumption: str) -> None:
        found = self.find(endpoint.client_id, endpoint.id)
        if found is not None:
            ended: dict[str, Any] = dict.fromkeys(
                ("failing_since", "trying_until", "paused_at", "probe", "last_failure")
            )
            self.add(replace(found, resumption=resumption, **ended))

    def keep(self, endpoint: Endpoint, delivery: WaitingDelivery, now: float) -> None:
        self._check_available()
        found = self.kept.setdefault(endpoint.id, [])
        if delivery not in found:
            found.append(delivery)
        found.sort(key=lambda each: (each.time, each.event_id))

    def waiting(self, endpoint: Endpoint, limit: int) -> list[WaitingDelivery]:
        self._check_available()
        return self.kept.get(endpoint.id, [])[:limit]

    def forget(self, endpoint: Endpoint, delivery: WaitingDelivery) -> None:
        self._check_available()
        if delivery in self.kept.get(endpoint.id, []):
            self.kept[endpoint.id].remove(delivery)

    def _check_available(self) -> None:
        if self.away:
            raise StorageUnavailable("AWS returned InternalServerError")


@dataclass
class FakeWebhookPost:
    """Returns the scripted answers, then 204. Records the URL, headers and body of each request."""

    answers: deque[WebhookAnswer] = field(default_factory=deque)
    posted: list[tuple[str, dict[str, str], str]] = field(default_factory=list)

    def __call__(self, url: str, headers: Mapping[str, str], body: str) -> WebhookAnswer:
        self.posted.append((url, dict(headers), body))
        return self.answers.popleft() if self.answers else WebhookAnswer(204)


class NoCallbacks:
    """Nobody wants to be called back."""

    def __call__(self, generation_id: str) -> None:
        return None

    def is_wanted(self, generation_id: str) -> bool:
        return False


@dataclass
class FakeDownloads:
    """Returns the scripted downloads in order. An unscripted fetch fails the test."""

    downloads: deque[Download] = field(default_factory=deque)
    fetched: list[tuple[str, int, float]] = field(default_factory=list)

    def fetch(self, url: str, limit_bytes: int, seconds: float) -> Download:
        self.fetched.append((url, limit_bytes, seconds))
        return self.downloads.popleft()


#: Lets the type checker verify that each fake implements its port.
CLOCK: type[Clock] = FakeClock
QUEUE: type[Queue] = FakeQueue
EVENT_BUS: type[EventBus] = FakeEventBus
WORKFLOWS: type[Workflows] = FakeWorkflows
CRUN: type[Crun] = FakeCrun
FILES: type[Files] = FakeFiles
DOWNLOADS: type[Downloads] = FakeDownloads
KEYS: type[SigningKeys] = FixedKeys
HISTORY: type[PollHistory] = FakePollHistory
WEBHOOKS: type[Webhooks] = FakeWebhooks
WEBHOOK_POST: WebhookPost = FakeWebhookPost()
