"""The deployed files, built for this machine's interpreter by `sam build` as in local/stack.py."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from local.processes import ROOT, environment
from local.stack import build_for_host


@dataclass(frozen=True)
class Artefact:
    """A build; ``layers`` has the template's order."""

    folder: Path

    @property
    def layers(self) -> list[Path]:
        """The layers' folders; each contains a folder ``python``."""
        return [self.folder / "DependenciesLayer", self.folder / "LikenessLayer"]

    def function(self, name: str) -> Path:
        """Returns the folder functions/<name>."""
        return ROOT / "functions" / name


@cache
def build() -> Artefact:
    """Builds the current sources; unchanged sources are built once."""
    state = ROOT / ".local"
    state.mkdir(exist_ok=True)
    (state / "home").mkdir(exist_ok=True)
    built = build_for_host(state, state / "logs" / "bench", environment(state, os.environ.get("AWS_ENDPOINT_URL", "")))
    return Artefact(built.parent)
