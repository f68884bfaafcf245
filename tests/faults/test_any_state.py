"""From any combination of rows, executions and messages, everything ends or waits for a person.

Hypothesis draws a session, its attempts and files, a driver execution, executions that are running, ended or missing,
and messages. Then only time passes: messages are delivered, executions continue, and reconcile runs every five minutes.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from likeness.adapters.table.items import asset_item, encode, session_item
from likeness.contracts.messages import AssetsReady, LinkCheck, PassReported
from likeness.domain.asset import IN_PROGRESS, Asset, AssetStatus
from likeness.domain.executions import assets_name, validation_name
from likeness.domain.ids import asset_id, session_id
from likeness.domain.media.types import AssetType
from likeness.domain.session import Attempt, AttemptStatus, Language, Session, SessionStatus
from tests.faults.onboarding import FACES, take_check
from tests.faults.scenarios import SETTINGS
from tests.faults.simulated_aws import SharedAccount, SimulatedAws
from tests.functions import CRUN_KEY

pytestmark = pytest.mark.slow

DAY = 86_400.0
#: Statuses in which only a person can continue.
WAITING = {SessionStatus.REQUIRES_INPUT, SessionStatus.VERIFIED}
_account = SharedAccount(SETTINGS)
_SEQUENCE = itertools.count(1)


def teardown_module() -> None:
    _account.close()


@dataclass(frozen=True)
class Drawn:
    """One initial state. ``age`` is in seconds before now."""

    session: SessionStatus
    attempts: tuple[AttemptStatus, ...]
    #: Whether the person really passed the newest attempt at crun.
    passed: bool
    #: Whether a look-up consumed its token and no row has the result.
    used: bool
    #: Status of the newest attempt's execution; None if there is none.
    validation: str | None
    #: Status of the driver execution; None if the session has none.
    driver: str | None
    #: Whether the execution's history contains crun's response.
    history: bool
    files: tuple[AssetStatus, ...]
    leased: bool
    messages: frozenset[str]
    age: float


_ENDED = ("SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED", "DELETED")
_STATES = st.builds(
    Drawn,
    session=st.sampled_from([SessionStatus.REQUIRES_INPUT, SessionStatus.PROCESSING, SessionStatus.VERIFIED]),
    attempts=st.lists(st.sampled_from(list(AttemptStatus)), min_size=1, max_size=3).map(tuple),
    passed=st.booleans(),
    used=st.booleans(),
    validation=st.sampled_from([None, "RUNNING", *_ENDED]),
    driver=st.sampled_from([None, "RUNNING", *_ENDED]),
    history=st.booleans(),
    files=st.lists(st.sampled_from([each for each in AssetStatus if each is not AssetStatus.REDACTED]), max_size=3).map(
        tuple
    ),
    leased=st.booleans(),
    messages=st.frozensets(st.sampled_from(["pass", "check", "files"])),
    age=st.sampled_from([10.0, 400.0, 1200.0, 4 * 3600.0, 2 * DAY, 5 * DAY]),
)


@dataclass
class Placed:
    """A state that is stored in the account."""

    session: Session
    assets: list[Asset]
    lookups_before: int


def _token(where: SimulatedAws, *, passed: bool, used: bool) -> tuple[str, str | None]:
    """Returns a byted token from the simulator, and its group if the person passed."""
    answer = requests.post(
        f"{where.simulator.url}/api/v1/client/job/visual-validate-session",
        json={"callback_url": "https://likeness.example/callback"},
        headers={"x-api-key": CRUN_KEY},
        timeout=10,
    ).json()["data"]
    if passed:
        take_check(answer["H5Link"], "pass")
    validation = where.simulator.store.validations[answer["BytedToken"]]
    if used and passed:
        requests.get(
            f"{where.simulator.url}/api/v1/client/job/visual-validate-result",
            params={"byted_token": answer["BytedToken"]},
            headers={"x-api-key": CRUN_KEY},
            timeout=10,
        )
    return answer["BytedToken"], validation.group_id


def _uploaded(where: SimulatedAws, name: str, group: str) -> str:
    """Returns an AssetId that the simulator issued."""
    answer = requests.post(
        f"{where.simulator.url}/api/v1/client/job/asset-upload",
        json={"name": name, "asset_type": "Image", "asset_url": "https://bucket.test/x", "group_id": group},
        headers={"x-api-key": CRUN_KEY},
        timeout=10,
    ).json()
    return str(answer["data"]["AssetId"])


def _place(where: SimulatedAws, drawn: Drawn) -> Placed:
    now, number = where.now, next(_SEQUENCE)
    then = now - drawn.age
    others = [_token(where, passed=False, used=False)[0] for _ in drawn.attempts[1:]]
    token, group = _token(where, passed=drawn.passed, used=drawn.used)
    attempts = {
        index: Attempt(
            index,
            status,
            [*others, token][index - 1],
            then,
            then + 120,
            result_code="10000" if status is AttemptStatus.PASSED else None,
        )
        for index, status in enumerate(drawn.attempts, 1)
    }
    verified = drawn.session is SessionStatus.VERIFIED and group is not None
    status = drawn.session if drawn.session is not SessionStatus.VERIFIED or verified else SessionStatus.PROCESSING
    made = session_id(int(then * 1000), number.to_bytes(10, "big"))
    session = Session(made, "acme", status, Language.EN, then, then, attempts=attempts, asset_count=len(drawn.files))
    item = session_item(session)
    if verified:
        item |= {"group_id": encode(group), "upstream_id": encode(group), "verified_at": encode(then)}
    newest = attempts[len(attempts)]
    running = validation_name(made, newest, last_chance=newest.status is AttemptStatus.OPEN)
    if drawn.leased and not verified:
        lease = {"lookup_by": encode(running), "lookup_until": encode(then + 50)}
        item["attempts"]["M"][str(newest.number)]["M"] |= lease
    driver = assets_name(session) if drawn.driver and verified else None
    if driver:
        item |= {"driver": encode(driver), "generation": encode(1)}
    where.aws("dynamodb").put_item(TableName="Table", Item=item)
    assets = [_asset(where, session, each, group if verified else None) for each in drawn.files]
    for each in assets:
        where.aws("dynamodb").put_item(TableName="Table", Item=asset_item(each))
    _executions(where, drawn, session, running, driver, group, assets)
    _messages(where, drawn, session)
    return Placed(session, assets, len(where.lookups))


def _asset(where: SimulatedAws, session: Session, status: AssetStatus, group: str | None) -> Asset:
    then, number = session.created_at, next(_SEQUENCE)
    made = asset_id(int(then * 1000), number.to_bytes(10, "big"))
    if group is None and status in (AssetStatus.SUBMITTING, AssetStatus.PROCESSING, AssetStatus.ACTIVE):
        status = AssetStatus.UPLOADED  # nothing is submitted before the group is known
    at_crun = status in (AssetStatus.PROCESSING, AssetStatus.ACTIVE)
    key = f"uploads/{session.id}/{made}/file"
    stored = where.aws("s3").put_object(Bucket="uploads", Key=key, Body=FACES[0] + made.encode())
    return Asset(
        id=made, session_id=session.id, name=f"file {number}", asset_type=AssetType.IMAGE, content_type="image/jpeg",
        status=status, object_key=key, created_at=then, updated_at=then, size_bytes=len(FACES[0]) + len(made),
        version_id=None if status is AssetStatus.AWAITING_UPLOAD else stored["VersionId"],
        crun_asset_id=_uploaded(where, f"file {number}", str(group)) if at_crun else None,
        submitted_at=then if at_crun else None, client_id="acme",
        ambiguous_submissions=1 if status is AssetStatus.SUBMITTING or at_crun else 0,
        submitting_by="an execution" if status is AssetStatus.SUBMITTING else None,
    )  # fmt: skip


def _executions(
    where: SimulatedAws,
    drawn: Drawn,
    session: Session,
    validation: str,
    driver: str | None,
    group: str | None,
    assets: list[Asset],
) -> None:
    newest = session.attempts[len(session.attempts)]
    if drawn.validation and drawn.validation != "DELETED":
        document: dict[str, Any] = {
            "attempt": newest.number,
            "last_chance": newest.status is AttemptStatus.OPEN,
            "session_id": session.id,
            "work": "validate",
        }
        where.place_execution(validation, document, drawn.validation)
        if drawn.history and drawn.used and group and drawn.validation != "RUNNING":
            found = {"outcome": "verified", "group_id": group, "attempt": str(newest.number)}
            where.state_machine.outputs[validation] = [found | {"at": f"{session.created_at:.3f}"}]
    if driver and drawn.driver != "DELETED":
        document = {"session_id": session.id, "takes_over": "", "work": "assets"}
        where.place_execution(driver, document, str(drawn.driver))
        if drawn.history and drawn.driver != "RUNNING":
            where.state_machine.outputs[driver] = [
                {
                    "outcome": "submitted",
                    "asset_id": each.id,
                    "crun_asset_id": _uploaded(where, each.name, str(group)),
                    "resubmissions": 0,
                }
                for each in assets
                if each.status in (AssetStatus.UPLOADED, AssetStatus.SUBMITTING)
            ]


def _messages(where: SimulatedAws, drawn: Drawn, session: Session) -> None:
    number = len(session.attempts)
    bodies = {
        "pass": PassReported(session.id, number).to_json(),
        "check": LinkCheck(session.id, number).to_json(),
        "files": AssetsReady(session.id).to_json(),
    }
    for kind in drawn.messages:
        where.send(bodies[kind])


@settings(
    max_examples=120,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(drawn=_STATES)
def test_every_drawn_state_settles_or_waits_for_a_person(drawn: Drawn) -> None:
    where = _account()
    where.settle()
    where.begin({})
    placed = _place(where, drawn)
    before = len(where.simulator.store.assets)
    where.settle(2 * DAY)
    _settled(where, placed, drawn, before)


def _settled(where: SimulatedAws, placed: Placed, drawn: Drawn, before: int) -> None:
    session, assets = where.store.load(placed.session.id)
    assert session
    event(f"{drawn.session.value} → {session.status.value}")
    assert session.status in WAITING, "the session is stuck"
    if session.status is SessionStatus.REQUIRES_INPUT and drawn.session is SessionStatus.PROCESSING:
        assert session.last_error, "no error explains what to do"
    open_attempts = [each for each in session.attempts.values() if each.status is AttemptStatus.OPEN]
    assert session.group_id or open_attempts == [], "an overdue link was never looked up"
    moving = IN_PROGRESS | {AssetStatus.AWAITING_UPLOAD}
    if session.group_id:
        standing = [each for each in assets if each.status in moving]
        # A file that arrived days ago without an event: reconcile checks its slot twice, and then no more.
        assert [each for each in standing if each.status is not AssetStatus.AWAITING_UPLOAD] == []
    nameless = [each.id for each in assets if each.status is AssetStatus.FAILED and not each.error]
    assert len(nameless) <= sum(each is AssetStatus.FAILED for each in drawn.files)
    assert "RUNNING" not in where.executions.values()
    # A token can be used once, so a group comes from exactly one look-up.
    assert all(each.successful_lookups <= 1 for each in where.simulator.store.validations.values())
    if session.group_id:
        assert session.group_id in {each.group_id for each in where.simulator.store.validations.values()}
    if drawn.passed and drawn.used and drawn.history and drawn.validation in ("SUCCEEDED", "FAILED", "ABORTED"):
        waited = drawn.attempts[-1] in (AttemptStatus.PASSED, AttemptStatus.OPEN)
        if waited and drawn.session is SessionStatus.PROCESSING:
            assert session.status is SessionStatus.VERIFIED, "the history has the group"
    # Assets at crun that no row names are counted.
    known = {each.crun_asset_id for each in assets if each.crun_asset_id}
    unknown = len(where.simulator.store.assets) - before - len(known - _known_before(placed))
    assert unknown <= where.metrics.count("PossibleOrphan")


def _known_before(placed: Placed) -> set[str | None]:
    return {each.crun_asset_id for each in placed.assets}
