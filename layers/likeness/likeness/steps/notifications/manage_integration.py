"""GET /client-keys, GET /webhooks, POST /webhooks/{id}/test and …/replay: what a client may know of its integration.

Keys and endpoints are created and rotated by the operator's commands only, because those return secrets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from likeness.contracts.integration import key_view, make_test_delivery, webhook_view
from likeness.contracts.webhooks import concerns
from likeness.domain.caller import Caller, ClientKey
from likeness.domain.webhooks import Endpoint
from likeness.errors import Conflict, NotFound
from likeness.ports.notifications import DeadLetters, Webhooks
from likeness.ports.system import Clock, Queue

#: One request reads dead letters for this long, and at most so many: they are those of all clients.
REPLAY_SECONDS = 10
REPLAY_LETTERS = 300
#: So many reads without a letter mean that there is none: each asks only some of SQS' servers.
_EMPTY_READS = 3


class ClientKeys(Protocol):
    """The stored keys of clients."""

    def of(self, client_id: str) -> list[ClientKey]:
        """Returns every key of a client, oldest first, including revoked ones."""
        ...


@dataclass(frozen=True, slots=True)
class ManageIntegration:
    """Lists a client's keys and webhook endpoints; tests and replays an endpoint."""

    client_keys: ClientKeys
    webhooks: Webhooks
    queue: Queue
    dead_letters: DeadLetters
    clock: Clock

    def keys(self, caller: Caller) -> dict[str, Any]:
        """Returns the client's keys. Raises Forbidden for a person."""
        caller.require_client()
        return {"keys": [key_view(each) for each in self.client_keys.of(caller.client_id)]}

    def endpoints(self, caller: Caller) -> dict[str, Any]:
        """Returns the client's webhook endpoints. Raises Forbidden for a person."""
        caller.require_client()
        return {"webhooks": [webhook_view(each) for each in self.webhooks.of(caller.client_id)]}

    def test(self, caller: Caller, wanted: str) -> dict[str, Any]:
        """Queues a test event and returns its id. Raises NotFound, and Conflict for a disabled endpoint."""
        endpoint = self._enabled(caller, wanted)
        delivery = make_test_delivery(endpoint, self.clock.now(), self.clock.entropy())
        self.queue.send(delivery.to_json())
        return {"event_id": delivery.event.id}

    def replay(self, caller: Caller, wanted: str) -> dict[str, Any]:
        """Queues the endpoint's dead letters again; returns their number, and whether all letters were read.

        A letter is deleted only after it is in the queue: an interruption delivers it twice, with the same id. Raises
        NotFound, and Conflict for a disabled endpoint, whose deliveries would be dropped.
        """
        endpoint = self._enabled(caller, wanted)
        end = self.clock.now() + REPLAY_SECONDS
        others: list[str] = []
        replayed = empty = 0
        while empty < _EMPTY_READS and replayed + len(others) < REPLAY_LETTERS and self.clock.now() < end:
            letters = self.dead_letters.receive()
            empty = 0 if letters else empty + 1
            for letter in letters:
                if concerns(letter.body, endpoint.id):
                    self.queue.send(letter.body)
                    self.dead_letters.delete(letter.receipt)
                    replayed += 1
                else:
                    others.append(letter.receipt)
        for receipt in others:
            self.dead_letters.hide(receipt, 0)
        return {"replayed": replayed, "complete": empty == _EMPTY_READS}

    def _enabled(self, caller: Caller, wanted: str) -> Endpoint:
        caller.require_client()
        found = next((each for each in self.webhooks.of(caller.client_id) if each.id == wanted), None)
        if found is None:
            raise NotFound("Webhook endpoint not found")
        if found.disabled_at is not None:
            raise Conflict("The webhook endpoint is disabled; its operator can enable it", code="webhook_disabled")
        return found
