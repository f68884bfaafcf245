"""One message of the webhook queue: an event becomes a delivery for each endpoint of its client, a delivery is sent.

A failed delivery waits in the queue, never in a function, so no endpoint waits for another one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from likeness.contracts.webhooks import Announcement, Delivery, headers
from likeness.domain.webhooks import Endpoint, Retries, WebhookAnswer
from likeness.ports import Clock, Queue, WebhookPost, Webhooks

_GONE = 410


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done, in a word. ``pause``: it has to be tried again after so many seconds; None when it is over.

    ``status`` is what the receiver answered, None when it was not asked or did not answer.
    """

    word: str
    pause: int | None = None
    status: int | None = None


@dataclass(frozen=True, slots=True)
class SendWebhooks:
    """Tells clients. ``chance`` draws from 0 to 1."""

    webhooks: Webhooks
    queue: Queue
    post: WebhookPost
    clock: Clock
    retries: Retries
    chance: Callable[[], float]

    def __call__(self, message: Announcement | Delivery, tried: int) -> Outcome:
        """The outcome of try number ``tried`` (from 1). StorageUnavailable when AWS is away: see ``pause``."""
        if isinstance(message, Announcement):
            return self._fan_out(message)
        endpoint = self.webhooks.find(message.event.client_id, message.endpoint_id)
        if endpoint is None:
            return Outcome("removed")
        if endpoint.disabled_at is not None:
            return Outcome("disabled")
        return self._deliver(endpoint, message, tried)

    def pause(self, tried: int, asked: float = 0) -> int:
        """Seconds to wait after try number ``tried`` has failed; ``asked`` for by the receiver."""
        return self.retries.pause(tried, self.chance(), asked)

    def _fan_out(self, message: Announcement) -> Outcome:
        # Dying in between tells some endpoints twice, under the same webhook-id.
        event = message.event
        for each in self.webhooks.of(event.client_id):
            if each.takes(event.type):
                self.queue.send(Delivery(each.id, event).to_json())
        return Outcome("fanned_out")

    def _deliver(self, endpoint: Endpoint, message: Delivery, tried: int) -> Outcome:
        now = self.clock.now()
        event = message.event
        answer = self.post(endpoint.url, headers(event, endpoint.secrets(now), now), event.body)
        if answer.accepted:
            return Outcome("delivered", status=answer.status)
        if answer.status == _GONE:
            self.webhooks.disable(endpoint.client_id, endpoint.id, "gone", self.clock.now())
            return Outcome("disabled", status=answer.status)
        return Outcome(_why(answer), self.pause(tried, answer.retry_after), answer.status)


def _why(answer: WebhookAnswer) -> str:
    if answer.status is None:
        return answer.problem or "no_answer"
    return "redirected" if 300 <= answer.status < 400 else "not_accepted"
