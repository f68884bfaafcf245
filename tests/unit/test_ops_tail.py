"""`ops tail`: which changes are lines, which of them are events, and when it ends."""

from __future__ import annotations

from dataclasses import replace

import pytest

from likeness.domain.asset import Asset, AssetStatus
from likeness.domain.ids import asset_id, session_id
from likeness.domain.media.types import AssetType
from likeness.domain.session import Attempt, AttemptStatus, Consent, Language, Problem, Session, SessionStatus
from likeness.domain.terms import Withdrawal
from likeness.errors import NotFound
from ops.tail import Change, follow

NOW = 1_800_000_000.0
SESSION = Session(
    session_id(int(NOW * 1000), b"s" * 10), "acme", SessionStatus.REQUIRES_INPUT, Language.EN, NOW, NOW,
    reference="order-4711", return_url="https://app.acme.com/back",
)  # fmt: skip
ATTEMPT = Attempt(1, AttemptStatus.OPEN, "SECRET-TOKEN", NOW, NOW + 120)
ASSET = Asset(
    id=asset_id(int(NOW * 1000), b"a" * 10), session_id=SESSION.id, name="anna-smith", asset_type=AssetType.IMAGE,
    content_type="image/jpeg", status=AssetStatus.AWAITING_UPLOAD, object_key="uploads/x", created_at=NOW,
    updated_at=NOW, client_id="acme",
)  # fmt: skip
VERIFIED = replace(SESSION, status=SessionStatus.VERIFIED, group_id="group-1", consent=Consent("2026-11", "now"))
State = tuple[Session | None, list[Asset]]


class Script:
    """A store that returns one state after the other; the last one stays. Each read takes a second."""

    def __init__(self, *states: State) -> None:
        self.states, self.reads = states, 0

    def load(self, _session_id: str) -> State:
        self.reads += 1
        return self.states[min(self.reads, len(self.states)) - 1]

    def lines(self, seconds: float = 60) -> list[Change]:
        found = follow(self, SESSION.id, seconds=seconds, pause=1, now=lambda: NOW + self.reads, sleep=lambda _: None)
        return list(found)


def test_each_change_is_a_line_with_its_event_and_nothing_personal() -> None:
    passed = replace(SESSION, status=SessionStatus.PROCESSING)
    done = replace(ATTEMPT, status=AttemptStatus.PASSED, result_code="10000")
    active = replace(ASSET, status=AssetStatus.ACTIVE, crun_asset_id="asset-1")
    script = Script(
        (SESSION, []),
        (SESSION, []),
        (replace(SESSION, consent=VERIFIED.consent, attempts={1: ATTEMPT}), []),
        (replace(passed, consent=VERIFIED.consent, attempts={1: done}), [ASSET]),
        (VERIFIED, [replace(ASSET, status=AssetStatus.UPLOADED)]),
        (VERIFIED, [active]),
    )
    found = script.lines()
    assert [(each.what, each.value, each.detail, each.event) for each in found] == [
        ("session", "requires_input", None, None),
        ("consent", "2026-11", "client", "likeness.consent.given"),
        ("attempt", "open", None, None),
        ("session", "processing", None, "likeness.session.processing"),
        ("attempt", "passed", "10000", None),
        ("asset", "awaiting_upload", None, None),
        ("session", "verified", "group-1", "likeness.session.verified"),
        ("asset", "uploaded", None, "likeness.asset.uploaded"),
        ("asset", "active", "asset-1", "likeness.asset.active"),
    ]
    assert script.reads == 6
    for secret in ("SECRET", "anna", "4711", "app.acme.com"):
        assert secret not in str(found)


def test_a_withdrawal_is_a_line_with_its_event() -> None:
    withdrawn = replace(VERIFIED, withdrawal=Withdrawal(NOW, "person", "invite"))
    (*_, last) = Script((VERIFIED, []), (withdrawn, [])).lines()
    assert (last.what, last.detail, last.event) == ("withdrawn", "person", "likeness.consent.withdrawn")


def test_an_active_file_that_fails_is_published_as_lost() -> None:
    active = replace(ASSET, status=AssetStatus.ACTIVE)
    lost = replace(ASSET, status=AssetStatus.FAILED, error=Problem("asset_lost", "Gone."))
    (*_, last) = Script((SESSION, [active]), (VERIFIED, [lost])).lines()
    assert (last.value, last.detail, last.event) == ("failed", "asset_lost", "likeness.asset.lost")


@pytest.mark.parametrize(
    "last",
    [
        replace(VERIFIED, finished_at=NOW),
        replace(SESSION, status=SessionStatus.CANCELED),
        replace(SESSION, status=SessionStatus.REDACTED, erased_at=NOW),
    ],
    ids=["finished", "canceled", "erased"],
)
def test_it_ends_with_the_session(last: Session) -> None:
    assert Script((SESSION, []), (last, [])).lines()[-1].value


@pytest.mark.parametrize(
    "state",
    [
        (VERIFIED, []),
        (VERIFIED, [replace(ASSET, status=AssetStatus.PROCESSING)]),
        (SESSION, [replace(ASSET, status=AssetStatus.FAILED)]),
        (replace(SESSION, status=SessionStatus.REDACTED), []),
    ],
    ids=["verified, no file", "file in progress", "not verified", "erasure not complete"],
)
def test_it_does_not_end_before_and_reports_the_timeout(state: State) -> None:
    script = Script(state)
    with pytest.raises(TimeoutError):
        script.lines(seconds=5)
    assert script.reads >= 5


def test_the_end_of_the_persons_uploads_is_a_line_and_an_event() -> None:
    (*_, last) = Script((VERIFIED, []), (replace(VERIFIED, finished_at=NOW), [])).lines()
    assert (last.what, last.value, last.event) == ("finished", "2027-01-15T08:00:00Z", "likeness.session.finished")


def test_an_unknown_session_is_not_found() -> None:
    with pytest.raises(NotFound):
        Script((None, [])).lines()
