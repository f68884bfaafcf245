"""Copies Swagger UI, which shows the contract at /docs, from its package to the layer's pages.

Run by the layer's Makefile: ``python copy_swagger_ui.py <site-packages> <pages>``. The package is
drf-spectacular-sidecar, which contains the files that Swagger UI's project publishes; the repository has none of them.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

_PACKAGE = "drf_spectacular_sidecar"
_LICENCE = "swagger-ui-bundle.js.LICENSE.txt"  # the bundle's first line refers to this name
#: The names of the copied files.
FILES = ("swagger-ui-bundle.js", "swagger-ui.css", _LICENCE)
#: The debugger of a browser would request the map, which is not served.
_MAP = re.compile(r"\n+(//|/\*)# sourceMappingURL=\S+(\*/)?\s*\Z")


def copy_swagger_ui(packages: Path, pages: Path) -> None:
    """Copies the files to a new folder of ``pages``. The licence begins with the package's version."""
    source = packages / _PACKAGE / "static" / _PACKAGE / "swagger-ui-dist"
    (found,) = packages.glob(f"{_PACKAGE}-*.dist-info")
    target = pages / "swagger_ui"
    target.mkdir()
    for name in FILES:
        text = _MAP.sub("\n", (source / name).read_text("utf-8"))
        if name == _LICENCE:
            text = f"Swagger UI, unchanged, from the package {found.stem}. https://swagger.io\n\n{text}"
        (target / name).write_text(text, "utf-8")


if __name__ == "__main__":
    copy_swagger_ui(Path(sys.argv[1]), Path(sys.argv[2]))
