"""The settings of the simulated crun, at construction and at run time."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

CallName = Literal["session", "result", "upload", "info", "balance"]
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
    balance: float = Field(1000.0, description="credits; at 0 or less, session and upload return 402")
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

    @model_validator(mode="after")
    def _settle_bounds_in_order(self) -> "SimulatorSettings":
        if self.settle_min_seconds > self.settle_max_seconds:
            raise ValueError("settle_min_seconds is greater than settle_max_seconds")
        return self

    def updated(self, changes: dict[str, object]) -> "SimulatorSettings":
        """Return these settings with some fields replaced, and validated again."""
        return SimulatorSettings.model_validate({**self.model_dump(), **changes})
