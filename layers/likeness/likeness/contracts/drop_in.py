"""Responses of crun's own routes: its envelope, codes and fields. Without Pydantic, which would slow down cold starts.

Source: crun's documentation of visual validation, asset upload and asset info.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from likeness.domain.asset import Asset
from likeness.domain.drop_in import asset_id_of, crun_error, crun_status
from likeness.errors import (
    AssetNotFound,
    BudgetExhausted,
    Conflict,
    Forbidden,
    GenerationDisabled,
    LikenessError,
    NotFound,
    RequestError,
    UpstreamAmbiguous,
    UpstreamRefused,
)

OK, _UNAUTHORIZED, _NO_CREDITS, _NOT_FOUND, _INVALID = 200, 401, 402, 404, 422
_LIMITED, _MAINTENANCE, _SERVER_ERROR, _DISABLED = 429, 455, 500, 505
#: Our refusals with a code of crun's other than 422.
_OF_REQUESTS: dict[type[RequestError], int] = {
    Forbidden: _UNAUTHORIZED,
    NotFound: _NOT_FOUND,
    BudgetExhausted: _NO_CREDITS,
    GenerationDisabled: _DISABLED,
}
#: The message of every 422 of crun; its ``errors`` explain what is wrong.
_INVALID_MESSAGE = "Missing Params or Type Error"
#: Refusals of crun that are passed on to the caller. Not 401 and 403, which concern our key, not the caller's.
_PASSED_ON = frozenset({402, 404, 422, 501, 505})


def envelope(data: dict[str, Any]) -> dict[str, Any]:
    """The envelope of a successful response."""
    return {"code": OK, "message": "success", "data": data}


def refusal(error: LikenessError) -> tuple[int, dict[str, Any]]:
    """crun's code of an error, which is also the HTTP status, and its envelope."""
    code = _code(error)
    if code == _INVALID:
        return code, {"code": code, "message": _INVALID_MESSAGE, "data": None, "errors": _errors(error)}
    return code, {"code": code, "message": error.message, "data": None}


def _errors(error: LikenessError) -> list[str]:
    """The ``errors`` of a 422: crun's own, else ours."""
    if isinstance(error, UpstreamRefused):
        return list(error.errors) or [error.message]
    if isinstance(error, AssetNotFound):
        return [f"{error.message} ({error.code})"]
    if isinstance(error, Conflict) and error.field:
        return [f"{error.field}: {error.message} ({error.code})"]
    return error.message.split("; ")


def _code(error: LikenessError) -> int:
    if isinstance(error, UpstreamRefused):
        if error.upstream_code is not None and error.upstream_code in _PASSED_ON:
            return error.upstream_code
        return _MAINTENANCE if error.status == 503 else _SERVER_ERROR
    if isinstance(error, UpstreamAmbiguous):
        return _SERVER_ERROR
    if isinstance(error, RequestError):
        return _OF_REQUESTS.get(type(error), _INVALID)
    # 429 is ours or crun's. A temporary failure (503) is 455 at crun.
    return {429: _LIMITED, 503: _MAINTENANCE}.get(error.status, _SERVER_ERROR)


def visual_validate_session(issued_token: str, h5_link: str, callback_url: str) -> dict[str, Any]:
    """Returns the data of a new face check; token and link are secrets."""
    return {"BytedToken": issued_token, "H5Link": h5_link, "CallbackURL": callback_url}


def visual_validate_result(group_id: str) -> dict[str, Any]:
    """Returns the data of a passed face check."""
    return {"GroupId": group_id}


def asset_upload(asset: Asset) -> dict[str, Any]:
    """Returns the data of an upload: the ID for asset-info."""
    return {"AssetId": asset_id_of(asset)}


def asset_info(asset: Asset) -> dict[str, Any]:
    """Returns the data of asset-info, with its times in both formats of crun's documentation."""
    data: dict[str, Any] = {
        "AssetId": asset_id_of(asset),
        "Name": asset.name,
        "AssetType": asset.asset_type.value,
        "Status": crun_status(asset),
        "CreateTime": datetime.fromtimestamp(asset.created_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "UpdateTime": int(asset.updated_at),
    }
    error = crun_error(asset)
    return data | ({"Error": {"Code": error[0], "Message": error[1]}} if error else {})
