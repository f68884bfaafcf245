"""Messages on the onboarding queue. They contain ids only; the consumer reads the current state from the table.

Plain dataclasses, because Pydantic would take a third of the callback's cold start. The messages themselves add no
fields: they inherit from two dataclasses, because each takes a quarter of a per cent of it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import ClassVar

from likeness.domain.ids import SESSION_ID, known_correlation_id


@dataclass(frozen=True, slots=True)
class _OfSession:
    type: ClassVar[str]

    session_id: str
    #: The session's, for log lines: None in messages of earlier versions, or in messages that were sent manually.
    correlation_id: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if not (isinstance(self.session_id, str) and SESSION_ID.fullmatch(self.session_id)):
            raise ValueError("session_id")

    @property
    def ids(self) -> dict[str, str]:
        """The ids for log lines about the message."""
        ids = {"session_id": self.session_id, "correlation_id": self.correlation_id}
        return {name: each for name, each in ids.items() if each}

    def to_json(self) -> str:
        """The message's body on the queue."""
        fields = {name: value for name, value in asdict(self).items() if value is not None}
        return json.dumps({"type": self.type, **fields}, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class _OfAttempt(_OfSession):
    attempt: int

    def __post_init__(self) -> None:
        super(_OfAttempt, self).__post_init__()
        if type(self.attempt) is not int or self.attempt < 1:
            raise ValueError("attempt")


class PassReported(_OfAttempt):
    """An authentic callback reported that the person passed."""

    __slots__ = ()
    type: ClassVar[str] = "pass_reported"


class LinkCheck(_OfAttempt):
    """Sent with a delay when a link is created, to check whether a callback arrived."""

    __slots__ = ()
    type: ClassVar[str] = "link_check"


class AssetsReady(_OfSession):
    """A file of a verified session was checked and can be submitted to crun."""

    __slots__ = ()
    type: ClassVar[str] = "assets_ready"


Message = PassReported | LinkCheck | AssetsReady


def read_message(body: str) -> Message:
    """Parses the body of a queue record. Raises ValueError with the invalid field's name.

    Unknown fields are ignored, so that messages of a newer version are accepted during a deployment.
    """
    try:
        fields = json.loads(body)
    except RecursionError:
        raise ValueError("body") from None
    kind = fields.get("type") if isinstance(fields, dict) else None
    if kind not in (AssetsReady.type, PassReported.type, LinkCheck.type):
        raise ValueError("type")
    session_id, correlation_id = fields.get("session_id"), known_correlation_id(fields.get("correlation_id"))
    if kind == AssetsReady.type:
        return AssetsReady(session_id, correlation_id=correlation_id)
    of_attempt = PassReported if kind == PassReported.type else LinkCheck
    return of_attempt(session_id, fields.get("attempt"), correlation_id=correlation_id)
