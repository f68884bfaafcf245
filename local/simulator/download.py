"""crun's download of an asset: bounded in time and size, with a check of presigned URLs."""

import time
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import requests
import urllib3

from local.simulator.inspection import Refused

_CHUNK_BYTES = 65_536
_READ_SECONDS = 5.0
# S3 refuses a request whose signing time is further ahead of its own clock than this
_EARLY_SECONDS = 900


def download(url: str, *, limit_bytes: int, timeout_seconds: float, now: float) -> bytes:
    """Fetch an asset.

    `now` (seconds since 1970) is the downloader's clock, by which a presigned URL expires: local S3 emulators do not
    enforce that. Raises `Refused` with `DownloadFailed` or `FileSizeTooLarge`.
    """
    _check_expiry(url, now)
    deadline = time.monotonic() + timeout_seconds
    wait = min(_READ_SECONDS, timeout_seconds)
    try:
        with requests.Session() as session:
            # no proxy between this machine's servers
            session.trust_env = False
            with session.get(url, stream=True, timeout=(wait, wait)) as response:
                if response.status_code != 200:
                    raise Refused("DownloadFailed", f"the server answered HTTP {response.status_code}")
                return _read(response, limit_bytes, deadline)
    # urllib3's errors are not translated, because the body is read without requests
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as exc:
        # the class alone, because the text of such an error contains the URL
        raise Refused("DownloadFailed", f"the file could not be fetched ({type(exc).__name__})") from None


def _read(response: requests.Response, limit_bytes: int, deadline: float) -> bytes:
    announced = response.headers.get("Content-Length", "")
    if announced.isdigit() and int(announced) > limit_bytes:
        raise Refused("FileSizeTooLarge", f"the file has more than {limit_bytes} bytes")
    content = bytearray()
    # read1 returns what has arrived, so that the deadline also applies to a slow server
    while chunk := response.raw.read1(_CHUNK_BYTES):
        content += chunk
        if len(content) > limit_bytes:
            raise Refused("FileSizeTooLarge", f"the file has more than {limit_bytes} bytes")
        if time.monotonic() > deadline:
            raise Refused("DownloadFailed", "the download took too long")
    if announced.isdigit() and len(content) < int(announced):
        raise Refused("DownloadFailed", "the connection closed before the end of the file")
    return bytes(content)


def _check_expiry(url: str, now: float) -> None:
    query = {name: values[-1] for name, values in parse_qs(urlsplit(url).query).items()}
    try:
        if "X-Amz-Date" in query:
            signed_at = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
            starts = signed_at.timestamp() - _EARLY_SECONDS
            ends = signed_at.timestamp() + int(query["X-Amz-Expires"])
        elif "Expires" in query:
            starts, ends = now, float(query["Expires"])
        else:
            return
    except (KeyError, ValueError):
        raise Refused("DownloadFailed", "the signature's time cannot be read (HTTP 400)") from None
    if now < starts:
        raise Refused("DownloadFailed", "the signature is not valid yet (HTTP 403)")
    if now > ends:
        raise Refused("DownloadFailed", "the signature has expired (HTTP 403)")
