"""One video of two people, as a developer asks for it and as crun reports it, with their retries."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from likeness.adapters.aws import make_client
from likeness.adapters.table.generations import DynamoGenerations
from likeness.adapters.table.items import asset_item, encode, session_item
from likeness.domain.asset import Asset, AssetStatus
from likeness.domain.generation import Generation, UseEntry, generation_id
from likeness.domain.ids import asset_id, session_id
from likeness.domain.media.types import AssetType
from likeness.domain.session import Attempt, AttemptStatus, Consent, Language, Session, SessionStatus
from local.simulator.settings import CallbackBody
from local.simulator.state import Task
from tests.faults.onboarding import GaveUp
from tests.faults.simulated_aws import Answer, SimulatedAws, Story

#: What the video costs at crun, and what a client may spend on a day, in credits.
CREDITS, BUDGET = 16.0, 1000.0
#: How long crun makes it, in seconds.
TASK_SECONDS = 12.0
MODEL = "bytedance/seedance2-0-r2v"
PROMPT = "[Image1] and [Image3] walk along a secret beach"
REFERENCE = "the campaign"
#: The story plays the callbacks, links do not expire, and all stories have the same film, which is rendered once.
SETTINGS: dict[str, Any] = {
    "callback_times": 0,
    "media_link_seconds": 1e9,
    "task_outcomes": [{"prompt": "*", "outcome": "success", "after_seconds": TASK_SECONDS}],
}
#: The functions' environment: credits are reserved where there is a budget.
PARAMETERS: dict[str, Any] = {"GENERATION_DAILY_CREDITS": str(int(BUDGET))}
_TRIES = 40
#: For how long crun may be asked for the task until the story goes on without a callback: longer than a step can fail.
#: After two minutes it is checked less often.
_TIMEOUT_SECONDS, _OFTEN_SECONDS = 24 * 3600, 120
_NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Person:
    """A verified person with active assets, by our ids and crun's."""

    session_id: str
    assets: dict[str, str]


def place_person(where: SimulatedAws, pictures: int) -> Person:
    """Stores a verified person who has consented, with active pictures that crun knows."""
    now, number = where.now - 3600.0, next(_NUMBERS)
    made = session_id(int(now * 1000), number.to_bytes(10, "big"))
    crun = where.simulator.store
    group = crun.open_group("alice")
    given = datetime.fromtimestamp(now, UTC).isoformat()
    session = Session(
        made, "acme", SessionStatus.VERIFIED, Language.EN, now, now, asset_count=pictures,
        consent=Consent("2026-11", given), attempts={1: Attempt(1, AttemptStatus.VERIFIED, "t" * 36, now, now + 120)},
    )  # fmt: skip
    # The attributes that the state SaveGroup writes.
    verified = {"group_id": encode(group.id), "upstream_id": encode(group.id), "verified_at": encode(now)}
    _put(where, session_item(session) | verified)
    assets = {}
    for index in range(pictures):
        at_crun = crun.add_asset(f"face {index}", "Image", group.id)
        crun.settle_asset(at_crun, None)
        ours = asset_id(int(now * 1000), next(_NUMBERS).to_bytes(10, "big"))
        _put(where, asset_item(_asset(made, ours, at_crun.id, now)))
        assets[ours] = at_crun.id
    return Person(made, assets)


def _asset(session: str, ours: str, at_crun: str, now: float) -> Asset:
    return Asset(
        ours, session, "face", AssetType.IMAGE, "image/jpeg", AssetStatus.ACTIVE, f"uploads/{session}/{ours}/file",
        now, now, size_bytes=1000, version_id="v", sha256="0" * 64, crun_asset_id=at_crun, submitted_at=now,
        client_id="acme",
    )  # fmt: skip


def _put(where: SimulatedAws, item: Any) -> None:
    where.aws("dynamodb").put_item(TableName="Table", Item=item)


@dataclass
class Generating:
    """One generation that shows two people, the first one in two pictures.

    ``reports`` is how many callbacks crun sends when the task is over; each is tried three times at most.
    """

    account: SimulatedAws
    reports: int = 1
    people: list[Person] = field(default_factory=list)
    #: The Idempotency-Key. Names of executions follow from it, and they are never used again in an account.
    key: str = field(default_factory=lambda: f"order-{next(_NUMBERS)}")
    #: Whether the developer's request was accepted.
    accepted: bool = False
    #: What was wrong at the moments at which CreateTask was sent.
    objections: list[str] = field(default_factory=list)
    #: The numbers of the calls of CreateTask that were sent.
    sent: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.id = generation_id("acme", self.key)
        self.store = DynamoGenerations(make_client("dynamodb"), "Table")
        self.people = self.people or [place_person(self.account, 2), place_person(self.account, 1)]
        self.account.injector.asking = self._asking

    def _asking(self, call: str, url: str) -> None:
        self.account.asking(call, url)
        if call == "CreateTask":
            self.sent.append(len(self.account.injector.calls))
            self.objections += self._objections()

    def _objections(self) -> Iterator[str]:
        generation = self.row()
        if generation is None or not generation.was_intended:
            yield "CreateTask without a stored intent"
        if any(len(self.uses(each)) != 1 for each in self.people):
            yield "CreateTask without an entry in a person's ledger"

    # -- the developer and crun ---------------------------------------------------------------------------------------

    @property
    def body(self) -> dict[str, Any]:
        """The request: one picture by our id, the others by crun's."""
        pictures = [pair for each in self.people for pair in each.assets.items()]
        named = [pictures[0][0], *(f"asset://{at_crun}" for _, at_crun in pictures[1:])]
        shown = {"prompt": PROMPT, "reference_images": named, "duration": 4, "resolution": "480p", "audio": False}
        return {"model": MODEL, "input": shown, "reference": REFERENCE}

    def story(self) -> Story:
        """Runs from the request to crun's last callback."""
        with suppress(GaveUp):
            yield from self._until_accepted()
            if self.reports:
                yield from self._until_over_at_crun()
            for _ in range(self.reports):
                yield from self._until_reported()

    def _until_accepted(self) -> Story:
        for _ in range(_TRIES):
            answer = self.ask()
            if answer.status == 202:
                assert answer.body["id"] == self.id
                self.accepted = True
                return
            if answer.status < 500 and answer.status != 429 and "retry_after" not in answer.body:
                break
            yield 5
        raise GaveUp

    def ask(self) -> Answer:
        """Sends the request, always with the same key."""
        return self.account.api("POST", "/generations", idempotency_key=self.key, body=self.body)

    def _until_over_at_crun(self) -> Story:
        began = self.account.now
        while (waited := self.account.now - began) < _TIMEOUT_SECONDS:
            known: Any = self.account.simulator.generation.summary()["tasks"]
            if any(known[each]["status"] == "success" for each in self.tasks):
                return
            yield 1 if waited < _OFTEN_SECONDS else 300
        raise GaveUp

    def _until_reported(self) -> Story:
        for _ in range(3):
            if all(answer.status == 200 for answer in self.report()):
                break
            yield 1
        yield 6  # the next one is not ignored as too early

    def report(self, body: CallbackBody = "true") -> list[Answer]:
        """Sends crun's callback of each task as of now."""
        crun = self.account.simulator.generation
        return [
            self.account.task_callback(str(url), data)
            for url, data in (crun.callback_of(each, body) for each in self.tasks)
        ]

    # -- what there is now --------------------------------------------------------------------------------------------

    @property
    def tasks(self) -> dict[str, Task]:
        """Its tasks at crun."""
        tasks = self.account.simulator.store.tasks
        return {each: task for each, task in tasks.items() if self._is_its(task.callback_url)}

    @property
    def created(self) -> int:
        """How many of its calls of CreateTask have arrived at crun."""
        bodies: list[Any] = [each.body for each in self.account.simulator.create_requests()]
        return sum(self._is_its(each["callback_url"]) for each in bodies)

    def _is_its(self, callback_url: str | None) -> bool:
        return f"/task/{self.id}/" in str(callback_url)

    def row(self) -> Generation | None:
        """Returns the generation as it is stored; None before it is."""
        return self.store.get(self.id)

    def uses(self, person: Person) -> list[UseEntry]:
        """Returns its entries in the ledger of a person."""
        found = self.store.list_uses(person.session_id, limit=100).uses
        return [each for each in found if each.generation_id == self.id]

    @property
    def _prefix(self) -> str:
        return f"generations/{self.id}/"

    def files(self) -> dict[str, bytes]:
        """Returns its media in the bucket."""
        s3 = self.account.aws("s3")
        keys = [each["Key"] for each in s3.list_objects_v2(Bucket="uploads", Prefix=self._prefix).get("Contents", [])]
        return {each: s3.get_object(Bucket="uploads", Key=each)["Body"].read() for each in keys}

    def versions(self) -> int:
        """Returns how many versions of media and deletion markers the bucket has."""
        found = self.account.aws("s3").list_object_versions(Bucket="uploads", Prefix=self._prefix)
        return len(found.get("Versions", [])) + len(found.get("DeleteMarkers", []))
