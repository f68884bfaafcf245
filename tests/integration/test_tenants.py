"""Two clients and their people on every route: nobody can see, change or infer another's data."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from ops.client_keys import ClientKeys
from tests.integration.conftest import Api, Canaries
from tests.template_file import RESOURCES

IMAGE = {"name": "front of alice", "asset_type": "Image", "content_type": "image/jpeg", "size_bytes": 1000}
WANTED = {"name": "voice of alice", "asset_type": "Audio"}
#: An unknown consent text: the route responds with 409.
ANOTHER_TEXT = {"text_version": "none", "language": "en", "sha256": "0" * 64}
#: A request to make a video with an asset that does not exist.
OF_NOBODY = {"model": "bytedance/seedance2-0-r2v", "input": {"reference_images": ["asset://asset-of-nobody"]}}
MISSING_IDS = {"session_id": "ses_01ARZ3NDEKTSV4RRFFQ69G5FAV", "asset_id": "ast_01ARZ3NDEKTSV4RRFFQ69G5FAV"}
#: The other parameters in paths.
OF_A_PATH = {
    "attempt": "1", "signature": "A" * 43, "version": "0", "file": "none.js", "name": "none", "webhook_id": "whe_1",
    "generation_id": "gen_01ARZ3NDEKTSV4RRFFQ69G5FAV",
}  # fmt: skip
ILL_FORMED = {"session_id": "ses_1", "asset_id": "ast_1"}
#: Headers that differ between responses.
OF_THE_REQUEST = {"date", "x-amz-request-id", "x-amzn-requestid", "x-amz-apigw-id", "x-amzn-trace-id"}

Route = tuple[str, str]


@dataclass(frozen=True)
class Row:
    """A route's status for the client that owns the session, and for the session's person."""

    client: int
    person: int
    #: Sent as JSON; a string is sent unchanged.
    body: dict[str, Any] | str | None = None


TABLE: dict[Route, Row] = {
    ("POST", "/sessions"): Row(client=201, person=403, body={"start": "on_open"}),
    ("GET", "/sessions"): Row(client=200, person=403),
    ("GET", "/stats"): Row(client=200, person=403),
    ("GET", "/client-keys"): Row(client=200, person=403),
    ("GET", "/webhooks"): Row(client=200, person=403),
    # The endpoint does not exist; test_webhooks.py has the tenants of endpoints.
    ("POST", "/webhooks/{webhook_id}/test"): Row(client=404, person=403),
    ("POST", "/webhooks/{webhook_id}/replay"): Row(client=404, person=403),
    # The link is not the person's.
    ("POST", "/qr-codes"): Row(client=200, person=403, body="https://app.example.com/"),
    ("GET", "/sessions/{session_id}"): Row(client=200, person=200),
    ("DELETE", "/sessions/{session_id}"): Row(client=200, person=403),
    # The person has not consented.
    ("POST", "/sessions/{session_id}/attempts"): Row(client=201, person=409),
    ("POST", "/sessions/{session_id}/consent"): Row(client=409, person=409, body=ANOTHER_TEXT),
    ("POST", "/sessions/{session_id}/consent/decline"): Row(client=403, person=200),
    ("POST", "/sessions/{session_id}/consent/withdraw"): Row(client=200, person=200),
    ("POST", "/sessions/{session_id}/receipt"): Row(client=201, person=201),
    ("GET", "/sessions/{session_id}/receipt"): Row(client=200, person=200),
    ("DELETE", "/sessions/{session_id}/receipt"): Row(client=200, person=200),
    # Neither is a receipt.
    ("GET", "/receipt"): Row(client=403, person=403),
    ("PUT", "/sessions/{session_id}/consent_terms"): Row(client=200, person=403, body={"valid_days": 30}),
    # The person is not verified.
    ("GET", "/sessions/{session_id}/use"): Row(client=409, person=403),
    ("POST", "/use-checks"): Row(client=200, person=403, body={"ids": ["ses_01ARZ3NDEKTSV4RRFFQ69G5FAV"]}),
    ("POST", "/generations"): Row(client=404, person=403, body=OF_NOBODY),
    ("POST", "/generations/estimate"): Row(client=404, person=403, body=OF_NOBODY),
    ("GET", "/generations"): Row(client=200, person=403),
    # The generation does not exist; a test below has one.
    ("GET", "/generations/{generation_id}"): Row(client=404, person=403),
    ("DELETE", "/generations/{generation_id}"): Row(client=404, person=403),
    ("POST", "/generations/{generation_id}/cancel"): Row(client=404, person=403),
    ("GET", "/sessions/{session_id}/uses"): Row(client=200, person=200),
    ("POST", "/sessions/{session_id}/assets"): Row(client=201, person=201, body=IMAGE),
    ("POST", "/sessions/{session_id}/requests"): Row(client=201, person=403, body={"requests": [WANTED]}),
    ("DELETE", "/sessions/{session_id}/requests/{name}"): Row(client=404, person=403),
    # The person is not verified.
    ("POST", "/sessions/{session_id}/finish"): Row(client=409, person=409),
    ("GET", "/sessions/{session_id}/assets/{asset_id}"): Row(client=200, person=200),
    # No file was uploaded.
    ("GET", "/sessions/{session_id}/assets/{asset_id}/preview"): Row(client=404, person=404),
    # Its file has not failed.
    ("POST", "/sessions/{session_id}/assets/{asset_id}/retry"): Row(client=409, person=403),
    ("DELETE", "/sessions/{session_id}/assets/{asset_id}"): Row(client=200, person=403),
    ("DELETE", "/sessions/{session_id}/invite"): Row(client=200, person=403),
    ("POST", "/sessions/{session_id}/invite"): Row(client=201, person=403),
}
#: What a receipt permits on its own session, in an order that works. All other routes respond with 403.
RECEIPT: dict[Route, int] = {
    ("GET", "/receipt"): 200,
    ("GET", "/sessions/{session_id}"): 200,
    ("GET", "/sessions/{session_id}/assets/{asset_id}"): 200,
    ("GET", "/sessions/{session_id}/assets/{asset_id}/preview"): 404,
    ("GET", "/sessions/{session_id}/uses"): 200,
    ("GET", "/sessions/{session_id}/receipt"): 200,
    ("POST", "/sessions/{session_id}/receipt"): 201,
    ("POST", "/sessions/{session_id}/consent/withdraw"): 200,
    ("DELETE", "/sessions/{session_id}"): 200,
    ("DELETE", "/sessions/{session_id}/receipt"): 200,
}
#: Routes without credentials. The callback has its signature.
PUBLIC: dict[Route, int] = {
    ("GET", "/callback/{session_id}/{attempt}/{signature}"): 404,
    ("POST", "/task/{generation_id}/{signature}"): 404,
    ("GET", "/invite"): 200,
    ("GET", "/me"): 200,
    ("GET", "/console"): 200,
    ("GET", "/pages/{version}/{file}"): 404,
    ("GET", "/docs"): 200,
    ("GET", "/consent"): 200,
    ("GET", "/openapi.json"): 200,
    ("GET", "/{path+}"): 404,
}
#: crun's own routes check the client key themselves; test_drop_in.py tests their tenants.
CRUN_ROUTES = "/api/v1/client/"
ON_A_SESSION = [route for route in TABLE if "{session_id}" in route[1]]
EVENTS = [
    each["Properties"]
    for resource in RESOURCES.values()
    for each in resource["Properties"].get("Events", {}).values()
    if each["Type"] == "Api"
]


@dataclass(frozen=True)
class Tenant:
    """A client, one of its sessions, and that session's person."""

    client: Api
    person: Api
    ids: dict[str, str]
    reference: str

    def seen(self) -> tuple[Any, Any]:
        """Returns everything that could change: the session, and the client's list."""
        return self.client.get(self.ids["session_id"]), self.client("GET", "/sessions").json()


def make_tenant(api: Api, key: str, reference: str) -> Tenant:
    client = api.with_credential(key)
    session = client.session(start="on_open", reference=reference, assets=[IMAGE])
    person = client.with_credential(urlsplit(session["invite_url"]).fragment)
    return Tenant(
        client, person, {"session_id": session["id"], "asset_id": session["assets"][0]["id"]}, reference=reference
    )


@pytest.fixture(scope="module")
def client_keys(keys: ClientKeys, canaries: Canaries) -> dict[str, str]:
    made = {name: keys.add(name) for name in ("tenant-a", "tenant-b", "tenant-c", "tenant-gone")}
    canaries.secrets |= set(made.values())
    return made


@pytest.fixture(scope="module")
def alice(api: Api, client_keys: dict[str, str]) -> Tenant:
    return make_tenant(api, client_keys["tenant-a"], "alice-of-a")


@pytest.fixture(scope="module")
def anna(api: Api, client_keys: dict[str, str], alice: Tenant) -> Tenant:
    """Another person of the same client."""
    return make_tenant(api, client_keys["tenant-a"], "anna-of-a")


@pytest.fixture(scope="module")
def bob(api: Api, client_keys: dict[str, str], alice: Tenant) -> Tenant:
    return make_tenant(api, client_keys["tenant-b"], "bob-of-b")


@pytest.fixture
def dora(api: Api, client_keys: dict[str, str]) -> Tenant:
    """A person of one test, because some routes change what the others return: a new invite link ends the first."""
    return make_tenant(api, client_keys["tenant-c"], "dora-of-c")


def ask(caller: Api, route: Route, ids: dict[str, str]) -> requests.Response:
    path = route[1].replace("{path+}", "nowhere").format(**(OF_A_PATH | ids))
    body = TABLE[route].body if route in TABLE else None
    headers = {"Idempotency-Key": "of-tenants"} if route == ("POST", "/generations") else {}
    return caller(route[0], path, headers=headers, **{"data" if isinstance(body, str) else "json": body})


def shape(answer: requests.Response) -> tuple[int, dict[str, str], str]:
    """Returns everything in a response that could distinguish one case from another."""
    kept = {name.lower(): value for name, value in answer.headers.items() if name.lower() not in OF_THE_REQUEST}
    return answer.status_code, kept, answer.text


def test_every_route_of_the_template_has_a_row() -> None:
    routes = {
        (each["Method"], each["Path"]): each.get("Auth", {}).get("Authorizer")
        for each in EVENTS
        if not each["Path"].startswith(CRUN_ROUTES)
    }
    assert set(PUBLIC) == {route for route, authorizer in routes.items() if authorizer == "NONE"}
    assert set(TABLE) == {route for route, authorizer in routes.items() if authorizer is None}


@pytest.mark.parametrize("route", [each for each in TABLE if each[0] != "DELETE"], ids=str)
def test_the_client_and_its_person_can_access_their_session(dora: Tenant, route: Route) -> None:
    assert ask(dora.client, route, dora.ids).status_code == TABLE[route].client
    assert ask(dora.person, route, dora.ids).status_code == TABLE[route].person


def test_only_their_client_can_erase_a_session_and_an_asset(api: Api, client_keys: dict[str, str]) -> None:
    carol = make_tenant(api, client_keys["tenant-a"], "carol-of-a")
    request = ("DELETE", "/sessions/{session_id}/requests/{name}")
    assert ask(carol.person, request, carol.ids).status_code == TABLE[request].person
    assert ask(carol.client, request, carol.ids).status_code == TABLE[request].client
    asset = ("DELETE", "/sessions/{session_id}/assets/{asset_id}")
    assert ask(carol.person, asset, carol.ids).status_code == TABLE[asset].person
    erased = ask(carol.client, asset, carol.ids)
    assert (erased.status_code, erased.json()["status"]) == (TABLE[asset].client, "redacted")
    route = ("DELETE", "/sessions/{session_id}")
    assert ask(carol.person, route, carol.ids).status_code == TABLE[route].person
    tombstone = ask(carol.client, route, carol.ids)
    assert tombstone.status_code == TABLE[route].client
    assert carol.reference not in tombstone.text
    assert tombstone.json()["status"] == "redacted"
    assert ask(carol.client, route, carol.ids).json() == tombstone.json()


def test_a_receipt_permits_the_requests_of_its_page_only(alice: Tenant, dora: Tenant) -> None:
    issued = ask(dora.person, ("POST", "/sessions/{session_id}/receipt"), dora.ids).json()
    receipt = dora.client.with_credential(urlsplit(issued["receipt_url"]).fragment)
    before = alice.seen(), dora.seen()
    for route in TABLE:
        if route not in RECEIPT:
            assert ask(receipt, route, dora.ids).status_code == 403, route
    # On another session it gets the response of a credential that does not exist.
    denied = ask(dora.client.with_credential(issued["receipt_url"][-46:-1]), ("GET", "/receipt"), dora.ids)
    for route in RECEIPT:
        if "{session_id}" in route[1]:
            for ids in (alice.ids, MISSING_IDS, ILL_FORMED):
                refused = ask(receipt, route, ids)
                assert (refused.status_code, refused.json()) == (403, denied.json()), route
    assert (alice.seen(), dora.seen()) == before
    for route, status in RECEIPT.items():
        assert ask(receipt, route, dora.ids).status_code == status, route
    assert ask(receipt, ("GET", "/receipt"), dora.ids).json() == denied.json(), "it has ended"


@pytest.mark.parametrize("route", PUBLIC, ids=str)
def test_a_credential_makes_no_difference_on_a_public_route(alice: Tenant, bob: Tenant, route: Route) -> None:
    anonymous = alice.client.with_credential(None)
    answers = [shape(ask(each, route, alice.ids)) for each in (anonymous, alice.client, bob.client, bob.person)]
    assert answers[0][0] == PUBLIC[route]
    assert answers == answers[:1] * 4
    assert shape(ask(anonymous, route, MISSING_IDS)) == answers[0]


@pytest.mark.parametrize("route", ON_A_SESSION, ids=str)
def test_ids_of_another_client_get_the_same_response_as_missing_ids(
    alice: Tenant, anna: Tenant, bob: Tenant, route: Route
) -> None:
    before = alice.seen()
    for outsider in (bob.client, bob.person, anna.person):
        foreign = shape(ask(outsider, route, alice.ids))
        assert foreign[0] == 404
        assert foreign == shape(ask(outsider, route, MISSING_IDS)) == shape(ask(outsider, route, ILL_FORMED))
    assert alice.seen() == before


def test_a_generation_is_its_clients_own(alice: Tenant, bob: Tenant) -> None:
    # A model that takes no assets. It is not asked for: the generation is canceled or refused first.
    body = {"model": "none/of-these", "input": {"prompt": "a walk"}, "reference": "video-of-alice"}
    headers = {"Idempotency-Key": "tenants-video"}
    made = alice.client("POST", "/generations", json=body, headers=headers).json()
    ids = alice.ids | {"generation_id": made["id"]}
    routes = [route for route in TABLE if "{generation_id}" in route[1]]
    for route in routes:
        for outsider in (bob.client, bob.person):
            assert shape(ask(outsider, route, ids)) == shape(ask(outsider, route, MISSING_IDS))
        assert ask(alice.person, route, ids).status_code == 403
    assert "video-of-alice" not in bob.client("GET", "/generations?limit=100").text
    own = bob.client("POST", "/generations", json=body | {"reference": "of-bob"}, headers=headers)
    assert (own.status_code, own.json()["id"] == made["id"]) == (202, False)
    assert alice.client("GET", f"/generations/{made['id']}").json()["reference"] == "video-of-alice"


def test_an_asset_is_not_found_in_another_session(alice: Tenant, anna: Tenant, bob: Tenant) -> None:
    route = ("GET", "/sessions/{session_id}/assets/{asset_id}")
    for caller, own, other in (
        (bob.client, bob, alice),
        (bob.person, bob, alice),
        (alice.person, alice, anna),
        (alice.client, alice, anna),
    ):
        foreign = shape(ask(caller, route, own.ids | {"asset_id": other.ids["asset_id"]}))
        assert foreign[0] == 404
        assert foreign == shape(ask(caller, route, own.ids | {"asset_id": MISSING_IDS["asset_id"]}))


@pytest.mark.parametrize("route", TABLE, ids=str)
def test_without_a_valid_credential_nothing_is_returned(
    alice: Tenant, keys: ClientKeys, client_keys: dict[str, str], route: Route
) -> None:
    (gone,) = [each.key_id for each in keys.known() if each.client_id == "tenant-gone"]
    keys.revoke(gone)
    before = alice.seen()
    token = str(alice.person.credential)
    for credential, status in (
        (None, 401),
        ("lk_unknown", 403),
        (client_keys["tenant-gone"], 403),
        (token[:-1] + ("A" if token[-1] != "A" else "B"), 403),
        (token.replace("tenant-a", "tenant-b"), 403),
    ):
        caller = alice.client.with_credential(credential)
        answer = shape(ask(caller, route, alice.ids))
        assert answer[0] == status
        assert answer == shape(ask(caller, route, MISSING_IDS))
    assert alice.seen() == before


def test_a_session_token_cannot_list_count_or_create(alice: Tenant) -> None:
    before = alice.seen()
    for route in (("GET", "/sessions"), ("GET", "/stats"), ("POST", "/sessions")):
        answer = ask(alice.person, route, alice.ids)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert alice.seen() == before


def test_a_list_contains_only_the_clients_own_sessions(alice: Tenant, anna: Tenant, bob: Tenant) -> None:
    foreign = {alice.ids["session_id"], anna.ids["session_id"]}
    for query in ("", "?limit=100", "?status=requires_input", f"?reference={bob.reference}"):
        listed = bob.client("GET", f"/sessions{query}").json()["sessions"]
        found = {each["id"] for each in listed}
        assert bob.ids["session_id"] in found
        assert not found & foreign
        assert {each["reference"] for each in listed} <= {bob.reference, None}
    empty = shape(bob.client("GET", "/sessions?reference=nobodys"))
    assert json.loads(empty[2])["sessions"] == []
    assert shape(bob.client("GET", f"/sessions?reference={alice.reference}")) == empty


def test_statistics_count_only_the_clients_own_sessions(alice: Tenant, anna: Tenant, bob: Tenant) -> None:
    before = bob.client("GET", "/stats").json()
    alice.client.session(start="on_open", assets=[IMAGE])
    assert bob.client("GET", "/stats").json() == before
    for tenant in (alice, bob):
        listed = tenant.client("GET", "/sessions?limit=100").json()
        assert listed["next_cursor"] is None
        assets = [each for one in listed["sessions"] for each in tenant.client.get(one["id"])["assets"]]
        days = tenant.client("GET", "/stats").json()["days"]
        statuses: Counter[str] = sum((Counter(each["statuses"]) for each in days), Counter())
        counted: Counter[str] = sum((Counter(each["assets"]) for each in days), Counter())
        assert statuses == Counter(each["status"] for each in listed["sessions"])
        assert counted == Counter(each["status"] for each in assets)


def test_a_cursor_of_another_client_returns_the_callers_own_sessions(alice: Tenant, anna: Tenant, bob: Tenant) -> None:
    first = alice.client("GET", "/sessions?limit=1").json()
    assert first["next_cursor"]
    theirs = bob.client("GET", "/sessions", params={"cursor": first["next_cursor"]}).json()
    everything = bob.client("GET", "/sessions?limit=100").json()["sessions"]
    older = [each for each in everything if each["id"] < first["sessions"][0]["id"]]
    assert (theirs["sessions"], theirs["next_cursor"]) == (older, None)


def test_two_clients_can_use_the_same_idempotency_key(alice: Tenant, bob: Tenant) -> None:
    headers = {"Idempotency-Key": "same-for-both"}
    body = {"start": "on_open", "reference": "idempotent"}
    made = [each.client("POST", "/sessions", json=body, headers=headers) for each in (alice, bob)]
    assert [each.status_code for each in made] == [201, 201]
    assert made[0].json()["id"] != made[1].json()["id"]
    # A different body conflicts only with the same client's request.
    changed = bob.client(
        "POST", "/sessions", json=body | {"language": "en"}, headers=headers | {"Idempotency-Key": "b"}
    )
    assert changed.status_code == 201
    assert alice.client("POST", "/sessions", json=body, headers={"Idempotency-Key": "b"}).status_code == 201
    for tenant, answer in zip((alice, bob), made, strict=True):
        again = tenant.client("POST", "/sessions", json=body, headers=headers)
        assert again.json() == answer.json()
        assert tenant.client.get(answer.json()["id"])["reference"] == "idempotent"
