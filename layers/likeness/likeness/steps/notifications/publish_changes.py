"""Publishes the changes in the table's stream to the event bus.

Events are published in the order of the stream, up to the first that the bus rejects. The stream is read again from
there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from likeness.contracts.events import Change
from likeness.contracts.measures import Measure, measures_of
from likeness.domain.events import Event
from likeness.errors import StorageUnavailable
from likeness.ports.notifications import EVENTS_PER_PUT, EventBus


@dataclass(frozen=True, slots=True)
class Published:
    """The events that the bus accepted, and the first change that it did not accept, None when it accepted all.

    ``measures`` is what the changes before that one add to the metrics. The others are counted when they are read
    again.
    """

    events: list[Event]
    stopped_at: Change | None
    measures: list[Measure]


@dataclass(frozen=True, slots=True)
class PublishChanges:
    """Publishes changes."""

    bus: EventBus

    def __call__(self, changes: Sequence[Change]) -> Published:
        """Publishes the events of ``changes`` in order."""
        published = [(change, event) for change in changes if (event := change.event)]
        taken, stopped_at = self._put_all(published)
        before = takewhile(lambda each: each is not stopped_at, changes)
        measures = [measure for each in before for measure in measures_of(each)]
        return Published([event for _, event in published[:taken]], stopped_at, measures)

    def _put_all(self, published: Sequence[tuple[Change, Event]]) -> tuple[int, Change | None]:
        """Returns how many events the bus accepted, and the change of the first that it did not accept."""
        for start in range(0, len(published), EVENTS_PER_PUT):
            taken = start + self._put([event for _, event in published[start : start + EVENTS_PER_PUT]])
            if taken < min(start + EVENTS_PER_PUT, len(published)):
                return taken, published[taken][0]
        return len(published), None

    def _put(self, events: Sequence[Event]) -> int:
        try:
            return self.bus.put(events)
        except StorageUnavailable:
            return 0  # earlier batches are published and need not be read again
