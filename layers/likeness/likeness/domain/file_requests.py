"""A file request: a named file that the client does not have and asks the person for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from likeness.domain.fields import about, from_values
from likeness.domain.media.types import AssetType

MAX_REQUESTS_PER_SESSION = 20
HINT_LIMIT = 200


class RequestStatus(StrEnum):
    """The status of a file request, from that of its file.

    ``open``: no file has arrived, or it failed or was erased. ``received``: it arrived and is on its way to crun.
    """

    OPEN = "open"
    RECEIVED = "received"
    ACTIVE = "active"


@dataclass(frozen=True, slots=True)
class FileRequest:
    """One named file that the person is asked for. The name and the hint are the client's texts for the person.

    ``position`` orders the requests of a session. ``asset_id`` is the newest asset that was registered for it, in any
    status; None before the first one.
    """

    name: str = field(metadata=about(key=True))
    asset_type: AssetType = field(metadata=about(AssetType, exported=True))
    hint: str | None = None
    required: bool = field(default=True, metadata=about(exported=True))
    position: int = field(default=0, metadata=about(exported=True))
    asset_id: str | None = field(default=None, metadata=about(exported=True))

    def asks_the_same(self, other: FileRequest) -> bool:
        """Whether both ask for the same file in the same words."""
        mine, its = ((each.name, each.asset_type, each.hint, each.required) for each in (self, other))
        return mine == its


def read_requests(stored: Mapping[str, Mapping[str, Any]]) -> dict[str, FileRequest]:
    """The requests in a stored mapping by name, in the order in which they were made."""
    found = [from_values(FileRequest, {**each, "name": name}) for name, each in stored.items()]
    return {each.name: each for each in sorted(found, key=lambda each: each.position)}
