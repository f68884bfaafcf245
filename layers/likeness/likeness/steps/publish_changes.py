"""The table's stream, told to the event bus: what is stored is what is told, and nothing else is.

In the order of the stream, up to the first event that the bus does not take: from there on the stream comes again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from likeness.contracts.events import Change
from likeness.domain.events import Event
from likeness.errors import StorageUnavailable
from likeness.ports.notifications import EVENTS_PER_PUT, EventBus


@dataclass(frozen=True, slots=True)
class Published:
    """What the bus has taken, and the first change whose event it has not, None when it took all."""

    events: list[Event]
    stopped_at: Change | None


@dataclass(frozen=True, slots=True)
class PublishChanges:
    """Tells of changes."""

    bus: EventBus

    def __call__(self, changes: Sequence[Change]) -> Published:
        """Puts the events of ``changes`` in their order."""
        told = [(change, event) for change in changes if (event := change.event)]
        for start in range(0, len(told), EVENTS_PER_PUT):
            taken = start + self._put([event for _, event in told[start : start + EVENTS_PER_PUT]])
            if taken < min(start + EVENTS_PER_PUT, len(told)):
                return Published([event for _, event in told[:taken]], told[taken][0])
        return Published([event for _, event in told], None)

    def _put(self, events: Sequence[Event]) -> int:
        try:
            return self.bus.put(events)
        except StorageUnavailable:
            return 0  # what was put before is done with, and need not come again
