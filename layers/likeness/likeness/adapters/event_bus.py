"""The event bus on EventBridge."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from likeness.adapters.aws import translated
from likeness.domain.events import Event

if TYPE_CHECKING:
    from mypy_boto3_events.client import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

SOURCE = "likeness"


class EventBridge:
    """The port ``EventBus``."""

    def __init__(self, client: EventBridgeClient, name: str) -> None:
        self._client, self._name = client, name

    def put(self, events: Sequence[Event]) -> int:
        """See the port."""
        entries: list[PutEventsRequestEntryTypeDef] = [
            {
                "EventBusName": self._name,
                "Source": SOURCE,
                "DetailType": each.type,
                "Detail": json.dumps(dict(each.detail), separators=(",", ":")),
            }
            for each in events
        ]
        with translated():
            answers = self._client.put_events(Entries=entries)["Entries"]
        # The response has one entry per request entry, in the same order.
        return next((index for index, each in enumerate(answers) if "ErrorCode" in each), len(events))
