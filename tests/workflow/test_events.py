"""Every event file is of the shape that its function takes: each one is really handed to the handler."""

from __future__ import annotations

import pytest

from tests.workflow.conftest import FUNCTIONS, World, events


@pytest.mark.parametrize("name", [each for each in FUNCTIONS if each not in ("look_up_result", "claim_assets")])
def test_a_handler_takes_its_event(world: World, name: str) -> None:
    answer = world.call(name, events(name))
    if name == "create_session":
        assert answer["statusCode"] == 201
    elif name == "receive_callback":
        assert answer["statusCode"] == 404, "nobody knows this session"
    elif name == "start_onboarding":
        assert answer == {"batchItemFailures": []}
    elif name == "submit_asset":
        assert answer == {"outcome": "nothing"}
    elif name == "poll_assets":
        assert answer["next"] == "done"
    else:
        assert answer is None


def test_a_message_that_cannot_be_read_comes_back_alone(world: World) -> None:
    event = events("start_onboarding")
    event["Records"][1]["body"] = "{not json"
    answer = world.call("start_onboarding", event)
    assert answer == {"batchItemFailures": [{"itemIdentifier": event["Records"][1]["messageId"]}]}
