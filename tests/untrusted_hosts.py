"""Untrusted hosts on loopback that send arbitrary bytes, and a name and a public address that resolve to them."""

from __future__ import annotations

import datetime
import ipaddress
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

#: See the fixture ``resolve``.
NAME = "receiver.example"
PUBLIC = "93.184.215.14"
#: Longer than every bounded wait, even on a busy machine.
LONG_WAIT_SECONDS = 30.0
Speak = Callable[[socket.socket], None]


@contextmanager
def speaking(speak: Speak, context: ssl.SSLContext | None = None, received: list[bytes] | None = None) -> Iterator[int]:
    """Yields the port of a server that appends each request to ``received`` and then answers with ``speak``."""

    def serve(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            connection.settimeout(LONG_WAIT_SECONDS)
            inner = context.wrap_socket(connection, server_side=True) if context else connection
            with inner:
                request = _request(inner)
                if received is not None:
                    received.append(request)
                speak(inner)

    def listen() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=listen, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def _request(connection: socket.socket) -> bytes:
    """Returns a whole request. Raises ConnectionError when the sender disconnects before the end."""
    received = b""
    while not _is_whole(received):
        more = connection.recv(65_536)
        if not more:
            raise ConnectionError
        received += more
    return received


def _is_whole(request: bytes) -> bool:
    head, end, body = request.partition(b"\r\n\r\n")
    announced = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
    return bool(end) and len(body) >= int(announced[1] if announced else 0)


def drip(head: bytes) -> Speak:
    """Sends ``head``, then one byte every 0.2 s until the connection closes."""

    def speak(connection: socket.socket) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(b"x")
            time.sleep(0.2)

    return speak


def flood(connection: socket.socket, head: bytes, sent: list[int]) -> None:
    """Sends ``head``, then bytes until the connection closes. Appends the size of each write to ``sent``."""
    connection.sendall(head)
    while True:
        sent.append(connection.send(b"x" * 65_536))


def certificate(folder: Path, name: str) -> ssl.SSLContext:
    """Returns a TLS server context for ``name``, with a self-signed certificate in ``folder``/ca.pem."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    alternative = x509.IPAddress(ipaddress.ip_address(name)) if name[0].isdigit() else x509.DNSName(name)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    (folder / "ca.pem").write_bytes(pem)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "both.pem").write_bytes(pem + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "both.pem")
    return context
