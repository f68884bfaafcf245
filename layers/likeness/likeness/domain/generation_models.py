"""The models at crun that take assets, with the limits of their input.

Source: crun's pages of these models, and the schemas that it serves at ``job/Models``. A limit that crun does not
publish is not checked here: crun decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from likeness.domain.guarded_text import shown_name
from likeness.domain.media.types import AssetType

#: The flag that sends a task to another upstream, where our assets do not exist.
FALLBACK = "byteplus_fallback"


class Text(NamedTuple):
    """A text of at most ``most`` characters."""

    most: int

    def problem(self, value: object) -> str | None:
        """Why ``value`` is not accepted, without quoting it."""
        if not isinstance(value, str):
            return "must be a string"
        return f"must have at most {self.most} characters" if len(value) > self.most else None


class OneOf(NamedTuple):
    """One of some words."""

    words: tuple[str, ...]

    def problem(self, value: object) -> str | None:
        """Why ``value`` is not accepted, without quoting it."""
        return None if isinstance(value, str) and value in self.words else f"must be one of {', '.join(self.words)}"


class Whole(NamedTuple):
    """An integer from ``least`` to ``most``."""

    least: int
    most: int

    def problem(self, value: object) -> str | None:
        """Why ``value`` is not accepted, without quoting it."""
        whole = isinstance(value, int) and not isinstance(value, bool) and self.least <= value <= self.most
        return None if whole else f"must be an integer from {self.least} to {self.most}"


class Flag:
    """True or false."""

    def problem(self, value: object) -> str | None:
        """Why ``value`` is not accepted, without quoting it."""
        return None if isinstance(value, bool) else "must be true or false"


class Files(NamedTuple):
    """A list of at most ``most`` files of one type: assets of it, or URLs."""

    kind: AssetType
    most: int

    def problem(self, value: object) -> str | None:
        """Why ``value`` is not accepted, without quoting it."""
        if not isinstance(value, list):
            return "must be an array"
        return f"must have at most {self.most} items" if len(value) > self.most else None


Field = Text | OneOf | Whole | Flag | Files


class GenerationModel(NamedTuple):
    """A model's fields by name, and what its files must be together.

    ``most_files``: of all fields together. ``sound_alone``: whether it accepts sounds without a picture or a clip.
    """

    fields: Mapping[str, Field]
    most_files: int
    sound_alone: bool = True

    def problem(self, content: Mapping[str, Any]) -> tuple[str, str] | None:
        """The first field that is not valid, and why; None when there is none.

        Values are not quoted, nor is the name of a field that may be more than a name.
        """
        for name, value in content.items():
            known = self.fields.get(name)
            if known is None:
                return shown_name(name), "this model has no such field"
            why = known.problem(value)
            if why:
                return name, why
        given = {name: len(content[name]) for name, known in self.fields.items() if _has_files(known, content, name)}
        if sum(given.values()) > self.most_files:
            return next(reversed(given)), f"a request must have at most {self.most_files} files in all"
        if given and not self.sound_alone and {self._kind(each) for each in given} == {AssetType.AUDIO}:
            return next(iter(given)), "this model does not accept sounds without a picture or a clip"
        return None

    def files(self, content: Mapping[str, Any]) -> Iterator[tuple[str, int, AssetType, object]]:
        """Yields each item of the fields that take files: the field, its position, the type, the item."""
        for name, known in self.fields.items():
            if isinstance(known, Files):
                for position, item in enumerate(content.get(name, ())):
                    yield name, position, known.kind, item

    def _kind(self, name: str) -> AssetType | None:
        known = self.fields[name]
        return known.kind if isinstance(known, Files) else None


def _has_files(known: Field, content: Mapping[str, Any], name: str) -> bool:
    return isinstance(known, Files) and bool(content.get(name))


_COMMON: Mapping[str, Field] = {
    "prompt": Text(5000),
    "aspect_ratio": OneOf(("16:9", "9:16", "1:1", "4:3", "3:4", "21:9", "auto", "adaptive")),
    "audio": Flag(),
    "return_last_frame": Flag(),
    FALLBACK: Flag(),
}
_UP_TO_1080P, _UP_TO_720P = OneOf(("480p", "720p", "1080p")), OneOf(("480p", "720p"))
_FRAMES: Mapping[str, Field] = {"img_urls": Files(AssetType.IMAGE, 2)}  # the first frame, the last frame


def _references(images: int, clips: int, sounds: int) -> Mapping[str, Field]:
    return {
        "reference_images": Files(AssetType.IMAGE, images),
        "reference_videos": Files(AssetType.VIDEO, clips),
        "reference_audios": Files(AssetType.AUDIO, sounds),
    }


#: The models by their names at crun.
GENERATION_MODELS: Mapping[str, GenerationModel] = {
    "bytedance/seedance2-0-r2v": GenerationModel(
        {**_COMMON, **_references(9, 3, 3), "resolution": _UP_TO_1080P, "duration": Whole(4, 15)}, 12, sound_alone=False
    ),
    "bytedance/seedance2-0-i2v": GenerationModel(
        {**_COMMON, **_FRAMES, "resolution": _UP_TO_1080P, "duration": Whole(4, 15)}, 2
    ),
    "bytedance/seedance2-5-r2v": GenerationModel(
        {
            **_COMMON,
            **_references(30, 10, 10),
            "resolution": _UP_TO_1080P,
            "duration": Whole(4, 30),
            "task_type": OneOf(("reference",)),
        },
        50,
    ),
    "bytedance/seedance2-5-i2v": GenerationModel(
        {**_COMMON, **_FRAMES, "resolution": _UP_TO_720P, "duration": Whole(4, 30)}, 2
    ),
}


def permitted_models(names: Sequence[str]) -> Mapping[str, GenerationModel]:
    """The models of the operator's list. A name without limits here takes no assets."""
    return {name: GENERATION_MODELS[name] for name in names if name in GENERATION_MODELS}
