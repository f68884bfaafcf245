"""HTTP messages of the simulator: a request, a reply, and crun's envelope in between."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, TypeVar
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel, ValidationError

from local.simulator.settings import RefusalStyle

JSON_TYPE = "application/json"
_Body = TypeVar("_Body", bound=BaseModel)


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
    `outcome` is the intended code of the envelope, for the log; `asset_id`, `token_hash` and `task_id` likewise.
    """

    status: int
    body: bytes = field(default=b"", repr=False)
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    delivery: Literal["whole", "half", "reset"] = "whole"
    delay_seconds: float = 0.0
    outcome: int | None = None
    asset_id: str | None = None
    token_hash: str | None = None
    task_id: str | None = None


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
    task_id: str | None = None
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
        reply.outcome = self.code
        reply.asset_id, reply.token_hash, reply.task_id = self.asset_id, self.token_hash, self.task_id
        return reply


def invalid(*errors: str) -> Answer:
    """Return the refusal of a call with wrong parameters (crun's OpenAPI)."""
    return Answer(422, "Missing Params or Type Error", errors=list(errors))


def json_reply(status: int, value: object) -> Reply:
    """Return a JSON reply."""
    return Reply(status, json.dumps(value).encode(), {"Content-Type": JSON_TYPE})


def read_body(model: type[_Body], body: bytes) -> _Body | Answer:
    """Return the parsed JSON body, or a refusal with errors that name the fields but not their values."""
    try:
        return model.model_validate_json(body)
    except ValidationError as exc:
        return invalid(*problems_of(exc))


def problems_of(error: ValidationError, inside: str = "") -> list[str]:
    """Return a line for each problem, which names the field but not its value. `inside` is the field around them."""
    start = (inside,) if inside else ()
    return [
        f"{'.'.join(map(str, (*start, *each['loc']))) or 'body'}: {each['msg']}"
        for each in error.errors(include_input=False, include_url=False, include_context=False)
    ]


def web_address(value: str) -> str:
    """Return the value if it is an absolute http(s) URI of printable ASCII, else raise ValueError."""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an absolute http or https URI")
    if not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError("must be a URI without spaces, control or non-ASCII characters")
    return value


def shown_time(seconds: float, form: Literal["iso", "epoch"]) -> str | int:
    """Return a time (seconds since 1970) in one of crun's two forms."""
    if form == "epoch":
        return int(seconds)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
