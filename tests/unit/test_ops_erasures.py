"""`python -m ops erasure`: what crun was asked to delete after an erasure, and what it has answered, in moto."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from click.testing import CliRunner, Result
from moto import mock_aws

from likeness.adapters.table.dynamodb import DynamoStore
from likeness.adapters.table.items import asset_key, decode_item, session_key
from likeness.contracts.inventory import asset_items, lines_of, read_line, session_item, text_of
from likeness.contracts.views import asset_view, session_view
from likeness.domain.asset import Asset, AssetStatus
from likeness.domain.deletions import DeletionKind, DeletionRequest
from likeness.domain.ids import asset_id, session_id
from likeness.domain.media.types import AssetType
from likeness.domain.session import Language, Session, SessionStatus
from likeness.domain.times import iso
from ops.cli import main
from ops.erasures import Entry, ErasedRow, letter
from tests.aws import described_stack, isolated_aws_environment, make_table
from tests.template_file import ROOT

#: 2027-01-15, and the erasures a day later.
NOW = 1_800_000_000.0
ERASED_AT = NOW + 86_400
TABLE = "inventory"
REFERENCE, NAME = "order-4711", "anna-smith"


def day(days: int) -> str:
    """Returns the day that is ``days`` from today."""
    return f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%d}"


@dataclass
class Account:
    """A stack in moto with sessions of the client ``acme``; each session has a group, unless it has no number."""

    store: DynamoStore
    folder: Path
    made: list[Session] = field(default_factory=list)

    def run(self, *arguments: str, **options: Any) -> Result:
        return CliRunner(mix_stderr=False).invoke(main, ["erasure", *arguments], **options)

    def ok(self, *arguments: str, **options: Any) -> str:
        done = self.run(*arguments, **options)
        assert done.exit_code == 0, done.stderr
        return done.stdout

    def refused(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.exit_code != 0, done.stdout
        return done.stderr

    def session(self, *asset_ids: str, group: str | None = None, erased: bool = True) -> tuple[Session, list[Asset]]:
        """Stores a verified session with one asset for each AssetId, and erases it."""
        index = len(self.made) + 1
        made = Session(
            id=session_id(int(NOW * 1000) + index, bytes([index] * 10)),
            client_id="acme",
            status=SessionStatus.VERIFIED,
            language=Language.EN,
            created_at=NOW,
            updated_at=NOW,
            reference=REFERENCE,
            group_id=group or f"group-{index}",
        )
        self.made.append(made)
        assets = [
            Asset(
                id=asset_id(int(NOW * 1000) + number, made.id[-10:].encode()),
                session_id=made.id,
                name=NAME,
                asset_type=AssetType.IMAGE,
                content_type="image/jpeg",
                status=AssetStatus.ACTIVE,
                object_key=f"inbox/{made.id}/{NAME}",
                created_at=NOW,
                updated_at=NOW,
                crun_asset_id=each,
                client_id="acme",
            )
            for number, each in enumerate(asset_ids)
        ]
        self.store.create_session(made, assets)
        # The index of crun's ids has the group after SaveGroup only.
        self.update(made.id, "SET upstream_id = group_id")
        if erased:
            self.erase(made, assets)
        return made, assets

    def erase(self, session: Session, assets: list[Asset]) -> None:
        assert self.store.redact_session(session, ERASED_AT)
        for each in assets:
            self.store.redact_asset(each, ERASED_AT)
        self.store.record_erasure(session.id, ERASED_AT)

    def update(self, session: str, expression: str) -> None:
        boto3.client("dynamodb").update_item(TableName=TABLE, Key=session_key(session), UpdateExpression=expression)

    def erasure(self, session: Session) -> dict[str, Any]:
        """Returns the part of the tombstone, as ``GET /sessions/{id}`` shows it."""
        found, assets = self.store.load(session.id)
        assert found
        return dict(session_view(found, assets)["erasure"])

    def statuses(self, session: Session) -> dict[str, str]:
        return {each["id"]: each["status"] for each in self.erasure(session)["deletion_requests"]}

    def line(self, session: Session) -> dict[str, Any]:
        """Returns the session's line in an export."""
        page = boto3.client("dynamodb").query(
            TableName=TABLE,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": session_key(session.id)["pk"]},
        )
        (found,) = lines_of([decode_item(each) for each in page["Items"]])
        return read_line(text_of(found))


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    with isolated_aws_environment(), mock_aws():
        make_table("Table", TABLE)
        operator = {"OperatorName": "Acme Films Ltd", "OperatorContact": "privacy@acme.example"}
        with described_stack("likeness", {"TableName": TABLE}, {}, operator):
            yield Account(DynamoStore(boto3.client("dynamodb"), TABLE), tmp_path)


def test_a_session_that_the_previous_version_erased_was_not_asked_about(account: Account) -> None:
    made, _ = account.session("asset-b", "asset-a")
    nothing = dict.fromkeys(("asked_at", "refused_at", "refused_until", "done_at", "ticket", "recorded_at"))
    assert account.erasure(made)["deletion_requests"] == [
        {"id": "group-1", "kind": "group", "status": "not_asked"} | nothing,
        {"id": "asset-a", "kind": "asset", "status": "not_asked"} | nothing,
        {"id": "asset-b", "kind": "asset", "status": "not_asked"} | nothing,
    ]
    assert account.line(made)["upstream"]["deletion_requests"] == account.erasure(made)["deletion_requests"]
    assert [each.split("  ")[-1] for each in account.ok("list").splitlines()] == ["not asked"] * 3


def test_the_whole_way_is_shown_in_the_list_the_tombstone_and_the_export(account: Account) -> None:
    made, (asset,) = account.session("asset-a")
    account.session("asset-other")
    updated = account.erasure(made), account.store.get_session(made.id)
    assert account.ok("asked", made.id, "--at", day(-3)) == (
        f"asset-a: asked on {day(-3)}\ngroup-1: asked on {day(-3)}\n"
    )
    assert "unchanged" in account.ok("asked", "group-1"), "the first day stays"
    account.ok("refused", "group-1", "--until", day(90), "--at", day(-2), "--ticket", "CR-4711")
    account.ok("done", asset.id, "--at", day(-1), "--ticket", "CR-4712", "--yes")
    group, one = account.erasure(made)["deletion_requests"]
    assert (group["id"], group["status"], group["ticket"]) == ("group-1", "refused_until", "CR-4711")
    assert group["asked_at"] == f"{day(-3)}T00:00:00Z"
    assert (group["refused_at"], group["refused_until"]) == (f"{day(-2)}T00:00:00Z", f"{day(90)}T00:00:00Z")
    assert (one["id"], one["status"], one["done_at"]) == ("asset-a", "done", f"{day(-1)}T00:00:00Z")
    assert one["recorded_at"][:10] in (day(0), day(-1))
    assert account.line(made)["upstream"]["deletion_requests"] == [group, one]
    listed = json.loads(account.ok("list", "--client-id", "acme", "--status", "done", "--json"))["deletion_requests"]
    place = {"session_id": made.id, "asset_id": asset.id, "client_id": "acme", "erased_at": iso(ERASED_AT)}
    assert listed == [place | one]
    assert f"group-1  refused until {day(90)} (asked on {day(-3)}), ticket CR-4711" in account.ok("list")
    after = account.store.get_session(made.id)
    assert (updated[0]["erased_at"], updated[1] and updated[1].updated_at) == (
        account.erasure(made)["erased_at"],
        after and after.updated_at,
    )


def test_an_erasure_that_is_repeated_keeps_the_records(account: Account) -> None:
    made, assets = account.session("asset-a")
    account.ok("asked", made.id)
    found = account.store.get_session(made.id)
    assert found
    account.erase(found, assets)
    assert account.statuses(made) == {"group-1": "asked", "asset-a": "asked"}
    account.store.record_late_group(made.id, "group-late")
    assert account.statuses(made)["group-late"] == "not_asked", "an id that arrives later"


def test_one_erased_file_of_a_session_that_stays(account: Account) -> None:
    made, (first, _) = account.session("asset-a", "asset-b", erased=False)
    account.store.redact_asset(first, ERASED_AT)
    assert [each.split("  ")[3] for each in account.ok("list").splitlines()] == ["asset-a"]
    text = account.ok("report")
    assert "delete only these assets. Keep their groups" in " ".join(text.split())
    assert ("- asset asset-a" in text, "group-1" in text, "asset-b" in text) == (True, False, False)
    account.ok("asked", first.id)
    found = account.store.get_asset(made.id, first.id)
    assert found
    (request,) = asset_view(found)["deletion_requests"]
    assert (request["id"], request["status"]) == ("asset-a", "asked")


def test_what_is_in_use_is_neither_in_the_letter_nor_asked(account: Account) -> None:
    """A duplicate of a file has its AssetId, and a second session of a person may have the same group."""
    made, (first, second) = account.session("asset-a", "asset-a", erased=False)
    account.store.redact_asset(first, ERASED_AT)
    gone, _ = account.session("asset-b", group="group-1")
    done = account.run("report")
    assert done.exit_code == 0
    assert "asset-b" in done.stdout
    assert [each for each in ("asset-a", "group-1") if each in done.stdout] == []
    assert f"left out: asset-a: {second.id} uses it too" in done.stderr
    assert f"left out: group-1: {made.id} uses it too" in done.stderr
    problem = account.refused("asked", gone.id)
    assert "nothing was recorded" in problem
    assert "group-1" in problem
    assert account.statuses(gone) == {"group-1": "not_asked", "asset-b": "not_asked"}
    account.store.redact_asset(second, ERASED_AT)
    account.ok("asked", "asset-a")
    for each in (first, second):
        found = account.store.get_asset(made.id, each.id)
        assert found
        assert found.deletion_requests["asset-a"]["status"] == "asked", "both rows have it"


def test_the_letter_is_ready_to_send_and_says_nothing_of_persons(account: Account) -> None:
    one, _ = account.session("asset-a", "asset-b")
    account.session("asset-c")
    text = account.ok("report", "--by", day(20))
    assert max(map(len, text.splitlines())) < 80
    assert text.startswith("Subject: Request to delete biometric data: 2 groups and 3 assets\n")
    assert text.endswith("Kind regards,\nAcme Films Ltd\nprivacy@acme.example\n")
    assert [each for each in (REFERENCE, NAME, "acme\n", one.id, "ast_", "ses_", "None") if each in text] == []
    file = account.folder / "letter.txt"
    file.write_text(f"> quoted\n{text}", "utf-8")
    assert "asset-c: asked on" in account.ok("asked", "--letter", str(file))
    assert set(account.statuses(one).values()) == {"asked"}
    done = account.run("report")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "there is nothing to ask crun to delete\n")


def test_the_letter_asks_again_after_the_day_of_a_refusal(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    made, _ = account.session()
    account.ok("asked", "group-1")
    account.ok("refused", "group-1", "--until", day(5))
    assert account.ok("report") == ""
    later = (datetime.now(UTC) + timedelta(days=6)).timestamp()
    monkeypatch.setattr("likeness.runtime.system.time.time", lambda: later)
    assert "- group group-1" in account.ok("report")
    assert "group-1: asked on" in account.ok("asked", "group-1")
    account.ok("done", "group-1", "--yes")
    assert account.statuses(made) == {"group-1": "done"}


def test_an_erasure_that_is_not_complete_is_not_in_the_letter(account: Account) -> None:
    made, _ = account.session("asset-a")
    account.update(made.id, "REMOVE erased_at")
    done = account.run("report")
    assert done.stdout == ""
    assert f"left out: {made.id}: its erasure is not complete" in done.stderr
    assert "(the erasure is not complete: erase it again)" in account.ok("list")


def test_only_a_confirmed_answer_is_recorded_as_done(account: Account) -> None:
    made, _ = account.session()
    account.ok("asked", "group-1")
    done = account.run("done", "group-1", input="n\n")
    assert (done.exit_code, account.statuses(made)) == (1, {"group-1": "asked"})
    assert "Has crun confirmed that it has deleted group-1?" in done.stderr
    account.ok("done", "group-1", input="y\n")
    assert account.statuses(made) == {"group-1": "done"}
    assert "--correct" in account.refused("asked", "group-1")
    account.ok("asked", "group-1", "--correct")
    assert account.statuses(made) == {"group-1": "asked"}, "a wrong record can be taken back"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["asked"], "--letter"),
        (["asked", "group-9"], "group-9: no erased session or file has this id"),
        (["asked", "group-1", "group-9"], "nothing was recorded"),
        (["asked", "group-1", "--at", day(2)], "Invalid value for '--at': "),
        (["asked", "group-1", "--at", "yesterday"], "yesterday is not a day such as 2027-01-31"),
        (["asked", "--letter", "no-file.txt"], "Invalid value for --letter: no-file.txt cannot be read"),
        (["refused"], "IDS"),
        (["refused", "group-1"], "Missing option '--until'"),
        (["refused", "group-1", "--until", day(0)], "Invalid value for '--until': "),
        (["refused", "group-1", "--until", day(-1)], "is not after today"),
        (["refused", "group-1", "--until", "9999-12-31"], "more than ten years away"),
        (["refused", "group-1", "--until", day(9)], "group-1: crun was not asked to delete it"),
        (["done", "group-1", "--yes"], "group-1: crun was not asked to delete it; record that first, with: asked"),
        (["done", "asset-a", "--yes", "--at", day(-9)], "--at is before the day on which it was asked"),
        (["done", "asset-a", "--yes", "--ticket", "from Anna Smith"], "Invalid value for '--ticket'"),
        (["report", "--by", day(-1)], "Invalid value for '--by': "),
    ],
)
def test_bad_input_names_the_option_and_records_nothing(account: Account, arguments: list[str], words: str) -> None:
    made, _ = account.session("asset-a")
    account.ok("asked", "asset-a")
    assert words in account.refused(*arguments)
    assert account.statuses(made) == {"group-1": "not_asked", "asset-a": "asked"}


def test_a_record_of_another_command_at_the_same_time_is_not_overwritten(account: Account) -> None:
    made, _ = account.session()
    account.ok("asked", "group-1")

    def meanwhile(*_: Any, **__: Any) -> bool:
        account.ok("done", "group-1", "--yes")
        return True

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("click.confirm", meanwhile)
        problem = account.refused("done", "group-1", "--ticket", "CR-1")
    assert "group-1 was changed by another command at the same time" in problem
    (request,) = account.erasure(made)["deletion_requests"]
    assert (request["status"], request["ticket"]) == ("done", None)


def test_an_export_restores_the_records(account: Account) -> None:
    made, _ = account.session("asset-a")
    account.ok("asked", made.id)
    line = account.line(made)
    assert session_item(line)["deletion_requests"]["group-1"]["status"] == "asked"
    (item,) = asset_items(line)
    assert item["deletion_requests"]["asset-a"]["status"] == "asked"
    for bad in ("x", {"group-1": "asked"}, {"group-1": {"status": "deleted"}}, {"group-1": {"asked_at": "now"}}):
        with pytest.raises(ValueError, match="deletion requests"):
            session_item(line | {"session": line["session"] | {"deletion_requests": bad}})


Restored = Callable[[], Result]


def _restores(account: Account, name: str) -> Restored:
    runner = CliRunner(mix_stderr=False)
    folder = str(account.folder / name)
    made = runner.invoke(main, ["inventory", "export", "--to", folder])
    assert made.exit_code == 0, made.output
    return lambda: runner.invoke(main, ["inventory", "restore", "--from", folder])


def test_a_restore_keeps_the_newest_record(account: Account) -> None:
    """A tombstone of a recovered table gets the records that the export has, and never an older one."""
    made, (asset,) = account.session("asset-a")
    account.ok("asked", made.id)
    with_request = _restores(account, "asked")
    account.ok("done", made.id, "--yes")
    with_answer = _restores(account, "done")
    account.ok("asked", made.id, "--correct")
    assert with_answer().exit_code == 0
    assert account.statuses(made) == {"group-1": "asked", "asset-a": "asked"}, "the correction is newer"
    account.update(made.id, "REMOVE deletion_requests")  # as before the first command
    key = asset_key(made.id, asset.id)
    boto3.client("dynamodb").update_item(TableName=TABLE, Key=key, UpdateExpression="REMOVE deletion_requests")
    assert "deletion requests restored: 2" in with_answer().stdout
    assert account.statuses(made) == {"group-1": "done", "asset-a": "done"}
    assert "deletion requests restored" not in with_request().stdout
    assert account.statuses(made) == {"group-1": "done", "asset-a": "done"}


def test_the_sample_in_the_runbook_is_a_letter_of_this_version() -> None:
    def entry(session: str, kind: str, name: str, at: float, *, whole: bool = True) -> Entry:
        row = ErasedRow(session, None, "acme", at, whole, [])
        return Entry(row, DeletionRequest(name, DeletionKind(kind)))

    first, second, third = (datetime(2026, 11, each, tzinfo=UTC).timestamp() for each in (18, 20, 21))
    text = letter(
        [
            entry("a", "group", "group-20261102030455-abcde", first),
            entry("a", "asset", "asset-20261102030500-fghij", first),
            entry("a", "asset", "asset-20261102030501-klmno", first),
            entry("b", "group", "group-20261105101500-pqrst", second),
            entry("c", "asset", "asset-20261107080000-uvwxy", third, whole=False),
        ],
        datetime(2026, 12, 21, tzinfo=UTC).timestamp(),
        "Acme Films Ltd\nprivacy@acme.example",
    )
    assert f"```text\n{text}```" in (ROOT / "docs/operations.md").read_text()
