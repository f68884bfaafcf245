"""Handles one message of the webhook queue: fans out an event to the client's endpoints, or sends a delivery.

When a task that crun's own route has created is over, its caller's URL gets a callback in the same way. No endpoint
belongs to it, so that nothing is paused.

A failed delivery waits in the queue, never in a function, so no endpoint waits for another one. While an endpoint
is unavailable, one delivery at a time is attempted and the others wait in the table, so that they use neither the
invocations nor the queue of other endpoints. After the first accepted delivery, a resumption sends the waiting ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from likeness.contracts.webhooks import (
    TEST_EVENT,
    Announcement,
    Delivery,
    Resumption,
    TaskOver,
    WebhookEvent,
    WebhookMessage,
    headers,
)
from likeness.domain.webhooks import PAUSE_AFTER_SECONDS, Endpoint, Retries, WebhookAnswer
from likeness.ports.notifications import WebhookPost, Webhooks
from likeness.ports.system import Clock, Queue
from likeness.steps.notifications.call_back import HEADERS, TaskCallback

_GONE = 410
#: How long an invocation starts waiting deliveries. The next invocation sends the rest.
RESUMPTION_SECONDS = 10
_PAGE = 25


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one attempt, as a code in ``word``.

    ``pause`` is the number of seconds until the next attempt, None for no further attempt. ``status`` is the
    receiver's HTTP status, None when no request was sent or answered. ``paused`` is whether the endpoint is paused.
    ``accepted`` are the events that a resumption has delivered.
    """

    word: str
    pause: int | None = None
    status: int | None = None
    paused: bool = False
    accepted: tuple[WebhookEvent, ...] = ()

    def facts(self, message: WebhookMessage, tried: int) -> Iterator[dict[str, object]]:
        """Yields the log facts of attempt ``tried`` of ``message``: one for each ``accepted`` event, then its own."""
        common: dict[str, object] = {"try": tried}
        if isinstance(message, Delivery | Resumption):
            common |= {"endpoint_id": message.endpoint_id}
        for each in self.accepted:
            yield common | {"type": each.type, "outcome": "delivered"} | each.ids
        yield common | {"type": message.type, "outcome": self.word, "status": self.status}


class Callbacks(Protocol):
    """The callbacks of tasks that are over."""

    def __call__(self, generation_id: str) -> TaskCallback | None:
        """Returns the callback; None when nobody wants one."""

    def is_wanted(self, generation_id: str) -> bool:
        """Returns whether there is one, without making it."""


@dataclass(frozen=True, slots=True)
class SendWebhooks:
    """Sends webhooks. ``chance()`` returns a random number from 0 to 1."""

    webhooks: Webhooks
    queue: Queue
    post: WebhookPost
    clock: Clock
    retries: Retries
    chance: Callable[[], float]
    call_back: Callbacks

    def __call__(self, message: WebhookMessage, tried: int) -> Outcome:
        """Returns the outcome of attempt ``tried`` (from 1). Raises StorageUnavailable: see ``deferred``."""
        if isinstance(message, Announcement):
            return self._fan_out(message)
        if isinstance(message, TaskOver):
            return self._call_back(message, tried)
        endpoint = self.webhooks.find(message.client_id, message.endpoint_id)
        if endpoint is None:
            return Outcome("removed")
        if endpoint.disabled_at is not None:
            return Outcome("disabled")
        if isinstance(message, Resumption):
            return self._resume(endpoint, message, tried)
        return self._deliver(endpoint, message.event, tried)

    def pause(self, tried: int, asked: float = 0) -> int:
        """Returns the seconds to wait after failed attempt ``tried``. The receiver asked for ``asked`` seconds."""
        return self.retries.pause(tried, self.chance(), asked)

    def deferred(self, tried: int) -> Outcome:
        """Returns the outcome of attempt ``tried`` after it raised an error."""
        return Outcome("deferred", self.pause(tried))

    def _fan_out(self, message: Announcement) -> Outcome:
        # If this fails in between, some endpoints get the event twice, with the same webhook-id.
        event = message.event
        for each in self.webhooks.of(event.client_id):
            if each.takes(event.type):
                self.queue.send(Delivery(each.id, event).to_json())
        ended = event.ended_generation
        if ended is not None and self.call_back.is_wanted(ended):
            self.queue.send(TaskOver(ended, event.client_id).to_json())
        return Outcome("fanned_out")

    def _call_back(self, message: TaskOver, tried: int) -> Outcome:
        callback = self.call_back(message.generation_id)
        if callback is None:
            return Outcome("removed")  # it was erased, or runs again
        answer = self.post(callback.url, HEADERS, callback.body)
        if answer.accepted or answer.status == _GONE:
            return Outcome("delivered" if answer.accepted else "gone", status=answer.status)
        return Outcome(_reason_of(answer), self.pause(tried, answer.retry_after), answer.status)

    def _deliver(self, endpoint: Endpoint, event: WebhookEvent, tried: int) -> Outcome:
        if self._has_to_wait(endpoint, event):
            now_available = self._wait(endpoint, event)
            if now_available is None:
                return Outcome("waiting", paused=endpoint.paused_at is not None)
            endpoint = now_available
        began, answer = self._post(endpoint, event)
        if answer.accepted:
            # The second condition: the previous invocation stored the resumption but may not have sent its message.
            if endpoint.failing_since is not None or endpoint.resumption == event.id:
                self.webhooks.resume(endpoint, event.id)
                if self.webhooks.waiting(endpoint, 1):
                    self.queue.send(Resumption(endpoint.id, endpoint.client_id, event.id).to_json())
            return Outcome("delivered", status=answer.status)
        outcome = self._failed(endpoint, event.id, tried, began, answer)
        waits = outcome.paused and self._is_last(tried) and event.type != TEST_EVENT
        if waits and self._wait(endpoint, event) is None:
            return replace(outcome, word="waiting", pause=None)
        return outcome

    def _has_to_wait(self, endpoint: Endpoint, event: WebhookEvent) -> bool:
        now = self.clock.now()
        if not endpoint.is_unavailable(now) or event.type == TEST_EVENT:
            return False
        if endpoint.paused_at is not None:
            return event.id != endpoint.probe
        return not self.webhooks.try_alone(endpoint, now)

    def _wait(self, endpoint: Endpoint, event: WebhookEvent) -> Endpoint | None:
        """Stores a waiting delivery. Returns the endpoint if it became available meanwhile and nothing needs to wait.

        A resumption reads the waiting deliveries after it marks the endpoint available. This method reads the endpoint
        after it stores the delivery. Whichever comes second sees the other.
        """
        now = self.clock.now()
        self.webhooks.keep(endpoint, event.waiting, now)
        again = self.webhooks.find(endpoint.client_id, endpoint.id)
        if again is None or again.disabled_at is not None or again.is_unavailable(now):
            return None
        self.webhooks.forget(endpoint, event.waiting)  # the message itself is still in the queue
        return again

    def _resume(self, endpoint: Endpoint, message: Resumption, tried: int) -> Outcome:
        if endpoint.resumption != message.id:
            return Outcome("superseded")  # by a later one
        end = self.clock.now() + RESUMPTION_SECONDS
        accepted: list[WebhookEvent] = []
        while waiting := self.webhooks.waiting(endpoint, _PAGE):
            for each in waiting:
                event = WebhookEvent.read(each.body)
                began, answer = self._post(endpoint, event)
                if not answer.accepted:
                    outcome = self._failed(endpoint, message.id, tried, began, answer, give_up=self._is_last(tried))
                    return replace(outcome, accepted=tuple(accepted))
                if endpoint.failing_since is not None:
                    self.webhooks.resume(endpoint, message.id)
                    endpoint = replace(endpoint, failing_since=None, paused_at=None)
                self.webhooks.forget(endpoint, each)
                accepted.append(event)
                if self.clock.now() >= end:
                    self.queue.send(message.to_json())
                    return Outcome("resuming", accepted=tuple(accepted))
        return Outcome("resumed", accepted=tuple(accepted))

    def _is_last(self, tried: int) -> bool:
        return tried >= self.retries.tries

    def _post(self, endpoint: Endpoint, event: WebhookEvent) -> tuple[float, WebhookAnswer]:
        """Returns when the attempt started, and the receiver's answer."""
        now = self.clock.now()
        return now, self.post(endpoint.url, headers(event, endpoint.secrets(now), now), event.body)

    def _failed(
        self,
        endpoint: Endpoint,
        name: str,
        tried: int,
        began: float,
        answer: WebhookAnswer,
        *,
        give_up: bool = False,
    ) -> Outcome:
        """Returns the outcome of a failed attempt of message ``name``.

        ``give_up``: no message is left that would retry the waiting deliveries, so the endpoint is paused, however
        recently it began to fail.
        """
        now = self.clock.now()
        if answer.status == _GONE:
            self.webhooks.disable(endpoint.client_id, endpoint.id, "gone", now)
            return Outcome("disabled", status=answer.status)
        since = began if endpoint.failing_since is None else endpoint.failing_since
        paused = endpoint.paused_at is not None
        if not paused and (give_up or now - since >= PAUSE_AFTER_SECONDS):
            paused = self.webhooks.pause(endpoint, since, name, now, answer.failure)
        elif not paused:
            self.webhooks.failed(endpoint, began, answer.failure)
        pause = None if give_up else self.pause(tried, answer.retry_after)
        return Outcome(_reason_of(answer), pause, answer.status, paused)


def _reason_of(answer: WebhookAnswer) -> str:
    if answer.status is None:
        return answer.problem or "no_answer"
    return "redirected" if 300 <= answer.status < 400 else "not_accepted"
