"""Videos: asking for one exactly once, waiting for it, and downloading it whole or not at all."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest

from likeness_client import (
    BudgetExhaustedError,
    Client,
    ConflictError,
    ConnectionFailedError,
    DownloadError,
    Generation,
    GenerationEndedError,
    LikenessError,
    Media,
    NotFoundError,
    WaitTimeoutError,
)
from likeness_client.reading import read
from tests.client.conftest import QUICK, example
from tests.client.server import CUT, HANGS, Answer, Script, problem
from tests.template_file import ROOT

ID = "gen_01KE1Q5V0G8Z6W3N4R2T7Y9XAB"
MODEL = "bytedance/seedance2-0-r2v"
INPUT = {"prompt": "[Image1] waves", "reference_images": ["asset://asset-1"]}
QUEUED = Answer(202, example("generation_queued"))
FILM = bytes(range(256)) * 1000
FRAME = b"a picture"


def media(server: Script, content: bytes = FILM, name: str = "film", **changes: Any) -> dict[str, Any]:
    """Returns a file of a generation, with a URL at the scripted server."""
    return {
        "url": f"{server.url}/bucket/{name}?X-Amz-Signature=a-secret-signature",
        "content_type": "video/mp4",
        "size_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    } | changes


def succeeded(server: Script, *files: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Returns a generation with files; by default with the film."""
    result = {"media": list(files) or [media(server)], "usage": {"total_tokens": 1, "by": ["any", {"json": None}]}}
    return example("generation_succeeded", **{"result": result} | changes)


def made(server: Script, *files: dict[str, Any]) -> Generation:
    return read(Generation, succeeded(server, *files))


def state(status: str, **changes: Any) -> Answer:
    return Answer(body=example("generation_queued", status=status, **changes))


@pytest.mark.parametrize(
    "trouble",
    [
        CUT,
        problem(429, "rate_limited", "0"),
        problem(503, "upstream_credits_exhausted", "0"),
        problem(409, "conflict", "0"),
        Answer(502, b"<html>", "text/html"),
        Answer(202, example("generation_queued"), missing=10),
    ],
    ids=lambda trouble: f"{trouble.status}",
)
def test_a_video_is_asked_for_again_with_the_same_key(server: Script, client: Client, trouble: Answer) -> None:
    server.then(trouble, trouble, QUEUED)
    found = client.generate(model=MODEL, input=INPUT, purpose="news")
    assert (found.id, found.status, found.is_ended, found.media) == (ID, "queued", False, ())
    assert len(server.seen) == 3
    assert len({each.headers["idempotency-key"] for each in server.seen}) == 1
    assert [each.json() for each in server.seen] == [{"model": MODEL, "input": INPUT, "purpose": "news"}] * 3


def test_two_videos_have_two_keys_and_a_given_key_is_sent(server: Script, client: Client) -> None:
    server.then(QUEUED, QUEUED, QUEUED)
    client.generate(model=MODEL, input=INPUT)
    client.generate(model=MODEL, input=INPUT)
    client.generate(model=MODEL, input=INPUT, idempotency_key="order-1")
    keys = [each.headers["idempotency-key"] for each in server.seen]
    assert len(set(keys)) == 3
    assert keys[2] == "order-1"


@pytest.mark.parametrize("key", ["", " a", "a\nb", "k" * 256])
def test_an_invalid_key_is_refused_before_it_is_sent(server: Script, client: Client, key: str) -> None:
    with pytest.raises(ValueError, match="idempotency_key"):
        client.generate(model=MODEL, input=INPUT, idempotency_key=key)
    assert not server.seen


@pytest.mark.parametrize(
    "code",
    [
        "not_verified",
        "consent_missing",
        "consent_withdrawn",
        "consent_expired",
        "purpose_not_covered",
        "asset_not_active",
    ],
)
def test_a_refused_use_names_the_asset_and_its_place_and_is_not_repeated(
    server: Script, client: Client, code: str
) -> None:
    server.then(problem(409, code, field="input.reference_images[0]", asset_id="ast_1"))
    with pytest.raises(ConflictError) as caught:
        client.generate(model=MODEL, input=INPUT)
    assert (caught.value.code, caught.value.field) == (code, "input.reference_images[0]")
    assert caught.value.asset_id == "ast_1"
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (problem(402, "budget_exhausted"), BudgetExhaustedError),
        (problem(404, "asset_not_found", field="input.img_urls[0]"), NotFoundError),
        (problem(409, "idempotency_key_reused"), ConflictError),
    ],
)
def test_other_refusals_are_not_repeated_either(
    server: Script, client: Client, answer: Answer, kind: type[LikenessError]
) -> None:
    server.then(answer)
    with pytest.raises(kind):
        client.generate(model=MODEL, input=INPUT)
    assert len(server.seen) == 1


@pytest.mark.parametrize("call", [Client.cancel_generation, Client.erase_generation])
def test_a_change_of_a_generation_is_sent_once(server: Script, client: Client, call: Any) -> None:
    server.then(CUT)
    with pytest.raises(ConnectionFailedError):
        call(client, ID)
    assert len(server.seen) == 1


def test_pages_of_generations_and_uses_are_followed(server: Script, client: Client) -> None:
    (one,) = example("generation_page")["generations"]
    server.then(
        Answer(body={"generations": [], "next_cursor": "a+b"}), Answer(body={"generations": [one], "next_cursor": None})
    )
    found = list(client.list_generations(status="succeeded", session_id="ses_1", page_size=5))
    assert [each.id for each in found] == [ID]
    query = "status=succeeded&session_id=ses_1&limit=5"
    assert [each.path for each in server.seen] == [f"/v1/generations?{query}", f"/v1/generations?{query}&cursor=a%2Bb"]
    server.seen.clear()
    (use,) = example("uses")["uses"]
    server.then(Answer(body={"uses": [use], "next_cursor": "c"}), Answer(body={"uses": [use], "next_cursor": None}))
    assert [each.outcome for each in client.uses("ses_1")] == ["succeeded", "succeeded"]
    assert [each.path for each in server.seen] == [
        "/v1/sessions/ses_1/uses?limit=100",
        "/v1/sessions/ses_1/uses?limit=100&cursor=c",
    ]


def test_what_crun_says_of_its_resources_is_kept_as_it_is(server: Script) -> None:
    result = made(server).result
    assert result
    assert result.usage == {"total_tokens": 1, "by": ["any", {"json": None}]}


# -- waiting ------------------------------------------------------------------------------------------------------


def test_a_wait_ends_with_the_video_and_reports_each_change_once(server: Script, client: Client) -> None:
    done = Answer(body=succeeded(server))
    server.then(state("queued"), state("queued"), problem(503, "storage_unavailable", "0"), state("running"), done)
    changes: list[Generation] = []
    found = client.wait_until_generated(ID, 30, changes.append)
    assert found.media[0].content_type == "video/mp4"
    assert [each.status for each in changes] == ["queued", "running", "succeeded"]


def test_a_video_that_was_not_saved_ends_the_wait_with_its_reason(server: Script, client: Client) -> None:
    server.then(Answer(body=example("generation_without_media")))
    found = client.wait_until_generated(ID, 30)
    assert found.media_problem
    assert (found.media, found.media_problem.code) == ((), "consent_withdrawn")


@pytest.mark.parametrize("status", ["failed", "refused", "uncertain", "canceled"])
def test_an_ended_generation_is_not_waited_for(server: Script, client: Client, status: str) -> None:
    error = {"code": "the_code", "message": "crun's words", "upstream_code": None, "retryable": False}
    server.then(state("running"), state(status, error=error))
    with pytest.raises(GenerationEndedError, match=f"{status} .the_code: crun's words") as caught:
        client.wait_until_generated(ID, 30)
    assert caught.value.generation.status == status


def test_a_wait_for_a_video_times_out_with_its_last_state(server: Script, client: Client) -> None:
    server.then(*[state("running")] * 1000)
    with pytest.raises(WaitTimeoutError, match=f"{ID} is running") as caught:
        client.wait_until_generated(ID, 0.1)
    assert (caught.value.session, caught.value.generation and caught.value.generation.status) == (None, "running")


# -- downloads ----------------------------------------------------------------------------------------------------


def film(content: bytes = FILM, **more: Any) -> Answer:
    return Answer(**({"body": content, "content_type": "video/mp4"} | more))


REFUSED = Answer(403, b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>", "text/xml")


def test_a_video_is_saved_with_progress_and_without_the_key(server: Script, client: Client, tmp_path: Path) -> None:
    path, progress = tmp_path / "film.mp4", list[tuple[int, int]]()
    server.then(film())
    assert client.download(made(server), str(path), lambda *each: progress.append(each)) == path
    assert path.read_bytes() == FILM
    assert progress[-1] == (len(FILM), len(FILM))
    assert len(progress) > 2
    assert "x-api-key" not in server.seen[0].headers
    assert list(tmp_path.iterdir()) == [path]


def test_the_last_frame_is_saved_by_its_media(server: Script, client: Client, tmp_path: Path) -> None:
    server.then(film(FRAME))
    _, frame = made(server, media(server), media(server, FRAME, "frame")).media
    assert client.download(frame, tmp_path / "frame.jpg").read_bytes() == FRAME
    assert server.seen[0].path.startswith("/bucket/frame?")


def test_a_lost_connection_is_continued_where_it_ended(server: Script, client: Client, tmp_path: Path) -> None:
    server.then(film(FILM[:100_000], missing=len(FILM) - 100_000), CUT, film(ranged=True))
    client.download(made(server), tmp_path / "film.mp4")
    assert (tmp_path / "film.mp4").read_bytes() == FILM
    first, *others = [each.headers.get("range") for each in server.seen]
    assert first is None
    assert [str(each)[:6] for each in others] == ["bytes=", "bytes="]


def test_a_storage_without_ranges_sends_the_file_again(server: Script, client: Client, tmp_path: Path) -> None:
    server.then(film(FILM[:100_000], missing=1), Answer(503, b"<Code>SlowDown</Code>", "text/xml"), film())
    client.download(made(server), tmp_path / "film.mp4")
    assert (tmp_path / "film.mp4").read_bytes() == FILM
    assert len(server.seen) == 3


def test_an_expired_url_of_a_generation_is_replaced_once(server: Script, client: Client, tmp_path: Path) -> None:
    fresh = Answer(body=succeeded(server, media(server, name="fresh")))
    server.then(REFUSED, fresh, film())
    client.download(made(server), tmp_path / "film.mp4")
    assert [each.path.partition("?")[0] for each in server.seen] == ["/bucket/film", f"/v1/generations/{ID}",
                                                                     "/bucket/fresh"]  # fmt: skip
    server.then(REFUSED, fresh, REFUSED)
    with pytest.raises(DownloadError, match="403 AccessDenied"):
        client.download(made(server), tmp_path / "again.mp4")
    assert not (tmp_path / "again.mp4").exists()


def test_an_erased_video_is_reported_as_such(server: Script, client: Client, tmp_path: Path) -> None:
    server.then(REFUSED, Answer(body=example("generation_erased")))
    with pytest.raises(DownloadError, match="no_media"):
        client.download(made(server), tmp_path / "film.mp4")
    withheld = read(Generation, example("generation_without_media"))
    with pytest.raises(DownloadError) as caught:
        client.download(withheld, tmp_path / "film.mp4")
    assert caught.value.code == "consent_withdrawn"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (film(bytes(len(FILM))), "wrong_content"),
        (film(FILM + b"x"), "wrong_content"),
        (Answer(404, b"<Code>NoSuchKey</Code>", "text/xml"), "NoSuchKey"),
        (Answer(307, b"", headers={"Location": "http://169.254.169.254/"}), "http_307"),
    ],
)
def test_anything_but_the_file_leaves_the_earlier_file_untouched(
    server: Script, client: Client, tmp_path: Path, answer: Answer, code: str
) -> None:
    path = tmp_path / "film.mp4"
    path.write_text("an earlier film")
    server.then(answer)
    with pytest.raises(DownloadError) as caught:
        client.download(made(server), path)
    assert caught.value.code == code
    assert path.read_text() == "an earlier film"
    assert list(tmp_path.iterdir()) == [path]
    assert len(server.seen) == 1


def test_a_download_has_a_limited_number_of_tries_and_seconds(server: Script, client: Client, tmp_path: Path) -> None:
    server.then(*[film(FILM[:10], missing=10)] * QUICK.attempts)
    with pytest.raises(ConnectionFailedError):
        client.download(made(server), tmp_path / "film.mp4")
    assert len(server.seen) == QUICK.attempts
    server.then(film())
    with pytest.raises(DownloadError, match="timed_out"):
        client.download(made(server), tmp_path / "film.mp4", timeout=0)


@pytest.mark.parametrize("answer", [CUT, HANGS, REFUSED, film(b"x", missing=5), Answer(500, b"")])
def test_no_error_of_a_download_shows_its_url(server: Script, tmp_path: Path, answer: Answer) -> None:
    server.then(*[answer] * QUICK.attempts)
    file = read(Media, media(server))
    client = Client(f"{server.url}/v1", "lk_x", timeout=(1, 0.1), retry=QUICK)
    with client, pytest.raises(LikenessError) as caught:
        client.download(file, tmp_path / "film.mp4")
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + repr(file) + repr(made(server))
    assert "a-secret-signature" not in shown


# -- the example --------------------------------------------------------------------------------------------------


def run_example(server: Script, path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "clients/python/examples/generate.py", "--base-url", server.url, "--order", "order-1",
               "--prompt", "[Image1] waves", "--save", str(path), "asset://asset-1"]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": "clients/python", "LIKENESS_API_KEY": "lk_x"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_the_example_saves_a_video_and_names_a_refusal(server: Script, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    server.then(Answer(body=example("generation_estimate")), QUEUED, Answer(body=succeeded(server)), film())
    done = run_example(server, path)
    assert (done.returncode, done.stdout.splitlines()) == (
        0, ["estimate: 12.5 credits", f"generation {ID}", "succeeded", f"{path}: 12.5 credits"],
    )  # fmt: skip
    assert done.stderr.endswith("100 %")
    assert path.read_bytes() == FILM
    assert server.seen[1].headers["idempotency-key"] == "order-1"
    server.then(Answer(409, example("consent_withdrawn_by_person"), "application/problem+json"))
    refused = run_example(server, path)
    assert (refused.returncode, refused.stdout) == (
        1, "not allowed: consent_withdrawn ast_01KE1Q5V0G5C1D2E3F4G5H6J7K\n",
    )  # fmt: skip
