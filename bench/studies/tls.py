"""CPU time of the first HTTPS call of a process compared with its second: the cost of reading root certificates.

The clients are created while the function starts, as in the product. The server closes each connection, so both calls
make a TLS handshake. Each sample is a new process. The bare call is http.client's, with its bundle read in advance.
"""

from __future__ import annotations

import datetime
import ipaddress
import json
import os
import shutil
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bench.studies.artefact import build
from bench.table import Row
from local.processes import ROOT

SAMPLES = 11
_GOAL = 4.0
_HOST = "127.0.0.1"
_CLIENTS = ("crun", "dynamodb")
_WITHOUT_CLIENT = "bare"
#: Imports happen before the measurement; lazy ones happen in the call and count.
_PROBE = """import http.client, json, ssl, sys, time
from likeness.adapters.aws import make_client
from likeness.adapters.http.crun_client import CrunClient
client, url = sys.argv[1:]
def make():
    if client == "crun":
        crun = CrunClient(url, lambda fresh: "key", lambda wanted: wanted)
        return lambda: crun.group_of("token")
    if client == "bare":
        context = ssl.create_default_context()
        def get():
            connection = http.client.HTTPSConnection(url.removeprefix("https://"), context=context)
            connection.request("GET", "/")
            connection.getresponse().read()
            connection.close()
        return get
    aws = make_client(client)
    return lambda: aws.get_item(TableName="t", Key={"pk": {"S": "a"}})
call = make()
seconds = []
for _ in range(2):
    began = time.process_time()
    call()
    seconds.append(time.process_time() - began)
print(json.dumps(seconds))
"""


class _Handler(BaseHTTPRequestHandler):
    """Answers crun's lookup and DynamoDB's GetItem, and closes each connection."""

    def _serve(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        found = {"code": 200, "message": "success", "data": {"GroupId": "group-1"}} if self.command == "GET" else {}
        body = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = _serve  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing is logged."""


@contextmanager
def https_server(folder: Path) -> Iterator[str]:
    """Yields the URL of a server with a certificate that ``trusting(folder)`` accepts."""
    _make_certificates(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    server = ThreadingHTTPServer((_HOST, 0), _Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"https://{_HOST}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _make_certificates(folder: Path) -> None:
    """Creates a short-lived authority in ``ca.pem``, and a server's key and certificate in ``server.pem``."""
    authority_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bench")])
    server = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _HOST)])
    now = datetime.datetime.now(datetime.UTC)

    def sign(subject: x509.Name, key: ec.EllipticCurvePublicKey, *extensions: x509.ExtensionType) -> bytes:
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(authority).public_key(key)
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - datetime.timedelta(hours=1))
        builder = builder.not_valid_after(now + datetime.timedelta(hours=1))
        for extension in (*extensions, identifier, x509.SubjectKeyIdentifier.from_public_key(key)):
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return builder.sign(authority_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(_HOST))])
    key = server_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    basic = x509.BasicConstraints(ca=True, path_length=None)
    (folder / "ca.pem").write_bytes(sign(authority, authority_key.public_key(), basic))
    (folder / "server.pem").write_bytes(key + sign(server, server_key.public_key(), address))


def trusting(folder: Path) -> dict[str, str]:
    """Returns the environment of a process that trusts all ordinary authorities and ours.

    Copies of the bundles that the product reads, certifi's and those in its own package, get one more certificate.
    So reading a bundle costs as much as usual. Beside certifi's copy is the folder of roots, as in the layer.
    """
    path, ours = folder / "path", (folder / "ca.pem").read_bytes()
    certifi_copy, layers = path / "certifi", build().layers
    certifi_copy.mkdir(parents=True)
    (certifi_copy / "__init__.py").write_text(
        "import pathlib\n\n\ndef where():\n    return str(pathlib.Path(__file__).with_name('cacert.pem'))\n"
    )
    shutil.copy(certifi.where(), certifi_copy / "cacert.pem")
    shutil.copytree(layers[1] / "python" / "likeness", path / "likeness")
    for bundle in path.rglob("*.pem"):
        bundle.write_bytes(bundle.read_bytes() + b"\n" + ours)
    hash_roots = ROOT / "layers" / "dependencies" / "hash_roots.py"
    subprocess.run(
        [sys.executable, str(hash_roots), str(certifi_copy / "cacert.pem"), str(certifi_copy / "roots")], check=True
    )
    return {
        "PYTHONPATH": os.pathsep.join(map(str, [path, layers[0] / "python"])),
        "SSL_CERT_FILE": str(certifi_copy / "cacert.pem"),
    }


def measure(samples: int = SAMPLES) -> dict[str, tuple[float, float]]:
    """Returns the medians of the first and the second call in CPU seconds, by client."""
    found: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with https_server(folder) as url:
            environment = trusting(folder)
            for _ in range(samples):
                for client in (_WITHOUT_CLIENT, *_CLIENTS):
                    found.setdefault(client, []).append(_sample(client, url, environment))
    return {
        key: (statistics.median(first for first, _ in each), statistics.median(second for _, second in each))
        for key, each in found.items()
    }


def _sample(client: str, url: str, environment: dict[str, str]) -> tuple[float, float]:
    settings = {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "NO_PROXY": "*",
    }
    done = subprocess.run(
        [sys.executable, "-c", _PROBE, client, url],
        env=settings | environment,
        stdout=subprocess.PIPE,
        timeout=60,
        check=True,
    )
    first, second = json.loads(done.stdout)
    return first, second


def rows() -> list[Row]:
    """Returns for each client its first call compared with the second, and the second compared with a bare one."""
    calls = measure()
    _, bare = calls[_WITHOUT_CLIENT]
    found = []
    for client in _CLIENTS:
        first, second = calls[client]
        found.append(Row("tls", f"{client}: first call", 1000 * first, "ms CPU", 1000 * second, _GOAL))
    for client in _CLIENTS:
        figure = f"{client}: a later new connection, compared with a bare one"
        found.append(Row("tls", figure, 1000 * calls[client][1], "ms CPU", 1000 * bare))
    return found
