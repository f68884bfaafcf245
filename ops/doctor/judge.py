"""Compares a response with the contract, without side effects: one finding for each point.

A finding *agrees* or *differs* where the contract defines the point, and is *learned* where it leaves the point open.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from likeness.contracts.crun import read_asset_report, read_code, read_envelope, read_id, read_link
from likeness.contracts.crun_errors import MAX_ERRORS
from likeness.contracts.crun_tasks import read_task_report
from likeness.domain.generation_models import GENERATION_MODELS
from likeness.errors import UpstreamAmbiguous, UpstreamError
from ops.doctor.models import differences, find_schema, unknown_fields
from ops.doctor.redaction import Redactor
from ops.doctor.transport import Answer

STATUSES = ("Processing", "Active", "Failed")
TASK_STATUSES = ("pending", "running", "success", "failed")
_LONGEST_MESSAGE, _LONGEST_WORD = 120, 40
_KEY_REFUSED = {
    401: "unknown at crun: check it, and store the right one (docs/operations.md, Keys)",
    403: "disabled at crun: enable it there; waiting work then continues",
}


class Verdict(StrEnum):
    """The result of a comparison."""

    AGREES = "agrees"
    DIFFERS = "differs"
    LEARNED = "learned"
    UNANSWERED = "no answer"
    NOT_ASKED = "not asked"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. ``text`` contains no secret."""

    call: str
    point: str
    verdict: Verdict
    text: str


@dataclass(frozen=True, slots=True)
class Envelope:
    """The body of a response; ``fields`` is None when it is not a JSON object."""

    fields: Mapping[str, Any] | None

    @property
    def data(self) -> Mapping[str, Any]:
        """The field ``data``; empty when it is missing or not an object."""
        found = (self.fields or {}).get("data")
        return found if isinstance(found, dict) else {}


def envelope_of(answer: Answer) -> Envelope:
    """Returns the body of a response."""
    try:
        parsed = json.loads(answer.body)
    except (ValueError, RecursionError):
        parsed = None
    return Envelope(parsed if isinstance(parsed, dict) else None)


def code_of(answer: Answer) -> int:
    """Returns the product's reading of a response: 200, crun's code, or 0 when the body is not crun's envelope.

    Without an envelope, it is the HTTP status where that refuses the account or defers (401, 403, 429, 455).
    """
    try:
        read_envelope(answer.status, _with_any_data(answer), promised="any")
    except UpstreamError as problem:
        code = problem.upstream_code or 0
        not_from_crun = isinstance(problem, UpstreamAmbiguous) and read_code(answer.body) is None
        return 0 if not_from_crun or 200 <= code < 300 else code
    return 200


def _with_any_data(answer: Answer) -> bytes:
    """Returns the body as if its data were complete: the fields of the data are judged one by one."""
    fields = envelope_of(answer).fields
    if fields is None:
        return answer.body
    kept = {name: fields[name] for name in ("code", "message") if isinstance(fields.get(name), str | int)}
    return json.dumps({**kept, "data": {"any": "thing"}}).encode()


class Judge:
    """Judges the responses to one call, which the report names ``call``."""

    def __init__(self, call: str, redactor: Redactor) -> None:
        self._call, self._redactor = call, redactor

    def success(self, answer: Answer, fields: Collection[str]) -> list[Finding]:
        """Judges whether a response is a success with ``fields`` in its data, of types that the product reads."""
        envelope = envelope_of(answer)
        summary = self._summary(answer, envelope)
        if code_of(answer) != 200:
            return [self._differs("answer", f"not a success: {summary}"), *self._of_all(answer, envelope, set())]
        wrong = [*_wrong_envelope(envelope), *_wrong_fields(envelope.data, fields)]
        return [
            self._agrees("answer", summary),
            self._differs("fields", "; ".join(wrong)) if wrong else self._agrees("fields", ", ".join(fields)),
            *self._of_all(answer, envelope, set(fields)),
        ]

    def refusal(self, answer: Answer, expected: Collection[int]) -> list[Finding]:
        """Judges whether a response is a refusal with one of the ``expected`` codes, and reports its form."""
        envelope, code = envelope_of(answer), code_of(answer)
        summary = self._summary(answer, envelope)
        wanted = " or ".join(str(each) for each in sorted(expected))
        verdict = (
            self._agrees("answer", summary) if code in expected else self._differs("answer", f"{summary}, not {wanted}")
        )
        findings = [verdict]
        if code != 200 and (code or answer.status >= 400):
            findings += [
                self._learned("refusal", _style(answer.status, envelope)),
                self._learned("Retry-After", self._redactor.text(answer.headers.get("retry-after", "none"))),
            ]
        return [*findings, *self._of_all(answer, envelope, set())]

    def key(self, answer: Answer) -> Iterator[Finding]:
        """Yields the reason when crun refuses the key."""
        if why := _KEY_REFUSED.get(code_of(answer)):
            yield self._differs("key", why)

    def session(self, answer: Answer, callback_url: str) -> Iterator[Finding]:
        """Yields the shapes of a new session's token and link, but no values: both are secrets."""
        data = envelope_of(answer).data
        token, link = read_field(data, "BytedToken"), read_field(data, "H5Link")
        if token:
            yield self._learned("byted token", f"{len(token)} characters, {_alphabet(token)}")
        if link:
            yield from self._link(link, token)
        back = data.get("CallbackURL")
        if isinstance(back, str):
            longer = "ours, with an addition" if back.startswith(callback_url) else "a different one"
            yield self._learned("callback URL", "returned unchanged" if back == callback_url else longer)

    def _link(self, link: str, token: str | None) -> Iterator[Finding]:
        try:
            parts = urlsplit(link)
        except ValueError:  # a host in brackets that is not an address
            yield self._differs("H5 link", "a browser could not open it")
            return
        query = parse_qsl(parts.query, keep_blank_values=True)
        names = [self._redactor.text(name) for name, _ in query]
        yield self._learned(
            "H5 link", f"{parts.scheme}, {len(link)} characters, fragment: {'yes' if parts.fragment else 'no'}"
        )
        yield self._learned("H5 link's query", ", ".join(names) or "none")
        languages = [self._redactor.text(value[:10]) for name, value in query if name == "lng"]
        yield self._learned("lng", f"in the link: {', '.join(languages)}" if languages else "not in the link")
        where = [self._redactor.text(name) for name, value in query if token and value == token]
        yield self._learned("token in the link", f"as {', '.join(where)}" if where else "no")

    def asset(self, answer: Answer) -> Iterator[Finding]:
        """Yields an asset's status, the reason of a failure, and the format of its times."""
        data = envelope_of(answer).data
        status = data.get("Status")
        if status in STATUSES:
            yield self._agrees("status", str(status))
        elif status is not None:
            yield self._differs("status", f"{self._short(status)}, not one of {', '.join(STATUSES)}")
        if status == "Failed":
            report = read_asset_report(data)
            why = f"{report.error_code or 'no code'}: {report.error_message or 'no message'}"
            yield self._learned("why it failed", self._redactor.text(why)[:_LONGEST_MESSAGE])
        for name in ("CreateTime", "UpdateTime"):
            if name in data:
                yield self._learned(name, _form_of_time(data[name]))

    def task(self, answer: Answer, task_id: str, callback_url: str) -> Iterator[Finding]:
        """Yields a task's outcome, its cost, and the shapes of its media links, which are secrets."""
        data = envelope_of(answer).data
        report = read_task_report(data, task_id)
        if report.status not in TASK_STATUSES:
            yield self._differs("status", f"{self._short(report.status)}, not one of {', '.join(TASK_STATUSES)}")
        elif report.succeeded:
            yield self._agrees("status", f"{self._short(data.get('status'))}")
            yield from self._media(report.media_urls)
        else:
            why = f"{report.code or 'no code'}: {report.message or 'no message'}"
            shown = self._redactor.text(why)[:_LONGEST_MESSAGE]
            yield self._differs("status", f"{report.status}, not success: {shown}")
        yield self._learned("credits", "not shown" if report.credits is None else f"{report.credits:.12g}")
        if report.is_over:
            back = report.callback_url
            text = "not shown" if back is None else "a different one"
            yield self._learned("callback URL", "shown unchanged" if back == callback_url else text)

    def _media(self, urls: Collection[str]) -> Iterator[Finding]:
        if not urls:
            yield self._differs("media links", "none in result.media_urls, data.media_urls or result.media_info")
            return
        schemes = {urlsplit(each).scheme for each in urls}
        yield self._agrees("media links", f"{len(urls)}, {', '.join(sorted(schemes))}")

    def model(self, answer: Answer, name: str) -> Iterator[Finding]:
        """Yields whether crun's schema of a model has the limits that Likeness checks."""
        schema = find_schema(envelope_of(answer).data)
        if code_of(answer) != 200 or schema is None:
            yield self._learned("limits", "crun publishes no schema that the doctor reads")
            return
        model = GENERATION_MODELS[name]
        found = [self._redactor.text(each) for each in differences(model, schema)]
        yield self._differs("limits", "; ".join(found)) if found else self._agrees("limits", "those of Likeness")
        if unknown := unknown_fields(model, schema):
            yield self._learned("refused fields", self._redactor.text(", ".join(unknown)))

    def _of_all(self, answer: Answer, envelope: Envelope, known: set[str]) -> Iterator[Finding]:
        errors = (envelope.fields or {}).get("errors")
        listed = [each for each in errors[:MAX_ERRORS] if isinstance(each, str)] if isinstance(errors, list) else []
        if listed:
            shown = (self._redactor.text(each)[:_LONGEST_MESSAGE] for each in listed)
            yield self._learned("errors", "; ".join(shown))
        known_fields = ("code", "message", "data", *(["errors"] if listed else []))
        new = [f"{name} beside data" for name in (envelope.fields or {}) if name not in known_fields]
        new += [name for name in envelope.data if name not in known]
        if new:
            yield self._learned("extra fields", self._redactor.text(", ".join(new)))
        kind = answer.headers.get("content-type", "none")
        if kind.partition(";")[0].strip().lower() != "application/json":
            yield self._learned("Content-Type", self._redactor.text(kind))
        yield self._learned("latency", f"{answer.seconds:.3f} s")

    def _summary(self, answer: Answer, envelope: Envelope) -> str:
        if envelope.fields is None:
            return f"HTTP {answer.status}, not a JSON object"
        code = envelope.fields.get("code")
        summary = f"HTTP {answer.status}, {'no code' if code is None else f'code {self._short(code)}'}"
        message = envelope.fields.get("message") or envelope.fields.get("detail")
        shown = self._redactor.text(message)[:_LONGEST_MESSAGE] if isinstance(message, str) else ""
        return f"{summary}: {shown}" if shown and code != 200 else summary

    def _short(self, value: object) -> str:
        """Returns a short text of a plain value, or the type of any other value, which may be large or nested."""
        plain = isinstance(value, str | int | float)
        return self._redactor.text(str(value))[:_LONGEST_WORD] if plain else f"of type {type(value).__name__}"

    def _agrees(self, point: str, text: str) -> Finding:
        return Finding(self._call, point, Verdict.AGREES, text)

    def _differs(self, point: str, text: str) -> Finding:
        return Finding(self._call, point, Verdict.DIFFERS, text)

    def _learned(self, point: str, text: str) -> Finding:
        return Finding(self._call, point, Verdict.LEARNED, text)


def _wrong_envelope(envelope: Envelope) -> Iterator[str]:
    fields = envelope.fields or {}
    for name, kind in (("code", int), ("message", str), ("data", dict)):
        if name not in fields:
            yield f"{name} is missing"
        elif not isinstance(fields[name], kind):
            yield f"{name} is of type {type(fields[name]).__name__}"


def _wrong_fields(data: Mapping[str, Any], names: Collection[str]) -> Iterator[str]:
    for name in names:
        if data.get(name) is None:
            yield f"{name} is missing"
        elif not _reads(data, name):
            yield f"{name} is of type {type(data[name]).__name__}, or in a form that the product does not read"


def _reads(data: Mapping[str, Any], name: str) -> bool:
    value = data[name]
    if name in ("H5Link", "BytedToken", "GroupId", "AssetId", "task_id"):
        return read_field(data, name) is not None
    if name in ("balance", "estimated_credits", "credits"):
        return amount_of(data, name) is not None
    if name in ("CreateTime", "UpdateTime"):
        return not isinstance(value, bool) and isinstance(value, str | int | float)
    return isinstance(value, str)


def amount_of(data: Mapping[str, Any], name: str = "balance") -> float | None:
    """Returns the credits, which may be a number or its text; None when they are neither."""
    value = data.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def read_field(data: Mapping[str, Any], name: str) -> str | None:
    """Returns an id or a link as the product reads it; None when it rejects the value. A byted token may be longer."""
    try:
        if name == "H5Link":
            return read_link(data, name)
        return read_id(data, name, 4096) if name == "BytedToken" else read_id(data, name)
    except UpstreamError:
        return None


def _style(status: int, envelope: Envelope) -> str:
    code = (envelope.fields or {}).get("code")
    if status < 300:
        return "code in the body, with an HTTP status of success"
    if code is None:
        return "HTTP status, no code in the body"
    same = isinstance(code, str | int) and str(code) == str(status)
    return "HTTP status and code in the body" + ("" if same else ", which differ")


def _alphabet(text: str) -> str:
    kinds = (
        ("digits", r"[0-9]"),
        ("capital letters", r"[A-Z]"),
        ("small letters", r"[a-z]"),
        ("others", r"[^0-9A-Za-z]"),
    )
    return ", ".join(name for name, pattern in kinds if re.search(pattern, text))


def _form_of_time(value: object) -> str:
    if isinstance(value, str):
        return "ISO 8601" if re.match(r"\d{4}-\d\d-\d\d[T ]", value) else "a text that is not ISO 8601"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"neither text nor number ({type(value).__name__})"
    return "epoch milliseconds" if value > 1e11 else "epoch seconds"


def refused_for_all(answer: Answer) -> bool:
    """Returns whether further calls would be refused for the same reason: the key, the rate, maintenance."""
    return code_of(answer) in (401, 403, 429, 455)
