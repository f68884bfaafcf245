"""Creates sessions in any state, quickly, for the operations that are measured."""

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
from tests.faults.generating import SETTINGS as VIDEO_SETTINGS
from tests.faults.generating import TASK_SECONDS, Generating, place_person
from tests.faults.onboarding import take_check
from tests.faults.simulated_aws import START, Answer, SimulatedAws, simulated_aws

EXECUTION = "bench"
TABLE = "Table"
#: BatchWriteItem accepts this many items.
_BATCH = 25
#: Files called ``never…`` stay Processing; others become Active this many simulated seconds after their submission.
ACTIVE_AFTER_SECONDS = 5.0
_OUTCOMES: dict[str, Any] = {
    "asset_outcomes": [
        {"name": "never*", "outcome": "never"},
        {"name": "*", "outcome": "active", "after_seconds": ACTIVE_AFTER_SECONDS},
    ]
}


class OperationFailed(RuntimeError):
    """When a measured operation does not succeed."""


@dataclass
class Stage:
    """An AWS account in simulated time, and methods that create its content."""

    where: SimulatedAws
    #: The URL of a picture.
    face_url: str = ""
    _group: str = ""
    _entropy: Iterator[int] = field(default_factory=count)

    def clear(self) -> None:
        """Ends everything that runs, and makes every function cold; the table keeps its content."""
        self.where.begin({}, keep=True)
        self._group = ""

    def later(self, seconds: float) -> None:
        """Moves the clock; what simulated AWS has scheduled does not run."""
        self.where.now += seconds
        self.where.clock.move_to(self.where.now)

    # -- through the product's own functions ---------------------------------------------------------------------------

    def post(self, resource: str, body: object = None, status: int = 201, **options: Any) -> Any:
        """Returns the response body of a client's request."""
        return answered(self.where.api("POST", resource, body=body, **options), status).body

    def passed(self) -> tuple[str, str]:
        """Returns the id of a new session whose person has just passed, and the callback that is not yet received."""
        view = self.post("/sessions", {})
        return view["id"], take_check(view["attempt"]["h5_link"], "pass")

    def reported(self) -> tuple[str, str]:
        """Returns the same, with the callback received; the workflow has not started."""
        session, callback = self.passed()
        answered(self.where.browser(callback), 303)
        return session, callback

    def task(self, function: str, session: str, **more: Any) -> Any:
        """Invokes a state's function as the state machine does."""
        return self.where.invoke(function, {"session_id": session, "execution": EXECUTION, **more})

    def claimed(self, session: str) -> list[str]:
        """Returns the ids that ClaimAssets plans to submit."""
        found: list[str] = self.task("claim_assets", session)["asset_ids"]
        return found

    def submitted(self, *names: str) -> str:
        """Returns a verified session whose files are Processing at crun."""
        session = self.verified(*names)
        for each in self.claimed(session):
            if self.task("submit_asset", session, asset_id=each)["outcome"] != "submitted":
                raise OperationFailed("submit_asset")
        return session

    def video(self) -> Generating:
        """Returns a generation that nobody has asked for yet, of one verified person in one picture."""
        asking = self.where.injector.asking
        made = Generating(self.where, people=[place_person(self.where, 1)])
        self.where.injector.asking = asking
        return made

    def asked(self) -> Generating:
        """Returns one that was asked for; its execution has not started."""
        made = self.video()
        answered(made.ask(), 202)
        return made

    def created(self) -> Generating:
        """Returns one whose task crun has."""
        made = self.asked()
        if self.state("create_task", made)["next"] != "wait":
            raise OperationFailed("create_task")
        return made

    def over(self) -> Generating:
        """Returns one whose task is over at crun, and nothing knows of it yet."""
        made = self.created()
        self.later(TASK_SECONDS + 1)
        return made

    def state(self, function: str, video: Generating) -> Any:
        """Invokes a state's function as the state machine ``make_generation`` does."""
        return self.where.invoke(function, {"generation_id": video.id, "execution": EXECUTION, "task": {"round": 0}})

    # -- written directly to the table ------------------------------------------------------------------------------

    def verified(self, *names: str, client_id: str = "acme") -> str:
        """Returns a verified session with a checked file for each name; no execution drives it."""
        group = self.group()
        made = self._new_session(client_id)
        # The attributes that the state SaveGroup writes.
        verified = {"group_id": encode(group), "verified_at": encode(self.where.now)}
        self._put([session_item(made) | verified])
        self.add_assets(made.id, *names)
        return made.id

    def processing(self, files: int) -> str:
        """Returns a verified session that this execution drives, with files that were submitted earlier."""
        session = self.verified()
        if self.claimed(session):
            raise OperationFailed("an empty session has nothing to submit")
        self.add_assets(session, *["never"] * files, status=AssetStatus.PROCESSING)
        return session

    def add_sessions(self, number: int, client_of: Callable[[int], str]) -> None:
        """Adds sessions without files, a millisecond apart; ``client_of(index)`` returns the client's id."""
        items = []
        for index in range(number):
            self.where.now += 0.001
            items.append(session_item(self._new_session(client_of(index))))
        self._put(items)

    def add_assets(self, session: str, *names: str, status: AssetStatus = AssetStatus.UPLOADED) -> None:
        """Adds files to a session: checked, or with another status, submitted."""
        found = self.where.store.get_session(session)
        if not found:
            raise OperationFailed("session not found")
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
        """Returns a group that exists at crun; the product itself looks it up, once."""
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
        """Returns the calls of ``function`` while ``act`` runs, without those of other functions."""
        before = len(self.where.injector.calls)
        act()
        return [each for each in self.where.injector.calls[before:] if each.by == function]

    @contextmanager
    def invocations(self) -> Iterator[Counter[str]]:
        """Counts the invocations of each function in the block, by simulated AWS or by the state machine."""
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
    """Returns the answer when it has the expected status; raises OperationFailed otherwise."""
    if answer.status != status:
        raise OperationFailed(f"{answer.status} instead of {status}: {answer.body}")
    return answer


@contextmanager
def stage(start: float = START, *, stream: bool = False) -> Iterator[Stage]:
    """Creates an empty account at the time ``start``, in epoch seconds; with ``stream``, the table has a stream."""
    with simulated_aws(_OUTCOMES | VIDEO_SETTINGS, start=start, stream=stream) as where, served_face() as url:
        where.reconciles = False  # no execution drives the sessions in the table
        yield Stage(where, url)
