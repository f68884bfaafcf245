"""The hygiene rules are checked on real logs, and each rule can fail."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from local.stack import Stack
from tests.integration.conftest import Api, Canaries, Listener, come_back, face_check, wait_until_read
from tests.integration.hygiene import RULES, Remains, broken


@pytest.fixture(scope="module")
def remains(api: Api, stack: Stack, listener: Listener) -> Remains:
    """What a verified session, and the tests before it, wrote."""
    session = api.session(reference="the-hygiene-of-alice")
    come_back(face_check(session["attempt"]["h5_link"]))
    wait_until_read(api, [session["id"]])
    api.wait(session["id"], lambda found: found["status"] == "verified")
    found = Remains.of(stack, listener)
    assert [each for each in found.facts if each.get("session_id") == session["id"] and "_aws" not in each]
    assert [each for each in found.facts if "_aws" in each]
    assert [name for name in found.histories if session["id"] in name]
    assert [each for each in found.events if each["detail"].get("session_id") == session["id"]]
    assert session["id"] in found.logs
    return found


def test_no_rule_is_broken(remains: Remains, canaries: Canaries) -> None:
    assert canaries.secrets
    assert "the-hygiene-of-alice" in canaries.personal
    assert broken(remains, canaries) == {}


def test_each_rule_detects_a_violation(remains: Remains, canaries: Canaries) -> None:
    secret, name = next(iter(canaries.secrets)), "the-hygiene-of-alice"
    line = next(each for each in remains.facts if "_aws" not in each)
    metric = next(each for each in remains.facts if "_aws" in each)
    event = remains.events[0]
    violations = [
        replace(remains, logs=remains.logs + secret),
        replace(remains, histories=remains.histories | {"ses_": name}),
        replace(remains, lines=[json.dumps(line | {"headers": 1})]),
        replace(remains, lines=["debug: here"]),
        replace(remains, lines=[json.dumps(metric | {"service": "another"})]),
        replace(remains, histories={"alice": "{}"}),
        replace(remains, events=[event | {"detail": event["detail"] | {"reference": name}}]),
        replace(remains, dead_letters={"OnboardingDeadLetterQueue": 1}),
    ]
    for rule, each in zip(RULES, violations, strict=True):
        assert rule.__name__ in broken(each, canaries)
