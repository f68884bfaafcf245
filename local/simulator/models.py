"""The models that take assets: their input, its limits, and the schemas that crun publishes of them.

The product has a table of the same limits; this is a second one, written from crun's pages, so that a mistake in one
causes a difference between the two.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

AssetType = Literal["Image", "Video", "Audio"]
#: The fields that take files, and the type of their assets.
REFERENCES: dict[str, AssetType] = {
    "img_urls": "Image",
    "reference_images": "Image",
    "reference_videos": "Video",
    "reference_audios": "Audio",
}
ASSET_SCHEME = "asset://"
_File = Annotated[str, Field(max_length=8192, pattern=r"^(asset://|https?://)[!-~]+$")]
_AspectRatio = Literal["16:9", "9:16", "1:1", "4:3", "3:4", "21:9", "auto", "adaptive"]


class Input(BaseModel):
    """What all models have in common. Unknown fields are ignored."""

    model_config = ConfigDict(strict=True)

    prompt: str = Field(min_length=1, max_length=5000, repr=False)
    resolution: Literal["480p", "720p", "1080p"] = "720p"
    aspect_ratio: _AspectRatio = "auto"
    duration: int = Field(5, ge=4, le=15, description="seconds")
    audio: bool = True
    return_last_frame: bool = False
    byteplus_fallback: bool = False

    def files(self) -> list[tuple[str, AssetType, str]]:
        """Return the files in their order: the field with its index, the type, `asset://<AssetId>` or a URL."""
        return [
            (f"{name}.{number}", kind, value)
            for name, kind in REFERENCES.items()
            for number, value in enumerate(getattr(self, name, []))
        ]


class ImageToVideo20(Input):
    """The first frame, and the last one."""

    img_urls: list[_File] = Field(min_length=1, max_length=2, repr=False)


class ReferenceToVideo20(Input):
    """Pictures, clips and sounds to refer to; sounds never alone."""

    reference_images: list[_File] = Field([], max_length=9, repr=False)
    reference_videos: list[_File] = Field([], max_length=3, repr=False)
    reference_audios: list[_File] = Field([], max_length=3, repr=False)

    @model_validator(mode="after")
    def _references(self) -> "ReferenceToVideo20":
        if not self.reference_images and not self.reference_videos:
            raise ValueError("reference_images or reference_videos is required")
        if len(self.files()) > 12:
            raise ValueError("more than 12 references")
        return self


class ImageToVideo25(ImageToVideo20):
    """The same for up to 30 seconds, without 1080p."""

    resolution: Literal["480p", "720p"] = "720p"
    duration: int = Field(5, ge=4, le=30, description="seconds")


class ReferenceToVideo25(Input):
    """More references, for up to 30 seconds; sounds also alone."""

    duration: int = Field(5, ge=4, le=30, description="seconds")
    task_type: Literal["reference"] = "reference"
    reference_images: list[_File] = Field([], max_length=30, repr=False)
    reference_videos: list[_File] = Field([], max_length=10, repr=False)
    reference_audios: list[_File] = Field([], max_length=10, repr=False)

    @model_validator(mode="after")
    def _references(self) -> "ReferenceToVideo25":
        if not self.files():
            raise ValueError("a reference is required")
        return self


#: The models by their names at crun.
MODELS: dict[str, type[Input]] = {
    "bytedance/seedance2-0-r2v": ReferenceToVideo20,
    "bytedance/seedance2-0-i2v": ImageToVideo20,
    "bytedance/seedance2-5-r2v": ReferenceToVideo25,
    "bytedance/seedance2-5-i2v": ImageToVideo25,
}


def listed(name: str) -> dict[str, object]:
    """Return a model's entry in crun's list."""
    operation = "image-to-video" if name.endswith("-i2v") else "reference-to-video"
    return {"model": name, "model_type": "video", "modality": "video", "operations": [operation]}


def described(name: str) -> dict[str, object]:
    """Return a model's entry with the JSON Schema of its input."""
    return listed(name) | {"input_schema": MODELS[name].model_json_schema()}
