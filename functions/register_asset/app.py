"""POST /sessions/{session_id}/assets and /sessions/{session_id}/assets/{asset_id}/retry."""

from __future__ import annotations

from likeness.contracts.body import parse_body
from likeness.contracts.http import AssetRegistration
from likeness.runtime import bootstrap
from likeness.runtime.http import Response, answer, handler_of, make_app

app = make_app()
handler = handler_of(app)
register_asset = bootstrap.register_asset()
retry_asset = bootstrap.retry_asset()


@app.post("/sessions/{session_id}/assets")
def register(session_id: str) -> Response:
    """Registers an asset: 201, or 200 with the existing asset that has the same bytes."""
    caller = app.caller
    body = parse_body(AssetRegistration, app.body)
    asset, is_new = register_asset(caller, session_id, body)
    return answer(asset, 201 if is_new else 200)


@app.post("/sessions/{session_id}/assets/{asset_id}/retry")
def retry(session_id: str, asset_id: str) -> Response:
    """Submits a failed asset's file to crun again; a repetition changes nothing."""
    return answer(retry_asset(app.caller, session_id, asset_id))
