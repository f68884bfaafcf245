"""Sessions in any state, quickly: what an operation that is measured finds before it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from likeness.adapters.table.items import asset_item, encode, session_item, session_key
from likeness.domain.asset import Asset, AssetStatus
from likeness.domain.ids import asset_id, session_id
from likeness.domain.media.types import AssetType
from likeness.domain.session import Attempt, AttemptStatus, Language, Session, SessionStatus
from tests.faults.crun_caller import served_face
from tests.faults.fault_injection import Call
from tests.faults.onboarding import take_check
from tests.faults.simulated_aws import START, Answer, SimulatedAws, simulated_aws

EXECUTION = "bench"
TABLE = "Table"
#: So many items does one BatchWriteItem take.
_BATCH = 25
#: Files called ``never…`` stay Processing; all others become Active this many simulated seconds after they came.
ACTIVE_AFTER_SECONDS = 5.0
_OUTCOMES = {
    "asset_outcomes": [
        {"name": "never*", "outcome": "never"},
        {"name": "*", "outcome": "active", "after_seconds": ACTIVE_AFTER_SECONDS},
    ]
}


class OperationFailed(RuntimeError):
    """When what is measured does not do what it is measured for."""


@dataclass
class Stage:
    """An account in simulated time, and what is put into it."""

    where: SimulatedAws
    #: Where a picture is to be fetched.
    face_url: str = ""
    _group: str = ""
    _entropy: Iterator[int] = field(default_factory=count)

    def clear(self) -> None:
        """Ends all that goes on, and makes every function cold; the table keeps what it holds."""
        self.where.begin({}, keep=True)
        self._group = ""

    def later(self, seconds: float) -> None:
        """Time passes, and nothing happens meanwhile: what waits on the platform's agenda waits on."""
        self.where.now += seconds
        self.where.clock.move_to(self.where.now)

    # -- by the product's own functions ---------------------------------------------------------------------------

    def post(self, resource: str, body: object = None, status: int = 201, **options: Any) -> Any:
        """The body of the answer to a request of the client."""
        return answered(self.where.api("POST", resource, body=body, **options), status).body

    def passed(self) -> tuple[str, str]:
        """A new session whose person has just passed: its id, and the callback that is on its way."""
        view = self.post("/sessions", {})
        return view["id"], take_check(view["attempt"]["h5_link"], "pass")

    def reported(self) -> tuple[str, str]:
        """The same with the callback received; the workflow has not begun."""
        session, callback = self.passed()
        answered(self.where.browser(callback), 303)
        return session, callback

    def task(self, function: str, session: str, **more: Any) -> Any:
        """A state's function, invoked as the state machine does."""
        return self.where.invoke(function, {"session_id": session, "execution": EXECUTION, **more})

    def claimed(self, session: str) -> list[str]:
        """The ids that ClaimAssets wants to be submitted."""
        found: list[str] = self.task("claim_assets", session)["asset_ids"]
        return found

    def submitted(self, *names: str) -> str:
        """A verified session whose files are at crun, Processing."""
        session = self.verified(*names)
        for each in self.claimed(session):
            if self.task("submit_asset", session, asset_id=each)["outcome"] != "submitted":
                raise OperationFailed("submit_asset")
        return session

    # -- put straight into the table ------------------------------------------------------------------------------

    def verified(self, *names: str, client_id: str = "acme") -> str:
        """A verified session with a checked file for each name; nothing drives it."""
        group = self.group()
        made = self._new_session(client_id)
        # As the state SaveGroup leaves it.
        verified = {"group_id": encode(group), "verified_at": encode(self.where.now)}
        self._put([session_item(made) | verified])
        self.add_assets(made.id, *names)
        return made.id

    def processing(self, files: int) -> str:
        """A verified session that this execution drives, whose files have long been at crun."""
        session = self.verified()
        if self.claimed(session):
            raise OperationFailed("an empty session has nothing to submit")
        self.add_assets(session, *["never"] * files, status=AssetStatus.PROCESSING)
        return session

    def add_sessions(self, number: int, client_of: Callable[[int], str]) -> None:
        """Sessions without files, each of its own millisecond; ``client_of(index)`` says whose."""
        items = []
        for index in range(number):
            self.where.now += 0.001
            items.append(session_item(self._new_session(client_of(index))))
        self._put(items)

    def add_assets(self, session: str, *names: str, status: AssetStatus = AssetStatus.UPLOADED) -> None:
        """Files in a session, checked or, with another status, at crun."""
        found = self.where.store.get_session(session)
        if not found:
            raise OperationFailed("there is no such session")
        self._put([asset_item(self._new_asset(found, each, status)) for each in names])
        self.where.aws("dynamodb").update_item(
            TableName=TABLE,
            Key=session_key(session),
            UpdateExpression="SET asset_count = :count",
            ExpressionAttributeValues={":count": encode(found.asset_count + len(names))},
        )

    def _put(self, items: Sequence[dict[str, Any]]) -> None:
        for start in range(0, len(items), _BATCH):
            requests = [{"PutRequest": {"Item": each}} for each in items[start : start + _BATCH]]
            self.where.aws("dynamodb").batch_write_item(RequestItems={TABLE: requests})

    def group(self) -> str:
        """A group that crun knows, looked up once by the product itself."""
        if not self._group:
            session, _ = self.reported()
            self._group = self.task("look_up_result", session, attempt=1, last_chance=False)["group_id"]
        return self._group

    def _new_session(self, client_id: str) -> Session:
        now = self.where.now
        attempt = Attempt(1, AttemptStatus.VERIFIED, "t" * 64, now, now + 120, "10000", answered_at=now)
        return Session(
            id=session_id(int(now * 1000), self._drawn()),
            client_id=client_id,
            status=SessionStatus.VERIFIED,
            language=Language.ZH,
            created_at=now,
            updated_at=now,
            attempts={1: attempt},
        )

    def _new_asset(self, session: Session, name: str, status: AssetStatus) -> Asset:
        now = self.where.now
        made = asset_id(int(now * 1000), self._drawn())
        return Asset(
            id=made,
            session_id=session.id,
            name=name,
            asset_type=AssetType.IMAGE,
            content_type="image/jpeg",
            status=status,
            object_key=f"uploads/{session.id}/{made}/file",
            created_at=now,
            updated_at=now,
            size_bytes=100_000,
            version_id="v" * 32,
            uploaded_at=now,
            sha256=hashlib.sha256(made.encode()).hexdigest(),
            crun_asset_id=None if status is AssetStatus.UPLOADED else f"asset-{made}",
            submitted_at=None if status is AssetStatus.UPLOADED else now,
            client_id=session.client_id,
        )

    def _drawn(self) -> bytes:
        return next(self._entropy).to_bytes(10, "big")

    # -- counting -------------------------------------------------------------------------------------------------

    def calls_of(self, function: str, act: Callable[[], object]) -> list[Call]:
        """What ``function`` calls while ``act`` runs; calls of others, such as the authorizer, are left out."""
        before = len(self.where.injector.calls)
        act()
        return [each for each in self.where.injector.calls[before:] if each.by == function]

    @contextmanager
    def invocations(self) -> Iterator[Counter[str]]:
        """How often each function is invoked in the block, by the platform or by the state machine."""
        found: Counter[str] = Counter()
        invoke = self.where.invoke

        def counting(function: str, event: Mapping[str, Any]) -> Any:
            found[function] += 1
            return invoke(function, event)

        self.where.invoke = self.where.state_machine.call = counting  # type: ignore[method-assign]
        try:
            yield found
        finally:
            self.where.invoke = self.where.state_machine.call = invoke  # type: ignore[method-assign]


def answered(answer: Answer, status: int) -> Answer:
    """The answer, when it is the one that was expected; OperationFailed else."""
    if answer.status != status:
        raise OperationFailed(f"{answer.status} instead of {status}: {answer.body}")
    return answer


@contextmanager
def stage(start: float = START, *, stream: bool = False) -> Iterator[Stage]:
    """An empty account; ``start`` is the time at which it begins, in epoch seconds. ``stream``: the table has one."""
    with simulated_aws(_OUTCOMES, start=start, stream=stream) as where, served_face() as url:
        where.reconciles = False  # the table is filled with sessions that nobody is at
        yield Stage(where, url)
