"""What crun's own routes answer: its envelope, its codes, its fields. Without Pydantic, for who only reads.

Source: crun's page on visual validation, and its pages on asset upload and asset info.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from likeness.domain.asset import Asset
from likeness.domain.drop_in import asset_id_of, crun_error, crun_status
from likeness.errors import Forbidden, LikenessError, NotFound, RequestError, UpstreamAmbiguous, UpstreamRefused

OK, _UNAUTHORIZED, _NOT_FOUND, _INVALID, _LIMITED, _MAINTENANCE, _SERVER_ERROR = 200, 401, 404, 422, 429, 455, 500
#: What crun's 422 always says; what is wrong stands in its list.
_INVALID_MESSAGE = "Missing Params or Type Error"
#: crun's refusals that its own caller would get too. Not 401 and 403: the caller's key is good, ours is not.
_PASSED_ON = frozenset({402, 404, 422, 501, 505})


def envelope(data: dict[str, Any]) -> dict[str, Any]:
    """A success."""
    return {"code": OK, "message": "success", "data": data}


def refusal(error: LikenessError) -> tuple[int, dict[str, Any]]:
    """crun's code, which is the HTTP status too, and the envelope of an error."""
    code = _code(error)
    if code == _INVALID:
        return code, {"code": code, "message": _INVALID_MESSAGE, "data": None, "errors": _errors(error)}
    return code, {"code": code, "message": error.message, "data": None}


def _errors(error: LikenessError) -> list[str]:
    """The list that crun's 422 has: crun's own, else ours."""
    listed = error.errors if isinstance(error, UpstreamRefused) else error.message.split("; ")
    return list(listed) or [error.message]


def _code(error: LikenessError) -> int:
    if isinstance(error, UpstreamRefused):
        if error.upstream_code is not None and error.upstream_code in _PASSED_ON:
            return error.upstream_code
        return _MAINTENANCE if error.status == 503 else _SERVER_ERROR
    if isinstance(error, UpstreamAmbiguous):
        return _SERVER_ERROR
    if isinstance(error, RequestError):
        return {Forbidden: _UNAUTHORIZED, NotFound: _NOT_FOUND}.get(type(error), _INVALID)
    # 429 is ours or crun's; what is away for a while (503) is to crun's callers what 455 says: come back later.
    return {429: _LIMITED, 503: _MAINTENANCE}.get(error.status, _SERVER_ERROR)


def visual_validate_session(issued_token: str, h5_link: str, callback_url: str) -> dict[str, Any]:
    """Returns the data of a new face check; token and link are secrets."""
    return {"BytedToken": issued_token, "H5Link": h5_link, "CallbackURL": callback_url}


def visual_validate_result(group_id: str) -> dict[str, Any]:
    """Returns the data of a passed face check."""
    return {"GroupId": group_id}


def asset_upload(asset: Asset) -> dict[str, Any]:
    """Returns the data of an upload: the ID to ask asset-info for."""
    return {"AssetId": asset_id_of(asset)}


def asset_info(asset: Asset) -> dict[str, Any]:
    """An asset as asset-info shows it: the times in both of the forms that crun's page has."""
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
