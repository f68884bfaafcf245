"""Sets who asks the person in a release: the name, contact, privacy link, colour and logo that its pages show.

A release contains this file as set-operator.py, with build_operator.py beside it. It needs nothing but Python 3.9:

    python3 set-operator.py FOLDER    # with operator.json and the logo (docs/deploying.md)

It writes a new archive of the layer and changes template.yaml and SHA256SUMS to match. ./deploy.sh deploys the result.
"""

from __future__ import annotations

import hashlib
import re
import sys
import zipfile
from io import BytesIO
from pathlib import Path

sys.dont_write_bytecode = True  # a release has no file without a checksum

from build_operator import COLORED, OperatorError, built, read  # noqa: E402

_DATE = (1980, 1, 1, 0, 0, 0)
_PAGES = "python/pages/"


def set_operator(release: Path, folder: Path) -> Path:
    """Changes the release in place; returns the layer's new archive. Raises OperatorError when something is wrong."""
    operator = read(folder)
    sums = release / "SHA256SUMS"
    digests = {name: digest for digest, name in (line.split("  ", 1) for line in sums.read_text().splitlines())}
    template = release / "template.yaml"
    found = re.search(r"LikenessLayer-[0-9a-f]{16}\.zip", template.read_text("utf-8"))
    if not found:
        raise OperatorError(f"{template} names no archive of the layer")
    archive = release / "archives" / found[0]
    for file in (archive, template):
        if _digest(file.read_bytes()) != digests.get(file.relative_to(release).as_posix()):
            raise OperatorError(f"{file} does not match its checksum")
    content = _replaced(archive, operator)
    made = archive.with_name(f"LikenessLayer-{_digest(content)[:16]}.zip")
    archive.unlink()
    made.write_bytes(content)
    template.write_text(template.read_text("utf-8").replace(archive.name, made.name), "utf-8")
    del digests[f"archives/{archive.name}"]
    for file in (made, template):
        digests[file.relative_to(release).as_posix()] = _digest(file.read_bytes())
    sums.write_text("".join(f"{digests[name]}  {name}\n" for name in sorted(digests)))
    return made


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _replaced(archive: Path, operator: dict[str, object]) -> bytes:
    """Returns the archive with the operator's files, in the order and with the dates of the first one."""
    with zipfile.ZipFile(archive) as before:
        files = {name: before.read(name) for name in before.namelist()}
        attributes = before.infolist()[0].external_attr
    for name, text in built(operator, {name: files[f"{_PAGES}{name}"].decode() for name in COLORED}).items():
        files.pop(f"{_PAGES}{name}", None)
        if text is not None:
            files[f"{_PAGES}{name}"] = text.encode()
    content = BytesIO()
    with zipfile.ZipFile(content, "w") as after:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _DATE)
            entry.create_system = 3  # Unix
            entry.external_attr = attributes
            after.writestr(entry, files[name], zipfile.ZIP_DEFLATED, 9)
    return content.getvalue()


def main() -> None:
    """Runs the command."""
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        raise SystemExit("Usage: python3 set-operator.py FOLDER    # a folder with operator.json and the logo")
    try:
        made = set_operator(Path(__file__).resolve().parent, Path(sys.argv[1]))
    except OperatorError as exc:
        raise SystemExit(f"set-operator.py: {exc}") from exc
    print(f"archives/{made.name} names the operator; ./deploy.sh deploys it")


if __name__ == "__main__":
    main()
