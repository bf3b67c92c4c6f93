"""DICOMweb: a password opens the server, and is told nowhere."""

import base64
import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

pytest.importorskip("dicomweb_client", reason="DICOMweb: install the extra with  pip install -e '.[archive]'")

from datasets.dicomweb import list_remote
from datasets.inputs import failure_of

FOUND = {
    "0020000D": {"vr": "UI", "Value": ["1.2.3"]},
    "0020000E": {"vr": "UI", "Value": ["1.2.4"]},
    "00080018": {"vr": "UI", "Value": ["1.2.5"]},
    "00080060": {"vr": "CS", "Value": ["US"]},
}


@pytest.fixture
def server():
    """Finds one instance and gives none; tells its port, and what it was asked."""

    asked = []

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers.get("Authorization", "")))
            body = json.dumps([FOUND]).encode()
            self.send_response(404 if "/instances/" in self.path else 200)
            self.send_header("Content-Type", "application/dicom+json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    running = HTTPServer(("127.0.0.1", 0), Answers)
    Thread(target=running.serve_forever, daemon=True).start()
    yield running.server_port, asked
    running.shutdown()


def test_a_password_is_sent_and_not_told(server):
    port, asked = server
    (one,) = list_remote(f"dicomweb://reader:p%40ss@127.0.0.1:{port}/dicom-web")
    with pytest.raises(OSError, match="404") as refused:
        one.source()
    assert "p@ss" not in str(refused.value) and "p%40ss" not in str(refused.value)
    assert "p%40ss" not in failure_of(one.name, refused.value).reason
    login = "Basic " + base64.b64encode(b"reader:p@ss").decode()
    assert len(asked) >= 3
    assert {header for _, header in asked} == {login}
