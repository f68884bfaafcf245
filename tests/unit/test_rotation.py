"""Signing keys rotate while functions run, and no valid link is refused (ASVS 5.0, 9.1.1)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from likeness.adapters.secrets import KEPT_SECONDS, RotatingKeys, Secret
from likeness.domain.caller import Caller
from likeness.domain.signing import callback_is_authentic, issue_session_token, sign_callback
from likeness.errors import StorageUnavailable
from likeness.steps.onboarding.authorize import Authorize
from tests.aws import isolated_aws_environment
from tests.unit.fakes import FakeClock

SESSION = "ses_01ARZ3NDEKTSV4RRFFQ69G5FAV"


class Keys:
    """A secret in moto, and functions that have cached it at different times."""

    def __init__(self) -> None:
        self.client = boto3.client("secretsmanager")
        self.arn = self.client.create_secret(Name="signing", SecretString="first")["ARN"]
        self.at = 1000.0
        self.asked = 0
        self.client.meta.events.register("before-call.secretsmanager.GetSecretValue", self._count)

    def _count(self, **_: Any) -> None:
        self.asked += 1

    def function(self) -> RotatingKeys:
        return RotatingKeys(Secret(self.client, self.arn, lambda: self.at), lambda: self.at)

    def rotate(self, text: str) -> None:
        self.client.put_secret_value(SecretId=self.arn, SecretString=text)


@pytest.fixture
def keys() -> Iterator[Keys]:
    with isolated_aws_environment(), mock_aws():
        yield Keys()


def test_the_old_key_verifies_for_one_rotation(keys: Keys) -> None:
    signature = sign_callback(keys.function().current(), SESSION, 1)
    keys.rotate("second")
    assert callback_is_authentic(keys.function().current(), SESSION, 1, signature)
    keys.rotate("third")
    assert not callback_is_authentic(keys.function().current(), SESSION, 1, signature)


def test_a_function_with_a_cached_old_key_accepts_signatures_of_the_new_one(keys: Keys) -> None:
    early = keys.function()
    assert list(early.current()) == [b"first"]
    keys.rotate("second")
    token = issue_session_token(keys.function().current(), SESSION, "acme", 2_000_000_000)
    found = Authorize(_NoClients(), early, FakeClock(), _NoClients())(token)
    assert found
    assert (found.client_id, found.session_id) == ("acme", SESSION)


def test_forged_signatures_do_not_read_the_secret_repeatedly(keys: Keys) -> None:
    function = keys.function()
    list(function.current())
    before = keys.asked
    for _ in range(1000):
        assert not callback_is_authentic(function.fresh(), SESSION, 1, "x" * 43)
    assert keys.asked - before <= 2
    keys.at += 31
    list(function.fresh())
    assert 2 <= keys.asked - before <= 4


def test_a_rotation_is_noticed_within_five_minutes(keys: Keys) -> None:
    function = keys.function()
    list(function.current())
    keys.rotate("second")
    keys.at += KEPT_SECONDS
    assert list(function.current()) == [b"second", b"first"]


class _NoClients:
    def find(self, key_hash: str) -> Caller | None:
        return None


def test_the_previous_key_is_read_only_when_the_current_one_does_not_match(keys: Keys) -> None:
    keys.rotate("second")
    function = keys.function()
    good = sign_callback(function.current(), SESSION, 1)
    assert callback_is_authentic(function.current(), SESSION, 1, good)
    assert keys.asked == 1
    assert not callback_is_authentic(function.current(), SESSION, 1, "x" * 43)
    assert keys.asked == 2


def test_a_secret_without_text_is_an_outage_until_the_text_is_set(keys: Keys) -> None:
    """A binary secret is never replaced by an empty key for signing or for calls to crun."""
    keys.client.put_secret_value(SecretId=keys.arn, SecretBinary=b"bytes")
    secret = Secret(keys.client, keys.arn, lambda: keys.at)
    with pytest.raises(StorageUnavailable):
        secret.value()
    keys.rotate("a text")
    assert secret.value() == "a text"
    assert secret.previous() is None
