"""The onboarding queue on SQS."""

from __future__ import annotations

from typing import Any

from likeness.adapters.aws import translated


class SqsQueue:
    """The port ``Queue``."""

    def __init__(self, client: Any, url: str) -> None:
        self._client, self._url = client, url

    def send(self, body: str, *, delay_seconds: int = 0) -> None:
        """See the port."""
        with translated():
            self._client.send_message(QueueUrl=self._url, MessageBody=body, DelaySeconds=delay_seconds)
