"""Client keys: what the operator's commands store, show and revoke in moto's DynamoDB."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from likeness.adapters.table.client_keys import DynamoClientKeys
from ops.cli import main
from ops.client_keys import ClientKeys
from tests.aws import inventory

TABLE = "inventory"


@pytest.fixture
def dynamodb() -> Iterator[Any]:
    """A client of an account with the table, independent of this machine's configuration."""
    with inventory(TABLE) as client:
        yield client


@pytest.fixture
def keys(dynamodb: Any) -> ClientKeys:
    return ClientKeys(dynamodb, TABLE)


@pytest.fixture
def run(dynamodb: Any, tmp_path: Path) -> Callable[..., Result]:
    """Runs `python -m ops client …` with the stack of a state file."""
    endpoint = dynamodb.meta.endpoint_url
    state = tmp_path / "stack.json"
    state.write_text(json.dumps({"emulator_endpoint": endpoint, "outputs": {"TableName": TABLE}}))

    def run(*arguments: str, mix_stderr: bool = True) -> Result:
        return CliRunner(mix_stderr=mix_stderr).invoke(main, ["client", *arguments, "--state-file", str(state)])

    return run


def stored(dynamodb: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = dynamodb.scan(TableName=TABLE)["Items"]
    return items


def test_only_the_hash_of_a_key_is_stored(keys: ClientKeys, dynamodb: Any) -> None:
    key = keys.add("acme", ["https://app.acme.com"])

    assert re.fullmatch(r"lk_[A-Za-z0-9_-]{43}", key)
    (item,) = stored(dynamodb)
    digest = hashlib.sha256(key.encode()).hexdigest()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", item.pop("created_at")["S"])
    assert item == {
        "pk": {"S": "CLIENT_KEYS"},
        "sk": {"S": digest},
        "key_id": {"S": digest[:12]},
        "client_id": {"S": "acme"},
        "return_origins": {"L": [{"S": "https://app.acme.com"}]},
    }


def test_the_authorizer_accepts_a_key_until_it_is_revoked(keys: ClientKeys, dynamodb: Any) -> None:
    hash_of_key = hashlib.sha256(keys.add("acme", ["https://app.acme.com"]).encode()).hexdigest()
    other = hashlib.sha256(keys.add("acme").encode()).hexdigest()
    authorizer = DynamoClientKeys(dynamodb, TABLE)

    caller = authorizer.find(hash_of_key)
    assert caller is not None
    assert (caller.client_id, caller.return_origins) == ("acme", ("https://app.acme.com",))

    assert keys.revoke(hash_of_key[:12])
    assert authorizer.find(hash_of_key) is None
    assert authorizer.find(other) is not None


def test_a_repeated_revocation_keeps_the_first_time(keys: ClientKeys, dynamodb: Any) -> None:
    key_id = hashlib.sha256(keys.add("acme").encode()).hexdigest()[:12]
    (item,) = stored(dynamodb)
    dynamodb.put_item(TableName=TABLE, Item=item | {"revoked_at": {"S": "2020-01-01T00:00:00Z"}})

    assert keys.revoke(key_id)
    assert [each.revoked_at for each in keys.known()] == ["2020-01-01T00:00:00Z"]


@pytest.mark.parametrize("key_id", ["", "0", "000000000000", "no-such-key"])
def test_an_incomplete_key_id_revokes_no_key(keys: ClientKeys, key_id: str) -> None:
    for _ in range(20):
        keys.add("acme")

    assert not keys.revoke(key_id)
    assert all(each.revoked_at is None for each in keys.known())


@pytest.mark.parametrize("client_id", ["", "Acme", "a" * 33, "acme/other", "acme\n", "ümlaut", "../acme"])
def test_an_invalid_client_id_is_refused(keys: ClientKeys, dynamodb: Any, client_id: str) -> None:
    with pytest.raises(ValueError, match="client id"):
        keys.add(client_id)
    assert stored(dynamodb) == []


@pytest.mark.parametrize(
    "origin",
    [
        "http://app.acme.com",
        "https://app.acme.com/",
        "https://app.acme.com/path",
        "https://app.acme.com?x=1",
        "https://app.acme.com#x",
        "https://user@app.acme.com",
        "https://app.acme.com:",
        "https://app.acme.com:99999",
        "https://",
        "//app.acme.com",
        "https:\\\\app.acme.com",
        "https://app.acme.com\r\nX: y",
        "javascript:alert(1)",
        "http://localhost.acme.com",
        "*",
        "",
    ],
)
def test_an_inexact_origin_is_refused(keys: ClientKeys, dynamodb: Any, origin: str) -> None:
    with pytest.raises(ValueError, match="return origin"):
        keys.add("acme", ["https://app.acme.com", origin])
    assert stored(dynamodb) == []


@pytest.mark.parametrize("origin", ["https://APP.acme.com", "https://app.acme.com:443", "HTTPS://app.acme.com:443"])
def test_an_origin_is_stored_as_browsers_normalise_it(keys: ClientKeys, origin: str) -> None:
    keys.add("acme", [origin, "https://app.acme.com"])
    assert [each.return_origins for each in keys.known()] == [("https://app.acme.com",)]


@pytest.mark.parametrize("origin", ["https://app.acme.com:8443", "http://127.0.0.1:8080", "http://localhost:3000"])
def test_https_with_a_port_and_http_to_this_machine_are_accepted(keys: ClientKeys, origin: str) -> None:
    keys.add("acme", [origin])
    assert [each.return_origins for each in keys.known()] == [(origin,)]


def test_the_commands_show_a_key_once_and_then_only_its_id(run: Callable[..., Result]) -> None:
    added = run(
        "add", "--client-id", "acme", "--return-origin", "https://a.example", "--return-origin", "https://b.example"
    )
    assert added.exit_code == 0, added.output
    (key,) = re.findall(r"lk_[A-Za-z0-9_-]{43}", added.output)
    key_id = hashlib.sha256(key.encode()).hexdigest()[:12]

    listed = run("list")
    assert listed.exit_code == 0, listed.output
    assert key not in listed.output
    assert all(each in listed.output for each in (key_id, "acme", "active", "https://a.example https://b.example"))

    assert run("revoke", "--key-id", key_id).exit_code == 0
    assert "revoked 20" in run("list").output


def test_a_rotated_key_has_the_same_client_and_origins_and_the_old_one_still_works(
    run: Callable[..., Result], keys: ClientKeys, dynamodb: Any
) -> None:
    old = hashlib.sha256(keys.add("acme", ["https://a.example", "https://b.example"]).encode()).hexdigest()

    result = run("rotate", "--key-id", old[:12])
    assert result.exit_code == 0, result.output
    assert f"client revoke --key-id {old[:12]} --state-file" in result.output
    (key,) = re.findall(r"lk_[A-Za-z0-9_-]{43}", result.output)
    authorizer = DynamoClientKeys(dynamodb, TABLE)
    found = [authorizer.find(each) for each in (old, hashlib.sha256(key.encode()).hexdigest())]
    assert found[0] is not None
    assert found[0] == found[1]


def test_a_key_has_a_default_purpose_that_a_rotation_keeps(
    run: Callable[..., Result], keys: ClientKeys, dynamodb: Any
) -> None:
    key = run("add", "--client-id", "acme", "--purpose", "advertising").output.strip()
    digest = hashlib.sha256(key.encode()).hexdigest()
    found = DynamoClientKeys(dynamodb, TABLE).find(digest)
    assert found
    assert found.purpose == "advertising"
    assert "purpose=advertising" in run("list").output
    run("rotate", "--key-id", digest[:12])
    assert [each.purpose for each in keys.known()] == ["advertising", "advertising"]


@pytest.mark.parametrize(("purpose", "warned"), [("advertising", False), ("advertizing", True)])
def test_a_purpose_that_no_list_has_is_reported_beside_the_key(
    run: Callable[..., Result], purpose: str, warned: bool
) -> None:
    result = run("add", "--client-id", "acme", "--purpose", purpose, mix_stderr=False)
    assert re.fullmatch(r"lk_[A-Za-z0-9_-]{43}\n", result.stdout), "KEY=$(…) is the key alone"
    assert (f"{purpose} is in no purposes.json" in result.stderr) is warned


@pytest.mark.parametrize(("budget", "shown"), [("1234567.5", "1234567.5"), ("5000000", "5000000")])
def test_a_large_budget_is_shown_with_each_digit(run: Callable[..., Result], budget: str, shown: str) -> None:
    run("add", "--client-id", "acme", "--daily-credits", budget)
    assert f"daily_credits={shown}\n" in run("list").output


def test_a_key_has_a_budget_and_may_see_the_balance_and_a_rotation_keeps_both(
    run: Callable[..., Result], keys: ClientKeys, dynamodb: Any
) -> None:
    arguments = ("add", "--client-id", "acme", "--daily-credits", "250.5", "--sees-balance")
    digest = hashlib.sha256(run(*arguments).output.strip().encode()).hexdigest()
    found = DynamoClientKeys(dynamodb, TABLE).find(digest)
    assert found
    assert (found.daily_credits, found.sees_balance) == (250.5, True)
    assert "daily_credits=250.5 sees_balance" in run("list").output
    run("rotate", "--key-id", digest[:12])
    assert [(each.daily_credits, each.sees_balance) for each in keys.known()] == [(250.5, True)] * 2


def test_a_key_of_an_earlier_version_has_neither_a_budget_nor_the_balance(keys: ClientKeys, dynamodb: Any) -> None:
    digest = hashlib.sha256(keys.add("acme").encode()).hexdigest()
    found = DynamoClientKeys(dynamodb, TABLE).find(digest)
    assert found
    assert (found.daily_credits, found.sees_balance) == (None, False)


@pytest.mark.parametrize("budget", ["0", "-1", "nan", "inf"])
def test_a_budget_is_a_number_above_0(run: Callable[..., Result], dynamodb: Any, budget: str) -> None:
    result = run("add", "--client-id", "acme", "--daily-credits", budget)
    assert (result.exit_code, "daily credits" in result.output) == (1, True)
    assert stored(dynamodb) == []


def test_a_revoked_key_is_not_rotated(run: Callable[..., Result], keys: ClientKeys) -> None:
    key_id = hashlib.sha256(keys.add("acme").encode()).hexdigest()[:12]
    keys.revoke(key_id)
    result = run("rotate", "--key-id", key_id)
    assert (result.exit_code, "is revoked" in result.output) == (1, True)
    assert len(keys.known()) == 1


def test_the_commands_report_an_error_in_one_line(run: Callable[..., Result]) -> None:
    cases = [
        (["add", "--client-id", "Acme"], "client id 'Acme'"),
        (["add", "--client-id", "acme", "--return-origin", "http://a.example"], "return origin 'http://a.example'"),
        (["add", "--client-id", "acme", "--purpose", "Ads!"], "purpose 'Ads!'"),
        (["revoke", "--key-id", "000000000000"], "no key has the id 000000000000"),
        (["rotate", "--key-id", "000000000000"], "no key has the id 000000000000"),
    ]
    for arguments, message in cases:
        result = run(*arguments)
        assert (result.exit_code, result.output.count("\n")) == (1, 1), result.output
        assert message in result.output


def test_a_missing_state_file_means_that_no_stack_is_running(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["client", "list", "--state-file", str(tmp_path / "none.json")])
    assert (result.exit_code, result.output.count("\n")) == (1, 1)
    assert "is the local stack up?" in result.output


def test_without_a_stack_the_two_options_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for each in ("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(each, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    result = CliRunner().invoke(main, ["client", "list"])
    assert (result.exit_code, result.output.count("\n")) == (1, 1)
    assert "the stack likeness cannot be read" in result.output
    assert "--stack-name" in result.output
    assert "--state-file .local/stack.json" in result.output
