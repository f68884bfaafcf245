"""The request harness: the steps of the HTTP requests about generations, on moto's table and fakes of other ports."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from likeness.adapters.table.dynamodb import DynamoStore
from likeness.adapters.table.generations import DynamoGenerations
from likeness.adapters.table.items import asset_item
from likeness.adapters.table.upstream_ids import DynamoUpstreamIds
from likeness.contracts.generation import NewGeneration
from likeness.domain.asset import Asset, AssetStatus
from likeness.domain.caller import Caller
from likeness.domain.generation import Generation, Media
from likeness.domain.generation_models import GENERATION_MODELS, GenerationModel
from likeness.domain.media.types import AssetType
from likeness.domain.session import Consent, Session
from likeness.domain.terms import TermsPolicy
from likeness.errors import StorageUnavailable, UpstreamError
from likeness.steps.generations.cancel_generation import CancelGeneration
from likeness.steps.generations.create_generation import CreateGeneration
from likeness.steps.generations.get_generation import GetGeneration
from likeness.steps.generations.guard import Guard, Guarded
from likeness.steps.generations.store_generation import Origin, StoreGeneration
from tests.unit.fakes import FakeClock, FakeWorkflows
from tests.unit.generation_harness import FakeCrunTasks, FakeMediaFiles
from tests.unit.step_harness import TABLE, StepHarness

R2V, I2V = "bytedance/seedance2-0-r2v", "bytedance/seedance2-0-i2v"
BUCKET = "likeness-uploadbucket-1a2b3c4d5e"
HOST = "abcdef1234.execute-api.eu-west-1.amazonaws.com"
ORIGIN = Origin(f"https://{HOST}/v1", (HOST, "likeness.example.com"))
PURPOSES = ("advertising", "training_videos")
ACME = Caller("acme")
GIVEN_AT = "2027-01-15T07:59:00+00:00"
_COUNTER = itertools.count(1)


@dataclass
class PricedTasks(FakeCrunTasks):
    """Estimates each task at ``price`` credits, or raises the scripted ``errors``."""

    price: float = 10.0
    errors: deque[UpstreamError] = field(default_factory=deque)
    estimated: list[Mapping[str, Any]] = field(default_factory=list)

    def estimate(
        self,
        model: str,
        content: Mapping[str, Any],
        correlation_id: str | None = None,
        client_id: str | None = None,
    ) -> float:
        self.estimated.append(content)
        if self.errors:
            raise self.errors.popleft()
        return self.price


@dataclass
class ErasableMedia(FakeMediaFiles):
    """Records the prefixes that were erased. ``away``: the bucket does not respond."""

    erased: list[str] = field(default_factory=list)
    away: bool = False

    def erase(self, prefix: str) -> None:
        if self.away:
            raise StorageUnavailable
        self.erased.append(prefix)
        super().erase(prefix)


class UnavailableWorkflows(FakeWorkflows):
    """Step Functions while it does not respond."""

    def start(self, name: str, document: str) -> bool:
        raise StorageUnavailable


class RequestHarness:
    """The steps and their ports. ``models`` are those that take assets."""

    def __init__(self, store: DynamoStore, dynamodb: Any) -> None:
        self.people = StepHarness(store, dynamodb)
        self.clock: FakeClock = self.people.clock
        self.dynamodb = dynamodb
        self.generations = DynamoGenerations(dynamodb, TABLE)
        self.crun, self.media = PricedTasks(), ErasableMedia()
        self.workflows = FakeWorkflows()
        self.models: Mapping[str, GenerationModel] = GENERATION_MODELS
        self.unstarted: list[StorageUnavailable] = []
        self.pauses: list[float] = []
        self.is_enabled = True
        self.daily_credits = 0.0

    # -- rows

    def person(self, *kinds: AssetType, purposes: tuple[str, ...] = (), **changes: Any) -> tuple[Session, list[Asset]]:
        """Stores a verified person with one active asset per type, under a recorded consent."""
        session, _ = self.people.verified()
        owner = changes.get("client_id", session.client_id)
        assets = [self.asset(session, kind, client_id=owner) for kind in kinds or (AssetType.IMAGE,)]
        consent = Consent("2026-11", GIVEN_AT, purposes=purposes)
        return self.changed(session, **({"consent": consent} | changes)), assets

    def changed(self, session: Session, **changes: Any) -> Session:
        """Stores the session with these changes."""
        session = replace(session, **changes)
        self.people.store.create_session(session, [])
        return session

    def asset(self, session: Session, kind: AssetType, **changes: Any) -> Asset:
        """Stores an asset of the session: an active one with an AssetId that no other asset has."""
        number = next(_COUNTER)
        asset = replace(
            self.people.asset(session, AssetStatus.ACTIVE),
            asset_type=kind, client_id=session.client_id, crun_asset_id=f"asset-20260102030405-{number:05}",
        )  # fmt: skip
        return self.put(replace(asset, **changes))

    def put(self, asset: Asset) -> Asset:
        self.dynamodb.put_item(TableName=TABLE, Item=asset_item(asset))
        return asset

    def stored(self, view: Mapping[str, Any]) -> Generation:
        found = self.generations.get(view["id"])
        assert found
        return found

    # -- steps

    @property
    def guard(self) -> Guard:
        return Guard(
            self.generations, DynamoUpstreamIds(self.dynamodb, TABLE), self.clock, TermsPolicy(lambda: PURPOSES),
            self.models, BUCKET, self.pauses.append,
        )  # fmt: skip

    def check(
        self, content: dict[str, Any], *, model: str = R2V, purpose: str | None = None, caller: Caller = ACME
    ) -> Guarded:
        return self.guard(caller, model, content, purpose, ORIGIN.hosts)

    @property
    def storing(self) -> StoreGeneration:
        return StoreGeneration(self.generations, self.guard, self.crun, self.clock, self.daily_credits)

    @property
    def create(self) -> CreateGeneration:
        return CreateGeneration(self.storing, self.workflows, self.url_of, self.is_enabled, self.unstarted.append)

    def make(self, content: dict[str, Any], key: str | None = None, caller: Caller = ACME, **body: Any) -> Any:
        made = NewGeneration(**({"model": R2V, "input": content} | body))
        return self.create(caller, key or f"key-{next(_COUNTER)}", made, ORIGIN, "1-67891233-abcdef012345678912345678")

    @property
    def read(self) -> GetGeneration:
        return GetGeneration(self.generations, self.people.store, self.url_of)

    @property
    def cancel(self) -> CancelGeneration:
        return CancelGeneration(self.generations, self.media, self.clock)

    def url_of(self, media: Media) -> str:
        return self.media.url(media.key, media.content_type)


class Overtaken:
    """The rows, in which ``change`` happens just before the write that is called ``write``."""

    def __init__(self, rows: DynamoGenerations, write: str, change: Callable[[], object]) -> None:
        self._rows, self._write, self._change = rows, write, change

    def __getattr__(self, name: str) -> Any:
        if name == self._write:
            self._change()
        return getattr(self._rows, name)


def uri(asset: Asset) -> str:
    """Returns the id that generation requests contain."""
    return f"asset://{asset.crun_asset_id}"


def images(*assets: Asset | str, **more: Any) -> dict[str, Any]:
    """Returns an input with these pictures."""
    listed = [each if isinstance(each, str) else uri(each) for each in assets]
    return {"prompt": "a walk", "reference_images": listed, **more}
