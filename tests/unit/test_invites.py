"""Invite links: they are replaced by newer ones, and do not work while their client has no key."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest

from likeness.adapters.table.client_keys import DynamoClientKeys
from likeness.domain.caller import Caller
from likeness.domain.crun import H5Session
from likeness.domain.session import Consent
from likeness.domain.signing import issue_session_token, read_session_token
from likeness.errors import Conflict, Forbidden, NotFound
from likeness.runtime import bootstrap
from likeness.steps.onboarding.create_session import CreateSession
from likeness.steps.upkeep.erase_session import EraseAsset, EraseSession
from ops.client_keys import ClientKeys
from tests.functions import cold_start
from tests.unit.api_harness import KEY, Answer, ApiHarness, service
from tests.unit.fakes import no_generations
from tests.unit.step_harness import BASE, StepHarness

SESSION = "/sessions/{session_id}"
IMAGE = {"name": "front", "asset_type": "Image", "content_type": "image/jpeg", "size_bytes": 1000}


@dataclass
class InviteHarness:
    """Sends requests of a client and its persons through the authorizer and the handlers."""

    api: ApiHarness
    keys: ClientKeys

    def as_holder_of(self, credential: str) -> ApiHarness:
        found = self.api.allows(credential)
        assert found["policyDocument"]["Statement"][0]["Effect"] == "Allow"
        return ApiHarness(self.api.apps, self.api.store, found["context"])

    def ask(self, caller: ApiHarness, method: str, what: str, session: str, body: Any = None) -> Answer:
        function = {"/invite": "create_session", "/attempts": "create_session", "/assets": "register_asset",
                    "/consent": "record_consent", "": "get_session"}[what]  # fmt: skip
        function = "revoke_invite" if method == "DELETE" else function
        text = None if body is None else json.dumps(body)
        parameters = {"session_id": session}
        return caller.request(
            function, method, SESSION + what, f"/sessions/{session}{what}", parameters=parameters, body=text
        )


@pytest.fixture(scope="module")
def invites() -> Iterator[InviteHarness]:
    with service() as running:
        running.apps |= {each: cold_start(each) for each in ("record_consent", "revoke_invite")}
        yield InviteHarness(running, ClientKeys(boto3.client("dynamodb"), "Table"))


@pytest.fixture
def client(invites: InviteHarness) -> ApiHarness:
    for each in invites.keys.known():
        invites.keys.revoke(each.key_id)
    clear_caches(invites)
    return invites.as_holder_of(invites.keys.add("acme"))


def token_of(answer: Answer) -> str:
    found: str = answer.json["invite_url"].partition("#")[2]
    return found


def test_a_new_invite_link_revokes_the_older_ones(invites: InviteHarness, client: ApiHarness) -> None:
    made = client.create(reference="order-1")
    session, tokens = made.json["id"], [token_of(made)]
    for number in (1, 2):
        renewed = invites.ask(client, "POST", "/invite", session)
        assert (renewed.status, renewed.json["id"], renewed.json["reference"]) == (201, session, "order-1")
        assert renewed.json["invite_url"].startswith("https://likeness.example/v1/invite#st_")
        tokens.append(token_of(renewed))
        read = read_session_token([KEY], tokens[-1], time.time())
        assert read
        assert (read.session_id, read.invite) == (session, number)
        for old in tokens[:-1]:
            person = invites.as_holder_of(old)  # the authorizer reads no session, so the step refuses
            for method, what, body in (("GET", "", None), ("POST", "/assets", IMAGE), ("POST", "/attempts", None)):
                answer = invites.ask(person, method, what, session, body)
                assert (answer.status, answer.json["code"]) == (403, "forbidden")
                assert "replaced by a newer one" in answer.json["detail"]
        newest = invites.as_holder_of(tokens[-1])
        assert invites.ask(newest, "GET", "", session).status == 200
        assert invites.ask(newest, "POST", "/assets", session, IMAGE).status == 201


def test_a_revoked_invite_link_stops_working_and_a_new_one_can_follow(
    invites: InviteHarness, client: ApiHarness
) -> None:
    made = client.create()
    session, token = made.json["id"], token_of(made)
    for _ in range(2):
        revoked = invites.ask(client, "DELETE", "/invite", session)
        assert (revoked.status, revoked.json["id"]) == (200, session)
        assert "invite_url" not in revoked.json
        assert invites.ask(invites.as_holder_of(token), "GET", "", session).status == 403
    renewed = token_of(invites.ask(client, "POST", "/invite", session))
    assert invites.ask(invites.as_holder_of(renewed), "GET", "", session).status == 200
    assert invites.ask(invites.as_holder_of(renewed), "DELETE", "/invite", session).status == 403
    assert invites.ask(invites.as_holder_of(renewed), "GET", "", session).status == 200
    assert invites.ask(client, "DELETE", "/invite", "ses_01K00000000000000000000000").status == 404


def test_a_token_of_an_earlier_version_counts_as_number_zero(invites: InviteHarness, client: ApiHarness) -> None:
    session = client.session()
    old = issue_session_token([KEY], session, "acme", int(time.time()) + 60)
    assert old.count(".") == 3, "the format of the earlier version"
    assert "invite" not in invites.api.allows(old)["context"]
    assert invites.ask(invites.as_holder_of(old), "GET", "", session).status == 200
    invites.ask(client, "POST", "/invite", session)
    assert invites.ask(invites.as_holder_of(old), "GET", "", session).status == 403


def test_a_number_cannot_be_forged(invites: InviteHarness, client: ApiHarness) -> None:
    session = client.session()
    good = token_of(invites.ask(client, "POST", "/invite", session))
    head, number, mac = good.rsplit(".", 2)
    assert number == "1"
    zero = token_of(client.create())
    for forged in (
        f"{head}.2.{mac}",
        f"{head}.{mac}",
        f"{head}.01.{mac}",
        f"{head}..{mac}",
        f"{head}.1.1.{mac}",
        zero.rsplit(".", 1)[0] + ".1." + zero.rsplit(".", 1)[1],
        f"{head}.-1.{mac}",
        f"{head}.\u0661.{mac}",
    ):
        assert invites.api.allows(forged)["policyDocument"]["Statement"][0]["Effect"] == "Deny", forged  # fmt: skip


def test_only_a_client_renews_an_invite_and_only_its_own(invites: InviteHarness, client: ApiHarness) -> None:
    made = client.create()
    session = made.json["id"]
    assert invites.ask(invites.as_holder_of(token_of(made)), "POST", "/invite", session).status == 403
    other = invites.as_holder_of(invites.keys.add("other"))
    for foreign in (session, "ses_01ARZ3NDEKTSV4RRFFQ69G5FAV", "ses_1", "x" * 3000):
        assert invites.ask(other, "POST", "/invite", foreign).status == 404
    assert invites.ask(invites.as_holder_of(token_of(made)), "GET", "", session).status == 200, "it still works"


def test_an_erased_session_gets_no_invite(harness: StepHarness) -> None:
    one = harness.session()
    step = CreateSession(harness.store, harness.links(), harness.files, harness.keys, harness.clock, 5)
    assert harness.store.redact_session(harness.row(one), harness.clock.now())
    with pytest.raises(Conflict, match="cannot have an invite link"):
        step.renew_invite(Caller("acme"), one.id, BASE)


def test_the_principal_of_a_request_is_the_client_or_the_session(invites: InviteHarness, client: ApiHarness) -> None:
    made = client.create()
    assert invites.api.allows(token_of(made))["principalId"] == made.json["id"]
    assert invites.api.allows(invites.keys.add("acme"))["principalId"] == "acme"
    assert invites.api.allows("lk_unknown")["principalId"] == "unknown"


# -- the client's last key ------------------------------------------------------------------------------------------


def statuses_of(invites: InviteHarness, person: ApiHarness, session: str) -> dict[str, int]:
    """Returns the statuses of a person's requests that cause costs."""
    agreed = {"text_version": "none", "language": "en", "sha256": "0" * 64}
    asked = {"/attempts": None, "/assets": IMAGE, "/consent": agreed}
    return {what: invites.ask(person, "POST", what, session, body).status for what, body in asked.items()}


def test_all_keys_of_a_client_revoked(invites: InviteHarness, client: ApiHarness) -> None:
    invites.keys.add("acme")
    made = client.create()
    session, person = made.json["id"], invites.as_holder_of(token_of(made))
    allowed = {"/attempts": 409, "/assets": 201, "/consent": 409}  # the person has not consented, to another text
    assert statuses_of(invites, person, session) == allowed
    living = [each.key_id for each in invites.keys.known() if not each.revoked_at]
    invites.keys.revoke(living[0])
    clear_caches(invites)
    assert statuses_of(invites, person, session) == allowed, "one of two keys is left"
    invites.keys.revoke(living[1])
    clear_caches(invites)
    assert statuses_of(invites, person, session) == {"/attempts": 403, "/assets": 403, "/consent": 403}
    assert invites.ask(person, "GET", "", session).status == 200, "stored data may be read"
    invites.keys.add("other")
    assert statuses_of(invites, person, session)["/assets"] == 403
    invites.keys.add("acme")
    assert statuses_of(invites, person, session) == allowed, "a new key allows them again immediately"


def clear_caches(invites: InviteHarness) -> None:
    """Clears the caches of the processes, as after a minute."""
    for name in ("create_session", "register_asset", "record_consent"):
        app = invites.api.apps[name]
        step = next(each for each in vars(app).values() if hasattr(each, "has_key"))
        step.has_key.__self__._seen.clear()


def test_a_revocation_takes_effect_within_five_minutes(invites: InviteHarness, client: ApiHarness) -> None:
    now = [0.0]
    dynamodb = boto3.client("dynamodb")
    reads: list[str] = []
    dynamodb.meta.events.register("before-call.dynamodb", lambda model, **_: reads.append(model.name))
    keys = DynamoClientKeys(dynamodb, "Table", lambda: now[0])
    assert all(keys.has_any("acme") for _ in range(50))
    assert reads == ["Query"]
    for each in invites.keys.known():
        invites.keys.revoke(each.key_id)
    now[0] += 299
    assert not keys.has_any("acme")
    assert not keys.has_any("nobody")


# -- what a person sees ---------------------------------------------------------------------------------------------


def test_a_persons_view_has_no_reference(invites: InviteHarness, client: ApiHarness) -> None:
    made = client.create(reference="order-4711")
    session, person = made.json["id"], invites.as_holder_of(token_of(made))
    assert "reference" not in invites.ask(person, "GET", "", session).json
    assert "order-4711" not in invites.ask(person, "GET", "", session).body
    assert invites.ask(client, "GET", "", session).json["reference"] == "order-4711"


def test_a_persons_attempt_has_no_reference(harness: StepHarness) -> None:
    one = harness.session(reference="order-4711", consent=Consent("1", "2027-01-15T08:00:00Z"))
    harness.crun.sessions.append(H5Session("t", "https://h5.test/"))
    step = CreateSession(harness.store, harness.links(), harness.files, harness.keys, harness.clock, 5)
    shown = step.create_attempt(Caller("acme", session_id=one.id), one.id, BASE)
    assert "order-4711" not in json.dumps(shown)


# -- ids ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "odd", ["x" * 3000, "ses_" + "0" * 3000, "ses_1", "人", " ", "ses_01ARZ3NDEKTSV4RRFFQ69G5FAV#"]
)
def test_a_session_id_of_3000_characters(invites: InviteHarness, client: ApiHarness, odd: str) -> None:
    calls: list[str] = []
    agreed = {"text_version": "none", "language": "en", "sha256": "0" * 64}
    bootstrap.client("dynamodb").meta.events.register(
        "before-call.dynamodb", lambda model, **_: calls.append(model.name)
    )
    for method, what, body in (
        ("GET", "", None), ("POST", "/attempts", None), ("POST", "/invite", None), ("POST", "/assets", IMAGE),
        ("POST", "/consent", agreed),
    ):  # fmt: skip
        answer = invites.ask(client, method, what, odd, body)
        assert (answer.status, answer.json["code"]) == (404, "not_found")
    assert calls == [], "AWS is not called"


def test_an_erasure_with_an_invalid_id_reads_nothing(harness: StepHarness) -> None:
    erase = EraseSession(None, harness.files, harness.workflows, harness.clock, no_generations)  # type: ignore[arg-type]
    with pytest.raises(NotFound):
        erase(Caller("acme"), "x" * 3000)
    with pytest.raises(NotFound):
        EraseAsset(None, harness.files, harness.clock)(Caller("acme"), "x" * 3000, "y")  # type: ignore[arg-type]


def test_a_replaced_link_is_refused_before_any_other_check() -> None:
    with pytest.raises(Forbidden):
        Caller("acme", session_id="s").require_living_client(lambda _: False)
    Caller("acme").require_living_client(lambda _: False)


def test_the_persons_first_request_gets_the_session_and_the_text(invites: InviteHarness, client: ApiHarness) -> None:
    made = client.create(language="zh-Hant")
    person = invites.as_holder_of(token_of(made))
    path, parameters = f"/sessions/{made.json['id']}", {"session_id": made.json["id"]}
    for wanted, language in (("session", "zh-Hant"), ("en", "en")):
        query = {"consent_text": [wanted]}
        found = person.request("get_session", "GET", SESSION, path, parameters=parameters, query=query).json
        assert found["id"] == made.json["id"]
        assert found["consent_text"]["language"] == language
