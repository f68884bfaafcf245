"""Executions of the stack's state machines, as an operator sees them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from botocore.exceptions import ClientError

from likeness.domain.times import iso

_CONSOLES = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
}


def executions(
    client: Any, machine: str, names: Iterable[str], *, on_aws: bool, always: str | None = None
) -> list[dict[str, Any]]:
    """Returns the executions of a state machine that Step Functions still has, and ``always`` in any case.

    ``machine`` is the ARN of the state machine. ``on_aws``: executions have a page in AWS's console.
    """
    prefix = machine.replace(":stateMachine:", ":execution:")
    found = []
    for name in dict.fromkeys(names):
        arn = f"{prefix}:{name}"
        described = _describe(client, arn)
        if described or name == always:
            found.append(
                {"name": name} | _facts(described) | {"arn": arn, "console": _console(arn) if on_aws else None}
            )
    return found


def _facts(described: dict[str, Any] | None) -> dict[str, Any]:
    if described is None:
        return {"status": "unknown", "started_at": None, "ended_at": None, "error": None}
    ended = described.get("stopDate")
    return {
        "status": described["status"],
        "started_at": iso(described["startDate"].timestamp()),
        "ended_at": iso(ended.timestamp()) if ended else None,
        "error": described.get("error"),
    }


def _describe(client: Any, arn: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = client.describe_execution(executionArn=arn)
    except ClientError as exc:
        if exc.response["Error"]["Code"] == "ExecutionDoesNotExist":
            return None
        raise
    return found


def _console(arn: str) -> str | None:
    """Returns the URL of an execution in AWS's console; None in a partition with an unknown console."""
    _, partition, _, region, *_ = arn.split(":")
    host = _CONSOLES.get(partition)
    return f"https://{region}.{host}/states/home?region={region}#/v2/executions/details/{arn}" if host else None
