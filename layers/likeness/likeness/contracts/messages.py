"""Messages on the onboarding queue. They carry ids only; the reader looks at the table for the truth.

Plain dataclasses: we write them ourselves, and Pydantic would be a third of the callback's cold start.
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
    #: The session's, for the reader's log: None in messages of versions that did not write it, or sent by hand.
    correlation_id: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if not (isinstance(self.session_id, str) and SESSION_ID.fullmatch(self.session_id)):
            raise ValueError("session_id")

    @property
    def ids(self) -> dict[str, str]:
        """What the reader's log lines say of the message."""
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


@dataclass(frozen=True, slots=True)
class PassReported(_OfAttempt):
    """An authentic callback said that the person passed."""

    type: ClassVar[str] = "pass_reported"


@dataclass(frozen=True, slots=True)
class LinkCheck(_OfAttempt):
    """Sent with a delay when a link is made: was it ever answered?"""

    type: ClassVar[str] = "link_check"


@dataclass(frozen=True, slots=True)
class AssetsReady(_OfSession):
    """A file of a verified session has been checked and waits for its way to crun."""

    type: ClassVar[str] = "assets_ready"


Message = PassReported | LinkCheck | AssetsReady


def read_message(body: str) -> Message:
    """The message in a queue record's body; ValueError, naming the field, when it is none.

    Unknown fields are ignored: a message of a newer version must not become poison during a deployment.
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
