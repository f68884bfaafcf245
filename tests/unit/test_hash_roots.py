"""The folder of root certificates: OpenSSL finds each root by its subject, and trusts no other."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

import certifi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import hash_roots
from likeness.adapters.http import https

BUNDLE = Path(certifi.where()).read_text("utf-8")
#: What OpenSSL normalizes: case, spaces, characters outside of ASCII, several attributes.
SUBJECTS = [("bench",), ("  Two   Words ",), ("ÄÖ Certificação É", "ORG"), ("数字证书",), ("x" * 60, "y" * 60)]
#: The results of ``openssl x509 -subject_hash``.
KNOWN = {"ISRG Root X1": "4042bcee", "Amazon Root CA 1": "ce5e74ef", "GTS Root R1": "1001acf7"}


def _authority(folder: Path, subject: tuple[str, ...]) -> str:
    """Creates an authority and a server certificate of its own, with its key, in ``server.pem``. Returns the first."""
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    kinds = (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME)
    issuer = x509.Name([x509.NameAttribute(kind, each) for kind, each in zip(kinds, subject, strict=False)])
    now, made = datetime.datetime.now(datetime.UTC), []
    for number, key in enumerate(keys):
        builder = x509.CertificateBuilder(
            issuer,
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "crun.test")]) if number else issuer,
            key.public_key(),
            x509.random_serial_number(),
            now - datetime.timedelta(hours=1),
            now + datetime.timedelta(hours=1),
        )
        for extension in (
            x509.BasicConstraints(ca=not number, path_length=None),
            x509.SubjectAlternativeName([x509.DNSName("crun.test")]),
            x509.AuthorityKeyIdentifier.from_issuer_public_key(keys[0].public_key()),
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()),
        ):
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        made.append(builder.sign(keys[0], hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    secret = keys[1].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.pem").write_bytes(secret + made[1])
    return made[0].decode()


def _handshake(folder: Path) -> None:
    """Makes a TLS handshake in memory with the product's context. Raises SSLCertVerificationError."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "server.pem")
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = https.trusting_context()
    ends = [
        context.wrap_bio(back, there, server_hostname="crun.test"),
        server.wrap_bio(there, back, server_side=True),
    ]
    for _ in range(4):
        for end in list(ends):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            ends.remove(end)
    assert ends == []


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_server_of_a_root_in_the_folder_is_trusted_and_no_other(
    subject: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(https, "CA_BUNDLE", str(tmp_path / "cacert.pem"))
    authority = _authority(tmp_path, subject)
    hash_roots.write(f"{BUNDLE}\n{authority}", tmp_path / "roots")
    _handshake(tmp_path)
    _authority(tmp_path, subject)  # another one of the same name
    with pytest.raises(ssl.SSLCertVerificationError):
        _handshake(tmp_path)


def test_two_roots_of_the_same_name_are_both_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(https, "CA_BUNDLE", str(tmp_path / "cacert.pem"))
    roots = [_authority(tmp_path, ("bench",)) for _ in range(3)]
    hash_roots.write("\n".join(roots), tmp_path / "roots")
    _handshake(tmp_path)


def test_every_root_of_the_bundle_has_a_file_with_openssls_name(tmp_path: Path) -> None:
    hash_roots.write(BUNDLE, tmp_path / "roots")
    files = {each.name: each.read_text("ascii") for each in (tmp_path / "roots").iterdir()}
    assert len(files) == BUNDLE.count("-----BEGIN CERTIFICATE-----")
    for label, name in KNOWN.items():
        certificate = BUNDLE.partition(f'# Label: "{label}"\n')[2].partition("-----BEGIN")[2].partition("-----END")[0]
        assert certificate in files[f"{name}.0"]


def test_without_the_folder_the_whole_bundle_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(https, "CA_BUNDLE", str(tmp_path / "cacert.pem"))
    (tmp_path / "cacert.pem").write_text(_authority(tmp_path, ("bench",)))
    _handshake(tmp_path)
