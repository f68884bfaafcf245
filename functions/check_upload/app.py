"""S3's ObjectCreated events, from EventBridge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likeness.runtime import bootstrap
from likeness.runtime.logging import logger, observed, of_upload
from likeness.steps.files.check_upload import Upload

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from likeness.runtime.invocations import UploadEvent

check_upload = bootstrap.check_upload()


@observed(of_upload)
def handler(event: UploadEvent, context: LambdaContext) -> None:
    """Checks one object version."""
    outcome = check_upload(Upload.from_event(event["detail"], event["time"]))
    logger.info("upload checked", extra={"outcome": outcome})
