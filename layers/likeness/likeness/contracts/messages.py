"""Messages on the onboarding queue. They carry ids only; the reader looks at the table for the truth."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

SessionId = Annotated[str, Field(pattern=r"^ses_[0-9A-Z]{26}$")]


class _Message(BaseModel):
    # Unknown fields are ignored: a message of a newer version must not become poison during a deployment.
    model_config = ConfigDict(frozen=True, extra="ignore")

    session_id: SessionId


class PassReported(_Message):
    """An authentic callback said that the person passed."""

    type: Literal["pass_reported"] = "pass_reported"
    attempt: int = Field(ge=1)


class LinkCheck(_Message):
    """Sent with a delay when a link is made: was it ever answered?"""

    type: Literal["link_check"] = "link_check"
    attempt: int = Field(ge=1)


class AssetsReady(_Message):
    """A file of a verified session has been checked and waits for its way to crun."""

    type: Literal["assets_ready"] = "assets_ready"


Message = PassReported | LinkCheck | AssetsReady
_READER: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="type")])


def read_message(body: str) -> Message:
    """The message in a queue record's body; pydantic's ValidationError when it is none."""
    return _READER.validate_json(body)
