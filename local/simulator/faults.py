"""Fault injection: which call fails, how, how often, and whether its work was done before."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from local.simulator.messages import JSON_TYPE, Answer, Reply, invalid
from local.simulator.settings import CallName, RefusalStyle

FaultKind = Literal[
    "http",
    "body",
    "both",
    "html",
    "empty",
    "truncated",
    "corrupt",
    "oversize",
    "hang",
    "reset",
    "redirect",
    "extra_fields",
    "no_data",
    "wrong_types",
    "no_code",
]

_REFUSALS: dict[str, RefusalStyle] = {"http": "http", "body": "body", "both": "both"}
# by default these faults happen after the work, and the others instead of it
_WORK_WAS_DONE = frozenset({"truncated", "corrupt", "oversize", "hang", "reset"})
_SHAPES = frozenset({"extra_fields", "no_data", "wrong_types", "no_code"})


class FaultRule(BaseModel):
    """One fault.

    - `body`, `both`: a refusal with `code` in an HTTP 200 body, or in body and HTTP status (422 lists `message`
      in `errors`); `http`: the status with JSON that is not an envelope, like a gateway's response;
    - `html`: a proxy's page with HTTP status `code` (502 unless given); `empty`: HTTP 200 and no body;
    - `truncated`: the connection closes in the middle of the body; `corrupt`: a complete response with half the JSON;
    - `oversize`: a body of `size_bytes`; `redirect`: a 302 to `location`;
    - `hang`: the response is `seconds` late; `reset`: the connection is reset without a response;
    - `extra_fields`, `no_data`, `wrong_types`, `no_code`: a successful response with a different shape.

    The call `media` is a download of a generation's media: `body` is HTTP 200 with an envelope, and the shapes do
    nothing.

    `work_done`: whether the call takes effect before it fails. None means yes for truncated, corrupt, oversize, hang,
    reset (a lost response) and for the shapes, and no for the others.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    call: CallName | Literal["any"] = "any"
    kind: FaultKind
    times: int | None = Field(1, ge=1, description="how many calls it hits; None: all")
    after: int = Field(0, ge=0, description="how many matching calls succeed first")
    code: int | None = Field(None, ge=100, le=999)
    message: str = "refused by a fault rule"
    seconds: float = Field(5.0, ge=0, le=600)
    retry_after: int | str | None = None
    work_done: bool | None = None
    location: str = "http://169.254.169.254/latest/meta-data/"
    size_bytes: int = Field(50_000_000, ge=1, le=200_000_000)


@dataclass
class _Armed:
    rule: FaultRule
    seen: int = 0
    fired: int = 0


class FaultBook:
    """The active rules. The first rule that still applies to a call hits it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._armed: list[_Armed] = []

    def add(self, rules: list[FaultRule]) -> None:
        """Add rules after the active ones."""
        with self._lock:
            self._armed.extend(_Armed(rule) for rule in rules)

    def clear(self) -> None:
        """Remove all rules."""
        with self._lock:
            self._armed.clear()

    def in_force(self) -> list[dict[str, object]]:
        """Return the rules with the number of calls they have seen and hit."""
        with self._lock:
            return [{**each.rule.model_dump(), "seen": each.seen, "hit": each.fired} for each in self._armed]

    def pick(self, call: str) -> FaultRule | None:
        """Return the rule that hits this call, and count it; None when no rule does."""
        with self._lock:
            picked: _Armed | None = None
            for each in self._armed:
                if each.rule.call != call and (each.rule.call != "any" or call == "media"):
                    continue
                each.seen += 1
                spent = each.rule.times is not None and each.fired >= each.rule.times
                if picked is None and each.seen > each.rule.after and not spent:
                    picked = each
            if picked is None:
                return None
            picked.fired += 1
            return picked.rule


def spoil(rule: FaultRule, work: Callable[[], Answer | Reply], style: RefusalStyle) -> Reply:
    """Answer a call according to a rule, and do the call's work only if the rule includes it."""
    done_by_default = rule.kind in _WORK_WAS_DONE or rule.kind in _SHAPES
    answer = work() if (done_by_default if rule.work_done is None else rule.work_done) else None
    reply = _spoiled(rule, answer, style)
    if answer is not None:
        reply.asset_id, reply.token_hash, reply.task_id = answer.asset_id, answer.token_hash, answer.task_id
    if rule.retry_after is not None:
        reply.headers["Retry-After"] = str(rule.retry_after)
    return reply


def _spoiled(rule: FaultRule, answer: Answer | Reply | None, style: RefusalStyle) -> Reply:
    if rule.kind in _REFUSALS:
        refusal = invalid(rule.message) if rule.code == 422 else Answer(rule.code or 500, rule.message)
        return refusal.render(_REFUSALS[rule.kind])
    if rule.kind == "html":
        page = b"<!doctype html><html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
        return Reply(rule.code or 502, page, {"Content-Type": "text/html"})
    if rule.kind == "empty":
        return Reply(rule.code or 200, b"", {"Content-Type": JSON_TYPE})
    if rule.kind == "redirect":
        return Reply(302, b"", {"Location": rule.location})
    if rule.kind == "oversize" and isinstance(answer, Reply):
        return Reply(200, b"\0" * rule.size_bytes, answer.headers)
    if rule.kind == "oversize":
        filler = b'{"code": 200, "message": "' + b"x" * rule.size_bytes + b'", "data": {}}'
        return Reply(200, filler, {"Content-Type": JSON_TYPE})
    if answer is None:
        answer = Answer(504, "the work was not done")
    if rule.kind in _SHAPES and isinstance(answer, Answer):
        return _reshaped(rule.kind, answer, style)
    reply = answer.render(style) if isinstance(answer, Answer) else answer
    if rule.kind == "truncated":
        reply.delivery = "half"
    elif rule.kind == "corrupt":
        reply.body = reply.body[: len(reply.body) // 2]
    elif rule.kind == "reset":
        reply.delivery = "reset"
    elif rule.kind == "hang":
        reply.delay_seconds = rule.seconds
    return reply


def _reshaped(kind: str, answer: Answer, style: RefusalStyle) -> Reply:
    reply = answer.render(style)
    if answer.code != 200 or answer.data is None:
        return reply
    envelope = json.loads(reply.body)
    if kind == "extra_fields":
        envelope = {**envelope, "request_id": "0", "trace": {"hops": [1, 2]}}
        envelope["data"] = {**envelope["data"], "Added": None, "Nested": {"deep": [True]}}
    elif kind in ("no_data", "no_code"):
        del envelope[kind.removeprefix("no_")]
    else:
        envelope["code"] = "200"
        envelope["data"] = {key: [value] for key, value in envelope["data"].items()}
    reply.body = json.dumps(envelope).encode()
    return reply
