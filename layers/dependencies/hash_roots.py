"""Splits a bundle of root certificates into a folder in which OpenSSL finds a certificate by its subject.

Run by the layer's Makefile: ``python hash_roots.py <cacert.pem> <folder>``. Reading certifi's whole bundle is a fifth
of the start of a function that calls crun. From a folder, OpenSSL reads only the root that a server's chain ends in.
File names are the hash of the subject and a number (source: OpenSSL's manual, X509_LOOKUP_hash_dir(3), and x_name.c).
"""

from __future__ import annotations

import hashlib
import re
import ssl
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
#: The encodings of ASN.1's character strings by their tags: UTF8String, PrintableString, T61String, IA5String,
#: VisibleString, UniversalString, BMPString.
_ENCODINGS = {12: "utf-8", 19: "ascii", 20: "latin-1", 22: "ascii", 26: "ascii", 28: "utf-32-be", 30: "utf-16-be"}
_SEQUENCE, _SET, _UTF8, _VERSION = 0x30, 0x31, 0x0C, 0xA0
_SPACES = re.compile(rb"[ \t\n\v\f\r]+")


def write(bundle: str, folder: Path) -> None:
    """Writes each certificate of ``bundle`` to its file in a new ``folder``."""
    folder.mkdir(parents=True)
    seen: Counter[str] = Counter()
    for certificate in _CERTIFICATE.findall(bundle):
        name = subject_hash(ssl.PEM_cert_to_DER_cert(certificate))
        (folder / f"{name}.{seen[name]}").write_text(f"{certificate}\n", "ascii")
        seen[name] += 1


def subject_hash(certificate: bytes) -> str:
    """Returns the eight hex digits of ``openssl x509 -subject_hash`` for a certificate in DER."""
    canonical = b"".join(
        _encoded(_SET, b"".join(sorted(_canonical(each) for _, each in _parts(name))))
        for _, name in _parts(_subject(certificate))
    )
    return hashlib.sha1(canonical, usedforsecurity=False).digest()[3::-1].hex()


def _subject(certificate: bytes) -> bytes:
    ((_, whole),) = _parts(certificate)
    signed = next(_parts(whole))[1]
    fields = [content for tag, content in _parts(signed) if tag != _VERSION]
    return fields[4]  # serial number, algorithm, issuer, validity, subject


def _canonical(attribute: bytes) -> bytes:
    """Returns type and value; text as UTF-8, in lower case, with single spaces."""
    (kind, oid), (tag, value) = _parts(attribute)
    if tag in _ENCODINGS:
        text = _SPACES.sub(b" ", value.decode(_ENCODINGS[tag]).encode()).strip(b" ")
        tag, value = _UTF8, text.lower()  # of bytes: ASCII only, as in OpenSSL
    return _encoded(_SEQUENCE, _encoded(kind, oid) + _encoded(tag, value))


def _parts(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yields the tag and the content of each element."""
    at = 0
    while at < len(content):
        tag, length, at = content[at], content[at + 1], at + 2
        if length >= 0x80:
            size = length & 0x7F
            length, at = int.from_bytes(content[at : at + size], "big"), at + size
        yield tag, content[at : at + length]
        at += length


def _encoded(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    size = (length.bit_length() + 7) // 8
    return bytes([tag, 0x80 | size]) + length.to_bytes(size, "big") + content


if __name__ == "__main__":
    write(Path(sys.argv[1]).read_text("ascii", "ignore"), Path(sys.argv[2]))
