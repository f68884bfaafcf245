"""Executions of the state machine."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from likeness.adapters.aws import translated


class StepFunctions:
    """The port ``Workflows``."""

    def __init__(self, client: Any, state_machine_arn: str) -> None:
        self._client, self._arn = client, state_machine_arn

    def start(self, name: str, document: str) -> bool:
        """See the port. A name stays taken for 90 days, and with the same input a running one answers as if new."""
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
                # What has ended already is not stopped: AWS says nothing of it, the emulator that it is not valid.
                if exc.response["Error"]["Code"] not in ("ExecutionDoesNotExist", "ValidationException"):
                    raise

    def is_running(self, name: str) -> bool:
        """See the port."""
        with translated():
            try:
                found = self._client.describe_execution(executionArn=self._execution(name))
            except ClientError as exc:
                if exc.response["Error"]["Code"] == "ExecutionDoesNotExist":
                    return False
                raise
        return bool(found["status"] in ("RUNNING", "PENDING_REDRIVE"))

    def _execution(self, name: str) -> str:
        return f"{self._arn.replace(':stateMachine:', ':execution:')}:{name}"
