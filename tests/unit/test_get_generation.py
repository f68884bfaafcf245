"""GET /generations, …/{id} and /sessions/{id}/uses: what clients and people see."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import Any

import pytest

from likeness.adapters.table.dynamodb import DynamoStore
from likeness.domain.caller import Caller
from likeness.domain.generation import Generation, GenerationStatus, Media, TaskReport
from likeness.domain.receipt import Holder, Receipt
from likeness.domain.session import Problem
from likeness.errors import Forbidden, InvalidCredential, InvalidRequest, NotFound
from tests.unit.request_harness import ACME, RequestHarness, images

MISSING = "gen_01ARZ3NDEKTSV4RRFFQ69G5FAV"
MEDIA = Media("generations/gen_1/0.mp4", "video/mp4", 2345, "ab" * 32)
REPORT = TaskReport(
    "task-1", "success", media_urls=("https://cdn.crun.test/v.mp4?sig=secret",), credits=12.5, usage={"tokens": 7}
)
_COUNTER = itertools.count(1)


@pytest.fixture
def harness(store: DynamoStore, dynamodb: Any) -> RequestHarness:
    return RequestHarness(store, dynamodb)


def made(harness: RequestHarness, client_id: str = "acme", **body: Any) -> Generation:
    _, (face,) = harness.person(client_id=client_id)
    return harness.stored(harness.make(images(face, prompt="a secret walk"), caller=Caller(client_id), **body))


def ended(harness: RequestHarness, status: GenerationStatus, **outcome: Any) -> Generation:
    """Plays what the state machine does with a new generation."""
    generation = made(harness, reference="campaign-1")
    now = harness.clock.now()
    generation = harness.generations.intend(generation, "machine", now)
    generation = harness.generations.record_task(generation, f"task-{next(_COUNTER)}", now)
    if status is GenerationStatus.SUCCEEDED:
        harness.generations.record_report(generation, REPORT, now)
        generation = harness.stored({"id": generation.id})
    outcome = {"report": generation.report} | outcome
    harness.generations.end(replace(generation.ended(status, now + 60), **outcome), generation)
    return harness.stored({"id": generation.id})


def test_a_succeeded_generation_shows_its_media_by_urls_of_the_moment(harness: RequestHarness) -> None:
    generation = ended(harness, GenerationStatus.SUCCEEDED, media=(MEDIA,), credits=12.5)
    view = harness.read.one(ACME, generation.id)
    assert view["result"] == {
        "media": [
            {"url": "https://bucket.test/generations/gen_1/0.mp4?signed", "content_type": "video/mp4",
             "size_bytes": 2345, "sha256": "ab" * 32}
        ],
        "usage": {"tokens": 7},
    }  # fmt: skip
    assert (view["status"], view["credits"], view["error"], view["media_problem"]) == ("succeeded", 12.5, None, None)
    assert view["task_id"] == generation.task_id
    assert "secret" not in json.dumps(view)


def test_the_links_of_crun_are_shown_only_when_we_could_not_save_the_media(harness: RequestHarness) -> None:
    for code, shown in (("media_unavailable", list(REPORT.media_urls)), ("consent_withdrawn", None)):
        problem = Problem(code, "No media")
        generation = ended(harness, GenerationStatus.SUCCEEDED, media_problem=problem, credits=12.5)
        view = harness.read.one(ACME, generation.id)
        assert view["result"]["media"] == []
        assert view["media_problem"]["code"] == code
        assert view["media_problem"].get("upstream_media_urls") == shown
        (listed,) = [each for each in harness.read.list(ACME)["generations"] if each["id"] == generation.id]
        assert listed["media_problem"] == {"code": code, "message": "No media"}


def test_a_failure_has_the_words_of_crun(harness: RequestHarness) -> None:
    error = Problem("generation_failed", "It failed.", "501", retryable=True, upstream_message="refused by moderation")
    generation = ended(harness, GenerationStatus.FAILED, error=error, credits=0.5)
    view = harness.read.one(ACME, generation.id)
    assert view["error"] == {
        "code": "generation_failed", "message": "refused by moderation", "upstream_code": "501", "retryable": True,
    }  # fmt: skip
    assert (view["result"], view["credits"]) == (None, 0.5)


def test_an_erased_generation_shows_no_result(harness: RequestHarness) -> None:
    generation = ended(harness, GenerationStatus.SUCCEEDED, media=(MEDIA,), credits=12.5)
    harness.generations.erase(generation, harness.clock.now())
    view = harness.read.one(ACME, generation.id)
    assert (view["status"], view["result"], view["reference"]) == ("succeeded", None, None)
    assert view["erased_at"]


def test_a_generation_of_another_client_looks_like_a_missing_one(harness: RequestHarness) -> None:
    foreign = made(harness, "another")
    messages = set()
    for wanted in (foreign.id, MISSING, "gen_1", "", "ses_01ARZ3NDEKTSV4RRFFQ69G5FAV"):
        with pytest.raises(NotFound) as caught:
            harness.read.one(ACME, wanted)
        messages.add((caught.value.code, caught.value.message))
    assert messages == {("not_found", "Generation not found")}


def test_a_person_sees_no_generation(harness: RequestHarness) -> None:
    generation = made(harness)
    person = Caller("acme", session_id=generation.session_ids[0])
    with pytest.raises(Forbidden):
        harness.read.one(person, generation.id)
    with pytest.raises(Forbidden):
        harness.read.list(person)


def test_a_list_is_paged_and_filtered_and_has_no_media(harness: RequestHarness) -> None:
    caller = Caller("lister")
    ids = []
    for number in range(5):
        harness.clock.at += 1
        generation = made(harness, "lister", reference=f"campaign-{number}")
        ids.append(generation.id)
    harness.cancel(caller, ids[2])
    first = harness.read.list(caller, limit="2")
    second = harness.read.list(caller, limit="2", cursor=first["next_cursor"])
    third = harness.read.list(caller, limit="2", cursor=second["next_cursor"])
    listed = [each for page in (first, second, third) for each in page["generations"]]
    assert [each["id"] for each in listed] == ids[::-1]
    assert third["next_cursor"] is None
    assert all("result" not in each for each in listed)
    (canceled,) = harness.read.list(caller, status="canceled")["generations"]
    assert canceled["id"] == ids[2]
    wanted = listed[0]["session_ids"][0]
    assert [each["id"] for each in harness.read.list(caller, session_id=wanted)["generations"]] == [ids[4]]
    assert harness.read.list(Caller("nobody"), session_id=wanted) == {"generations": [], "next_cursor": None}


@pytest.mark.parametrize(
    "query",
    [{"limit": "0"}, {"limit": "101"}, {"limit": "x"}, {"cursor": "none"}, {"status": "done"}, {"session_id": "ses_1"}],
)
def test_a_query_that_is_not_valid_names_its_parameter(harness: RequestHarness, query: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        harness.read.list(ACME, **query)
    assert caught.value.field == next(iter(query))


def test_the_client_and_the_person_see_what_a_likeness_was_used_for(harness: RequestHarness) -> None:
    receipt = Receipt("digest", 1.0)
    session, (face,) = harness.person(person_receipt=receipt)
    first = harness.stored(harness.make(images(face)))
    harness.clock.at += 1
    second = harness.make(images(face), reference="campaign-of-alice")
    harness.cancel(ACME, second["id"])
    views = [
        harness.read.uses(each, session.id)
        for each in (
            ACME,
            Caller("acme", session_id=session.id),
            Caller("acme", session_id=session.id, receipt="digest", holder=Holder.PERSON),
        )
    ]
    assert views[0] == views[1] == views[2]
    newest, oldest = views[0]["uses"]
    assert (newest["generation_id"], newest["outcome"]) == (second["id"], "canceled")
    assert oldest == {
        "generation_id": first.id, "time": "2027-01-15T08:00:00Z", "asset_ids": [face.id], "purpose": None,
        "model": first.model, "outcome": None, "reason": None, "media_sha256": [],
    }  # fmt: skip
    assert "campaign-of-alice" not in json.dumps(views)
    page = harness.read.uses(ACME, session.id, limit="1")
    rest = harness.read.uses(ACME, session.id, limit="1", cursor=page["next_cursor"])
    assert [each["uses"][0]["generation_id"] for each in (page, rest)] == [second["id"], first.id]


def test_the_uses_of_a_person_are_nobody_elses(harness: RequestHarness) -> None:
    session, _ = harness.person()
    other, _ = harness.person()
    for caller in (Caller("another"), Caller("acme", session_id=other.id)):
        with pytest.raises(NotFound):
            harness.read.uses(caller, session.id)
    with pytest.raises(InvalidCredential):
        harness.read.uses(Caller("acme", session_id=session.id, receipt="revoked"), session.id)
    with pytest.raises(Forbidden):
        harness.read.uses(Caller("acme", session_id=session.id, invite=7), session.id)
    with pytest.raises(InvalidRequest):
        harness.read.uses(ACME, session.id, limit="1000")
