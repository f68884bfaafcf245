"""Programs written for crun, and their users: they retry when a response is lost, except for CreateTask."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from likeness.adapters.aws import make_client
from likeness.adapters.table.generations import DynamoGenerations
from likeness.domain.generation import Generation, GenerationFilter
from local.crun_script import serving
from tests.faults.generating import MODEL, Person, place_person
from tests.faults.onboarding import FACES, GaveUp, take_check
from tests.faults.simulated_aws import Answer, SimulatedAws, Story

CALLBACK = "https://shop.example/done?order=1#top"
#: What a video shows. It must not be in any log.
VIDEO_PROMPT = "[Image1] walks along a secret beach"
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
class VideoCaller:
    """One video of a person who has active pictures. ``task_id`` is empty when no response had one.

    A program of crun's never repeats CreateTask after a response that says nothing about the task. ``refusals`` are the
    responses after which it tried again, because crun had no task.
    """

    account: SimulatedAws
    person: Person | None = None
    task_id: str = ""
    info: dict[str, Any] = field(default_factory=dict)
    #: The response to the last CreateTask.
    answer: Answer = field(default_factory=lambda: Answer(0))
    refusals: int = 0

    def __post_init__(self) -> None:
        self.person = self.person or place_person(self.account, 1)

    @property
    def body(self) -> dict[str, Any]:
        """The request, with crun's ids alone."""
        assert self.person
        images = [f"asset://{each}" for each in self.person.assets.values()]
        shown = {
            "prompt": VIDEO_PROMPT,
            "reference_images": images,
            "duration": 4,
            "resolution": "480p",
            "audio": False,
        }
        return {"model": MODEL, "input": shown}

    def story(self) -> Story:
        """Runs from CreateTask until the task is over, or until it is not known whether there is one."""
        for _ in range(_TRIES):
            self.answer = self.account.crun_route("CreateTask", body=self.body)
            if self.answer.status not in (429, 455):
                break
            self.refusals += 1
            yield 5
        if self.answer.status != 200:
            return
        self.task_id = self.answer.body["data"]["task_id"]
        for _ in range(_TIMEOUT_SECONDS // 5):
            yield 5
            answer = self.account.crun_route("TaskInfo", task_id=self.task_id)
            if answer.status == 200:
                self.info = answer.body["data"]
                if self.info["status"] not in ("pending", "running"):
                    return
            else:
                assert answer.status in (429, 455, 500, 502), answer

    def generations(self) -> list[Generation]:
        """Returns the client's generations."""
        store = DynamoGenerations(make_client("dynamodb"), "Table")
        return store.list_generations("acme", limit=100, cursor=None, wanted=GenerationFilter()).generations


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
