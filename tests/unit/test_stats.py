"""GET /stats: what is counted and on which day. With any number of pages, everything is counted exactly once."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from likeness.adapters.table.dynamodb import DynamoStore
from likeness.contracts.stats import make_cursor, parse_period, read_cursor, stats_view
from likeness.domain.asset import Asset, AssetStatus
from likeness.domain.caller import Caller
from likeness.domain.ids import asset_id, milliseconds_of, newest_ulid, oldest_ulid, session_id, ulid, ulid_before
from likeness.domain.media.types import AssetType
from likeness.domain.session import Attempt, AttemptStatus, Consent, Language, Problem, Session, SessionStatus, failure
from likeness.domain.stats import STEPS, AssetFact, Period, SessionFact, bucket_of, day_of, tally
from likeness.errors import Forbidden, InvalidRequest
from likeness.steps.upkeep.erase_session import EraseSession
from likeness.steps.upkeep.get_stats import GetStats
from tests.aws import inventory
from tests.unit.fakes import FakeClock, FakeFiles, FakeWorkflows, no_generations

TODAY = date(2027, 1, 15)
DAY = 86_400_000
#: Midnight of TODAY, in milliseconds.
MIDNIGHT = 1_799_971_200_000
FACTOR = 2**0.25


def add_up(answers: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Returns the sums of several responses by date, as a caller of the API computes them."""
    found: dict[str, dict[str, Any]] = {}
    for day in (each for answer in answers for each in answer["days"]):
        of = found.setdefault(day["date"], {"sessions": 0})
        of["sessions"] += day["sessions"]
        for name in ("funnel", "statuses", "failures", "assets", "asset_failures"):
            of[name] = of.get(name, Counter()) + Counter(day[name])
        buckets = dict(day["seconds_to_active"]["buckets"])
        of["buckets"] = of.get("buckets", Counter()) + Counter(buckets)
    return found


# -- counting -----------------------------------------------------------------------------------------------------

ULIDS = st.builds(ulid, st.integers(MIDNIGHT - 3 * DAY, MIDNIGHT + DAY - 1), st.binary(min_size=10, max_size=10))
CODES = st.none() | st.sampled_from(["attempt_failed", "link_expired", "face_mismatch"])
REACHED = st.frozensets(st.sampled_from(STEPS))
SESSIONS = st.builds(SessionFact, ULIDS, st.sampled_from([each.value for each in SessionStatus]), CODES, REACHED)
SECONDS = st.none() | st.floats(-1, 500_000)
ASSETS = st.builds(AssetFact, ULIDS, st.sampled_from([each.value for each in AssetStatus]), CODES, SECONDS)


@given(st.lists(st.tuples(SESSIONS | ASSETS, st.integers(0, 3)), max_size=40))
def test_the_sum_of_the_parts_equals_the_whole_for_every_split(facts: list[tuple[Any, int]]) -> None:
    def counted(part: set[int]) -> dict[str, Any]:
        mine = [fact for fact, at in facts if at in part]
        sessions = [each for each in mine if isinstance(each, SessionFact)]
        return stats_view(tally(sessions, [each for each in mine if isinstance(each, AssetFact)]), None)

    whole = counted({0, 1, 2, 3})
    assert add_up([counted({each}) for each in range(4)]) == add_up([whole])
    dates = [each["date"] for each in whole["days"]]
    assert dates == sorted(set(dates), reverse=True)
    assert sum(each["sessions"] for each in whole["days"]) == sum(isinstance(each, SessionFact) for each, _ in facts)
    for each in whole["days"]:
        bounds = [bound for bound, _ in each["seconds_to_active"]["buckets"]]
        assert bounds == sorted(set(bounds))
        assert all(times > 0 for _, times in each["seconds_to_active"]["buckets"])


@given(st.integers(1, 500_000_000))
def test_a_bucket_contains_its_value_and_its_width_is_a_fifth(milliseconds: int) -> None:
    seconds = milliseconds / 1000
    bound = bucket_of(seconds)
    assert seconds <= bound
    assert bound == 1 or bound / FACTOR < seconds + 0.001
    assert bucket_of(bound) == bound, "an upper bound is in its own bucket"


def test_buckets_equal_those_of_the_contract() -> None:
    assert [bucket_of(each) for each in (-5, 0, 1, 1.001, 1.19, 2, 3, 60, 86_400)] == [
        1, 1, 1, 1.189, 1.414, 2, 3.364, 64, 92_681.9
    ]  # fmt: skip


def test_only_failed_sessions_and_assets_are_failures() -> None:
    (day,) = tally(
        [
            SessionFact(oldest_ulid(MIDNIGHT), "requires_input", "attempt_failed"),
            SessionFact(oldest_ulid(MIDNIGHT), "requires_input"),
            SessionFact(oldest_ulid(MIDNIGHT), "processing", "attempt_failed"),
            SessionFact(oldest_ulid(MIDNIGHT), "a status of the next version", "attempt_failed"),
        ],
        [
            AssetFact(oldest_ulid(MIDNIGHT), "failed", "face_mismatch"),
            AssetFact(oldest_ulid(MIDNIGHT), "uploaded", "download_failed"),
            AssetFact(oldest_ulid(MIDNIGHT), "active", None, 3),
            AssetFact(oldest_ulid(MIDNIGHT), "redacted", None, 3),
        ],
    )
    assert (day.date, day.sessions, day.failures) == (TODAY, 4, {"attempt_failed": 1})
    assert day.asset_failures == {"face_mismatch": 1}
    assert day.seconds_to_active == {3.364: 2}


# -- days, ULIDs, periods -----------------------------------------------------------------------------------------


@given(st.dates(date(1970, 1, 1)), st.integers(0, DAY - 1))
def test_a_day_is_the_range_of_its_ulids(day: date, within: int) -> None:
    period = Period(day, day)
    start = round(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000
    assert period.oldest == oldest_ulid(start) <= oldest_ulid(start + within)
    assert newest_ulid(start + within) <= period.newest == newest_ulid(start + DAY - 1)
    assert day_of(newest_ulid(start + within)) == day
    assert milliseconds_of(newest_ulid(start + within)) == start + within


@given(st.integers(1, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_nothing_sorts_between_a_ulid_and_its_predecessor(at: int, entropy: bytes) -> None:
    of = ulid(at, entropy)
    before = ulid_before(of)
    assert before < of
    number = int.from_bytes(entropy, "big") + 1
    if number < 1 << 80:
        assert ulid_before(ulid(at, number.to_bytes(10, "big"))) == of
    assert ulid_before(oldest_ulid(at)) == newest_ulid(at - 1)


@pytest.mark.parametrize(
    ("first", "last", "meant"),
    [
        (None, None, (date(2027, 1, 2), TODAY)), (None, "2027-01-20", (date(2027, 1, 7), date(2027, 1, 20))),
        ("2027-01-15", None, (TODAY, TODAY)), ("2026-12-16", None, (date(2026, 12, 16), TODAY)),
        ("2024-02-29", "2024-02-29", (date(2024, 2, 29),) * 2),
        (None, "1970-01-03", (date(1970, 1, 1), date(1970, 1, 3))),
        (None, "9999-12-31", (date(9999, 12, 18), date(9999, 12, 31))),
    ],
)  # fmt: skip
def test_a_period_is_the_last_two_weeks_or_the_requested_days(
    first: str | None, last: str | None, meant: tuple[date, date]
) -> None:
    assert parse_period(first, last, TODAY) == Period(*meant)


@pytest.mark.parametrize(
    ("first", "last", "field"),
    [
        ("2027-01-16", None, "from"), ("2027-01-03", "2027-01-02", "from"), ("2026-12-15", None, "from"),
        ("2026-12-01", "2027-01-01", "from"), ("", None, "from"), ("20270101", None, "from"),
        ("2027-W01-1", None, "from"),
        ("2027-1-1", None, "from"), ("2027-02-29", None, "from"), ("\u0662027-01-01", None, "from"),
        ("2027-01-01\n", None, "from"), (" 2027-01-01", None, "from"), ("2027-01-01T00:00:00Z", None, "from"),
        ("0001-01-01", None, "from"), ("1969-12-31", None, "from"), (None, "1969-12-31", "to"), (None, "", "to"),
        (None, "2027-02-30", "to"), (None, "10000-01-01", "to"), ("nonsense", "nonsense", "to"),
    ],
)  # fmt: skip
def test_an_invalid_period_is_refused_with_the_field(first: str | None, last: str | None, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_period(first, last, TODAY)
    assert caught.value.field == field
    assert caught.value.message.startswith(f"{field}: ")


# -- cursors ------------------------------------------------------------------------------------------------------

JANUARY = Period(date(2027, 1, 1), date(2027, 1, 31))
REST = oldest_ulid(MIDNIGHT)
CURSOR = make_cursor("acme", JANUARY, REST)


def _encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


def _forged(*parts: Any) -> str:
    """Returns a cursor with some of its parts replaced."""
    own = json.loads(base64.urlsafe_b64decode(CURSOR))
    return _encoded(json.dumps([given if given is not None else kept for given, kept in zip(parts, own, strict=True)]))


def test_a_cursor_continues_at_its_position_with_or_without_the_days() -> None:
    for first in (None, "2027-01-01"):
        for last in (None, "2027-01-31"):
            assert read_cursor(CURSOR, "acme", first, last) == (JANUARY, REST)


@pytest.mark.parametrize(
    "cursor",
    [
        "", "=", "é", "A===", CURSOR + "=", CURSOR + "AAAA", CURSOR[:-4], CURSOR[1:], CURSOR + "\n", CURSOR.lower(),
        _encoded("5"), _encoded("[]"), _encoded("null"), _encoded("[" * 4000), _encoded("[1, 2, 3, 4]"), _encoded("{}"),
        _encoded('["2027-01-01", "2027-01-31", 5, "x"]'), _encoded("9" * 5000), _encoded("[null, null, null, null]"),
        _forged("2027-01-02", None, None, None), _forged(None, "2027-01-30", None, None),
        _forged(None, None, oldest_ulid(MIDNIGHT + 1), None), _forged(None, None, None, "0" * 16),
        _encoded(base64.urlsafe_b64decode(CURSOR).decode() + " "), _encoded('["ses_01ARZ3NDEKTSV4RRFFQ69G5FAV"]'),
        make_cursor("other", JANUARY, REST), make_cursor("acme", JANUARY, JANUARY.newest),
        make_cursor("acme", JANUARY, newest_ulid(MIDNIGHT - 40 * DAY)), make_cursor("acme", JANUARY, "Z" * 26),
        make_cursor("acme", Period(date(2027, 1, 1), date(2027, 2, 1)), REST),
        make_cursor("acme", Period(date(2027, 1, 31), date(2027, 1, 1)), REST),
    ],
)  # fmt: skip
def test_a_cursor_that_is_invalid_or_of_another_client_is_refused_by_name(cursor: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_cursor(cursor, "acme", None, None)
    assert caught.value.field == "cursor"


@pytest.mark.parametrize(("first", "last"), [("2027-01-02", None), (None, "2027-01-30"), ("", None), (None, "x")])
def test_a_cursor_of_other_days_is_refused(first: str | None, last: str | None) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_cursor(CURSOR, "acme", first, last)
    assert caught.value.field == "cursor"


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda each: base64.urlsafe_b64encode(each).decode()))
def test_every_text_is_accepted_or_refused_by_the_check_of_the_cursor(text: str) -> None:
    with pytest.raises(InvalidRequest):
        read_cursor(text, "acme", None, None)


# -- the queries --------------------------------------------------------------------------------------------------


@dataclass
class StatsHarness:
    """A separate table, on TODAY at 08:00. The counter ``made`` makes all ids different."""

    dynamodb: Any
    clock: FakeClock
    made: int = 0

    def __post_init__(self) -> None:
        self.store = DynamoStore(self.dynamodb, "table")

    def session(self, at: int, client: str = "acme", assets: int = 0, **changes: Any) -> tuple[Session, list[Asset]]:
        """Stores a session created at the millisecond ``at``, with assets one second apart."""
        made = Session(
            id=session_id(at, self._entropy()), client_id=client, status=SessionStatus.REQUIRES_INPUT,
            language=Language.EN, created_at=at / 1000, updated_at=at / 1000,
        )  # fmt: skip
        made = replace(made, asset_count=assets, **changes)
        files = [self._asset(made, at + 1000 * each) for each in range(assets)]
        self.store.create_session(made, files)
        return made, files

    def _asset(self, of: Session, at: int) -> Asset:
        made = asset_id(at, self._entropy())
        return Asset(
            id=made, session_id=of.id, name="front", asset_type=AssetType.IMAGE, content_type="image/jpeg",
            status=AssetStatus.AWAITING_UPLOAD, object_key=f"uploads/{of.id}/{made}/file", created_at=at / 1000,
            updated_at=at / 1000, client_id=of.client_id,
        )  # fmt: skip

    def _entropy(self) -> bytes:
        self.made += 1
        return self.made.to_bytes(10, "big")

    def change(self, asset: Asset, **changes: Any) -> None:
        self.store.change_asset(replace(asset, **changes), [asset.status])

    def pages(self, size: int, client: str = "acme", **query: str) -> list[dict[str, Any]]:
        """Returns all pages, from the first to the one without a cursor."""
        step = GetStats(self.store, self.clock, size)
        answers = [step(Caller(client), **query)]
        while answers[-1]["next_cursor"]:
            answers.append(step(Caller(client), cursor=answers[-1]["next_cursor"]))
        return answers


@pytest.fixture
def harness() -> Iterator[StatsHarness]:
    with inventory("table") as client:
        yield StatsHarness(client, FakeClock())


def test_a_client_without_sessions_has_no_days(harness: StatsHarness) -> None:
    assert harness.pages(1000) == [{"days": [], "next_cursor": None}]


def test_a_day_shows_how_sessions_and_assets_ended(harness: StatsHarness) -> None:
    one, _ = harness.session(MIDNIGHT)
    harness.session(MIDNIGHT + DAY - 1, status=SessionStatus.VERIFIED)
    _, (first, second, third) = harness.session(MIDNIGHT + 5, assets=3, status=SessionStatus.VERIFIED)
    harness.change(first, status=AssetStatus.ACTIVE, submitted_at=1_800_000_000.0, activated_at=1_800_000_003.25)
    harness.change(second, status=AssetStatus.FAILED, error=Problem("face_mismatch", "Somebody else."))
    harness.store.add_attempt(one.id, _attempt(), 1_800_000_000.0)
    harness.store.record_failed_attempt(one.id, 1, "10010", failure("attempt_failed"), 1_800_000_000.0)
    assert third.status is AssetStatus.AWAITING_UPLOAD
    assert harness.pages(1000) == [
        {
            "days": [
                {
                    "date": "2027-01-15",
                    "sessions": 3,
                    "funnel": {
                        "created": 3, "consented": 0, "opened": 1, "checked": 1, "passed": 0, "verified": 0,
                        "active": 0,
                    },
                    "statuses": {"verified": 2, "requires_input": 1},
                    "failures": {"attempt_failed": 1},
                    "assets": {"awaiting_upload": 1, "failed": 1, "active": 1},
                    "asset_failures": {"face_mismatch": 1},
                    "seconds_to_active": {"buckets": [[3.364, 1]]},
                }
            ],
            "next_cursor": None,
        }
    ]  # fmt: skip


def _attempt(number: int = 1) -> Attempt:
    return Attempt(number, AttemptStatus.OPEN, f"token-{number}", 1_800_000_000.0, 1_800_000_120.0)


def _funnel(harness: StatsHarness) -> dict[str, int]:
    """Returns the sum of the funnels of all days."""
    return dict(sum((day["funnel"] for day in add_up(harness.pages(1000)).values()), Counter()))


def test_a_new_link_after_a_failed_check_changes_no_number_of_the_funnel(harness: StatsHarness) -> None:
    one, _ = harness.session(MIDNIGHT)
    other, _ = harness.session(MIDNIGHT)
    for each in (one, other):
        harness.store.add_attempt(each.id, _attempt(), 1_800_000_000.0)
    harness.store.record_failed_attempt(one.id, 1, "10010", failure("attempt_failed"), 1_800_000_001.0)
    harness.store.record_pass(other.id, 1, "10000", 1_800_000_001.0)
    harness.store.save_group(other.id, 1, "group-1", 1_800_000_002.0)
    before = _funnel(harness)
    assert before == {"created": 2, "opened": 2, "checked": 2, "passed": 1, "verified": 1}
    harness.store.add_attempt(one.id, _attempt(2), 1_800_000_003.0)
    assert _funnel(harness) == before
    harness.store.record_pass(one.id, 2, "10000", 1_800_000_004.0)
    assert _funnel(harness) == before | {"passed": 2}


def test_a_link_that_lapsed_is_opened_and_not_checked(harness: StatsHarness) -> None:
    one, _ = harness.session(MIDNIGHT)
    harness.store.add_attempt(one.id, _attempt(), 1_800_000_000.0)
    found = harness.store.get_session(one.id)
    assert found
    harness.store.record_refused_result(found, 1, AttemptStatus.LAPSED, failure("link_expired"), 1_800_000_200.0)
    assert _funnel(harness) == {"created": 1, "opened": 1}


def test_a_pass_that_crun_has_lost_stays_a_pass(harness: StatsHarness) -> None:
    one, _ = harness.session(MIDNIGHT)
    harness.store.add_attempt(one.id, _attempt(), 1_800_000_000.0)
    passed = harness.store.record_pass(one.id, 1, "10000", 1_800_000_001.0)
    harness.store.record_refused_result(passed, 1, AttemptStatus.LOST, failure("result_lost"), 1_800_000_200.0)
    assert _funnel(harness) == {"created": 1, "opened": 1, "checked": 1, "passed": 1}


def test_an_erased_session_counts_for_each_step_that_it_has_reached(harness: StatsHarness) -> None:
    consent = Consent("2026-11", "2027-01-15T00:00:00Z")
    one, (first, second) = harness.session(MIDNIGHT, assets=2, consent=consent, attempts={1: _attempt()})
    harness.store.record_pass(one.id, 1, "10000", 1_800_000_001.0)
    harness.store.save_group(one.id, 1, "group-1", 1_800_000_002.0)
    for each, at in ((first, 1_800_000_010.0), (second, 1_800_000_020.0)):
        active = replace(each, status=AssetStatus.ACTIVE, submitted_at=at - 5, activated_at=at, updated_at=at)
        harness.store.change_asset(active, [each.status], first_active=True)
    reached = {"created": 1, "consented": 1, "opened": 1, "checked": 1, "passed": 1, "verified": 1, "active": 1}
    assert _funnel(harness) == reached
    stored = harness.store.get_session(one.id)
    assert stored
    assert (stored.checked_at, stored.passed_at, stored.active_at) == (1_800_000_001, 1_800_000_001, 1_800_000_010)
    EraseSession(harness.store, FakeFiles(), FakeWorkflows(), harness.clock, no_generations)(Caller("acme"), one.id)
    assert _funnel(harness) == reached


@pytest.mark.parametrize(
    ("row", "reached"),
    [
        ({"status": SessionStatus.PROCESSING}, {"opened", "checked", "passed"}),
        (
            {"status": SessionStatus.VERIFIED, "verified_at": 1_800_000_000.0},
            {"opened", "checked", "passed", "verified"},
        ),
        ({"last_error": failure("attempt_failed")}, {"opened", "checked"}),
        ({"last_error": failure("link_expired")}, {"opened"}),
    ],
)  # fmt: skip
def test_a_session_of_the_previous_version_counts_by_its_other_fields(
    harness: StatsHarness, row: dict[str, Any], reached: set[str]
) -> None:
    harness.session(MIDNIGHT, attempts={1: _attempt()}, **row)
    assert set(_funnel(harness)) == {"created", *reached}


def test_the_days_are_utc_and_both_are_included(harness: StatsHarness) -> None:
    for at in (-14 * DAY, -14 * DAY - 1, -13 * DAY, -13 * DAY - 1, -1, 0, DAY - 1, DAY):
        harness.session(MIDNIGHT + at, assets=1)
    for query, days in (
        ({}, {"2027-01-15": 2, "2027-01-14": 1, "2027-01-02": 1}),
        ({"first": "2027-01-01", "last": "2027-01-02"}, {"2027-01-02": 1, "2027-01-01": 2}),
        ({"first": "2027-01-16", "last": "2027-01-16"}, {"2027-01-16": 1}),
        ({"first": "2026-12-31", "last": "2026-12-31"}, {"2026-12-31": 1}),
    ):
        (answer,) = harness.pages(1000, **query)
        assert {each["date"]: each["sessions"] for each in answer["days"]} == days
        # A session's asset has its own creation time.
        assert {each["date"]: each["assets"] for each in answer["days"]} == {
            each: {"awaiting_upload": times} for each, times in days.items()
        }


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_the_sum_of_the_pages_equals_the_whole_for_every_size(harness: StatsHarness, size: int) -> None:
    for number in range(40):
        # Bursts and gaps, days with many assets and with none, mixed with those of the other client.
        at = MIDNIGHT - (number % 5) * DAY + number * 1000
        harness.session(at, assets=(0, 7, 1)[number % 3])
        harness.session(at, client="other", assets=number % 2)
    answers = harness.pages(size)
    (whole,) = harness.pages(1000)
    assert add_up(answers) == add_up([whole])
    assert sum(each["sessions"] for each in whole["days"]) == 40
    assert sum(each["assets"]["awaiting_upload"] for each in whole["days"]) == 13 * 8
    dates = [day["date"] for answer in answers for day in answer["days"]]
    assert dates == sorted(dates, reverse=True), "newest day first, over all pages"
    others = add_up(harness.pages(size, client="other"))
    assert sum(each["sessions"] for each in others.values()) == 40
    assert sum(each["assets"]["awaiting_upload"] for each in others.values()) == 20
    if size == 1:
        assert len(answers) > 10


def test_sessions_and_assets_with_the_same_ulid_are_counted_once(harness: StatsHarness) -> None:
    for number in range(20):
        entropy = number.to_bytes(10, "big")
        harness.made = number - 1
        one, _ = harness.session(MIDNIGHT)
        assert one.id.endswith(ulid(MIDNIGHT, entropy))
        duplicate = replace(harness._asset(one, MIDNIGHT), id=asset_id(MIDNIGHT, entropy))
        assert harness.store.add_asset(duplicate)
    for size in (1, 2, 5):
        (day,) = add_up(harness.pages(size)).values()
        assert (day["sessions"], day["assets"]) == (20, {"awaiting_upload": 20})


def test_one_response_reads_a_bounded_number_of_pages(harness: StatsHarness) -> None:
    for number in range(30):
        harness.session(MIDNIGHT + number, assets=1)
    calls: list[dict[str, Any]] = []
    harness.dynamodb.meta.events.register("provide-client-params.dynamodb.*", lambda params, **_: calls.append(params))
    answer = GetStats(harness.store, harness.clock, 1)(Caller("acme"))
    assert answer["next_cursor"]
    assert len(calls) == 8
    assert all(each["Limit"] == 1 and each["IndexName"] for each in calls)


def test_new_sessions_do_not_shift_the_pages(harness: StatsHarness) -> None:
    for number in range(20):
        harness.session(MIDNIGHT + number, assets=1)
    step = GetStats(harness.store, harness.clock, 2)
    first = step(Caller("acme"))
    harness.session(MIDNIGHT + 1_000_000, assets=2)
    answers = [first]
    while answers[-1]["next_cursor"]:
        answers.append(step(Caller("acme"), cursor=answers[-1]["next_cursor"]))
    (day,) = add_up(answers).values()
    assert (day["sessions"], day["assets"]) == (20, {"awaiting_upload": 20})


def test_a_cursor_stays_valid_after_midnight_and_only_for_its_client(harness: StatsHarness) -> None:
    for number in range(20):
        harness.session(MIDNIGHT + number)
    step = GetStats(harness.store, harness.clock, 2)
    cursor = step(Caller("acme"))["next_cursor"]
    harness.clock.at += 86_400
    assert step(Caller("acme"), cursor=cursor)["days"]
    with pytest.raises(InvalidRequest) as caught:
        step(Caller("other"), cursor=cursor)
    assert caught.value.field == "cursor"


def test_an_erased_session_is_counted_without_its_failures(harness: StatsHarness) -> None:
    one, (first, second) = harness.session(MIDNIGHT, assets=2, attempts={1: _attempt()})
    harness.change(first, status=AssetStatus.FAILED, error=Problem("rejected", "What crun said of a face."))
    harness.change(second, status=AssetStatus.ACTIVE, submitted_at=1_800_000_000.0, activated_at=1_800_000_000.5)
    harness.store.record_failed_attempt(one.id, 1, "10010", failure("attempt_failed"), 1_800_000_000.0)
    EraseSession(harness.store, FakeFiles(), FakeWorkflows(), harness.clock, no_generations)(Caller("acme"), one.id)
    (answer,) = harness.pages(1000)
    (day,) = answer["days"]
    assert (day["sessions"], day["statuses"], day["assets"]) == (1, {"redacted": 1}, {"redacted": 2})
    assert (day["failures"], day["asset_failures"]) == ({}, {})
    assert day["seconds_to_active"] == {"buckets": [[1.0, 1]]}
    indexed = harness.dynamodb.scan(TableName="table", IndexName="ClientAssets")["Items"]
    assert len(indexed) == 2
    assert all(set(each) <= {
        "pk", "sk", "id", "asset_client_id", "status", "asset_type", "submitted_at", "activated_at",
    } for each in indexed)  # fmt: skip


def test_sessions_and_assets_are_listed_separately(harness: StatsHarness) -> None:
    one, files = harness.session(MIDNIGHT, assets=3)
    listed = harness.store.list_sessions("acme", limit=10, cursor=None)
    assert [each.id for each in listed.sessions] == [one.id]
    indexed = harness.dynamodb.scan(TableName="table", IndexName="ClientAssets")["Items"]
    assert {each["id"]["S"] for each in indexed} == {each.id for each in files}


def test_an_asset_of_the_previous_version_is_read_and_not_counted(harness: StatsHarness) -> None:
    one, _ = harness.session(MIDNIGHT)
    old = replace(harness._asset(one, MIDNIGHT), client_id="")
    assert harness.store.add_asset(old)
    harness.change(old, status=AssetStatus.UPLOADED)
    (answer,) = harness.pages(1000)
    assert (answer["days"][0]["sessions"], answer["days"][0]["assets"]) == (1, {})


def test_a_person_may_not_read_stats(harness: StatsHarness) -> None:
    one, _ = harness.session(MIDNIGHT)
    with pytest.raises(Forbidden):
        GetStats(harness.store, harness.clock)(Caller("acme", session_id=one.id), cursor="not even looked at")
