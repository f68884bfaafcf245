"""GET /sessions with filters, on moto: what is found, and that one request does bounded work without a scan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from likeness.adapters.table.dynamodb import DynamoStore
from likeness.adapters.table.items import asset_item, earlier_id_item, session_item
from likeness.contracts.listing import read_filter
from likeness.domain.asset import Asset, AssetStatus
from likeness.domain.ids import asset_id, session_id
from likeness.domain.media.types import AssetType
from likeness.domain.session import Language, Session, SessionFilter, SessionPage, SessionStatus
from likeness.errors import InvalidRequest
from tests.aws import inventory

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()
HOUR = 3600
ROWS = 1_250


def session(number: int, client: str = "acme", **changes: Any) -> Session:
    """The ``number``-th session: one an hour, with a reference that ends in its number."""
    at = NOON + number * HOUR
    made = Session(
        id=session_id(int(at * 1000), number.to_bytes(10, "big")),
        client_id=client,
        status=SessionStatus.REQUIRES_INPUT,
        language=Language.EN,
        created_at=at,
        updated_at=at,
        reference=f"order-{number:05d}",
    )
    return replace(made, **changes)


def asset(of: Session, number: int, crun_id: str | None = None) -> Asset:
    return Asset(
        id=asset_id(int(of.created_at * 1000), number.to_bytes(10, "big")),
        session_id=of.id,
        name="front",
        asset_type=AssetType.IMAGE,
        content_type="image/jpeg",
        status=AssetStatus.PROCESSING if crun_id else AssetStatus.AWAITING_UPLOAD,
        object_key=f"uploads/{of.id}/{number}/file",
        created_at=of.created_at,
        updated_at=of.created_at,
        crun_asset_id=crun_id,
        client_id=of.client_id,
    )


@dataclass
class Listing:
    """The store, the sessions in it, and what each call asks DynamoDB for."""

    store: DynamoStore
    sessions: list[Session]
    calls: list[str]

    def page(self, limit: int = 100, cursor: str | None = None, client: str = "acme", **filters: str) -> SessionPage:
        self.calls.clear()
        return self.store.list_sessions(client, limit=limit, cursor=cursor, wanted=read_filter(**filters))

    def numbers(self, client: str = "acme", limit: int = 100, **filters: str) -> list[int]:
        """The numbers of all sessions that are found, over all pages."""
        page = self.page(limit, client=client, **filters)
        found = list(page.sessions)
        while page.cursor:
            page = self.page(limit, page.cursor, client, **filters)
            found += page.sessions
        return [int((each.created_at - NOON) / HOUR) for each in found]


@pytest.fixture(scope="module")
def listing() -> Iterator[Listing]:
    """1,250 sessions of one client, and a few of another; some have ids at crun."""
    sessions = [session(number) for number in range(ROWS)]
    sessions[7] = replace(sessions[7], group_id="group-7", status=SessionStatus.VERIFIED)
    other = session(2400, "other", group_id="group-7")
    again = session(9, group_id="group-7", status=SessionStatus.VERIFIED, reference="second/Check")
    sessions[9] = again
    assets = [asset(sessions[7], 1, "asset-a"), asset(sessions[7], 2, "asset-b"), asset(other, 3, "asset-c")]
    earlier = replace(assets[0], crun_asset_id="asset-before")
    items = [session_item(each) | ({"upstream_id": {"S": each.group_id}} if each.group_id else {}) for each in sessions]
    items += [session_item(other) | {"upstream_id": {"S": "group-7"}}, earlier_id_item(earlier)]
    items += [asset_item(each) for each in assets]
    with inventory("table") as client:
        for start in range(0, len(items), 25):
            writes = [{"PutRequest": {"Item": each}} for each in items[start : start + 25]]
            client.batch_write_item(RequestItems={"table": writes})
        calls: list[str] = []
        client.meta.events.register("before-call.dynamodb", lambda model, **_: calls.append(model.name))
        yield Listing(DynamoStore(client, "table"), sessions, calls)


def test_part_of_a_reference_is_found_in_bounded_steps_that_say_how_far_they_have_looked(listing: Listing) -> None:
    page = listing.page(reference_contains="-0000")
    assert (page.sessions, page.examined, listing.calls) == ([], 1000, ["Query"] * 5)
    assert page.examined_to == listing.sessions[ROWS - 1000].created_at
    second = listing.page(cursor=page.cursor, reference_contains="-0000")
    assert [each.reference for each in second.sessions] == [f"order-{n:05d}" for n in (8, 7, 6, 5, 4, 3, 2, 1, 0)]
    assert (second.cursor, second.examined, second.examined_to) == (None, ROWS - 1000, None)


def test_a_page_is_never_larger_than_asked_for_and_loses_nothing(listing: Listing) -> None:
    page = listing.page(limit=3, reference_contains="order-01")
    assert [each.reference for each in page.sessions] == ["order-01249", "order-01248", "order-01247"]
    assert listing.calls == ["Query"]
    assert listing.numbers(limit=100, reference_contains="order-01") == list(range(ROWS - 1, 999, -1))
    assert listing.numbers(limit=7, reference_contains="order-012") == list(range(ROWS - 1, 1199, -1))


def test_a_page_without_a_filter_reads_no_more_than_it_shows(listing: Listing) -> None:
    page = listing.page(limit=20)
    assert (len(page.sessions), page.examined, listing.calls) == (20, 20, ["Query"])
    assert page.examined_to == page.sessions[-1].created_at


def test_case_matters_in_a_reference(listing: Listing) -> None:
    assert listing.numbers(reference_contains="Check") == [9]
    assert listing.numbers(reference_contains="check") == []


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"group_id": "group-7"}, [9, 7]),
        ({"group_id": "group-7", "reference_contains": "second"}, [9]),
        ({"group_id": "group-7", "status": "requires_input"}, []),
        ({"group_id": "group-7", "created_to": "2026-11-20T20:00:00Z"}, [7]),
        ({"group_id": "group-7", "asset_id": "asset-b"}, [7]),
        ({"group_id": "group-8"}, []),
        ({"asset_id": "asset-a"}, [7]),
        ({"asset_id": "asset-before"}, [7]),
        ({"asset_id": "asset-c"}, []),
        ({"asset_id": "group-7"}, []),
        ({"group_id": "asset-a"}, []),
        ({"asset_id": "é" * 200}, []),
    ],
)
def test_an_id_leads_to_its_sessions_by_a_key(listing: Listing, filters: dict[str, Any], found: list[int]) -> None:
    assert listing.numbers(**filters) == found
    assert len(listing.calls) <= 3
    assert "Scan" not in listing.calls


def test_our_own_asset_id_is_found_for_its_client_only(listing: Listing) -> None:
    mine, other = asset(listing.sessions[7], 2).id, asset(session(2400, "other"), 3).id
    assert listing.numbers(asset_id=mine) == [7]
    assert listing.numbers(asset_id=other) == []
    assert listing.numbers("other", asset_id=other) == [2400]
    assert listing.numbers("other", group_id="group-7") == [2400]


def test_sessions_of_one_id_are_paged_too(listing: Listing) -> None:
    assert listing.numbers(limit=1, group_id="group-7") == [9, 7]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"created_from": "2026-11-21", "created_to": "2026-11-21"}, range(35, 11, -1)),
        ({"created_from": "2026-11-21T00:00:00+08:00", "created_to": "2026-11-20"}, range(11, 3, -1)),
        ({"created_to": "2026-11-20T14:00:00.000Z"}, range(2, -1, -1)),
        ({"created_to": "2026-11-20T13:59:59.999999Z"}, range(1, -1, -1)),
        ({"created_to": "2026-11-19"}, []),
        ({"created_from": "2027-12-01"}, []),
        ({"created_from": "2026-11-21", "created_to": "2026-11-21", "reference_contains": "0002"}, range(29, 19, -1)),
    ],
)
def test_a_period_is_a_range_of_keys(listing: Listing, filters: dict[str, Any], found: range) -> None:
    assert listing.numbers(**filters) == list(found)
    assert listing.calls == ["Query"]
    assert listing.numbers(limit=5, **filters) == list(found)


def test_a_cursor_outside_of_the_period_finds_only_what_is_inside(listing: Listing) -> None:
    newest = listing.page(limit=1)
    inside = listing.page(cursor=newest.cursor, created_to="2026-11-20")
    assert len(inside.sessions) == 12
    assert listing.page(cursor=newest.cursor, created_from="2027-12-01").sessions == []
    assert listing.calls == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("status", "done"),
        ("reference_contains", ""),
        ("reference_contains", "x" * 129),
        ("asset_id", ""),
        ("group_id", "x" * 201),
        *[(name, value) for name in ("created_from", "created_to") for value in (
            "", "today", "2026-02-30", "2026-1-1", "20260101", "2026-W01-1", "1969-12-31", "2026-01-01T10:00:00",
            "2026-01-01T25:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-01-0\u0661",
        )],
    ],
)  # fmt: skip
def test_a_filter_that_is_not_valid_is_named(field: str, value: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_filter(**{field: value})
    assert caught.value.field == field


def test_a_period_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_filter(created_from="2026-11-21", created_to="2026-11-20")
    assert caught.value.field == "created_to"


def test_an_empty_reference_is_no_filter() -> None:
    assert read_filter(reference="") == SessionFilter()
