"""Renders the films of generations: the pictures move slowly, each for its part of the film, with a quiet tone.

A film is small (its longer side has 480 pixels) whatever its `resolution`: four seconds take about half a second of one
core. The same plan gives the same bytes.
"""

import io
import itertools
import math
import threading
from array import array
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache

import av
import av.error
from av.audio.stream import AudioStream
from av.video.stream import VideoStream
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

from local.simulator.inspection import marker

FPS = 24
_LONG_SIDE = 480
_SMALL = (480, 480)
#: A picture is composed this much larger than the film, so that it can move.
_MARGIN = 1.25
_ZOOM = 0.16
_SAMPLE_RATE = 24_000
_TONE_HERTZ, _TONE_LOUDNESS = 220.0, 0.03
_WAIT_SECONDS = 30.0
_KEPT = 32
_RATIOS = {"16:9": (16, 9), "9:16": (9, 16), "1:1": (1, 1), "4:3": (4, 3), "3:4": (3, 4), "21:9": (21, 9)}


@dataclass(frozen=True)
class FilmPlan:
    """What a film shows. `pictures` are small JPEGs, `persons` the people in them; sides are even numbers of pixels."""

    width: int
    height: int
    seconds: int
    sound: bool
    pictures: tuple[bytes, ...] = field(default=(), repr=False)
    persons: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Film:
    """A rendered film: an MP4, and its last frame as a JPEG."""

    mp4: bytes = field(repr=False)
    last_frame: bytes = field(repr=False)


class Renderer:
    """Renders films on one background thread. All methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._films: dict[FilmPlan, Future[Film]] = {}

    def begin(self, plan: FilmPlan) -> Future[Film]:
        """Start to render a film, unless that was done before."""
        with self._lock:
            if plan not in self._films:
                if self._pool is None:
                    self._pool = ThreadPoolExecutor(1, thread_name_prefix="crun-film")
                self._films[plan] = self._pool.submit(render, plan)
                if len(self._films) > _KEPT:
                    del self._films[next(iter(self._films))]
            return self._films[plan]

    def film(self, plan: FilmPlan) -> Film:
        """Return the film, rendered now if necessary. Raises TimeoutError after 30 s."""
        return self.begin(plan).result(_WAIT_SECONDS)

    def clear(self) -> None:
        """Forget all films; one that is being rendered is finished for nothing."""
        with self._lock:
            pool, self._pool = self._pool, None
            self._films.clear()
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)


def small_picture(content: bytes, asset_type: str) -> bytes | None:
    """Return a small JPEG of a picture or of a clip's first frame; None when it cannot be decoded, and for sounds."""
    try:
        if asset_type == "Image":
            with Image.open(io.BytesIO(content)) as opened:
                opened.draft("RGB", _SMALL)  # a JPEG is read at a fraction of its size
                picture = ImageOps.exif_transpose(opened).convert("RGB")
        elif asset_type == "Video":
            with av.open(io.BytesIO(content), "r") as container:
                picture = next(container.decode(video=0)).to_image().convert("RGB")  # type: ignore[no-untyped-call]
        else:
            return None
    except (OSError, ValueError, SyntaxError, IndexError, StopIteration, av.error.FFmpegError):
        return None
    picture.thumbnail(_SMALL)
    return _jpeg(picture)


def sides(aspect_ratio: str, pictures: tuple[bytes, ...]) -> tuple[int, int]:
    """Return a film's width and height. A ratio such as `auto` is that of the first picture, or 16:9."""
    across, down = _RATIOS.get(aspect_ratio, (16, 9))
    if aspect_ratio not in _RATIOS and pictures:
        with Image.open(io.BytesIO(pictures[0])) as picture:
            across, down = picture.size
    unit = _LONG_SIDE / max(across, down)
    return max(2, round(across * unit / 2) * 2), max(2, round(down * unit / 2) * 2)


@lru_cache(maxsize=_KEPT)
def render(plan: FilmPlan) -> Film:
    """Render a film. Its metadata name the persons, like the files of `python -m local media`."""
    file = io.BytesIO()
    last: Image.Image | None = None
    # without bitexact the muxer writes its version into the file
    with av.open(file, "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        container.metadata["comment"] = "".join(marker(each) for each in plan.persons)
        video = container.add_stream("libx264" if "libx264" in av.codecs_available else "mpeg4", rate=FPS)
        _set_up(video, plan)
        sound = container.add_stream("aac", rate=_SAMPLE_RATE, layout="mono") if plan.sound else None
        if sound is not None:
            _write_tone(container, sound, plan.seconds)
        for number, picture in enumerate(_frames(plan)):
            frame = av.VideoFrame.from_image(picture)  # type: ignore[no-untyped-call]  # its stub has no types
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(video.encode(frame))
            last = picture
        container.mux(video.encode(None))
    assert last is not None
    return Film(file.getvalue(), _jpeg(last))


def _set_up(video: VideoStream, plan: FilmPlan) -> None:
    video.width, video.height, video.pix_fmt = plan.width, plan.height, "yuv420p"
    video.time_base = Fraction(1, FPS)
    video.options = {"preset": "ultrafast", "crf": "28"} if video.name == "libx264" else {}
    video.codec_context.thread_count = 1


def _write_tone(container: av.container.OutputContainer, stream: AudioStream, seconds: int) -> None:
    total, size = seconds * _SAMPLE_RATE, 1024
    turn = 2 * math.pi * _TONE_HERTZ / _SAMPLE_RATE
    for start in range(0, total, size):
        samples = array("f", (_TONE_LOUDNESS * math.sin(turn * at) for at in range(start, min(start + size, total))))
        frame = av.AudioFrame(format="fltp", layout="mono", samples=len(samples))
        frame.planes[0].update(samples.tobytes())
        frame.sample_rate, frame.pts, frame.time_base = _SAMPLE_RATE, start, Fraction(1, _SAMPLE_RATE)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _frames(plan: FilmPlan) -> Iterator[Image.Image]:
    """Yield the film's frames: each picture is shown for its part of the time, while the view narrows and moves."""
    large = round(plan.width * _MARGIN), round(plan.height * _MARGIN)
    scenes = [_scene(each, large) for each in plan.pictures] or [_drawn(large)]
    count = plan.seconds * FPS
    for scene, (start, end) in zip(
        scenes, itertools.pairwise(round(count * each / len(scenes)) for each in range(len(scenes) + 1)), strict=True
    ):
        for number in range(start, end):
            done = (number - start) / (end - start)
            width, height = large[0] * (1 - _ZOOM * done), large[1] * (1 - _ZOOM * done)
            left, top = (large[0] - width) * done, (large[1] - height) / 2
            box = (left, top, left + width, top + height)
            yield scene.resize((plan.width, plan.height), Image.Resampling.BILINEAR, box)


def _scene(picture: bytes, size: tuple[int, int]) -> Image.Image:
    """Return the whole picture in front of a blurred and darker copy that fills the film."""
    with Image.open(io.BytesIO(picture)) as opened:
        whole = opened.convert("RGB")
    scene = whole.resize(size).filter(ImageFilter.GaussianBlur(12)).point(lambda value: value * 0.6)
    front = ImageOps.contain(whole, size)
    scene.paste(front, ((size[0] - front.width) // 2, (size[1] - front.height) // 2))
    return _labelled(scene)


def _drawn(size: tuple[int, int]) -> Image.Image:
    """Return a drawn landscape, for a film without a picture."""
    sky = Image.linear_gradient("L").resize(size)
    scene = ImageOps.colorize(sky, "#3b6ea5", "#dfe9f2")
    draw, (width, height) = ImageDraw.Draw(scene), size
    draw.ellipse((0.7 * width, 0.1 * height, 0.7 * width + 0.2 * height, 0.3 * height), fill="#f4d35e")
    draw.polygon([(0, height), (0.3 * width, 0.45 * height), (0.65 * width, height)], fill="#4f772d")
    draw.polygon([(0.35 * width, height), (0.75 * width, 0.55 * height), (width, 0.8 * height), size], fill="#31572c")
    return _labelled(scene)


def _labelled(scene: Image.Image) -> Image.Image:
    """Label the film, so that nobody mistakes it for a model's."""
    unit = scene.height / 100
    font = ImageFont.load_default(size=max(8.0, 4 * unit))
    ImageDraw.Draw(scene).text((scene.width * 0.25, 84 * unit), "rendered by the simulator", fill="#ffffff", font=font)
    return scene


def _jpeg(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=88)
    return file.getvalue()
