"""Exports and restores the inventory in moto: what is restored, what is never exported, and what takes precedence."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from likeness.adapters.table.due_items import DynamoDueItems
from likeness.adapters.table.dynamodb import DynamoStore
from likeness.adapters.table.generation_items import generation_item, list_item, use_item
from likeness.adapters.table.generations import DynamoGenerations
from likeness.adapters.table.inventory import DynamoPages, DynamoProgress
from likeness.adapters.table.items import encode, encode_item, session_key
from likeness.adapters.table.upstream_ids import DynamoUpstreamIds
from likeness.domain.asset import Asset, AssetStatus
from likeness.domain.caller import Caller
from likeness.domain.consent import ConsentText
from likeness.domain.generation import (
    ERASED_WORDS,
    Generation,
    GenerationFilter,
    GenerationStatus,
    Media,
    PersonUse,
    Spending,
    TaskReport,
    generation_id,
)
from likeness.domain.ids import asset_id, session_id
from likeness.domain.inventory import Export
from likeness.domain.media.types import AssetType
from likeness.domain.session import Attempt, AttemptStatus, Consent, Language, Problem, Session, SessionStatus
from likeness.domain.terms import Withdrawal
from likeness.errors import ConditionFailed
from likeness.steps.onboarding.get_session import GetSession
from likeness.steps.upkeep.export_inventory import ExportFiles, ExportInventory
from likeness.steps.upkeep.get_stats import GetStats
from ops.cli import main
from ops.client_keys import ClientKeys
from ops.inventory import index_upstream_ids, keep_for_good, make_due, withdraw_again
from tests.aws import inventory, make_table
from tests.unit.fakes import FakeClock, FakeConsentTexts
from tests.unit.fakes import FakeFiles as NoFiles

NOW = 1_800_000_000.0
HOUR = 3600.0
CALLER = Caller("acme")
SECRETS = ("tok-secret", "https://back.example/return", "whsec_secret", "alice.jpg", "X-Amz-Signature", "lease-holder")


@dataclass
class FakeFiles:
    """Stores objects. Raises OSError instead of the put with the number ``dies_at``."""

    files: dict[str, bytes] = field(default_factory=dict)
    puts: int = 0
    dies_at: int | None = None

    def put(self, key: str, body: bytes) -> None:
        self.puts += 1
        if self.puts == self.dies_at:
            raise OSError("killed")
        self.files[key] = body


_PORT: type[ExportFiles] = FakeFiles


@pytest.fixture
def dynamodb() -> Iterator[Any]:
    with inventory("table") as client:
        make_table("Table", "fresh")
        yield client


@pytest.fixture
def store(dynamodb: Any) -> DynamoStore:
    return DynamoStore(dynamodb, "table")


def session(index: int, **changes: Any) -> Session:
    made = Session(
        id=session_id(int(NOW * 1000) + index, bytes([index] * 10)),
        client_id="acme",
        status=SessionStatus.REQUIRES_INPUT,
        language=Language.EN,
        created_at=NOW + index,
        updated_at=NOW + index,
        reference=f"order-{index}",
        return_url=SECRETS[1],
        consent=Consent("2026-11", "2027-01-15T08:00:00Z", "a" * 64, "en", "person"),
        attempts={1: Attempt(1, AttemptStatus.OPEN, SECRETS[0], NOW, NOW + 120)},
    )
    return replace(made, **changes)


def asset(of: Session, index: int, **changes: Any) -> Asset:
    made = asset_id(int(NOW * 1000) + index, of.id[-10:].encode())
    plain = Asset(
        id=made,
        session_id=of.id,
        name=SECRETS[3],
        asset_type=AssetType.IMAGE,
        content_type="image/jpeg",
        status=AssetStatus.ACTIVE,
        object_key=f"inbox/{of.id}/{SECRETS[3]}",
        created_at=NOW,
        updated_at=NOW + 9,
        size_bytes=1234,
        version_id="v1",
        crun_asset_id=f"asset-{of.id[-4:]}-{index}",
        submitted_at=NOW + 1,
        activated_at=NOW + 8,
        sha256="b" * 64,
        client_id="acme",
    )
    return replace(plain, **changes)


def fill(store: DynamoStore, dynamodb: Any, sessions: int = 5) -> list[Session]:
    """Stores people at all stages, one of them erased, and the other kinds of items."""
    made = [session(index) for index in range(1, sessions + 1)]
    for index, each in enumerate(made):
        failed = Problem("rejected", f"cannot fetch https://s3.test/x?{SECRETS[4]}=1", "Other")
        assets = [asset(each, number) for number in range(3)]
        assets.append(asset(each, 3, status=AssetStatus.FAILED, error=failed, activated_at=None))
        early = {"crun_asset_id": None, "submitted_at": None, "activated_at": None, "name": "early"}
        key = f"uploads/{each.id}/file"
        assets.append(asset(each, 4, status=AssetStatus.AWAITING_UPLOAD, object_key=key, **early))
        store.create_session(each, assets)
        if index % 2 == 0:
            store.record_pass(each.id, 1, "10000", NOW + 20)
            store.lease_lookup(each.id, 1, SECRETS[5], NOW + 20, NOW + 60)
            dynamodb.update_item(
                TableName="table",
                Key=session_key(each.id),
                UpdateExpression="SET group_id = :g, #s = :v, verified_at = :t REMOVE #ttl",
                ExpressionAttributeNames={"#s": "status", "#ttl": "ttl"},
                ExpressionAttributeValues={":g": encode(f"group-{index}"), ":v": encode("verified"), ":t": encode(NOW)},
            )
    erase(store, made[0])
    store.keep_consent_text(ConsentText("2026-11", Language.EN, "Consent", "Words."))
    ClientKeys(dynamodb, "table").add("acme", ["https://shop.example"])
    for pk in ("WEBHOOKS#acme", "GOVERNOR", "POLL_HISTORY"):
        dynamodb.put_item(TableName="table", Item=encode_item({"pk": pk, "sk": "x", "secret": SECRETS[2]}))
    return made


def erase(store: DynamoStore, of: Session) -> None:
    found = store.get_session(of.id)
    assert found
    assert store.redact_session(found, NOW + 100)
    for each in store.list_assets(of.id):
        store.redact_asset(each, NOW + 100)
    store.record_erasure(of.id, NOW + 101)


@dataclass
class Exporter:
    """Runs exports of the table ``table``, which may crash or reach their time limit."""

    dynamodb: Any
    files: FakeFiles = field(default_factory=FakeFiles)
    clock: FakeClock = field(default_factory=lambda: FakeClock(NOW))
    slept: list[float] = field(default_factory=list)
    part_bytes: int = 3000

    def run(self, until: float = 1e12, held_until: float | None = None) -> dict[str, Any]:
        pages = DynamoPages(self.dynamodb, "table", limit=7)
        progress = DynamoProgress(self.dynamodb, "table")
        step = ExportInventory(pages, self.files, progress, self.clock, self._sleep, 24 * HOUR, self.part_bytes)
        return step(until, held_until or self.clock.at + 900)

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.at += seconds

    def lines(self) -> list[dict[str, Any]]:
        (manifest,) = [key for key in self.files.files if key.endswith("manifest.json")]
        folder = manifest.removesuffix("manifest.json")
        parts = json.loads(self.files.files[manifest])["parts"]
        return [json.loads(line) for each in parts for line in self.files.files[folder + each["name"]].splitlines()]

    def write(self, folder: Path) -> Path:
        folder.mkdir()
        for key, body in self.files.files.items():
            (folder / key.rpartition("/")[2]).write_bytes(body)
        return folder


def restored(dynamodb: Any, tmp_path: Path, source: Path, *options: str, table: str = "fresh") -> Result:
    state = tmp_path / "state.json"
    endpoint = dynamodb.meta.endpoint_url
    state.write_text(json.dumps({"emulator_endpoint": endpoint, "outputs": {"TableName": table}}))
    command = ["inventory", "restore", "--from", str(source), "--state-file", str(state), *options]
    return CliRunner().invoke(main, command)


def answers(dynamodb: Any, table: str, sessions: list[Session]) -> list[Any]:
    """Returns the API's responses, without the assets' names."""
    store = DynamoStore(dynamodb, table)
    get, stats = (
        GetSession(store, FakeClock(NOW + 1000), 10, NoFiles(), FakeConsentTexts),
        GetStats(store, FakeClock(NOW + 1000)),
    )
    listing = get.list(CALLER, limit="100")
    found: list[Any] = [listing, stats(CALLER)]
    for each in sessions:
        view = get.one(CALLER, each.id)
        for one in view["assets"]:
            del one["name"]
            if one["error"]:
                del one["error"]["message"]
        found.append(view)
    return found


def test_an_export_holds_each_person_with_all_assets_once_and_no_secret(store: DynamoStore, dynamodb: Any) -> None:
    sessions = fill(store, dynamodb)
    exporter = Exporter(dynamodb)
    done = exporter.run()
    assert (done["outcome"], done["session"], done["tombstone"], done["asset"]) == ("exported", 4, 1, 25)
    assert done["parts"] > 1
    people = [each for each in exporter.lines() if each["kind"] in ("session", "tombstone", "assets")]
    assert sorted(each["session_id"] for each in people) == sorted(each.id for each in sessions)
    assert {len(each["assets"]) for each in people} == {5}
    text = b"".join(exporter.files.files.values()).decode()
    assert [each for each in SECRETS if each in text] == []
    (tombstone,) = [each for each in people if each["kind"] == "tombstone"]
    assert tombstone["upstream"]["deletion"] == "not_supported_by_provider"
    assert tombstone["upstream"]["group_id"] == "group-0"
    assert len(tombstone["upstream"]["asset_ids"]) == 4
    assert tombstone["session"]["erased_at"] == NOW + 101
    assert {each["sha256"] for each in tombstone["assets"]} == {"b" * 64}
    assert "reference" not in tombstone["session"]
    assert exporter.slept
    assert set(exporter.slept) == {0.5}


def test_a_restored_table_equals_the_exported_one(store: DynamoStore, dynamodb: Any, tmp_path: Path) -> None:
    sessions = fill(store, dynamodb)
    exporter = Exporter(dynamodb)
    exporter.run()
    source = exporter.write(tmp_path / "export")
    for _ in range(2):
        done = restored(dynamodb, tmp_path, source)
        assert done.exit_code == 0, done.output
        assert answers(dynamodb, "fresh", sessions) == answers(dynamodb, "table", sessions)
    assert "restored" not in done.output
    fresh = {each["pk"]["S"].partition("#")[0] for each in dynamodb.scan(TableName="fresh")["Items"]}
    assert fresh == {"SESSION", "CONSENT", "CONSENT_TEXTS", "CLIENT_KEYS"}
    names = {each.name for each in DynamoStore(dynamodb, "fresh").list_assets(sessions[1].id)}
    assert names == {each.id for each in store.list_assets(sessions[1].id)}


@pytest.mark.parametrize("dies_at", [1, 2, 3, 4])
def test_a_crashed_run_is_continued_and_nothing_is_missing(
    store: DynamoStore, dynamodb: Any, tmp_path: Path, dies_at: int
) -> None:
    sessions = fill(store, dynamodb)
    exporter = Exporter(dynamodb, files=FakeFiles(dies_at=dies_at))
    with pytest.raises(OSError, match="killed"):
        exporter.run()
    assert not any(each.endswith("manifest.json") for each in exporter.files.files)
    assert exporter.run() == {"outcome": "held"}, "the crashed run may still be running"
    exporter.clock.at += 901
    assert exporter.run()["outcome"] == "exported"
    people = [each["session_id"] for each in exporter.lines() if "session_id" in each and each["kind"] != "consent"]
    assert sorted(people) == sorted(each.id for each in sessions)
    done = restored(dynamodb, tmp_path, exporter.write(tmp_path / "export"))
    assert done.exit_code == 0, done.output


def test_a_run_that_reaches_its_time_limit_leaves_the_rest_to_the_next(store: DynamoStore, dynamodb: Any) -> None:
    fill(store, dynamodb)
    exporter = Exporter(dynamodb)
    outcomes: list[str] = []
    while not outcomes or outcomes[-1] == "unfinished":
        outcomes.append(exporter.run(until=exporter.clock.at)["outcome"])
        assert len(outcomes) < 40
    assert outcomes[-1] == "exported"
    assert len(outcomes) > 3
    assert len({each.rpartition("/")[0] for each in exporter.files.files}) == 1
    assert exporter.run() == {"outcome": "not_due"}
    exporter.clock.at += 24 * HOUR
    assert exporter.run()["outcome"] == "exported"
    assert len({each.rpartition("/")[0] for each in exporter.files.files}) == 2


def test_a_run_that_was_overtaken_stops(dynamodb: Any) -> None:
    progress = DynamoProgress(dynamodb, "table")
    assert progress.take("a", NOW, NOW + 10)
    assert progress.take("b", NOW + 5, NOW + 20) is None
    assert progress.take("b", NOW + 11, NOW + 20)
    with pytest.raises(ConditionFailed):
        progress.save("a", Export("inv", NOW), NOW + 30)
    progress.release("a")
    assert progress.take("c", NOW + 12, NOW + 30) is None


def test_a_restore_never_overwrites_newer_items_or_restores_erased_people(
    store: DynamoStore, dynamodb: Any, tmp_path: Path
) -> None:
    sessions = fill(store, dynamodb)
    exporter = Exporter(dynamodb)
    exporter.run()
    source = exporter.write(tmp_path / "export")
    erase(store, sessions[1])
    store.record_failed_attempt(sessions[3].id, 1, "10010", Problem("attempt_failed", "no"), NOW + 300)
    (key,) = ClientKeys(dynamodb, "table").known()
    ClientKeys(dynamodb, "table").revoke(key.key_id)
    before = dynamodb.scan(TableName="table")["Items"]
    done = restored(dynamodb, tmp_path, source, table="table")
    assert done.exit_code == 0, done.output
    assert dynamodb.scan(TableName="table")["Items"] == before


def test_a_tombstone_and_a_revoked_key_take_precedence_over_an_older_export(
    store: DynamoStore, dynamodb: Any, tmp_path: Path
) -> None:
    sessions = fill(store, dynamodb)
    older, newer = Exporter(dynamodb), Exporter(dynamodb)
    older.run()
    erase(store, sessions[1])
    (key,) = ClientKeys(dynamodb, "table").known()
    ClientKeys(dynamodb, "table").revoke(key.key_id)
    newer.clock.at = NOW + 25 * HOUR
    newer.run()
    sources = older.write(tmp_path / "older"), newer.write(tmp_path / "newer")
    for source in (*sources, sources[0]):
        assert restored(dynamodb, tmp_path, source).exit_code == 0
    assert answers(dynamodb, "fresh", sessions) == answers(dynamodb, "table", sessions)
    (found,) = ClientKeys(dynamodb, "fresh").known()
    assert found.revoked_at
    assert "alice" not in json.dumps(dynamodb.scan(TableName="fresh")["Items"])


def test_a_partly_restored_table_gets_the_rest(store: DynamoStore, dynamodb: Any, tmp_path: Path) -> None:
    sessions = fill(store, dynamodb)
    exporter = Exporter(dynamodb)
    exporter.run()
    source = exporter.write(tmp_path / "export")
    assert restored(dynamodb, tmp_path, source).exit_code == 0
    for number, each in enumerate(dynamodb.scan(TableName="fresh")["Items"]):
        if number % 3:
            dynamodb.delete_item(TableName="fresh", Key={"pk": each["pk"], "sk": each["sk"]})
    assert restored(dynamodb, tmp_path, source).exit_code == 0
    assert answers(dynamodb, "fresh", sessions) == answers(dynamodb, "table", sessions)


def test_an_incomplete_export_is_refused_with_the_reason(store: DynamoStore, dynamodb: Any, tmp_path: Path) -> None:
    fill(store, dynamodb)
    exporter = Exporter(dynamodb)
    exporter.run()
    source = exporter.write(tmp_path / "export")
    part = source / "part-00001.jsonl"
    good = part.read_bytes()
    part.write_bytes(good.replace(b"1234", b"1235", 1))
    assert "part-00001.jsonl does not match manifest.json" in restored(dynamodb, tmp_path, source).output
    part.unlink()
    assert "part-00001.jsonl cannot be read" in restored(dynamodb, tmp_path, source).output
    part.write_bytes(good)
    (source / "manifest.json").unlink()
    assert "incomplete; nothing was restored" in restored(dynamodb, tmp_path, source).output
    assert dynamodb.scan(TableName="fresh")["Items"] == []


BAD = [
    b"no json",
    b'{"kind":"webhook"}',
    b'{"kind":"session","session_id":"ses_x","assets":[]}',
    b'{"kind":"client_key","pk":"SESSION#ses_x","sk":"SESSION"}',
    b'{"kind":"assets","session_id":"ses_01ARZ3NDEKTSV4RRFFQ69G5FAV","assets":[{"id":"ast_01ARZ3NDEKTSV4RRFFQ69G5FAV"}]}',
]


@pytest.mark.parametrize("bad", BAD)
def test_an_invalid_line_is_named_and_skipped_only_on_request(
    store: DynamoStore, dynamodb: Any, tmp_path: Path, bad: bytes
) -> None:
    sessions = fill(store, dynamodb)
    exporter = Exporter(dynamodb)
    exporter.run()
    source = exporter.write(tmp_path / "export")
    _append(source, bad)
    refused = restored(dynamodb, tmp_path, source)
    assert refused.exit_code == 1
    assert re.search(r"part-00001\.jsonl:\d+: ", refused.output)
    assert "nothing was restored" in refused.output
    assert dynamodb.scan(TableName="fresh")["Items"] == []
    skipped = restored(dynamodb, tmp_path, source, "--skip-bad")
    assert skipped.exit_code == 1
    assert "1 lines were skipped" in skipped.output
    assert answers(dynamodb, "fresh", sessions) == answers(dynamodb, "table", sessions)


def _append(source: Path, line: bytes) -> None:
    """Appends a line to the first part, and updates its digest."""
    part, manifest = source / "part-00001.jsonl", source / "manifest.json"
    part.write_bytes(part.read_bytes() + line + b"\n")
    document = json.loads(manifest.read_text())
    document["parts"][0]["sha256"] = hashlib.sha256(part.read_bytes()).hexdigest()
    manifest.write_text(json.dumps(document))


def test_the_command_exports_into_a_new_folder(store: DynamoStore, dynamodb: Any, tmp_path: Path) -> None:
    sessions = fill(store, dynamodb)
    state, target = tmp_path / "stack.json", tmp_path / "out"
    endpoint = dynamodb.meta.endpoint_url
    state.write_text(json.dumps({"emulator_endpoint": endpoint, "outputs": {"TableName": "table"}}))
    command = ["inventory", "export", "--to", str(target), "--state-file", str(state)]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    assert {each.name for each in target.iterdir()} == {"manifest.json", "part-00001.jsonl"}
    assert CliRunner().invoke(main, command).exit_code == 1, "an existing folder is not changed"
    assert restored(dynamodb, tmp_path, target).exit_code == 0
    assert answers(dynamodb, "fresh", sessions) == answers(dynamodb, "table", sessions)


def test_verified_and_erased_sessions_never_expire_and_files_expire_with_their_session(
    store: DynamoStore, dynamodb: Any
) -> None:
    sessions = fill(store, dynamodb)
    expiring: dict[str, set[str]] = {}
    for item in dynamodb.scan(TableName="table")["Items"]:
        if item["pk"]["S"].startswith("SESSION#") and "ttl" in item:
            expiring.setdefault(item["pk"]["S"].partition("#")[2], set()).add(item["sk"]["S"])
    assert sessions[0].id not in expiring, "a tombstone stays, with its assets"
    assert "SESSION" not in expiring[sessions[2].id], "a verified session stays"
    assert "SESSION" in expiring[sessions[1].id]
    for each in sessions[1:]:
        kept = {f"ASSET#{one.id}" for one in store.list_assets(each.id) if one.crun_asset_id}
        assert len(kept) == 4
        assert not kept & expiring[each.id], "files at crun never expire"
    untaken = session(20)
    early = asset(untaken, 1, status=AssetStatus.AWAITING_UPLOAD, crun_asset_id=None)
    store.create_session(untaken, [early])
    left = [item["ttl"]["N"] for item in dynamodb.scan(TableName="table")["Items"] if untaken.id in item["pk"]["S"]
            and "ttl" in item]  # fmt: skip
    assert len(left) == 2, "the session and its file"


def test_items_that_an_older_version_let_expire_are_kept(store: DynamoStore, dynamodb: Any) -> None:
    sessions = fill(store, dynamodb, 3)
    for each in sessions:
        dynamodb.update_item(
            TableName="table",
            Key=session_key(each.id),
            UpdateExpression="SET #ttl = :soon",
            ExpressionAttributeNames={"#ttl": "ttl"},
            ExpressionAttributeValues={":soon": encode(int(NOW) + 1)},
        )
    for expected in (2, 0):
        assert keep_for_good(dynamodb, "table") == expected
    left = [
        each.id for each in sessions if "ttl" in dynamodb.get_item(TableName="table", Key=session_key(each.id))["Item"]
    ]
    assert left == [sessions[1].id]


def test_a_restore_never_wakes_a_withdrawn_consent(store: DynamoStore, dynamodb: Any, tmp_path: Path) -> None:
    _, withdrawn, again = fill(store, dynamodb, sessions=3)
    keys = [session_key(each.id) for each in (withdrawn, again)]
    before = [dynamodb.get_item(TableName="table", Key=each)["Item"] for each in keys]
    for each in (withdrawn, again):
        store.withdraw_consent(each, Withdrawal(2e9, "person", "invite"))
    current = store.get_session(again.id)
    assert current
    given = Consent("3", "2033-05-18T03:34:00Z", "1" * 64, "en", "person", ("news",), 3e9)
    store.record_consent(current, given, 2e9 + 20)
    lines = Exporter(dynamodb)
    lines.run()
    source = lines.write(tmp_path / "export")
    assert restored(dynamodb, tmp_path, source).exit_code == 0
    fresh = DynamoStore(dynamodb, "fresh")
    found = fresh.get_session(withdrawn.id)
    assert found
    assert found.withdrawal == Withdrawal(2e9, "person", "invite")
    assert consents(fresh, again) == ("given", ("news",), 3e9)
    # Rows of an older backup, beside the ledger that has all entries.
    for item in before:
        dynamodb.put_item(TableName="fresh", Item=item)
    assert [consents(fresh, each)[0] for each in (withdrawn, again)] == ["given", "given"]
    assert withdraw_again(dynamodb, "fresh") == 1
    assert withdraw_again(dynamodb, "fresh") == 0
    assert [consents(fresh, each)[0] for each in (withdrawn, again)] == ["withdrawn", "given"]


def consents(store: DynamoStore, of: Session) -> tuple[str, tuple[str, ...], float | None]:
    found = store.get_session(of.id)
    assert found
    assert found.consent
    return found.consent_status(2.5e9).value, found.consent.purposes, found.consent.valid_until


def test_items_of_an_older_version_are_found_by_cruns_ids(store: DynamoStore, dynamodb: Any) -> None:
    fill(store, dynamodb, 3)
    ids = DynamoUpstreamIds(dynamodb, "table")
    rows = dynamodb.scan(TableName="table")["Items"]
    known = [each for each in rows if "group_id" in each or "crun_asset_id" in each]
    for each in known:
        key = {name: each[name] for name in ("pk", "sk")}
        dynamodb.update_item(TableName="table", Key=key, UpdateExpression="REMOVE upstream_id")
    for expected in (len(known), 0):
        assert index_upstream_ids(dynamodb, "table") == expected
    for each in known:
        if "group_id" in each:
            assert ids.session_of(each["group_id"]["S"]) == each["id"]["S"]
        else:
            assert ids.asset_of("acme", each["crun_asset_id"]["S"])
    assert len(known) > 3


# -- generations -----------------------------------------------------------------------------------------------------

PROMPT = "prompt-secret"
_LINK = "https://media.crun.test/1?signature-secret"


def films(dynamodb: Any, sessions: list[Session]) -> dict[str, Generation]:
    """Stores a generation of each kind, which shows the first two of the people."""
    people = tuple(
        PersonUse(each.id, (asset(each, 0).id,), (f"asset-{each.id[-4:]}-0",), "2027-01-15T08:00:00Z")
        for each in sessions[:2]
    )
    report = TaskReport("task-1", "success", (_LINK,), message=_LINK)
    plain = Generation(
        id="", client_id="acme", status=GenerationStatus.QUEUED, model="m", created_at=NOW, updated_at=NOW + 50,
        body_sha256="c" * 64, input=PROMPT, people=people, purpose="ads", reference="campaign-1", reserved=2.0,
        base_url="https://api.test", callback_url="https://client.test/secret",
    )  # fmt: skip
    media = (Media("generations/x/0.mp4", "video/mp4", 5, "e" * 64),)
    at_crun: dict[str, Any] = {"intended_at": NOW + 1, "intended_by": "one"}
    given = at_crun | {"task_id": "task-1", "submitted_at": NOW + 2}
    failure = Problem("generation_failed", f"see {_LINK}", "500", upstream_message=_LINK)
    made = {
        "queued": plain,
        "intended": replace(plain, **at_crun),
        "running": replace(plain, status=GenerationStatus.RUNNING, **given),
        "succeeded": replace(
            plain, status=GenerationStatus.SUCCEEDED, media=media, report=report, settled=1.5, credits=1.5,
            ended_at=NOW + 50, **given,
        ),
        "failed": replace(plain, status=GenerationStatus.FAILED, error=failure, ended_at=NOW + 50, **given),
    }  # fmt: skip
    for name, each in made.items():
        made[name] = each = replace(each, id=generation_id("acme", name))
        for item in (generation_item(each), list_item(each), *(use_item(each, one) for one in each.people)):
            dynamodb.put_item(TableName="table", Item=item)
    day = {"pk": "SPENDING#acme", "sk": "2027-01-15", "spent": 1.5, "reserved": 2.0, "committed": 3.5}
    dynamodb.put_item(TableName="table", Item=encode_item(day))
    return made


def test_generations_and_uses_are_exported_without_prompts_and_links(store: DynamoStore, dynamodb: Any) -> None:
    made = films(dynamodb, fill(store, dynamodb))
    exporter = Exporter(dynamodb)
    done = exporter.run()
    assert (done["generation"], done["use"]) == (5, 10)
    text = b"".join(exporter.files.files.values()).decode()
    assert [each for each in (PROMPT, _LINK, "signature-secret", "client.test") if each in text] == []
    lines = {each["generation"]["id"]: each["generation"] for each in exporter.lines() if each["kind"] == "generation"}
    assert lines.keys() == {each.id for each in made.values()}
    succeeded = lines[made["succeeded"].id]
    assert succeeded["media"][0]["sha256"] == "e" * 64
    assert succeeded["people"][0]["asset_ids"] == list(made["succeeded"].people[0].asset_ids)
    assert {each["outcome"] for each in exporter.lines() if each["kind"] == "use" and "outcome" in each} == {
        "succeeded", "failed",
    }  # fmt: skip


def test_restored_generations_go_on_and_none_is_created_again(
    store: DynamoStore, dynamodb: Any, tmp_path: Path
) -> None:
    sessions = fill(store, dynamodb)
    made = films(dynamodb, sessions[1:])
    exporter = Exporter(dynamodb)
    exporter.run()
    source = exporter.write(tmp_path / "export")
    for _ in range(2):
        done = restored(dynamodb, tmp_path, source)
        assert done.exit_code == 0, done.output
    before, after = DynamoGenerations(dynamodb, "table"), DynamoGenerations(dynamodb, "fresh")
    for each in made.values():
        found = after.get(each.id)
        assert found
        assert (found.status, found.task_id, found.intended_at, found.body_sha256, found.media, found.settled) == (
            each.status, each.task_id, each.intended_at, each.body_sha256, each.media, each.settled,
        )  # fmt: skip
        assert found.people == each.people
        assert (found.input, found.report, found.callback_url) == ("", None, None)
        # A task that was not created yet cannot be: its prompt is gone.
        assert found.erased_at == (NOW + 50 if each.status is GenerationStatus.QUEUED else None)
    wanted = GenerationFilter()
    assert [each.id for each in after.list_generations("acme", limit=9, cursor=None, wanted=wanted).generations] == [
        each.id for each in before.list_generations("acme", limit=9, cursor=None, wanted=wanted).generations
    ]
    for one in sessions[1:3]:
        assert after.list_uses(one.id, limit=9) == before.list_uses(one.id, limit=9)
    assert after.of_task("task-1") in {each.id for each in made.values()}
    assert after.spending("acme", NOW) == Spending()
    make_due(dynamodb, "fresh")
    due = {each.generation_id for each in DynamoDueItems(dynamodb, "fresh").oldest(NOW + 1e6, 100)} - {None}
    assert due == {made[name].id for name in ("queued", "intended", "running")}


def test_a_restore_keeps_newer_generations_and_erased_ones(store: DynamoStore, dynamodb: Any, tmp_path: Path) -> None:
    sessions = fill(store, dynamodb)
    made = films(dynamodb, sessions[1:])
    exporter = Exporter(dynamodb)
    exporter.run()
    source = exporter.write(tmp_path / "export")
    generations = DynamoGenerations(dynamodb, "table")
    generations.erase(made["succeeded"], NOW + 300)
    running = made["running"]
    generations.end(replace(running.ended(GenerationStatus.FAILED, NOW + 300), credits=1.0), running)
    before = dynamodb.scan(TableName="table")["Items"]
    assert restored(dynamodb, tmp_path, source, table="table").exit_code == 0
    assert dynamodb.scan(TableName="table")["Items"] == before


def test_a_generation_of_an_erased_person_is_restored_without_media(
    store: DynamoStore, dynamodb: Any, tmp_path: Path
) -> None:
    sessions = fill(store, dynamodb)
    made = films(dynamodb, sessions[1:])
    older = Exporter(dynamodb)
    older.run()
    erase(store, sessions[2])
    newer = Exporter(dynamodb, clock=FakeClock(NOW + 25 * HOUR))
    newer.run()
    # The tombstone is restored first, then an export from before the erasure.
    tombstone = replace_lines(newer.write(tmp_path / "newer"), {"tombstone"})
    assert restored(dynamodb, tmp_path, tombstone).exit_code == 0
    source = older.write(tmp_path / "older")
    assert restored(dynamodb, tmp_path, source).exit_code == 0
    found = DynamoGenerations(dynamodb, "fresh").get(made["succeeded"].id)
    assert found
    assert (found.media, found.reference, found.erased_at) == ((), None, NOW + 50)
    failed = DynamoGenerations(dynamodb, "fresh").get(made["failed"].id)
    assert failed
    assert failed.error == Problem("generation_failed", ERASED_WORDS, "500")
    assert "campaign-1" not in json.dumps(dynamodb.scan(TableName="fresh")["Items"])


def replace_lines(source: Path, kinds: set[str]) -> Path:
    """Leaves only the lines of these kinds in an export."""
    manifest = json.loads((source / "manifest.json").read_text())
    for part in manifest["parts"]:
        lines = (source / part["name"]).read_bytes().splitlines(keepends=True)
        body = b"".join(each for each in lines if json.loads(each)["kind"] in kinds)
        (source / part["name"]).write_bytes(body)
        part["sha256"] = hashlib.sha256(body).hexdigest()
    (source / "manifest.json").write_text(json.dumps(manifest))
    return source


@pytest.mark.parametrize(
    "broken",
    [{"generation": None}, {"generation": {"id": "gen_x"}}, {"generation": {"id": "gen_" + "0" * 26}}],
    ids=["none", "no id", "no fields"],
)
def test_a_generation_that_cannot_be_read_is_named(
    store: DynamoStore, dynamodb: Any, tmp_path: Path, broken: dict[str, Any]
) -> None:
    fill(store, dynamodb)
    exporter = Exporter(dynamodb)
    exporter.run()
    source = exporter.write(tmp_path / "export")
    _append(source, json.dumps({"kind": "generation"} | broken).encode())
    done = restored(dynamodb, tmp_path, source)
    assert done.exit_code == 1
    assert "nothing was restored" in done.output
