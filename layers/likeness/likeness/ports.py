"""What the steps need from outside. Adapters implement these for AWS and crun; tests implement them in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from likeness.domain.asset import Asset, AssetStatus
from likeness.domain.consent import ConsentText
from likeness.domain.media.types import AssetType
from likeness.domain.polling import NOTHING_SEEN, History
from likeness.domain.session import Attempt, AttemptStatus, Consent, Language, Problem, Session
from likeness.domain.stats import AssetFact, SessionFact

if TYPE_CHECKING:
    from likeness.domain.webhooks import Endpoint, WaitingDelivery, WebhookAnswer  # one function of many loads it


class Clock(Protocol):
    """The only source of time and randomness."""

    def now(self) -> float:
        """Epoch seconds, UTC."""
        ...

    def entropy(self) -> bytes:
        """Ten random bytes for a ULID."""
        ...


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing; ``cursor`` is None on the last one."""

    sessions: list[Session]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Facts:
    """What counts of a client's sessions and assets, complete from the newest ULID down; ``rest`` is the newest ULID

    that is still to be read, None when nothing is.
    """

    sessions: list[SessionFact]
    assets: list[AssetFact]
    rest: str | None


class Store(Protocol):
    """The inventory. Every change is one conditional write and safe to repeat."""

    def create_session(self, session: Session, assets: Sequence[Asset]) -> None:
        """Stores a session and its first assets, all or nothing."""
        ...

    def get_session(self, session_id: str) -> Session | None:
        """The session as it is now (strongly consistent)."""
        ...

    def list_sessions(
        self, client_id: str, *, limit: int, cursor: str | None, status: str | None, reference: str | None
    ) -> Page:
        """A client's sessions, newest first."""
        ...

    def read_facts(self, client_id: str, *, oldest: str, newest: str, page_size: int) -> Facts:
        """A client's sessions and assets whose ULIDs are from ``oldest`` to ``newest``, both included, newest first:

        a bounded number of pages of at most ``page_size`` at a time.
        """
        ...

    def add_attempt(self, session_id: str, attempt: Attempt, now: float, *, given_up: Sequence[int] = ()) -> None:
        """Adds attempt ``attempt.number``; ConditionFailed when it exists or the session has moved on.

        ``given_up`` are the numbers of passes whose results nobody waits for any more: they become ``lost``.
        """
        ...

    def record_pass(self, session_id: str, number: int, result_code: str, now: float) -> Session:
        """An authentic callback said 10000. Repeating it succeeds until the group is known, so that the

        message behind it is sent again. ConditionFailed when the session has moved on.
        """
        ...

    def record_failed_attempt(self, session_id: str, number: int, result_code: str, why: Problem, now: float) -> None:
        """An authentic callback said that the newest attempt failed.

        ConditionFailed when it is not the newest, or something better is known.
        """
        ...

    def record_refused_result(
        self, session: Session, number: int, status: AttemptStatus, why: Problem, now: float
    ) -> None:
        """Crun has refused the result of attempt ``number`` of a session that is as given.

        The session asks for a further attempt, unless another one's result is on its way or a newer link is open.
        ConditionFailed when the session has changed: read it again.
        """
        ...

    def record_no_result(self, session_id: str, why: Problem, now: float) -> None:
        """A session in ``processing`` asks for a further attempt; nothing happens when it has moved on."""
        ...

    def save_group(self, session_id: str, number: int, group_id: str, now: float) -> None:
        """The group of attempt ``number`` is known: the session is verified.

        ConditionFailed when another group is known, or the session was canceled or erased.
        """
        ...

    def renew_invite(self, session_id: str) -> Session:
        """Ends the session's invite links; the session with the number of the next one. ConditionFailed when it is

        canceled or erased.
        """
        ...

    def keep_consent_text(self, text: ConsentText) -> None:
        """Keeps the words that somebody is about to agree to, for ever."""
        ...

    def record_consent(self, session: Session, consent: Consent) -> None:
        """Adds to the ledger, and shows it in the session. ConditionFailed when the same text was agreed to already,

        or the session takes none any more.
        """
        ...

    def lease_lookup(self, session_id: str, number: int, owner: str, now: float, until: float) -> Session:
        """Makes ``owner`` the only one to look this attempt up until ``until``; the session *before* the lease.

        ConditionFailed when another owner's lease is still good.
        """
        ...

    def release_lookup(self, session_id: str, number: int, owner: str) -> None:
        """Gives the lease back after a look-up that certainly did not happen."""
        ...

    def record_not_yet(
        self, session_id: str, number: int, owner: str, answers: int, since: float, *, release: bool
    ) -> None:
        """Crun has answered ``answers`` times, first at ``since``, that there is no result yet.

        ``release`` also gives ``owner``'s lease back.
        """
        ...

    def next_execution(self, session_id: str, number: int, executions: int) -> None:
        """Counts an execution that ended without an outcome, after ``executions`` others: names follow from it."""
        ...

    def claim_driver(self, session_id: str, execution: str, takes_over: str | None) -> bool:
        """Makes ``execution`` the one that moves this session's assets; False when another one does."""
        ...

    def release_driver(self, session_id: str, execution: str) -> None:
        """Nobody moves the assets any more; nothing happens when ``execution`` was not the driver."""
        ...

    def next_generation(self, session_id: str, generation: int) -> None:
        """Moves on from a generation whose execution ended before it claimed anything."""
        ...

    def add_asset(self, asset: Asset) -> bool:
        """Registers an asset and counts it in its session; False when it is there already.

        TooManyAttempts when the session is full, or its person has MAX_PERSON_PLACES waiting; ConditionFailed when it
        takes no uploads. Places that are over are given back before.
        """
        ...

    def hold_place(self, asset: Asset) -> None:
        """Keeps the place of a file that is awaited for some more time: ``asset.updated_at`` says since when.

        TooManyAttempts when it was given back and the session is full; ConditionFailed when it waits no more.
        """
        ...

    def get_asset(self, session_id: str, asset_id: str) -> Asset | None:
        """The asset as it is now (strongly consistent)."""
        ...

    def list_assets(self, session_id: str) -> list[Asset]:
        """All assets of a session, in the order of their registration (strongly consistent)."""
        ...

    def load(self, session_id: str) -> tuple[Session | None, list[Asset]]:
        """The session and all its assets in one read (strongly consistent)."""
        ...

    def load_asset(self, session_id: str, asset_id: str) -> tuple[Session | None, Asset | None]:
        """The session and one of its assets in one read (strongly consistent)."""
        ...

    def redact_session(self, session: Session, now: float) -> bool:
        """Takes everything personal out of a session that is as given; False when it has changed: read it again."""
        ...

    def redact_asset(self, asset: Asset, now: float, *, give_back: bool = False) -> None:
        """Takes everything personal out of an asset, whatever its status; ``give_back`` its place to the session."""
        ...

    def earlier_ids(self, session_id: str) -> dict[str, str]:
        """The AssetIds that files of a session had before, by the assets' ids, as ``keep_earlier_id`` kept them."""
        ...

    def record_earlier_id(self, asset: Asset, crun_asset_id: str) -> None:
        """Shows an earlier AssetId in the asset itself, which versions that gave it a second one did not."""
        ...

    def record_late_group(self, session_id: str, group_id: str) -> None:
        """Keeps a GroupId that came when the session was erased or had another one: crun has to be asked for it too.

        Nothing happens when the session knows it, or is still to get its group.
        """
        ...

    def record_late_submission(self, asset: Asset) -> None:
        """Keeps the AssetId of a file that reached crun while its session was erased: it has to be asked for there."""
        ...

    def record_erasure(self, session_id: str, now: float) -> Session:
        """Every part of an erasure is done; the tombstone. The first time stands."""
        ...

    def change_asset(self, asset: Asset, expected: Sequence[AssetStatus], seen: History = NOTHING_SEEN) -> None:
        """Writes ``asset`` if its status is still one of ``expected``; ConditionFailed otherwise.

        ``seen`` is added to the history of its type with the same write; where that is contended, it may be lost.
        """
        ...

    def begin_submission(self, intent: Asset, before: Asset) -> None:
        """Writes ``intent`` to hand an asset to crun if it is still as ``before``; ConditionFailed otherwise.

        Of two who have read the same state one begins: each intent counts up ``ambiguous_submissions``.
        """
        ...

    def keep_earlier_id(self, asset: Asset) -> None:
        """Keeps the asset findable by the id that crun has given it, before it gets another one."""
        ...


class UpstreamIds(Protocol):
    """Which of ours crun's ids are. What was written a moment ago may not be there yet."""

    def session_of(self, group_id: str, client_id: str | None = None) -> str | None:
        """The id of the session with that GroupId, whoever's it is.

        Of several with the same GroupId, the oldest of the client's that takes files.
        """
        ...

    def asset_of(self, client_id: str, asset_id: str) -> tuple[str, str] | None:
        """Session and asset id of an asset by its own id, if it is that client's, or by crun's, whoever's it is.

        Of several with the same AssetId, the oldest of the client's that is not erased.
        """
        ...


@dataclass(frozen=True, slots=True)
class DueItem:
    """A session, or one of its files, that should have moved on by ``due_at`` (epoch seconds)."""

    session_id: str
    asset_id: str | None
    due_at: float


class DueItems(Protocol):
    """What is due, whoever should have moved it."""

    def oldest(self, now: float, limit: int) -> list[DueItem]:
        """At most ``limit`` items that are due by now, the most overdue first. Some moments behind the table."""
        ...

    def set(self, item: DueItem, due_at: float | None) -> None:
        """Makes an item due at another time, or not at all; nothing happens when it has changed meanwhile."""
        ...


class PollHistory(Protocol):
    """How long assets have taken to turn Active."""

    def of(self, asset_type: AssetType, now: float) -> History:
        """What was seen of a type in this month and the last, some minutes old; nothing when it cannot be read."""
        ...


class ConsentTexts(Protocol):
    """What the operator asks people to agree to."""

    def current(self, language: Language) -> ConsentText:
        """The text in force."""
        ...


class Queue(Protocol):
    """The onboarding queue, or the webhook queue."""

    def send(self, body: str, *, delay_seconds: int = 0) -> None:
        """Puts a message (see contracts/messages.py and contracts/webhooks.py) on the queue."""
        ...


@dataclass(frozen=True, slots=True)
class FoundGroup:
    """A GroupId that crun gave for attempt ``number`` at ``at`` (epoch seconds)."""

    number: int
    group_id: str
    at: float


@dataclass(frozen=True, slots=True)
class FoundAsset:
    """An AssetId that crun gave for a file that had been submitted ``resubmissions`` times before."""

    asset_id: str
    crun_asset_id: str
    resubmissions: int


@dataclass(frozen=True, slots=True)
class Results:
    """What an execution got from crun, in the order in which it did."""

    groups: tuple[FoundGroup, ...] = ()
    assets: tuple[FoundAsset, ...] = ()


class ExecutionStatus(StrEnum):
    """What Step Functions says of an execution."""

    RUNNING = "RUNNING"
    PENDING_REDRIVE = "PENDING_REDRIVE"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    TIMED_OUT = "TIMED_OUT"
    ABORTED = "ABORTED"

    @property
    def ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self not in (ExecutionStatus.RUNNING, ExecutionStatus.PENDING_REDRIVE)


class Workflows(Protocol):
    """Executions of the state machine ``onboard_person``."""

    def start(self, name: str, document: str) -> bool:
        """Starts an execution; False when one of that name exists, running or ended."""
        ...

    def status(self, name: str) -> ExecutionStatus | None:
        """Where the execution of that name stands; None when there is none, or none any more."""
        ...

    def is_running(self, name: str) -> bool:
        """Whether the execution of that name has not ended."""
        ...

    def results(self, name: str) -> Results:
        """What the history of the execution of that name holds; nothing when there is no history any more."""
        ...

    def stop(self, name: str) -> None:
        """Ends the execution of that name, if there is one."""
        ...


@dataclass(frozen=True, slots=True)
class UploadForm:
    """A presigned POST: the URL and the fields to send before the file. ``expires_at`` in epoch seconds."""

    url: str
    fields: dict[str, str]
    expires_at: float


@dataclass(frozen=True, slots=True)
class FoundFile:
    """An object that is in the upload bucket. ``stored_at`` in epoch seconds."""

    version_id: str | None
    size_bytes: int
    stored_at: float


class Files(Protocol):
    """The upload bucket."""

    def upload_form(self, key: str, content_type: str, size_bytes: int, now: float) -> UploadForm:
        """A presigned POST for exactly this key, type and size."""
        ...

    def download_url(self, key: str, version_id: str | None) -> str:
        """A presigned GET of one version, good for 15 minutes at most. A secret."""
        ...

    def put(self, key: str, content_type: str, content: bytes) -> str | None:
        """Stores an object: its version."""
        ...

    def erase(self, prefix: str) -> None:
        """Deletes all versions of all objects whose keys begin with ``prefix``."""
        ...

    def delete(self, key: str, version_id: str | None) -> None:
        """Deletes one version."""
        ...

    def find(self, key: str) -> FoundFile | None:
        """The newest version of an object; None when there is none."""
        ...

    def open(self, key: str, version_id: str | None, size_bytes: int) -> BinaryIO:
        """A seekable view of one version that fetches only the ranges that are read."""
        ...


@dataclass(frozen=True, slots=True)
class H5Session:
    """What crun answers to a new validation session. Both fields are secrets."""

    byted_token: str
    h5_link: str


@dataclass(frozen=True, slots=True)
class CrunCall:
    """One request to crun and what came of it. ``call`` is the last part of its path.

    ``outcome``: ``ok``, ``refused``, ``deferred`` or ``ambiguous``, as in the tree of errors; ``upstream_code`` is
    crun's own figure, if it gave one; ``errors`` what it lists with a 422.
    """

    call: str
    outcome: str
    seconds: float
    upstream_code: int | None
    correlation_id: str | None
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AssetReport:
    """What crun says of an asset: ``status`` as it came, and why it failed."""

    status: str
    error_code: str | None = None
    error_message: str | None = None


class Crun(Protocol):
    """The vendor's API. Every call raises UpstreamRefused, UpstreamDeferred or UpstreamAmbiguous.

    StorageUnavailable says that what a call needs before it goes out (the key, a place in the line) was not to be
    had. ``correlation_id`` goes along in a header, so that crun's records and ours can be laid side by side.
    ``client_id`` is the client on whose behalf it is asked: the call counts in that client's share of the
    allowance.
    """

    def create_validation(self, callback_url: str, correlation_id: str | None = None) -> H5Session:
        """POST visual-validate-session."""
        ...

    def group_of(self, byted_token: str, correlation_id: str | None = None, client_id: str | None = None) -> str:
        """GET visual-validate-result: the GroupId. May consume the token."""
        ...

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
        """POST asset-upload: the AssetId. Not idempotent."""
        ...

    def asset_reports(
        self, crun_asset_ids: Sequence[str], correlation_id: str | None = None, client_id: str | None = None
    ) -> dict[str, AssetReport | UpstreamProblem]:
        """GET asset-info for several assets side by side; what went wrong stands in the place of the report."""
        ...

    def balance(self) -> float:
        """GET account/balance: the credits left."""
        ...


#: An error of the upstream tree, held as a value.
UpstreamProblem = Exception


#: PutEvents takes at most ten entries.
EVENTS_PER_PUT = 10


@dataclass(frozen=True, slots=True)
class Event:
    """What the event bus is told: ``type`` is EventBridge's detail-type, ``detail`` its body (contracts/events.py)."""

    type: str
    detail: Mapping[str, str]


class EventBus(Protocol):
    """Where customers' rules listen."""

    def put(self, events: Sequence[Event]) -> int:
        """Puts at most EVENTS_PER_PUT events: how many were taken before the first that was not.

        Some after that one may have been taken too: they keep their ids when they are put again.
        """
        ...


class SigningKeys(Protocol):
    """The keys behind callback signatures and session tokens."""

    def current(self) -> Iterable[bytes]:
        """Valid keys, newest first."""
        ...

    def fresh(self) -> Iterable[bytes]:
        """The same, after a look whether they were rotated: for a signature that fits none of ``current()``."""
        ...


class Webhooks(Protocol):
    """Where clients want their events."""

    def of(self, client_id: str) -> list[Endpoint]:
        """All endpoints of a client (strongly consistent)."""
        ...

    def find(self, client_id: str, endpoint_id: str) -> Endpoint | None:
        """The endpoint as it is now (strongly consistent)."""
        ...

    def disable(self, client_id: str, endpoint_id: str, reason: str, now: float) -> None:
        """Sends nothing there any more. Nothing happens when it is disabled already, or removed."""
        ...

    def failed(self, endpoint: Endpoint, since: float) -> None:
        """Notes that a try which began at ``since`` has failed, unless an earlier one is noted; lets others try."""
        ...

    def try_alone(self, endpoint: Endpoint, now: float) -> bool:
        """Whether the caller may try: for the next ALONE_SECONDS nobody else may then."""
        ...

    def pause(self, endpoint: Endpoint, since: float, probe: str, now: float) -> bool:
        """Pauses an endpoint that fails ``since`` then; ``probe`` goes on trying. False when it does not."""
        ...

    def resume(self, endpoint: Endpoint, resumption: str) -> None:
        """Ends failing and pause; from now on the message ``resumption`` alone sends what waits."""
        ...

    def keep(self, endpoint: Endpoint, delivery: WaitingDelivery, now: float) -> None:
        """Lets a delivery wait, for WAITING_SECONDS at most. Nothing changes when it waits already."""
        ...

    def waiting(self, endpoint: Endpoint, limit: int) -> list[WaitingDelivery]:
        """The first of what waits, the oldest event first (strongly consistent)."""
        ...

    def forget(self, endpoint: Endpoint, delivery: WaitingDelivery) -> None:
        """A delivery waits no more."""
        ...


class WebhookPost(Protocol):
    """POSTs to clients' servers."""

    def __call__(self, url: str, headers: Mapping[str, str], body: str) -> WebhookAnswer:
        """One POST, in a bounded time, whatever the other side does; never raises for it."""
        ...


@dataclass(frozen=True, slots=True)
class Download:
    """What came of fetching a file by its URL: its ``content``, or the ``problem`` in a word that is no secret.

    ``retryable``: whether the same request may do better in a moment.
    """

    content: bytes = b""
    problem: str | None = None
    retryable: bool = False


class Downloads(Protocol):
    """Files behind URLs that strangers gave."""

    def fetch(self, url: str, limit_bytes: int, seconds: float) -> Download:
        """One try, at most ``limit_bytes``, at most ``seconds`` besides the looking up of names.

        Never raises for what the other side does, nor for what the URL is. The problems: ``too_large``, ``timeout``,
        ``private_address``, ``tls``, ``no_connection``, ``no_answer``, ``status`` (any but 200), ``incomplete``,
        ``too_many_redirects``, ``not_http``. A file whose length nobody said ends where its connection does.
        """
        ...


# -- the inventory, written out and looked after -------------------------------------------------------------------

#: Where the reading of the table goes on: after the item of this primary key.
InventoryCursor = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class InventoryPage:
    """Some of the table: the items of each partition, decoded; ``cursor`` None at the end of the table."""

    partitions: list[list[dict[str, Any]]]
    cursor: InventoryCursor | None


class InventoryPages(Protocol):
    """The whole table, page by page."""

    def page(self, cursor: InventoryCursor | None) -> InventoryPage:
        """What follows after ``cursor``. A partition is whole, unless it is longer than a page."""
        ...


@dataclass(frozen=True, slots=True)
class Part:
    """A file of an export that is written; ``size`` in bytes, ``sha256`` in hex."""

    name: str
    lines: int
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Export:
    """How far an export is. Times are epoch seconds; ``counts`` by kind of line."""

    id: str
    started_at: float
    finished_at: float | None = None
    cursor: InventoryCursor | None = None
    parts: tuple[Part, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """Where its files are."""
        return f"inventory/{datetime.fromtimestamp(self.started_at, UTC):%Y-%m-%d}/{self.id}/"


@dataclass(frozen=True, slots=True)
class HeldExport:
    """The last export that there is to know of, None when there was none: it is now this run's alone."""

    export: Export | None


class ExportFiles(Protocol):
    """Where exports are put."""

    def put(self, key: str, body: bytes) -> None:
        """Writes a file, over what was there."""
        ...


class ExportProgress(Protocol):
    """Which export is under way, and who is at it."""

    def take(self, run: str, now: float, until: float) -> HeldExport | None:
        """Makes ``run`` the only one to export until ``until``; None when another one is at it."""
        ...

    def save(self, run: str, export: Export, until: float) -> None:
        """Keeps how far ``run`` is. ConditionFailed when it is not the one at it any more."""
        ...

    def release(self, run: str) -> None:
        """Anybody may go on; nothing happens when ``run`` was not the one at it."""
        ...


@dataclass(frozen=True, slots=True)
class Suspect:
    """An asset that crun did not know, or called Failed, at ``seen_at`` (epoch seconds): a second look decides."""

    session_id: str
    asset_id: str
    seen_at: float


@dataclass(frozen=True, slots=True)
class Recheck:
    """How far the round over all active assets is: after asset ``after`` of ``client``, "" where it begins.

    ``asked`` in this round, ``last_asked`` in the one before; ``over`` until the next one is due. ``version`` counts
    the runs. Times are epoch seconds.
    """

    started_at: float
    #: Not ``client_id``, which is an index's key and may not be empty.
    client: str = ""
    after: str = ""
    asked: int = 0
    last_asked: int = 0
    over: bool = False
    suspects: tuple[Suspect, ...] = ()
    version: int = 0


class ActiveAssets(Protocol):
    """The assets that can be lost, in an order that stays, and where the round over them is."""

    def progress(self) -> Recheck | None:
        """Where the round is; None before the first."""
        ...

    def save(self, recheck: Recheck) -> bool:
        """Keeps where the round is, by one write; False when another run has saved since ``recheck`` was read."""
        ...

    def clients(self) -> list[str]:
        """All clients, in order."""
        ...

    def ids(self, client_id: str, after: str, limit: int) -> tuple[list[tuple[str, str]], str | None]:
        """Session and asset ids of at most ``limit`` active assets of a client, after asset ``after``; and the asset

        after which to go on, None when there are no more.
        """
        ...

    def load(self, ids: Sequence[tuple[str, str]]) -> list[Asset]:
        """Those of these assets that are there, as they are now; at most 100."""
        ...
