"""Executions of a state machine on Step Functions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from likeness.adapters.aws import translated
from likeness.domain.executions import ExecutionStatus, FoundAsset, FoundGroup, Results

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions.client import SFNClient
    from mypy_boto3_stepfunctions.type_defs import GetExecutionHistoryInputTypeDef


class StepFunctions:
    """The port ``Workflows``."""

    def __init__(self, client: SFNClient, state_machine_arn: str) -> None:
        self._client, self._arn = client, state_machine_arn

    def start(self, name: str, document: str) -> bool:
        """See the port. A name can be reused after 90 days. With the same input, a running execution counts as new."""
        with translated():
            try:
                self._client.start_execution(stateMachineArn=self._arn, name=name, input=document)
            except ClientError as exc:
                if exc.response["Error"]["Code"] == "ExecutionAlreadyExists":
                    return False
                raise
        return True

    def stop(self, name: str) -> None:
        """See the port."""
        with translated():
            try:
                self._client.stop_execution(executionArn=self._execution(name), error="Erased")
            except ClientError as exc:
                # For an execution that has already ended, AWS returns success and the emulator a ValidationException.
                if exc.response["Error"]["Code"] not in ("ExecutionDoesNotExist", "ValidationException"):
                    raise

    def status(self, name: str) -> ExecutionStatus | None:
        """See the port."""
        with translated():
            try:
                found = self._client.describe_execution(executionArn=self._execution(name))
            except ClientError as exc:
                if exc.response["Error"]["Code"] == "ExecutionDoesNotExist":
                    return None
                raise
        return ExecutionStatus(found["status"])

    def is_running(self, name: str) -> bool:
        """See the port."""
        status = self.status(name)
        return status is not None and not status.ended

    def results(self, name: str) -> Results:
        """See the port. The event of a task's success has its output, even if no later write succeeded."""
        groups: list[FoundGroup] = []
        assets: list[FoundAsset] = []
        tasks: dict[str, None] = {}
        for output in self._task_outputs(name):
            if output.get("outcome") == "verified":
                groups.append(FoundGroup(int(output["attempt"]), output["group_id"], float(output["at"])))
            elif output.get("outcome") == "submitted" and "crun_asset_id" in output:
                assets.append(FoundAsset(output["asset_id"], output["crun_asset_id"], output["resubmissions"]))
            elif output.get("task_id"):
                tasks[output["task_id"]] = None
        return Results(tuple(groups), tuple(assets), tuple(tasks))

    def _task_outputs(self, name: str) -> Iterator[dict[str, Any]]:
        """Yields the outputs of an execution's Lambda tasks in order. A history has at most 25,000 events."""
        query: GetExecutionHistoryInputTypeDef = {
            "executionArn": self._execution(name),
            "maxResults": 1000,
            "includeExecutionData": True,
        }
        while True:
            with translated():
                try:
                    page = self._client.get_execution_history(**query)
                except ClientError as exc:
                    if exc.response["Error"]["Code"] == "ExecutionDoesNotExist":
                        return
                    raise
            for event in page["events"]:
                output = json.loads(event.get("taskSucceededEventDetails", {}).get("output") or "{}")
                payload = output.get("Payload") if isinstance(output, dict) else None
                if isinstance(payload, dict):
                    yield payload
            if not page.get("nextToken"):
                return
            query["nextToken"] = page["nextToken"]

    def _execution(self, name: str) -> str:
        return f"{self._arn.replace(':stateMachine:', ':execution:')}:{name}"
