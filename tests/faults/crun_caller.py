"""A program written for crun, and its user: both retry when a response is lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from local.crun_script import serving
from tests.faults.onboarding import FACES, GaveUp, take_check
from tests.faults.simulated_aws import SimulatedAws, Story

CALLBACK = "https://shop.example/done?order=1#top"
_TRIES = 40
#: How long it polls until a file is Active, in seconds.
_TIMEOUT_SECONDS = 2 * 3600


@contextmanager
def served_face() -> Iterator[str]:
    """Serves a valid picture and yields its URL."""
    with TemporaryDirectory() as folder, serving(Path(folder)) as url:
        (Path(folder) / "front.jpg").write_bytes(FACES[0])
        yield f"{url}/front.jpg"


@dataclass
class CrunCaller:
    """One person with one file behind ``url``. ``asset_ids`` holds the AssetIds that uploads returned."""

    account: SimulatedAws
    url: str
    issued_token: str = ""
    group_id: str = ""
    asset_ids: list[str] = field(default_factory=list)
    info: dict[str, Any] = field(default_factory=dict)
    ended: bool = False

    def story(self) -> Story:
        """Runs from the first call until the file has settled. ``ended`` stays False when the program gives up."""
        with suppress(GaveUp):
            yield from self._steps()
            self.ended = True

    def _steps(self) -> Story:
        made = yield from self._until_answered("visual-validate-session", body={"callback_url": CALLBACK})
        self.issued_token = made["BytedToken"]
        yield 10
        yield from self._come_back(take_check(made["H5Link"], "pass"))
        yield 20  # an earlier call would wait inside the function, where nothing else runs in this account
        found = yield from self._until_answered("visual-validate-result", byted_token=self.issued_token)
        self.group_id = found["GroupId"]
        body = {"name": "front", "asset_type": "Image", "asset_url": self.url, "group_id": self.group_id}
        found = yield from self._until_answered("asset-upload", body=body)
        self.asset_ids.append(found["AssetId"])
        for _ in range(_TIMEOUT_SECONDS // 5):
            yield 5
            self.info = yield from self._until_answered("asset-info", asset_id=self.asset_ids[-1])
            if self.info["Status"] != "Processing":
                return
        raise GaveUp("the file never settled")

    def _until_answered(self, call: str, **options: Any) -> Any:
        for _ in range(_TRIES):
            answer = self.account.crun_route(call, **options)
            if answer.status == 200:
                return answer.body["data"]
            # Throttled, deferred, an error of the application, and an invocation that was killed.
            assert answer.status in (429, 455, 500, 502), answer
            yield 5
        raise GaveUp(call)

    def _come_back(self, callback: str) -> Story:
        for _ in range(_TRIES):
            answer = self.account.browser(callback)
            if answer.status == 303:
                assert answer.location
                assert answer.location.startswith(CALLBACK.partition("#")[0])
                return
            yield 4
        raise GaveUp("the callback")
