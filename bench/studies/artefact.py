"""What is deployed, built for this machine's interpreter: `sam build` as local/stack.py does it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from local.processes import ROOT, environment
from local.stack import build_for_host


@dataclass(frozen=True)
class Artefact:
    """A build. ``layers`` in the order of the template."""

    folder: Path

    @property
    def layers(self) -> list[Path]:
        """The layers' folders, each with ``python`` in it."""
        return [self.folder / "DependenciesLayer", self.folder / "LikenessLayer"]

    def function(self, name: str) -> Path:
        """The folder of functions/<name>."""
        return ROOT / "functions" / name


@cache
def build() -> Artefact:
    """The build of the sources as they are; unchanged sources are built once."""
    state = ROOT / ".local"
    state.mkdir(exist_ok=True)
    (state / "home").mkdir(exist_ok=True)
    built = build_for_host(state, state / "logs" / "bench", environment(state, os.environ.get("AWS_ENDPOINT_URL", "")))
    return Artefact(built.parent)
