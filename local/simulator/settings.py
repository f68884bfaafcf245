"""The settings of the simulated crun, at construction and at run time."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

CallName = Literal[
    "session",
    "result",
    "upload",
    "info",
    "balance",
    "create_task",
    "task_info",
    "estimate",
    "estimate_credits",
    "models",
    "media",  # a download of a generation's media, which is no call of the API: `any` does not include it
]
RefusalStyle = Literal["http", "body", "both"]


class AssetOutcome(BaseModel):
    """The outcome of uploaded assets with a matching name, instead of the checks of their content."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="shell pattern that the asset's name matches, such as `slow-*`")
    outcome: Literal["active", "failed", "never"]
    code: str = Field("FaceMismatch", description="error code when the outcome is `failed`")
    message: str = Field("the simulator is set to fail this asset")
    after_seconds: float | None = Field(None, ge=0, description="simulated time until it settles; None: random")
    times: int | None = Field(None, ge=1, description="how many uploads it applies to; None: all")


TaskFate = Literal["success", "failed", "never", "vanishes"]
CallbackBody = Literal["true", "wrong_task", "wrong_status"]


class TaskOutcome(BaseModel):
    """The outcome of generations with a matching prompt.

    - `success` and `failed`: after `after_seconds`; `failed` has the `message`;
    - `never`: the task is running for ever; `vanishes`: TaskInfo does not know it;
    - `refused`: no task is made, and CreateTask returns `code` with the `message`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: str = Field("*", description="shell pattern that the prompt matches, such as `*beach*`")
    outcome: Literal["success", "failed", "never", "vanishes", "refused"]
    code: int = Field(501, ge=400, le=999, description="of the refusal; 422 lists the message in `errors`")
    message: str = "The content was blocked by moderation."
    after_seconds: float | None = Field(None, ge=0, description="simulated time until it ends; None: random")
    times: int | None = Field(None, ge=1, description="how many generations it applies to; None: all")


class SimulatorSettings(BaseModel):
    """Everything that crun's contract leaves open, each with its most probable value.

    Times are seconds. An unknown field or a wrong type raises `pydantic.ValidationError`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    # links and tokens
    link_seconds: float = Field(120, gt=0, description="how long an H5 link can be opened (crun's page)")
    token_seconds: float = Field(1800, gt=0, description="how long a byted token is valid")
    token_mode: Literal["single_use", "reusable"] = Field(
        "single_use", description="single_use: a lookup consumes the token, even before the check is passed"
    )
    not_passed_code: int = Field(404, description="code of a lookup before the check was passed")
    callback_join: Literal["&", "?"] = Field(
        "&", description="joins the result parameters to a callback URL that already has a query"
    )
    failure_includes_token: bool = Field(True, description="False: callbacks of failures lack bytedToken")
    fail_result_code: str = Field("10010", description="resultCode after `Fail`; crun lists none")
    cancel_result_code: str = Field("10020", description="resultCode after `Cancel`; crun lists none")
    fail_algorithm_code: str = Field("1105", description="algorithmBaseRespCode after `Fail`")
    default_person: str = Field("alice", pattern=r"^[a-z0-9_-]{1,32}$")

    # answers
    refusal_style: RefusalStyle = Field(
        "both", description="a refusal is `code` in an HTTP 200 body, or status and body both; http: no envelope"
    )
    create_time_format: Literal["iso", "epoch"] = "iso"
    update_time_format: Literal["iso", "epoch"] = "epoch"
    error_shape: Literal["Error", "error", "ErrorMessage", "FailedReason", "none"] = "Error"
    key_disabled: bool = Field(False, description="every call with the right key returns 403")
    balance: float = Field(
        1000.0, description="credits before generations; at 0 or less, session, upload and CreateTask return 402"
    )
    rate_limit_per_10s: int | None = Field(None, ge=1, description="more calls than this return 429")
    rate_limit_retry_after: int | None = Field(None, ge=0, description="Retry-After of such a 429")

    # assets
    seed: int = Field(0, description="seed of the random times between the two settle bounds")
    fetch_delay_seconds: float = Field(0.2, ge=0, description="from the upload's response to the download")
    settle_min_seconds: float = Field(1.0, ge=0)
    settle_max_seconds: float = Field(4.0, ge=0)
    download_timeout_seconds: float = Field(15.0, gt=0, description="for a whole download")
    fetch_skew_seconds: float = Field(0.0, description="how far the downloader's clock is ahead")
    max_image_bytes: int = Field(30_000_000, gt=0)
    max_video_bytes: int = Field(50_000_000, gt=0)
    max_audio_bytes: int = Field(15_000_000, gt=0)
    min_video_pixels: int = Field(0, ge=0, description="width x height of a clip; the strictest published is 409,600")
    max_video_pixels: int = Field(2_086_876, gt=0, description="the newest published is 8,295,044")
    require_face: bool = Field(True, description="False: a picture becomes Active although it shows no face")
    asset_outcomes: tuple[AssetOutcome, ...] = ()

    # generations
    task_min_seconds: float = Field(2.0, ge=0, description="simulated time from CreateTask to the end of a task")
    task_max_seconds: float = Field(4.0, ge=0)
    task_outcomes: tuple[TaskOutcome, ...] = ()
    task_visible_after_seconds: float = Field(0.0, ge=0, description="until then TaskInfo does not know a new task")
    task_unknown: Literal["404", "no_data"] = Field(
        "404", description="TaskInfo of an unknown task: 404, or 200 without data"
    )
    task_status_case: Literal["lower", "upper"] = "lower"
    media_urls_in: Literal["result", "data", "both"] = Field("result", description="where TaskInfo has media_urls")
    failed_reason_in: Literal["message", "reason", "both"] = Field(
        "message", description="where a failed task has its reason: result.message, data.reason"
    )
    credits_per_second: float = Field(4.0, ge=0, description="of a 480p film; 720p costs twice, 1080p five times that")
    success_credits_part: float = Field(1.0, ge=0, description="what a success really costs, as a part of the estimate")
    failed_credits_part: float = Field(0.0, ge=0, description="the same for a failed task")
    failed_credits_shown: bool = Field(True, description="False: TaskInfo of a failed task has no credits")
    estimate_call: Literal["EstimateTask", "estimate-credits", "both"] = Field(
        "EstimateTask", description="the call that estimates; the other one is refused"
    )
    estimate_refusal_code: int = Field(404, description="code of the other one, such as 404 or 505")
    media_link_seconds: float = Field(60.0, gt=0, description="how long media links work, from the end of the task")
    media_gone_status: Literal[403, 404] = Field(403, description="HTTP status of a media link that has expired")
    renew_media_links: bool = Field(False, description="True: each TaskInfo has new media links")
    callback_times: int = Field(1, ge=0, le=5, description="how often a callback is sent; 0: never, 2: repeated")
    callback_when: Literal["ended", "created"] = Field(
        "ended", description="created: as soon as the task exists, also when TaskInfo does not know it yet"
    )
    callback_delay_seconds: float = Field(0.0, ge=0, description="simulated time by which the callback is late")
    callback_body: CallbackBody = Field(
        "true", description="true: TaskInfo's data; wrong_task, wrong_status: a forgery with another id or outcome"
    )
    callback_tries: int = Field(3, ge=1, le=5, description="how often a callback without a 2xx response is sent")

    @model_validator(mode="after")
    def _bounds_in_order(self) -> "SimulatorSettings":
        if self.task_min_seconds > self.task_max_seconds:
            raise ValueError("task_min_seconds is greater than task_max_seconds")
        if self.settle_min_seconds > self.settle_max_seconds:
            raise ValueError("settle_min_seconds is greater than settle_max_seconds")
        return self

    def updated(self, changes: dict[str, object]) -> "SimulatorSettings":
        """Return these settings with some fields replaced, and validated again."""
        return SimulatorSettings.model_validate({**self.model_dump(), **changes})
