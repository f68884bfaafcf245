"""The table's stream, published to the event bus: what is stored is what is published, and nothing else is.

In the order of the stream, up to the first event that the bus does not take: from there on the stream comes again.
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
    """What the bus has taken, and the first change whose event it has not, None when it took all.

    ``measures`` is what the changes before that one add to the metrics: the others come again, and are counted then.
    """

    events: list[Event]
    stopped_at: Change | None
    measures: list[Measure]


@dataclass(frozen=True, slots=True)
class PublishChanges:
    """Publishes changes."""

    bus: EventBus

    def __call__(self, changes: Sequence[Change]) -> Published:
        """Puts the events of ``changes`` in their order."""
        published = [(change, event) for change in changes if (event := change.event)]
        taken, stopped_at = self._put_all(published)
        before = takewhile(lambda each: each is not stopped_at, changes)
        measures = [measure for each in before for measure in measures_of(each)]
        return Published([event for _, event in published[:taken]], stopped_at, measures)

    def _put_all(self, published: Sequence[tuple[Change, Event]]) -> tuple[int, Change | None]:
        """How many events the bus has taken, and the change of the first that it has not."""
        for start in range(0, len(published), EVENTS_PER_PUT):
            taken = start + self._put([event for _, event in published[start : start + EVENTS_PER_PUT]])
            if taken < min(start + EVENTS_PER_PUT, len(published)):
                return taken, published[taken][0]
        return len(published), None

    def _put(self, events: Sequence[Event]) -> int:
        try:
            return self.bus.put(events)
        except StorageUnavailable:
            return 0  # what was put before is done with, and need not come again
