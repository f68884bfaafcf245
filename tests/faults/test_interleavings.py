"""Actions of people, AWS and time in any order, with random faults, compared with a simple model.

The model has three facts: which attempts the person passed, which authentic callbacks arrived, and what was erased.
Everything else follows from the invariants.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import boto3
import pytest
import requests
from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from likeness.domain.asset import IN_PROGRESS, AssetStatus
from likeness.domain.session import AttemptStatus, Session, SessionStatus
from tests.faults.fault_injection import MOMENTARY, Fault
from tests.faults.onboarding import FACES, registration
from tests.faults.scenarios import SETTINGS
from tests.faults.simulated_aws import LINK_CHECK_SECONDS, SharedAccount

pytestmark = pytest.mark.slow

_account = SharedAccount(SETTINGS)
_SEQUENCE = itertools.count(1)
_WHICH = st.integers(0, 2)
Thing = TypeVar("Thing")


def teardown_module() -> None:
    _account.close()


@dataclass
class Link:
    """An H5 link, and what the person did with it."""

    session_id: str
    number: int
    url: str
    callback: str | None = None
    passed: bool = False
    came_back: bool = False


@dataclass
class Model:
    """What callers and crun know."""

    links: list[Link] = field(default_factory=list)
    erased: set[str] = field(default_factory=set)
    keys: list[str] = field(default_factory=list)
    faults: int = 0


#: Why a session can end without a verified person.
REASONS = ("link_expired", "attempt_failed", "attempt_canceled", "result_lost", "result_unavailable")


class Interleavings(RuleBasedStateMachine):
    """Hypothesis picks the rules; ``where`` simulates AWS, crun and the clock."""

    @initialize(token_mode=st.sampled_from(["single_use", "reusable"]), passes=st.booleans())
    def begin(self, token_mode: str, passes: bool) -> None:
        self.where = _account()
        self.where.settle()
        self.where.begin({})
        self.where.simulator.update_settings(token_mode=token_mode)
        self.model = Model()
        self.create()
        if passes:
            self.do_check(0, "pass", returns=True)

    # -- the developer ----------------------------------------------------------------------------------------

    @rule()
    def create(self) -> None:
        key = f"k{next(_SEQUENCE)}"
        answer = self.where.api("POST", "/sessions", idempotency_key=key, body={"assets": [registration(0)]})
        if answer.status == 201:
            self._link(answer.body)

    @rule(which=_WHICH)
    def start_again(self, which: int) -> None:
        for link in self._some(self.model.links, which):
            answer = self.where.api("POST", "/sessions/{session_id}/attempts", session_id=link.session_id)
            if answer.status == 201:
                self._link(answer.body)

    @rule(which=_WHICH, index=st.integers(0, 2))
    def register(self, which: int, index: int) -> None:
        for link in self._some(self.model.links, which):
            answer = self.where.api(
                "POST", "/sessions/{session_id}/assets", body=registration(index), session_id=link.session_id
            )
            if answer.status == 201:
                self.model.keys.append(answer.body["upload"]["fields"]["key"])

    @rule(which=_WHICH, sure=st.integers(0, 3))
    def erase(self, which: int, sure: int) -> None:
        for link in self._some(self.model.links, which) if not sure else ():
            if self.where.api("DELETE", "/sessions/{session_id}", session_id=link.session_id).status == 200:
                self.model.erased.add(link.session_id)

    def _link(self, view: dict[str, Any]) -> None:
        self.model.links.append(Link(view["id"], view["attempt"]["number"], view["attempt"]["h5_link"]))
        self.model.keys += [each["upload"]["fields"]["key"] for each in view["assets"] if "upload" in each]

    @staticmethod
    def _some(things: list[Thing], which: int) -> list[Thing]:
        """Returns the thing of that number, counted from the newest, or nothing if the list is empty."""
        return [things[-1 - which % len(things)]] if things else []

    # -- the person -------------------------------------------------------------------------------------------

    @rule(which=_WHICH)
    def open_link(self, which: int) -> None:
        for link in self._some(self.model.links, which):
            requests.get(link.url, timeout=10)

    @rule(which=_WHICH, outcome=st.sampled_from(["pass", "pass", "pass", "fail", "cancel"]), returns=st.booleans())
    def do_check(self, which: int, outcome: str, returns: bool) -> None:
        for link in self._some(self.model.links, which):
            form = {"outcome": outcome, "person": "alice"}
            back = requests.post(link.url, data=form, allow_redirects=False, timeout=10)
            if "Location" not in back.headers:
                continue  # too late
            link.callback = link.callback or back.headers["Location"]
            link.passed = "resultCode=10000" in link.callback
            if returns:
                self._return(link)

    @rule(which=_WHICH)
    def reload(self, which: int) -> None:
        for link in self._some(self.model.links, which):
            self._return(link)

    def _return(self, link: Link) -> None:
        if link.callback:
            link.came_back = True
            self.where.callbacks.append(link.callback)
            self.where.browser(link.callback)

    @rule(which=_WHICH, signature=st.sampled_from(["", "x" * 43]))
    def forge(self, which: int, signature: str) -> None:
        for link in self._some(self.model.links, which):
            path = f"{link.session_id}/{link.number}/{signature}"
            url = f"https://likeness.example/v1/callback/{path}?resultCode=10000"
            assert self.where.browser(url).status in (404, 502, 503)

    @rule(which=_WHICH, index=st.integers(0, 2))
    def upload(self, which: int, index: int) -> None:
        for key in self._some(self.model.keys, which):
            self.where.put_object(key, FACES[index])

    @rule(which=_WHICH, index=st.integers(0, 2), name=st.sampled_from(["a.jpg", "b.jpg"]))
    def drop(self, which: int, index: int, name: str) -> None:
        for link in self._some(self.model.links, which):
            self.where.put_object(f"inbox/{link.session_id}/{name}", FACES[index])

    # -- the platform and time --------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.5, 3, 3, 30, 130, LINK_CHECK_SECONDS + 10]))
    def let_time_pass(self, seconds: float) -> None:
        self.where.settle(seconds)

    @rule(index=st.integers(0, 20))
    def redeliver(self, index: int) -> None:
        if self.where.delivered:
            self.where.send(self.where.delivered[index % len(self.where.delivered)])
        if self.where.uploads:
            self.where.deliver_upload(self.where.uploads[index % len(self.where.uploads)])

    @rule(fault=st.sampled_from(MOMENTARY), ahead=st.integers(1, 15))
    def break_a_call(self, fault: Fault, ahead: int) -> None:
        self.model.faults += 1
        self.where.injector.plan = {**self.where.injector.plan, len(self.where.injector.calls) + ahead: fault}

    # -- what holds at every moment ---------------------------------------------------------------------------

    @invariant()
    def nobody_is_verified_without_a_pass(self) -> None:
        for session in self._rows():
            if session.group_id:
                groups = {
                    each.group_id
                    for each in self.where.simulator.store.validations.values()
                    if each.outcome == "pass" and f"/{session.id}/" in each.callback_url
                }
                assert session.group_id in groups

    @invariant()
    def no_lookup_is_early(self) -> None:
        assert not [each for each in self._lookups_by_age() if each.before_pass and each.age < LINK_CHECK_SECONDS]

    @invariant()
    def what_is_erased_stays_erased(self) -> None:
        for session_id in self._erased():
            session, assets = self.where.store.load(session_id)
            assert session
            assert session.status is SessionStatus.REDACTED
            assert not any((session.reference, session.return_url, session.driver))
            assert not any(each.byted_token for each in session.attempts.values())
            assert {each.status for each in assets} <= {AssetStatus.REDACTED}
            assert not any(each.name or each.object_key for each in assets)

    def _rows(self) -> Iterator[Session]:
        for session_id in dict.fromkeys(each.session_id for each in self.model.links) if self._begun() else ():
            found = self.where.store.get_session(session_id)
            assert found
            yield found

    def _begun(self) -> bool:
        return hasattr(self, "model")

    def _erased(self) -> set[str]:
        return self.model.erased if self._begun() else set()

    def _lookups_by_age(self) -> list[Any]:
        return self.where.lookups if self._begun() else []

    # -- what holds in the end --------------------------------------------------------------------------------

    def teardown(self) -> None:
        if not self._begun():
            return
        self.where.settle()
        lost = self._lost_lookups()
        self.where.injector.plan = {}
        self.nobody_is_verified_without_a_pass()
        self.what_is_erased_stays_erased()
        for session in self._rows():
            if session.id not in self.model.erased and session.status is not SessionStatus.REDACTED:
                self._check_end(session, lost)
        assert self.where.waiting(self.where.queue_url) == 0
        assert "FAILED" not in self.where.executions.values()
        self._check_objects()

    def _lost_lookups(self) -> int:
        return sum(
            call.operation == "visual-validate-result" and fault in (Fault.LOST, Fault.DIES)
            for call, fault in self.where.injector.fired
        )

    def _check_end(self, session: Session, lost: int) -> None:
        event(
            f"a session ended {session.status.value} ({session.last_error.code if session.last_error else 'no error'})"
        )
        passes = [each for each in self.model.links if each.session_id == session.id and each.passed]
        returned = [each for each in passes if each.came_back]
        statuses = {each.status for each in session.attempts.values()}
        if returned and not lost and not self.model.faults:
            assert session.status is SessionStatus.VERIFIED, "an authentic pass always counts"
        if session.status is not SessionStatus.VERIFIED:
            assert session.status is SessionStatus.REQUIRES_INPUT, "no session waits without an end"
            assert session.last_error, "an error explains why"
            assert session.last_error.code in REASONS
        if AttemptStatus.LOST in statuses:
            assert lost
        assert session.driver is None
        left = [each for each in self.where.store.list_assets(session.id) if each.status in IN_PROGRESS]
        assert not left or not session.group_id
        assert all(each.status is AssetStatus.UPLOADED for each in left), (
            "files wait only for a check that was never passed"
        )

    def _check_objects(self) -> None:
        """Asserts that no object of an erased session is left, if every upload event was delivered."""
        if self.where.undelivered:
            return
        for session_id in self.model.erased:
            for prefix in ("uploads", "inbox"):
                found = boto3.client("s3").list_object_versions(Bucket="uploads", Prefix=f"{prefix}/{session_id}/")
                assert not found.get("Versions")


class CalmInterleavings(Interleavings):
    """The same without faults, where the promises hold without exceptions."""

    break_a_call = None  # type: ignore[assignment]


_COMMON = {
    "stateful_step_count": 25,
    "suppress_health_check": [HealthCheck.too_slow],
}
TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(max_examples=60, **_COMMON)  # type: ignore[arg-type]
TestCalmInterleavings = CalmInterleavings.TestCase
TestCalmInterleavings.settings = settings(max_examples=40, **_COMMON)  # type: ignore[arg-type]
