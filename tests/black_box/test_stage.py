"""A stage from outside, at no cost: nobody can pass a face check here, so crun is never called.

`make black-box API_URL=… API_KEY=…` runs this against any stage. It erases every session that it creates.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from likeness_client import Asset, Client, ConflictError, NewAsset, NotFoundError, Session
from local.media import DemoMedia

TIMEOUT_SECONDS = 120
ALL_ROUTES = {
    "/sessions", "/sessions/{session_id}", "/sessions/{session_id}/attempts", "/sessions/{session_id}/assets",
    "/sessions/{session_id}/assets/{asset_id}", "/sessions/{session_id}/consent", "/consent", "/stats",
}  # fmt: skip


@pytest.fixture
def session(likeness: Client) -> Iterator[Session]:
    made = likeness.create_session(start="on_open", reference=f"black-box-{uuid.uuid4()}")
    yield made
    likeness.erase_session(made.id)


def _wait(likeness: Client, session_id: str, asset_id: str, *statuses: str) -> Asset:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while (found := likeness.get_asset(session_id, asset_id)).status not in statuses:
        assert time.monotonic() < deadline, f"still {found.status}"
        time.sleep(1)
    return found


@pytest.mark.parametrize("key", [None, "lk_nobody", "st_ses_nobody"])
def test_a_request_without_a_valid_key_is_refused(api_url: str, key: str | None) -> None:
    answer = requests.get(f"{api_url}/sessions", headers={"x-api-key": key} if key else {}, timeout=30)
    assert answer.status_code in (401, 403)
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_the_contract_and_the_pages_are_served(api_url: str) -> None:
    document = requests.get(f"{api_url}/openapi.json", timeout=30).json()
    assert set(document["paths"]) >= ALL_ROUTES
    for page in ("invite", "console", "docs"):
        answer = requests.get(f"{api_url}/{page}", timeout=30)
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/html")
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("method", "call", "key", "code"),
    [
        ("POST", "job/visual-validate-session", "lk_nobody", 401), ("GET", "job/asset-info", None, 401),
        ("POST", "job/visual-validate-session", "", 422), ("POST", "job/asset-upload", "", 422),
        ("GET", "job/visual-validate-result", "", 422),
        ("GET", "job/visual-validate-result?byted_token=nobody's", "", 404),
        ("GET", "job/asset-info?asset_id=nobody's", "", 404),
        # Wrong methods and unknown routes reach the same function.
        ("GET", "job/asset-upload", "", 404), ("DELETE", "job/asset-info", "", 404),
        ("GET", "files/upload-url", "", 404),
    ],
)  # fmt: skip
def test_crun_routes_respond_in_cruns_envelope(
    api_url: str, api_key: str, method: str, call: str, key: str | None, code: int
) -> None:
    headers = {"x-api-key": key or api_key} if key is not None else {}
    answer = requests.request(method, f"{api_url}/api/v1/client/{call}", headers=headers, timeout=30)
    assert (answer.status_code, answer.json()["code"], answer.json()["data"]) == (code, code, None)


def test_a_callback_with_a_forged_signature_changes_nothing(api_url: str, likeness: Client, session: Session) -> None:
    forged = f"{api_url}/callback/{session.id}/1/{'A' * 43}?resultCode=10000&bytedToken=forged"
    answer = requests.get(forged, timeout=30, allow_redirects=False)
    assert answer.status_code >= 400
    assert likeness.get_session(session.id).status == "requires_input"


def test_a_session_from_its_consent_to_its_erasure(likeness: Client, media: DemoMedia, tmp_path: Path) -> None:
    session = likeness.create_session(start="on_open", reference=f"black-box-{uuid.uuid4()}", language="en")
    try:
        assert session.invite_url
        consent = likeness.record_consent(session.id, likeness.consent_text("en"))
        assert consent.text_version

        good = likeness.register_asset(session.id, NewAsset.of_file(media.portrait_jpeg))
        likeness.upload(good, media.portrait_jpeg)
        assert _wait(likeness, session.id, good.id, "uploaded", "failed").status == "uploaded"

        broken_file = tmp_path / "broken.jpg"
        broken_file.write_bytes(media.portrait_jpeg.read_bytes()[:2000])
        broken = likeness.register_asset(session.id, NewAsset.of_file(broken_file))
        likeness.upload(broken, broken_file)
        refused = _wait(likeness, session.id, broken.id, "uploaded", "failed")
        assert refused.status == "failed"
        assert refused.error

        (found,) = likeness.list_page(reference=session.reference).sessions
        assert found.id == session.id
    finally:
        erased = likeness.erase_session(session.id)
    assert erased.status == "redacted"
    assert {each.status for each in erased.assets} == {"redacted"}
    assert likeness.get_session(session.id).reference is None
    with pytest.raises(ConflictError):
        likeness.register_asset(session.id, NewAsset.of_file(media.portrait_jpeg))


def test_a_missing_session_is_not_found(likeness: Client) -> None:
    with pytest.raises(NotFoundError):
        likeness.get_session("ses_01ARZ3NDEKTSV4RRFFQ69G5FAV")
