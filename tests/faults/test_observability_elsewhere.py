"""Log lines of the functions that are not part of an onboarding."""

from __future__ import annotations

import json

from tests.faults.simulated_aws import simulated_aws
from tests.functions import GENERATION_TASKS
from tests.template_file import ROOT

SCHEDULED = {"export_inventory", "recheck_assets", "check_credits"}
DROP_IN = {"open_validation", "get_result", "fetch_asset", "relay_task", "get_task"}
GENERATIONS = {"create_generation", "get_generation", "cancel_generation", "receive_task"}
ELSEWHERE = {"send_webhooks", *DROP_IN, *SCHEDULED, *GENERATIONS, *GENERATION_TASKS}


def test_other_functions_log_the_ids_of_their_work() -> None:
    with simulated_aws({}) as where:
        where.begin({})
        for function in sorted(ELSEWHERE):
            where.invoke(function, json.loads((ROOT / f"events/{function}.json").read_text()))
        lines = [line for line in map(json.loads, where.logs) if "_aws" not in line]
    assert {line["function_name"] for line in lines} == ELSEWHERE
    for line in lines:
        if line["function_name"] in DROP_IN | GENERATIONS:
            more = {"request_id"}
        elif line["function_name"] in GENERATION_TASKS:
            more = {"generation_id", "execution"}
        else:
            more = {"event_id"} | (set() if line["function_name"] in SCHEDULED else {"message_id"})
        assert {"function_request_id"} | more <= set(line), line
