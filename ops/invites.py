"""Invites many people from a CSV file: reads and checks it, creates the sessions, and writes their links to a file.

A line's idempotency key is the digest of its content, so the same line creates one session however often it is sent
within a day. Links and references are in the result file only.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from likeness.contracts.http import NewSession
from likeness.domain.links import why_not_return_to
from likeness.domain.session import SESSION_TOKEN_LIFETIME_SECONDS
from likeness_client.errors import LikenessApiError
from likeness_client.transport import Request, Transport

#: The columns of the file. ``reference`` is required.
COLUMNS = ("reference", "language", "return_url", "requests")
MAX_LINES = 200
MAX_BYTES = 1_000_000
RESULT = ("line", "reference", "session_id", "invite_url", "expires_at", "problem")
#: A response of 500 is repeated this often; the transport repeats the other ones that pass.
_TRIES = 5
_HOW = "write each file as name:Image, name:Video or name:Audio, separated by ; (name:Image? is optional)"


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a line (from 1), or with the whole file (0). ``text`` never quotes the file."""

    line: int
    column: str
    text: str

    def __str__(self) -> str:
        return ", ".join([*([f"line {self.line}"] if self.line else []), *([self.column] if self.column else [])]) + (
            f": {self.text}" if self.line or self.column else self.text
        )


class UnfitFile(ValueError):
    """When a file or some of its lines cannot be used; nothing has been created."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Person:
    """One line of the file, and the body of its request."""

    line: int
    body: dict[str, Any] = field(repr=False)

    @property
    def key(self) -> str:
        """The idempotency key. The console makes the same key from the same content."""
        text = json.dumps(self.body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return f"invite-{hashlib.sha256(text.encode()).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Invited:
    """The outcome of one line: the session's view, or the problem that refused it."""

    person: Person
    session: dict[str, Any] | None = field(default=None, repr=False)
    problem: str = ""


def read_people(data: bytes) -> list[Person]:
    """Returns the lines of a CSV file in UTF-8, with or without BOM. Raises UnfitFile with every fault."""
    if len(data) > MAX_BYTES:
        raise UnfitFile(Fault(0, "", f"the file has more than {MAX_BYTES:,} bytes"))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data[: exc.start].count(b"\n") + 1
        raise UnfitFile(Fault(line, "", "the file is not in UTF-8; save it as “CSV UTF-8”")) from None
    rows = list(_rows(text))
    if not rows:
        raise UnfitFile(Fault(0, "", "the file is empty"))
    (first, header), *lines = rows
    names = [each.strip().lower() for each in header]
    faults = [*_faults_of_header(first, names)]
    if not faults and not lines:
        faults.append(Fault(0, "", "the file has no line after its header"))
    if len(lines) > MAX_LINES:
        faults.append(Fault(lines[MAX_LINES][0], "", f"a file can have at most {MAX_LINES} people"))
    if faults:
        raise UnfitFile(*faults)
    people = [_person(line, names, row, faults) for line, row in lines]
    faults += _repeated(people)
    if faults:
        raise UnfitFile(*sorted(faults, key=lambda each: each.line))
    return people


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yields the number of each row's first line, and its fields. Leaves out blank lines."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error:
            raise UnfitFile(Fault(line, "", "the quotes are not those of a CSV file")) from None
        if any(each.strip() for each in row):
            yield line, row


def _faults_of_header(line: int, names: Sequence[str]) -> Iterator[Fault]:
    known = ", ".join(COLUMNS)
    if not set(names) & set(COLUMNS):
        yield Fault(line, "", f"the first line must name the columns, separated by commas: {known}")
        return
    for name in dict.fromkeys(names):
        if name not in COLUMNS:
            yield Fault(line, "", f"column {names.index(name) + 1} is not one of {known}")
        elif names.count(name) > 1:
            yield Fault(line, name, "the column occurs more than once")
    if "reference" not in names:
        yield Fault(line, "reference", "the column is missing")


def _person(line: int, names: Sequence[str], row: Sequence[str], faults: list[Fault]) -> Person:
    if len(row) != len(names):
        faults.append(Fault(line, "", f"has {len(row)} fields, and the header has {len(names)}"))
        return Person(line, {})
    values = {name: value.strip() for name, value in zip(names, row, strict=True) if value.strip()}
    body: dict[str, Any] = {"start": "on_open"} | values
    if "reference" not in values:
        faults.append(Fault(line, "reference", "must not be empty"))
    if "requests" in values:
        try:
            body["requests"] = [_request(each) for each in values["requests"].split(";") if each.strip()]
        except ValueError:
            faults.append(Fault(line, "requests", _HOW))
            del body["requests"]
    why_not = why_not_return_to(values["return_url"], [values["return_url"]]) if "return_url" in values else None
    if why_not:
        faults.append(Fault(line, "return_url", why_not))
    try:
        NewSession.model_validate_json(json.dumps(body))
    except ValidationError as exc:
        for error in exc.errors(include_url=False, include_input=False, include_context=False):
            column, *inner = error["loc"]
            where = f"file {int(inner[0]) + 1}, " if inner else ""
            faults.append(Fault(line, str(column), where + error["msg"].removeprefix("Value error, ")))
    return Person(line, body)


def _request(text: str) -> dict[str, Any]:
    """Returns a file request: ``name:Type``, ``name:Type?`` or ``name:Type:hint``. Raises ValueError."""
    name, kind, *hint = (each.strip() for each in text.split(":", 2))
    found: dict[str, Any] = {"name": name, "asset_type": kind.removesuffix("?"), "required": not kind.endswith("?")}
    if found["asset_type"] not in ("Image", "Video", "Audio"):
        raise ValueError("asset_type")
    return found | ({"hint": hint[0]} if hint and hint[0] else {})


def _repeated(people: Iterable[Person]) -> Iterator[Fault]:
    """Yields the lines whose reference occurs before. Two lines of the same content would be one session."""
    seen: dict[str, int] = {}
    for each in people:
        reference = each.body.get("reference")
        if reference and seen.setdefault(reference, each.line) != each.line:
            yield Fault(each.line, "reference", f"is the same as on line {seen[reference]}")


def invite(
    transport: Transport, people: Iterable[Person], sleep: Callable[[float], None] = time.sleep
) -> Iterator[Invited]:
    """Creates a session for each person, and yields the outcomes in order.

    A line that the API refuses (400, 409) does not end the run. Raises LikenessError for a refused key, and when the
    API stays unavailable.
    """
    for each in people:
        try:
            yield Invited(each, _created(transport, each, sleep))
        except LikenessApiError as error:
            if error.status not in (400, 409) or error.is_passing:
                raise
            yield Invited(each, problem=f"{error.code}: {error.detail or error.title}")


def _created(transport: Transport, person: Person, sleep: Callable[[float], None]) -> dict[str, Any]:
    for tried in range(1, _TRIES + 1):
        try:
            made = transport.send(Request("POST", "/sessions", body=person.body, idempotency_key=person.key))
            return dict(made)  # type: ignore[call-overload, no-any-return]  # a session, by the contract
        except LikenessApiError as error:
            if error.status != 500 or tried == _TRIES:
                raise
        sleep(2.0**tried)
    raise AssertionError("unreachable")


def write_links(path: Path, invited: Iterable[Invited], *, overwrite: bool) -> None:
    """Writes the result to a new file that only its owner can read. Raises FileExistsError without ``overwrite``.

    The file has a BOM, so that spreadsheets read it as UTF-8. It appears as a whole, or not at all.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".invites-", suffix=".csv")  # mode 600
    try:
        with open(handle, "w", encoding="utf-8-sig", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(RESULT)
            rows.writerows([_harmless(str(value)) for value in _row(each)] for each in invited)
        if overwrite:
            os.replace(name, path)
        else:
            os.link(name, path)
    finally:
        Path(name).unlink(missing_ok=True)


def _row(invited: Invited) -> list[object]:
    person, made = invited.person, invited.session
    first = [person.line, person.body["reference"]]
    if made is None:
        return [*first, "", "", "", invited.problem]
    until = datetime.fromisoformat(made["created_at"]) + timedelta(seconds=SESSION_TOKEN_LIFETIME_SECONDS)
    return [*first, made["id"], made["invite_url"], until.strftime("%Y-%m-%dT%H:%M:%SZ"), ""]


def _harmless(value: str) -> str:
    """A spreadsheet runs text that begins like a formula. An apostrophe makes it text."""
    return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
