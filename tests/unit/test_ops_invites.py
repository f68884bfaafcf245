"""`ops invite`: what it reads, refuses before it creates anything, sends, and writes."""

from __future__ import annotations

import csv
import io
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from likeness_client.errors import CredentialError, InvalidRequestError, LikenessApiError
from likeness_client.transport import Request, Retry, Transport
from ops.cli import main
from ops.invites import Invited, Person, UnfitFile, invite, read_people, write_links
from tests.people_files import BAD, BODIES, GOOD, KEYS

MADE = {"id": "ses_1", "invite_url": "https://api.test/invite#st_1", "created_at": "2026-01-02T03:04:05.678000Z"}


class ScriptedTransport(Transport):
    """Returns the scripted answers in order, and records the requests."""

    def __init__(self, *answers: dict[str, Any] | LikenessApiError) -> None:
        self.answers, self.sent = list(answers), []  # type: tuple[list[Any], list[Request]]
        self._retry = Retry()

    def send(self, request: Request, deadline: float | None = None) -> object:
        self.sent.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, LikenessApiError):
            raise answer
        return answer


def people(*references: str) -> list[Person]:
    return [Person(line, {"start": "on_open", "reference": each}) for line, each in enumerate(references, 2)]


def run(folder: Path, *arguments: str, **environment: str) -> Any:
    runner = CliRunner(mix_stderr=False, env={"LIKENESS_API_KEY": "lk_test", "LIKENESS_API_URL": "http://127.0.0.1:9"})
    return runner.invoke(main, ["invite", *arguments], env=environment or None)


def test_a_file_with_a_bom_quotes_blank_lines_and_crlf_is_read() -> None:
    found = read_people(GOOD)
    assert {each.line: each.body for each in found} == BODIES
    assert {each.line: each.key for each in found} == KEYS


def test_the_key_of_a_line_depends_on_its_content_and_not_on_its_place() -> None:
    (first,), (_, moved), (changed,) = (
        read_people(text) for text in (
            b"reference,language\na,en\n", b"language,reference\nzh,b\nen,a\n", b"reference,language\na,zh\n",
        )
    )  # fmt: skip
    assert first.key == moved.key != changed.key


@pytest.mark.parametrize("name", BAD)
def test_every_bad_line_is_named_with_its_column(name: str) -> None:
    data, named = BAD[name]
    with pytest.raises(UnfitFile) as caught:
        read_people(data)
    found = [(each.line, each.column) for each in caught.value.faults]
    assert sorted(found) == named
    for each in caught.value.faults:
        assert "order" not in each.text, "the text quotes the file"


def test_nothing_is_created_while_a_line_is_bad(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_bytes(b"reference,language\norder-1,en\norder-2,fr\n")
    result = run(tmp_path, "--csv", str(tmp_path / "people.csv"))
    assert result.exit_code == 1
    assert "line 3, language: " in result.stderr
    assert "nothing was created" in result.stderr
    assert [each.name for each in tmp_path.iterdir()] == ["people.csv"]


def test_an_existing_result_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_bytes(GOOD)
    (tmp_path / "people.links.csv").write_text("earlier")
    result = run(tmp_path, "--csv", str(tmp_path / "people.csv"))
    assert (result.exit_code, "exists already" in result.stderr) == (1, True)
    with pytest.raises(FileExistsError):
        write_links(tmp_path / "people.links.csv", [], overwrite=False)
    assert (tmp_path / "people.links.csv").read_text() == "earlier"
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("arguments", [["--csv", "people.csv"], ["renew", "ses_01K00000000000000000000000"]])
def test_a_key_is_not_accepted_when_it_is_none(arguments: Sequence[str], tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_bytes(GOOD)
    arguments = [str(tmp_path / each) if each == "people.csv" else each for each in arguments]
    result = run(tmp_path, *arguments, LIKENESS_API_KEY="st_ses_token", LIKENESS_API_URL="http://127.0.0.1:9")
    assert (result.exit_code, "this is not a client key" in result.stderr) == (1, True)
    assert "st_ses_token" not in result.stderr + result.stdout


def test_a_refused_line_does_not_end_the_run_and_a_refused_key_does() -> None:
    refusal = InvalidRequestError(400, "invalid_request", "Not valid", "return_url: the origin is not on the list")
    transport = ScriptedTransport(MADE, refusal, MADE, CredentialError(403, "forbidden", "The credential is not valid"))
    found: list[Invited] = []
    with pytest.raises(CredentialError):
        found.extend(invite(transport, people("a", "b", "c", "d", "e")))
    assert [bool(each.session) for each in found] == [True, False, True]
    assert found[1].problem == "invalid_request: return_url: the origin is not on the list"
    assert len({each.idempotency_key for each in transport.sent}) == len(transport.sent) == 4


def test_an_internal_error_is_repeated_a_few_times_with_the_same_key() -> None:
    error = LikenessApiError(500, "internal_error", "Internal server error")
    pauses: list[float] = []
    transport = ScriptedTransport(error, error, MADE)
    (found,) = invite(transport, people("a"), pauses.append)
    assert found.session == MADE
    assert (len({each.idempotency_key for each in transport.sent}), pauses) == (1, [2.0, 4.0])
    with pytest.raises(LikenessApiError):
        list(invite(ScriptedTransport(*[error] * 5), people("a"), pauses.append))


def test_the_result_is_private_and_runs_no_formula(tmp_path: Path) -> None:
    path = tmp_path / "links.csv"
    formulas = ["=1+1", "+1", "-1", "@SUM(A1)"]
    done = [Invited(each, MADE) for each in people(*formulas, "订单")]
    write_links(path, [*done, Invited(people("x")[0], problem="conflict: another body")], overwrite=False)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    rows = list(csv.DictReader(io.StringIO(path.read_text("utf-8-sig"), newline="")))
    assert [each["reference"] for each in rows] == [*(f"'{each}" for each in formulas), "订单", "x"]
    assert rows[0]["invite_url"] == MADE["invite_url"]
    assert rows[0]["expires_at"] == "2026-01-09T03:04:05Z"
    assert (rows[-1]["invite_url"], rows[-1]["problem"]) == ("", "conflict: another body")
    path.chmod(0o644)
    write_links(path, done[:1], overwrite=True)
    assert (stat.S_IMODE(path.stat().st_mode), len(list(tmp_path.iterdir()))) == (0o600, 1)


def test_a_person_is_not_shown_by_repr() -> None:
    assert "secret-reference" not in repr([Invited(each, MADE) for each in people("secret-reference")])
