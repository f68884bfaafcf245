"""What the functions leave in the logs that are no part of an onboarding."""

from __future__ import annotations

import json

from tests.faults.simulated_aws import simulated_aws
from tests.template_file import ROOT

BY_THE_CLOCK = {"export_inventory", "recheck_assets", "check_credits"}
DROP_IN = {"open_validation", "get_result", "fetch_asset"}
ELSEWHERE = {"send_webhooks", *DROP_IN, *BY_THE_CLOCK}


def test_other_functions_log_what_they_are_about() -> None:
    with simulated_aws({}) as where:
        where.begin({})
        for function in sorted(ELSEWHERE):
            where.invoke(function, json.loads((ROOT / f"events/{function}.json").read_text()))
        lines = [line for line in map(json.loads, where.logs) if "_aws" not in line]
    assert {line["function_name"] for line in lines} == ELSEWHERE
    for line in lines:
        if line["function_name"] in DROP_IN:
            more = {"request_id"}
        else:
            more = {"event_id"} | (set() if line["function_name"] in BY_THE_CLOCK else {"message_id"})
        assert {"function_request_id"} | more <= set(line), line
