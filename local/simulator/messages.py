"""HTTP messages of the simulator: a request, a reply, and crun's envelope in between."""

import json
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qs

from local.simulator.settings import RefusalStyle

JSON_TYPE = "application/json"


@dataclass(frozen=True)
class Request:
    """One HTTP request, its path without the query. Header names are in lower case."""

    method: str
    path: str
    query: str = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    client_host: str = "127.0.0.1"

    def query_value(self, name: str) -> str | None:
        """Return the last value of a query parameter, or None."""
        return parse_qs(self.query, keep_blank_values=True).get(name, [None])[-1]


@dataclass
class Reply:
    """One HTTP response, and how to deliver it.

    `delivery`: `whole`; `half` closes the connection in the middle of the body; `reset` sends nothing at all.
    `outcome` is the intended code of the envelope, for the log; `asset_id` and `token_hash` likewise.
    """

    status: int
    body: bytes = field(default=b"", repr=False)
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    delivery: Literal["whole", "half", "reset"] = "whole"
    delay_seconds: float = 0.0
    outcome: int | None = None
    asset_id: str | None = None
    token_hash: str | None = None


@dataclass
class Answer:
    """crun's envelope before it is written: `code` 200 with `data`, or a refusal with a message.

    A refusal with 422 lists the problems in `errors`; its message is always the same (see `invalid`).
    """

    code: int
    message: str = "success"
    data: dict[str, object] | None = None
    retry_after: int | None = None
    asset_id: str | None = None
    token_hash: str | None = None
    errors: list[str] = field(default_factory=list)

    def render(self, style: RefusalStyle) -> Reply:
        """Write the envelope; a refusal shows as the HTTP status, in the body, or in both."""
        status = 200 if self.code == 200 or style == "body" else self.code
        envelope: dict[str, object] = {"code": self.code, "message": self.message, "data": self.data}
        if self.errors:
            envelope["errors"] = self.errors
        if self.code != 200 and style == "http":
            envelope = {"detail": self.message}
        reply = json_reply(status, envelope)
        if self.retry_after is not None:
            reply.headers["Retry-After"] = str(self.retry_after)
        reply.outcome, reply.asset_id, reply.token_hash = self.code, self.asset_id, self.token_hash
        return reply


def invalid(*errors: str) -> Answer:
    """Return the refusal of a call with wrong parameters (crun's OpenAPI)."""
    return Answer(422, "Missing Params or Type Error", errors=list(errors))


def json_reply(status: int, value: object) -> Reply:
    """Return a JSON reply."""
    return Reply(status, json.dumps(value).encode(), {"Content-Type": JSON_TYPE})
