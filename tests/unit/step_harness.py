"""The step harness: runs the steps on moto's table and in-memory fakes of the other ports."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from likeness.adapters.table.dynamodb import DynamoStore
from likeness.adapters.table.items import session_key
from likeness.contracts.messages import AssetsReady, LinkCheck, PassReported
from likeness.domain.asset import Asset, AssetStatus
from likeness.domain.caller import Caller
from likeness.domain.crun import H5Session
from likeness.domain.ids import asset_id, session_id
from likeness.domain.media.types import AssetType
from likeness.domain.polling import Schedule
from likeness.domain.session import Attempt, AttemptStatus, Language, Session, SessionStatus
from likeness.domain.signing import sign_callback
from likeness.errors import UpstreamError
from likeness.steps.files.claim_assets import ClaimAssets
from likeness.steps.files.next_action import PollPolicy
from likeness.steps.files.poll_assets import PollAssets
from likeness.steps.files.submit_asset import SubmitAsset
from likeness.steps.onboarding.create_session import CreateSession
from likeness.steps.onboarding.look_up_result import LookUpResult
from likeness.steps.onboarding.open_link import OpenLink
from likeness.steps.onboarding.receive_callback import ReceiveCallback
from likeness.steps.onboarding.start_onboarding import Cause, StartOnboarding
from tests.template_file import ASL
from tests.unit.fakes import FakeClock, FakeCrun, FakeFiles, FakePollHistory, FakeQueue, FakeWorkflows, FixedKeys

TABLE = "inventory"
BASE = "https://api.test"
PASS = {"resultCode": ["10000"], "bytedToken": ["t"]}
_COUNTER = itertools.count(1)


@dataclass
class StepHarness:
    """The steps and their ports. Set ``dynamodb`` in tests that run a state of Step Functions without a function."""

    store: DynamoStore
    dynamodb: Any
    clock: FakeClock = field(default_factory=FakeClock)
    queue: FakeQueue = field(default_factory=FakeQueue)
    crun: FakeCrun = field(default_factory=FakeCrun)
    files: FakeFiles = field(default_factory=FakeFiles)
    workflows: FakeWorkflows = field(default_factory=FakeWorkflows)
    keys: FixedKeys = field(default_factory=FixedKeys)
    orphans: list[int] = field(default_factory=list)
    refusals: list[int] = field(default_factory=list)
    throttled: list[str] = field(default_factory=list)
    causes: list[Cause] = field(default_factory=list)
    schedule: Schedule = field(default_factory=Schedule)
    history: FakePollHistory = field(default_factory=FakePollHistory)

    def session(self, *statuses: AttemptStatus, **changes: Any) -> Session:
        """Stores a session with one attempt per status in ``statuses`` (by default one open attempt)."""
        now = self.clock.now()
        attempts = {
            number: Attempt(number, status, f"token-{number}", now, now + 120)
            for number, status in enumerate(statuses or (AttemptStatus.OPEN,), 1)
        }
        made = Session(
            id=session_id(int(now * 1000), next(_COUNTER).to_bytes(10, "big")), client_id="acme",
            status=SessionStatus.REQUIRES_INPUT, language=Language.EN, created_at=now, updated_at=now,
            attempts=attempts,
        )  # fmt: skip
        made = replace(made, **changes)
        self.store.create_session(made, [])
        return made

    def verified(self, *statuses: AssetStatus) -> tuple[Session, list[Asset]]:
        """Stores a verified session with one asset per status in ``statuses``."""
        made = self.session()
        self.store.record_pass(made.id, 1, "10000", self.clock.now())
        self.play("SaveGroup", made.id, {"$.lookup.result.attempt": "1", "$.lookup.result.group_id": "group-1"})
        return self.row(made), [self.asset(made, status) for status in statuses]

    def asset(self, of: Session, status: AssetStatus) -> Asset:
        now, number = self.clock.now(), next(_COUNTER)
        made = asset_id(int(now * 1000), number.to_bytes(10, "big"))
        sent = status in (AssetStatus.PROCESSING, AssetStatus.ACTIVE)
        asset = Asset(
            id=made, session_id=of.id, name="front", asset_type=AssetType.IMAGE, content_type="image/jpeg",
            status=status, object_key=f"uploads/{of.id}/{made}/file", created_at=now, updated_at=now,
            version_id="v1", crun_asset_id=f"asset-{number}" if sent else None, submitted_at=now if sent else None,
        )  # fmt: skip
        assert self.store.add_asset(asset)
        return asset

    def play(self, state: str, session: str, values: dict[str, str]) -> None:
        """Runs a DynamoDB write of the state machine, with the expressions of its definition."""
        parameters = ASL["States"][state]["Parameters"]
        entered = (
            datetime.fromtimestamp(self.clock.now(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        )
        given = {"$.lookup.result.at": str(self.clock.now()), "$$.State.EnteredTime": entered, **values}

        def filled(node: Any) -> Any:
            if not isinstance(node, dict):
                return node
            return {
                name.removesuffix(".$"): given[each] if name.endswith(".$") else filled(each)
                for name, each in node.items()
            }

        self.dynamodb.update_item(
            TableName=TABLE,
            Key=session_key(session),
            **{name: filled(each) for name, each in parameters.items() if name not in ("TableName", "Key")},
        )

    def row(self, of: Session) -> Session:
        found = self.store.get_session(of.id)
        assert found
        return found

    def file(self, of: Asset) -> Asset:
        found = self.store.get_asset(of.session_id, of.id)
        assert found
        return found

    def callback(self, of: Session, number: int = 1, parameters: dict[str, list[str]] | None = None) -> str:
        step = ReceiveCallback(self.store, self.queue, self.keys, self.clock)
        signature = sign_callback(self.keys.current(), of.id, number)
        return step(of.id, str(number), signature, PASS if parameters is None else parameters, BASE)

    def onboard(self, message: PassReported | LinkCheck | AssetsReady) -> str:
        return StartOnboarding(self.store, self.workflows, self.clock, self.causes.append)(message)

    def look_up(self, of: Session, number: int = 1, execution: str = "a", *, last_chance: bool = False) -> Any:
        return LookUpResult(self.store, self.crun, self.clock)(of.id, number, execution, last_chance=last_chance)

    def look_up_to_the_end(self, of: Session, problem: UpstreamError, execution: str = "a", **how: Any) -> Any:
        """Repeats a look-up that crun answers with ``problem`` until the result is final. Calls: ``crun.looked_up``."""
        for _ in range(50):
            self.crun.groups.append(problem)
            found = self.look_up(of, execution=execution, **how)
            if found["outcome"] != "not_yet":
                return found
            self.clock.at += found["wait_seconds"]
        raise AssertionError("the look-up never ends")

    def claim(self, of: Session, execution: str = "a", takes_over: str | None = None) -> Any:
        return ClaimAssets(self.store, self.clock, PollPolicy(self.schedule, self.history))(
            of.id, execution, takes_over=takes_over
        )

    def submit(self, asset: Asset, by: str = "a") -> Any:
        step = SubmitAsset(self.store, self.crun, self.files, self.clock, lambda: self.orphans.append(1))
        return step(asset.session_id, asset.id, by)["outcome"]

    def poll(self, of: Session, execution: str = "a", polls: int = 0, asked_at: float | None = None) -> Any:
        poll_policy = PollPolicy(self.schedule, self.history)
        step = PollAssets(self.store, self.crun, self.queue, self.clock, poll_policy, lambda: self.refusals.append(1))
        return step(of.id, execution, polls, asked_at)

    def links(self) -> OpenLink:
        return OpenLink(self.crun, self.queue, self.keys, self.throttled.append, link_check_delay=420)

    def attempt_again(self, of: Session) -> Any:
        self.crun.sessions.append(H5Session("token-new", "https://h5.test/?lng=zh"))
        step = CreateSession(self.store, self.links(), self.files, self.keys, self.clock, max_attempts=5)
        return step.create_attempt(Caller("acme"), of.id, BASE)
