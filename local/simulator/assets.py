"""Processes an asset after the response to its upload: the download, the checks, the outcome."""

import heapq
import itertools
import random
import threading
import time
from collections.abc import Callable
from fnmatch import fnmatchcase

from local.simulator.download import download
from local.simulator.inspection import Refused, inspect
from local.simulator.render import small_picture
from local.simulator.settings import AssetOutcome, SimulatorSettings
from local.simulator.state import Asset, Group, Store

_THREADS = 6


def settle_seconds(settings: SimulatorSettings, number: int) -> float:
    """Return for how many seconds the asset with this number is Processing.

    The number is the seed, so that the times do not depend on the order of the threads.
    """
    drawn = random.Random(f"{settings.seed}:{number}")  # noqa: S311 - a duration, not a secret
    return drawn.uniform(settings.settle_min_seconds, settings.settle_max_seconds)


class AssetWorker:
    """Runs the checks of uploaded assets on a few threads, each at its scheduled time."""

    def __init__(self, store: Store, settings: Callable[[], SimulatorSettings]) -> None:
        self._store = store
        self._settings = settings
        self._wake = threading.Condition()
        self._jobs: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._stopping = False
        self._threads: list[threading.Thread] = []
        self._used: dict[AssetOutcome, int] = {}

    def start(self) -> None:
        """Start the threads."""
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._run, name=f"crun-asset-{number}", daemon=True) for number in range(_THREADS)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Drop scheduled jobs and end the threads; a running download gets two seconds."""
        self.clear()
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        for thread in self._threads:
            thread.join(timeout=2)

    def clear(self) -> None:
        """Drop scheduled jobs."""
        with self._wake:
            self._jobs.clear()
            self._used.clear()

    def take(self, asset: Asset, group: Group, url: str) -> None:
        """Check an asset against the person of its group, after the settings' delays."""
        settings = self._settings()
        received = time.monotonic()
        after = settle_seconds(settings, asset.number)
        configured = self._configured_outcome(asset.name, settings)
        if configured is not None:
            if configured.outcome != "never":
                error = (configured.code, configured.message) if configured.outcome == "failed" else None
                wait = after if configured.after_seconds is None else configured.after_seconds
                self._store.settle_later(asset, wait, error)
            return
        self._at(
            received + settings.fetch_delay_seconds,
            lambda: self._fetch(asset, group, url, received + after),
        )

    def _configured_outcome(self, name: str, settings: SimulatorSettings) -> AssetOutcome | None:
        with self._wake:
            for each in settings.asset_outcomes:
                used = self._used.get(each, 0)
                if fnmatchcase(name, each.name) and (each.times is None or used < each.times):
                    self._used[each] = used + 1
                    return each
        return None

    def _fetch(self, asset: Asset, group: Group, url: str, settle_at: float) -> None:
        settings = self._settings()
        error: tuple[str, str] | None = None
        try:
            limit = {
                "Image": settings.max_image_bytes,
                "Video": settings.max_video_bytes,
                "Audio": settings.max_audio_bytes,
            }[asset.asset_type]
            content = download(
                url,
                limit_bytes=limit,
                timeout_seconds=settings.download_timeout_seconds,
                now=time.time() + settings.fetch_skew_seconds,
            )
            pixels = settings.min_video_pixels, settings.max_video_pixels
            inspect(content, asset.asset_type, group.person, pixels, require_face=settings.require_face)
            if group.mismatch and asset.asset_type != "Audio":
                raise Refused("FaceMismatch", "the face is not the one that was validated for this group")
            asset.picture = small_picture(content, asset.asset_type)
        except Refused as refused:
            error = (refused.code, refused.message)
        except Exception as exc:  # a file that breaks the checks must not end the thread
            error = ("InternalError", f"the check failed with an error ({type(exc).__name__})")
        self._at(settle_at, lambda: self._store.settle_asset(asset, error))

    def _at(self, when: float, job: Callable[[], None]) -> None:
        with self._wake:
            if not self._stopping:
                heapq.heappush(self._jobs, (when, next(self._order), job))
                self._wake.notify()

    def _run(self) -> None:
        while (job := self._next()) is not None:
            job()

    def _next(self) -> Callable[[], None] | None:
        with self._wake:
            while not self._stopping:
                wait = self._jobs[0][0] - time.monotonic() if self._jobs else None
                if wait is not None and wait <= 0:
                    return heapq.heappop(self._jobs)[2]
                self._wake.wait(wait)
            return None
