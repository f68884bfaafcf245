"""The callback of a task that crun's own route has created: when it is sent, what it contains, and how it ends."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from likeness.adapters.table.dynamodb import DynamoStore
from likeness.contracts.drop_in_tasks import task_info
from likeness.contracts.events import GenerationChange
from likeness.contracts.webhooks import Announcement, Delivery, TaskOver, WebhookEvent, concerns, read_webhook_message
from likeness.domain.generation import Generation, GenerationStatus, Media
from likeness.domain.session import Problem
from likeness.domain.webhooks import Endpoint, WebhookAnswer, new_secret
from likeness.steps.notifications.call_back import CallBack
from likeness.steps.notifications.send_webhooks import Outcome, SendWebhooks
from tests.unit.fakes import FakeClock, FakeQueue, FakeWebhookPost, FakeWebhooks
from tests.unit.generation_harness import GenerationHarness, harness_of
from tests.unit.step_harness import StepHarness
from tests.unit.test_send_webhooks import DEFAULT

URL = "https://shop.example/tasks?canary-token"
SUCCEEDED = GenerationStatus.SUCCEEDED


class Calling:
    """The step SendWebhooks with generations in a table. Each presigned URL differs."""

    def __init__(self, rows: GenerationHarness) -> None:
        self.rows = rows
        self.webhooks, self.queue, self.post = FakeWebhooks(), FakeQueue(), FakeWebhookPost()
        self.signed = 0
        call_back = CallBack(rows.generations, self._url)
        self.step = SendWebhooks(
            self.webhooks, self.queue, self.post, FakeClock(), DEFAULT, lambda: 0.0, call_back
        )  # fmt: skip

    def _url(self, media: Media) -> str:
        self.signed += 1
        return f"https://bucket.test/{media.key}?signed-{self.signed}"

    def ended(self, status: GenerationStatus = SUCCEEDED, **changes: Any) -> Generation:
        """Stores a generation of crun's own route whose task is over."""
        before = self.rows.running(**({"drop_in": True, "callback_url": URL} | changes))
        media = (Media(f"generations/{before.id}/1.mp4", "video/mp4", 10, "ab"),) if status is SUCCEEDED else ()
        error = None if status is SUCCEEDED else Problem("generation_failed", "blocked")
        self.rows.generations.end(replace(before.ended(status, self.rows.clock.now(), error), media=media), before)
        return self.rows.row(before)

    def announce(self, generation: Generation, before: GenerationStatus = GenerationStatus.RUNNING) -> Outcome:
        change = GenerationChange("evt_1", "1", replace(generation, status=before), generation)
        event = change.event
        assert event
        return self.step(Announcement(WebhookEvent(event.type, dict(event.detail))), 1)

    @property
    def messages(self) -> list[Any]:
        return [read_webhook_message(body) for body, _ in self.queue.sent]


@pytest.fixture
def calling(store: DynamoStore, dynamodb: Any) -> Calling:
    return Calling(harness_of(StepHarness(store, dynamodb)))


@pytest.mark.parametrize("status", [SUCCEEDED, GenerationStatus.FAILED, GenerationStatus.UNCERTAIN])
def test_the_end_of_a_task_becomes_a_message_with_ids_alone(calling: Calling, status: GenerationStatus) -> None:
    ended = calling.ended(status)
    assert calling.announce(ended) == Outcome("fanned_out")
    assert calling.messages == [TaskOver(ended.id, "acme")]
    ((body, _),) = calling.queue.sent
    assert json.loads(body) == {"task_over": ended.id, "client_id": "acme"}
    assert not calling.post.posted


def test_endpoints_get_the_event_as_well(calling: Calling) -> None:
    calling.webhooks.add(Endpoint("acme", "whe_1", "https://hooks.example/", new_secret(b"1" * 32), 1.0))
    calling.announce(calling.ended())
    assert [type(each) for each in calling.messages] == [Delivery, TaskOver]


@pytest.mark.parametrize("changes", [{"callback_url": None}, {"drop_in": False, "callback_url": None}])
def test_nobody_is_called_who_gave_no_url(calling: Calling, changes: dict[str, Any]) -> None:
    calling.announce(calling.ended(**changes))
    assert calling.messages == []


def test_no_callback_before_the_end_nor_without_a_task(calling: Calling) -> None:
    running = calling.rows.running(drop_in=True, callback_url=URL)
    calling.announce(running, GenerationStatus.QUEUED)
    queued = calling.rows.queued(drop_in=True, callback_url=URL)
    for status in (GenerationStatus.CANCELED, GenerationStatus.REFUSED, GenerationStatus.UNCERTAIN):
        calling.announce(replace(queued, status=status), GenerationStatus.QUEUED)
    assert calling.messages == []


def test_the_callback_is_task_info_to_the_callers_url_without_a_signature(calling: Calling) -> None:
    ended = calling.ended()
    assert calling.step(TaskOver(ended.id, "acme"), 1) == Outcome("delivered", status=204)
    ((url, headers, body),) = calling.post.posted
    assert url == URL
    assert headers == {"Content-Type": "application/json", "User-Agent": "Likeness"}
    signed = lambda media: f"https://bucket.test/{media.key}?signed-1"  # noqa: E731
    assert json.loads(body) == task_info(ended, signed)


def test_each_try_has_new_urls(calling: Calling) -> None:
    ended = calling.ended()
    calling.post.answers.append(WebhookAnswer(500))
    assert calling.step(TaskOver(ended.id, "acme"), 1) == Outcome("not_accepted", 5, 500)
    calling.step(TaskOver(ended.id, "acme"), 2)
    first, second = (json.loads(body)["result"]["media_urls"] for _, _, body in calling.post.posted)
    assert first != second


@pytest.mark.parametrize(
    ("answer", "tried", "outcome"),
    [
        (WebhookAnswer(503, 60), 1, Outcome("not_accepted", 60, 503)),
        (WebhookAnswer(302), 2, Outcome("redirected", 300, 302)),
        (WebhookAnswer(problem="timeout"), 1, Outcome("timeout", 5)),
        (WebhookAnswer(500), 10, Outcome("not_accepted", 0, 500)),
        (WebhookAnswer(410), 1, Outcome("gone", status=410)),
    ],
)
def test_the_tries_are_those_of_webhooks(calling: Calling, answer: WebhookAnswer, tried: int, outcome: Outcome) -> None:
    ended = calling.ended()
    calling.post.answers.append(answer)
    assert calling.step(TaskOver(ended.id, "acme"), tried) == outcome
    assert not outcome.paused, "no endpoint belongs to it"


def test_an_erased_request_is_not_sent_anymore(calling: Calling) -> None:
    ended = calling.ended()
    calling.rows.generations.erase(ended, calling.rows.clock.now())
    assert calling.step(TaskOver(ended.id, "acme"), 2) == Outcome("removed")
    assert calling.step(TaskOver("gen_01ARZ3NDEKTSV4RRFFQ69G5FB1", "acme"), 1) == Outcome("removed")
    assert not calling.post.posted


def test_a_log_line_has_the_generation_alone(calling: Calling) -> None:
    message = TaskOver("gen_01ARZ3NDEKTSV4RRFFQ69G5FB1", "acme")
    assert list(Outcome("delivered", status=204).facts(message, 1)) == [
        {"try": 1, "type": "task_callback", "outcome": "delivered", "status": 204}
    ]
    assert message.ids == {"generation_id": message.generation_id}


@pytest.mark.parametrize("body", ['{"task_over": 7, "client_id": "c"}', '{"task_over": "g"}', '{"task_over": ""}'])
def test_an_invalid_message_is_refused(body: str) -> None:
    with pytest.raises(ValueError, match=r"generation_id|client_id"):
        read_webhook_message(body)


def test_a_dead_letter_belongs_to_no_endpoint() -> None:
    assert not concerns(TaskOver("gen_1", "acme").to_json(), "whe_1")
