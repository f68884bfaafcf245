"""Queues on SQS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likeness.adapters.aws import translated

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient

    from likeness.domain.webhooks import Letter


class SqsQueue:
    """The port ``Queue``."""

    def __init__(self, client: SQSClient, url: str) -> None:
        self._client, self._url = client, url

    def send(self, body: str, *, delay_seconds: int = 0) -> None:
        """See the port."""
        with translated():
            self._client.send_message(QueueUrl=self._url, MessageBody=body, DelaySeconds=delay_seconds)

    def receive(self) -> list[Letter]:
        """See the port ``DeadLetters``."""
        from likeness.domain.webhooks import Letter

        with translated():
            found = self._client.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10, VisibilityTimeout=60)
        return [Letter(each["Body"], each["ReceiptHandle"]) for each in found.get("Messages", ())]

    def delete(self, receipt: str) -> None:
        """See the port ``DeadLetters``."""
        with translated():
            self._client.delete_message(QueueUrl=self._url, ReceiptHandle=receipt)

    def hide(self, receipt_handle: str, seconds: int) -> None:
        """Hides a received message for ``seconds``, after which it is delivered again if it was not deleted."""
        with translated():
            self._client.change_message_visibility(
                QueueUrl=self._url, ReceiptHandle=receipt_handle, VisibilityTimeout=seconds
            )
