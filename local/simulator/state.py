"""The state of the simulated crun: validations, groups, assets, tasks, and the calls it received."""

import hashlib
import json
import secrets
import string
import threading
import time
from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Literal

from local.simulator.render import FilmPlan
from local.simulator.settings import TaskFate

Outcome = Literal["pass", "fail", "cancel"]
AssetStatus = Literal["Processing", "Active", "Failed"]
TaskStatus = Literal["pending", "running", "success", "failed"]

_LOG_LIMIT = 100_000
_REQUEST_LIMIT = 10_000
_SUFFIX_ALPHABET = string.ascii_lowercase + string.digits


def hash_token(token: str) -> str:
    """Return the short hash under which a byted token appears in the log and the counts."""
    return hashlib.sha256(token.encode()).hexdigest()[:16]


class Clock:
    """The UTC time plus an offset, so that links and tokens expire without waiting. Seconds since 1970."""

    def __init__(self) -> None:
        self.offset_seconds = 0.0

    def now(self) -> float:
        """Return the simulated time."""
        return time.time() + self.offset_seconds


@dataclass
class Validation:
    """One real-person check, from its session to its group."""

    token: str = field(repr=False)
    link_query: str = field(repr=False)
    callback_url: str = field(repr=False)
    issued_at: float
    outcome: Outcome | None = None
    result_code: str | None = None
    algorithm_code: str = "0"
    person: str | None = field(default=None, repr=False)
    group_id: str | None = None
    burned: bool = False
    lookups: int = 0
    successful_lookups: int = 0
    page_views: int = 0


@dataclass
class Group:
    """An asset group, bound to the person who passed the check. With `mismatch`, no file shows that person."""

    id: str
    person: str = field(repr=False)
    mismatch: bool = False


@dataclass
class Asset:
    """One uploaded asset. `error` is (code, message) once it is Failed; `due` is when a configured outcome applies.

    `picture` is a small JPEG of the picture, or of the clip's first frame.
    """

    id: str
    number: int
    name: str
    asset_type: str
    group_id: str
    created_at: float
    updated_at: float
    status: AssetStatus = "Processing"
    error: tuple[str, str] | None = None
    due: float | None = None
    fate: tuple[str, str] | None = None
    picture: bytes | None = field(default=None, repr=False)


@dataclass
class Task:
    """One generation.

    `due` is when it ends by the simulated clock (None: never), `credits` what is reserved and later what it cost,
    `media` the tokens of its media links, `callbacks` the status of each response to a callback (None: no response).
    `turn` increases when its callbacks are planned anew.
    """

    id: str
    number: int
    model: str
    request: dict[str, object] = field(repr=False)
    callback_url: str | None = field(repr=False)
    plan: FilmPlan
    last_frame: bool
    resolution: str
    created_at: float
    due: float | None
    fate: TaskFate
    message: str
    reserved: float
    credits: float
    status: TaskStatus = "pending"
    ended_at: float | None = None
    media: list[str] = field(default_factory=list, repr=False)
    looks: int = 0
    downloads: int = 0
    callbacks: list[int | None] = field(default_factory=list)
    turn: int = 0


@dataclass(frozen=True)
class MediaLink:
    """A link to a film, or to its last frame, that ends at a simulated time."""

    task: Task
    last_frame: bool
    ends_at: float


@dataclass(frozen=True)
class CreateRequest:
    """A CreateTask call that arrived. `body` is its JSON, or None; `task_id` the task it made, if it made one.

    `number` is that of its entry in the log, `code` the envelope's.
    """

    number: int
    at: float
    body: object = field(repr=False)
    code: int | None
    fault: str | None
    task_id: str | None


@dataclass(frozen=True)
class LogEntry:
    """One call received. `at` is monotonic seconds; `code` the envelope's code; `status` the HTTP status.

    `status` is None when the connection was closed without a response.
    """

    number: int
    at: float
    method: str
    call: str
    status: int | None
    code: int | None
    fault: str | None
    asset_id: str | None
    token_hash: str | None
    correlation_id: str | None = None
    task_id: str | None = None


class Store:
    """All state, with one lock that callers hold while they change an object of it."""

    def __init__(self, clock: Clock) -> None:
        self.lock = threading.RLock()
        self._clock = clock
        self.clear()

    def clear(self) -> None:
        """Delete everything."""
        with self.lock:
            self.validations: dict[str, Validation] = {}
            self.groups: dict[str, Group] = {}
            self.assets: dict[str, Asset] = {}
            self.tasks: dict[str, Task] = {}
            self.media: dict[str, MediaLink] = {}
            self._create_requests: deque[CreateRequest] = deque(maxlen=_REQUEST_LIMIT)
            self._log: deque[LogEntry] = deque(maxlen=_LOG_LIMIT)
            self._calls = 0

    def open_validation(self, callback_url: str) -> Validation:
        """Start a validation and issue its token and its link's query (`lng` is not part of it)."""
        with self.lock:
            # like crun's example: 14 digits of the time, then upper-case hexadecimal digits, 36 in total
            token = self._time_stamp() + secrets.token_hex(11).upper()
            validation = Validation(token, _signed_query(token), callback_url, self._clock.now())
            self.validations[token] = validation
            return validation

    def validation_of(self, token_hash: str) -> Validation | None:
        """Return the validation whose token has this hash, or None."""
        with self.lock:
            return next((each for token, each in self.validations.items() if hash_token(token) == token_hash), None)

    def open_group(self, person: str) -> Group:
        """Add a group bound to a person."""
        with self.lock:
            group = Group(f"group-{self._time_stamp()}-{_suffix()}", person)
            self.groups[group.id] = group
            return group

    def add_asset(self, name: str, asset_type: str, group_id: str) -> Asset:
        """Add an asset that is Processing."""
        with self.lock:
            now = self._clock.now()
            asset_id = f"asset-{self._time_stamp()}-{_suffix()}"
            asset = Asset(asset_id, len(self.assets) + 1, name, asset_type, group_id, now, now)
            self.assets[asset_id] = asset
            return asset

    def settle_asset(self, asset: Asset, error: tuple[str, str] | None) -> None:
        """Set an asset to Active, or to Failed with an error."""
        with self.lock:
            asset.status, asset.error = ("Failed", error) if error else ("Active", None)
            asset.updated_at = self._clock.now()

    def settle_later(self, asset: Asset, seconds: float, error: tuple[str, str] | None) -> None:
        """Settle an asset after `seconds` of simulated time."""
        with self.lock:
            asset.due, asset.fate = self._clock.now() + seconds, error

    def ripen(self, asset: Asset) -> Asset:
        """Return the asset, settled if it is due."""
        if asset.due is not None and asset.due <= self._clock.now():
            asset.due = None
            self.settle_asset(asset, asset.fate)
        return asset

    def record(
        self,
        method: str,
        call: str,
        at: float,
        *,
        status: int | None,
        code: int | None,
        fault: str | None,
        asset_id: str | None,
        token_hash: str | None,
        correlation_id: str | None = None,
        task_id: str | None = None,
        create_body: bytes | None = None,
    ) -> None:
        """Add one call to the log; `at` is the monotonic time of its arrival, `create_body` a CreateTask's body."""
        with self.lock:
            self._calls += 1
            self._log.append(
                LogEntry(
                    self._calls, at, method, call, status, code, fault, asset_id, token_hash, correlation_id, task_id
                )
            )
            if create_body is not None:
                self._create_requests.append(CreateRequest(self._calls, at, _json(create_body), code, fault, task_id))

    def create_requests(self) -> list[CreateRequest]:
        """Return the CreateTask calls received, in the order of their responses."""
        with self.lock:
            return list(self._create_requests)

    def log(self) -> list[LogEntry]:
        """Return the calls received, in the order of their responses."""
        with self.lock:
            return list(self._log)

    def summary(self) -> dict[str, object]:
        """Return the counts that black-box tests assert on; tokens are hashed, and persons are not included."""
        with self.lock:
            validations = {hash_token(each.token): each for each in self.validations.values()}
            groups: dict[str, dict[str, int]] = {
                group_id: {"processing": 0, "active": 0, "failed": 0} for group_id in self.groups
            }
            for asset in map(self.ripen, self.assets.values()):
                groups[asset.group_id][asset.status.lower()] += 1
            return {
                "calls": dict(Counter(entry.call for entry in self._log)),
                "sessions": len(validations),
                "outcomes": {key: each.outcome for key, each in validations.items()},
                "page_views": {key: each.page_views for key, each in validations.items()},
                "lookups": {key: each.lookups for key, each in validations.items()},
                "successful_lookups": {key: each.successful_lookups for key, each in validations.items()},
                "uploads": len(self.assets),
                "groups": groups,
                "assets": {
                    asset.id: {
                        "status": asset.status,
                        "asset_type": asset.asset_type,
                        "group_id": asset.group_id,
                        "error_code": asset.error[0] if asset.error else None,
                    }
                    for asset in self.assets.values()
                },
            }

    def log_as_dicts(self) -> list[dict[str, object]]:
        """Return the log as JSON values."""
        return [asdict(entry) for entry in self.log()]

    def _time_stamp(self) -> str:
        return datetime.fromtimestamp(self._clock.now(), UTC).strftime("%Y%m%d%H%M%S")


def _json(body: bytes) -> object:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _suffix() -> str:
    return "".join(secrets.choice(_SUFFIX_ALPHABET) for _ in range(5))


def _signed_query(token: str) -> str:
    """Return a query like crun's, with characters that a careless rewriting of URLs breaks."""
    part = secrets.token_urlsafe
    return (
        f"X-Algorithm=HMAC-SHA256&X-Credential={part(9)}%2Fcn-north-1%2Fvisual%2Frequest"
        f"&X-Signature={part(12)}%2F{part(12)}+{part(6)}=&region=cn-north-1&region=&bytedToken={token}"
    )
