"""Implements the calls of crun's contract on the simulator's state; those of generations are in `generation.py`."""

from collections.abc import Callable
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from local.simulator.assets import AssetWorker
from local.simulator.generation import MODELS_PATH, Generation
from local.simulator.messages import Answer, Request, invalid, read_body, shown_time, web_address
from local.simulator.settings import CallName, SimulatorSettings
from local.simulator.state import Asset, Clock, Store, hash_token

_JOB = "/api/v1/client/job"
ROUTES: dict[str, tuple[str, CallName]] = {
    f"{_JOB}/visual-validate-session": ("POST", "session"),
    f"{_JOB}/visual-validate-result": ("GET", "result"),
    f"{_JOB}/asset-upload": ("POST", "upload"),
    f"{_JOB}/asset-info": ("GET", "info"),
    "/api/v1/client/account/balance": ("GET", "balance"),
    f"{_JOB}/CreateTask": ("POST", "create_task"),
    f"{_JOB}/TaskInfo": ("GET", "task_info"),
    f"{_JOB}/EstimateTask": ("POST", "estimate"),
    f"{_JOB}/estimate-credits": ("POST", "estimate_credits"),
    MODELS_PATH: ("GET", "models"),
}


def route_of(path: str) -> tuple[str, CallName] | tuple[None, None]:
    """Return a path's method and call, or nothing. A model's name may follow `Models/`."""
    if path.startswith(f"{MODELS_PATH}/"):
        path = MODELS_PATH
    return ROUTES.get(path, (None, None))


class SessionBody(BaseModel):
    """Body of visual-validate-session."""

    model_config = ConfigDict(strict=True)
    callback_url: str = Field(max_length=2048)
    _is_uri = field_validator("callback_url")(web_address)


class UploadBody(BaseModel):
    """Body of asset-upload."""

    model_config = ConfigDict(strict=True)
    name: str = Field(min_length=1, max_length=64)
    asset_type: Literal["Image", "Video", "Audio"]
    asset_url: str = Field(max_length=8192, repr=False)
    group_id: str = Field(min_length=1, max_length=128)
    _is_uri = field_validator("asset_url")(web_address)


class Contract:
    """Answers the calls. `settings` is called for every request, because settings change at run time."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        worker: AssetWorker,
        generation: Generation,
        settings: Callable[[], SimulatorSettings],
        public_base_url: Callable[[], str],
    ) -> None:
        self._store = store
        self._clock = clock
        self._worker = worker
        self._generation = generation
        self._settings = settings
        self._public_base_url = public_base_url
        self._calls: dict[CallName, Callable[[Request], Answer]] = {
            "session": self.create_session,
            "result": self.look_up_result,
            "upload": self.upload_asset,
            "info": self.asset_info,
            "balance": self.balance,
            "create_task": generation.create_task,
            "task_info": generation.task_info,
            "estimate": generation.estimate_task,
            "estimate_credits": generation.estimate_credits,
            "models": generation.models,
        }

    def answer(self, call: CallName, request: Request) -> Answer:
        """Answer a call whose key was accepted."""
        return self._calls[call](request)

    def create_session(self, request: Request) -> Answer:
        """POST visual-validate-session: a token, and a link that opens for 120 s."""
        body = read_body(SessionBody, request.body)
        if isinstance(body, Answer):
            return body
        if self._generation.balance() <= 0:
            return Answer(402, "insufficient credits")
        validation = self._store.open_validation(body.callback_url)
        link = f"{self._public_base_url()}/h5/validate?{validation.link_query}&lng=zh"
        data: dict[str, object] = {
            "BytedToken": validation.token,
            "H5Link": link,
            "CallbackURL": body.callback_url,
        }
        return Answer(200, data=data, token_hash=hash_token(validation.token))

    def look_up_result(self, request: Request) -> Answer:
        """GET visual-validate-result: the group of a person who passed; this may consume the token."""
        token = request.query_value("byted_token")
        if not token:
            return invalid("byted_token: field required")
        answer = self._look_up(token)
        answer.token_hash = hash_token(token)
        return answer

    def _look_up(self, token: str) -> Answer:
        settings = self._settings()
        with self._store.lock:
            validation = self._store.validations.get(token)
            if validation is None:
                return Answer(404, "byted_token not found")
            validation.lookups += 1
            aged = self._clock.now() - validation.issued_at
            if validation.burned or aged > settings.token_seconds:
                return Answer(404, "byted_token expired or already used")
            validation.burned = settings.token_mode == "single_use"  # noqa: S105 - a mode
            if validation.outcome != "pass" or validation.group_id is None:
                return Answer(settings.not_passed_code, "validation was not passed")
            validation.successful_lookups += 1
            return Answer(200, data={"GroupId": validation.group_id})

    def upload_asset(self, request: Request) -> Answer:
        """POST asset-upload: an AssetId immediately; download and comparison follow."""
        body = read_body(UploadBody, request.body)
        if isinstance(body, Answer):
            return body
        if self._generation.balance() <= 0:
            return Answer(402, "insufficient credits")
        with self._store.lock:
            group = self._store.groups.get(body.group_id)
            if group is None:
                return Answer(404, "group_id: asset group not found")
            asset = self._store.add_asset(body.name, body.asset_type, group.id)
        self._worker.take(asset, group, body.asset_url)
        return Answer(200, data={"AssetId": asset.id}, asset_id=asset.id)

    def asset_info(self, request: Request) -> Answer:
        """GET asset-info: the asset's status, and its error once it is Failed."""
        asset_id = request.query_value("asset_id")
        if not asset_id:
            return invalid("asset_id: field required")
        with self._store.lock:
            asset = self._store.assets.get(asset_id)
            if asset is None:
                return Answer(404, "asset_id: asset not found")
            return Answer(200, data=_asset_data(self._store.ripen(asset), self._settings()), asset_id=asset.id)

    def balance(self, request: Request) -> Answer:  # noqa: ARG002 - all calls have the same signature
        """GET account/balance: the credits left."""
        return Answer(200, data={"balance": self._generation.balance()})


def _asset_data(asset: Asset, settings: SimulatorSettings) -> dict[str, object]:
    data: dict[str, object] = {
        "AssetId": asset.id,
        "Name": asset.name,
        "AssetType": asset.asset_type,
        "Status": asset.status,
        "CreateTime": shown_time(asset.created_at, settings.create_time_format),
        "UpdateTime": shown_time(asset.updated_at, settings.update_time_format),
    }
    if asset.error is not None:
        code, message = asset.error
        shapes: dict[str, dict[str, object]] = {
            "Error": {"Error": {"Code": code, "Message": message}},
            "error": {"error": {"code": code, "message": message}},
            "ErrorMessage": {"ErrorMessage": f"{code}: {message}"},
            "FailedReason": {"FailedReason": f"{code}: {message}"},
            "none": {},
        }
        data.update(shapes[settings.error_shape])
    return data
