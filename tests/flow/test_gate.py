"""What a real server refuses before it reads: bodies beyond its memory, bodies that stall, foreign pages."""

import http.client
import json
import select
import socket
from contextlib import ExitStack, closing

import pytest
from websockets.exceptions import InvalidStatus

from serving.gate import names_of
from serving.settings import Settings
from tests.flow.conftest import connected, serving
from tests.waiting import PATIENCE_S

JPEG_HEAD = b"\xff\xd8\xff"
SITE = "https://ris.example:8443"


@pytest.fixture(scope="module")
def narrow():
    """host:port of a server with room for 2 MB of bodies, each at most 1 MB."""
    limits = {"HIPSONO_MAX_UPLOAD_MB": "1", "HIPSONO_MAX_BODIES_MB": "2"}
    with serving("serve", **limits, HIPSONO_ORIGINS=json.dumps([SITE])) as (_, address):
        yield address.removeprefix("http://")


@pytest.fixture(scope="module")
def impatient():
    """host:port of a server whose bodies may pause for 3 s."""
    with serving("serve", HIPSONO_DEADLINE_MS="3000") as (_, address):
        yield address.removeprefix("http://")


def begun(address, length, sent, kind="image/jpeg"):
    """An upload of which only the beginning has been sent."""
    upload = http.client.HTTPConnection(address, timeout=PATIENCE_S)
    upload.putrequest("POST", "/v1/frames")
    upload.putheader("Content-Type", kind)
    upload.putheader("Content-Length", str(length))
    upload.endheaders(sent)
    return upload


def post(address, picture, origin=None):
    with closing(http.client.HTTPConnection(address, timeout=PATIENCE_S)) as one:
        page = {"Origin": origin} if origin else {}
        one.request("POST", "/v1/frames", picture, {"Content-Type": "image/jpeg"} | page)
        answer = one.getresponse()
        return answer.status, json.loads(answer.read()), answer.headers


def test_bodies_in_memory_are_bounded_all_together(narrow, picture):
    part = JPEG_HEAD + bytes(900_000)
    with ExitStack() as uploads:
        slow = [uploads.enter_context(closing(begun(narrow, len(part) + 1, part))) for _ in range(2)]
        before = post(narrow, picture)
        third = uploads.enter_context(closing(begun(narrow, len(part), part)))
        refused = third.getresponse()
        body = json.loads(refused.read())
        for one in slow:
            one.send(b"\0")
            assert one.getresponse().status == 422, "they were taken, though they are no pictures"
    assert before[0] == 200, "what fits beside them is taken"
    assert refused.status == 503 and refused.headers["retry-after"]
    assert "HIPSONO_MAX_BODIES_MB" in body["detail"]
    with closing(begun(narrow, len(part), part)) as again:
        assert again.getresponse().status == 422, "their room was given back"


def test_bodies_of_unknown_length_are_bounded_too(narrow):
    part = b"dbba0\r\n" + bytes(900_000) + b"\r\n"
    with ExitStack() as uploads:
        chunked = []
        for _ in range(3):
            one = uploads.enter_context(closing(http.client.HTTPConnection(narrow, timeout=PATIENCE_S)))
            one.putrequest("POST", "/v1/frames")
            one.putheader("Content-Type", "image/jpeg")
            one.putheader("Transfer-Encoding", "chunked")
            one.endheaders(part)
            chunked.append(one)
        told, _, _ = select.select([one.sock for one in chunked], [], [], PATIENCE_S)
        assert len(told) == 1, "one has no room and is told so; the others have, and wait for their rest"
        for one in chunked:
            if one.sock not in told:
                one.send(b"0\r\n\r\n")
        assert sorted(one.getresponse().status for one in chunked) == [415, 415, 503]


@pytest.mark.parametrize(
    ("kind", "sent"), [("image/jpeg", JPEG_HEAD), ("multipart/form-data; boundary=x", b"--x\r\nContent-Disp")]
)
def test_a_body_that_stalls_is_given_up(impatient, kind, sent):
    with closing(begun(impatient, 1000, sent, kind)) as stalled:
        answer = stalled.getresponse()
        assert answer.status == 408
        assert "3 s" in json.loads(answer.read())["detail"]


@pytest.mark.parametrize("route", ["stream", "watch", "nothing"])
@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "//"])
def test_a_foreign_page_opens_no_socket(narrow, route, origin):
    with pytest.raises(InvalidStatus) as refused, connected(f"ws://{narrow}/v1/{route}", origin=origin):
        pass
    answer = refused.value.response
    assert answer.status_code == 403
    assert "HIPSONO_ORIGINS" in json.loads(answer.body)["detail"]


def test_the_servers_own_page_named_pages_and_programs_open_sockets(narrow, picture):
    for origin in (f"http://{narrow}", f"https://{narrow}", SITE, None):
        with connected(f"ws://{narrow}/v1/stream", origin=origin) as stream:
            stream.send(picture)
            assert json.loads(stream.recv(timeout=PATIENCE_S))["seq"] == 0


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1"])
def test_a_foreign_page_posts_nothing(narrow, picture, origin):
    """Its browser would send a picture without asking, and the server would read it: work for nobody."""
    status, body, _ = post(narrow, picture, origin)
    assert status == 403
    assert "HIPSONO_ORIGINS" in body["detail"]
    assert asked(narrow, "GET", "/readyz", narrow, origin)[0] == 200


def test_the_servers_own_page_and_named_pages_post_and_are_told(narrow, picture):
    for origin in (f"http://{narrow}", SITE):
        assert post(narrow, picture, origin)[0] == 200
    assert post(narrow, picture, SITE)[2]["access-control-allow-origin"] == SITE
    assert "access-control-allow-origin" not in post(narrow, picture, f"http://{narrow}")[2]


def asked(address, method, path, host, origin=None):
    with closing(http.client.HTTPConnection(address, timeout=PATIENCE_S)) as one:
        page = {"Origin": origin} if origin else {}
        one.request(method, path, JPEG_HEAD, {"Host": host, "Content-Type": "image/jpeg"} | page)
        answer = one.getresponse()
        return answer.status, answer.read()


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("GET", "/v1/model"), ("POST", "/v1/frames")])
@pytest.mark.parametrize("name", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "[::1"])
def test_a_page_whose_name_was_made_to_point_here_is_told_nothing(narrow, method, path, name):
    status, body = asked(narrow, method, path, f"{name}:{narrow.partition(':')[2]}")
    assert status == 403
    assert "HIPSONO_HOSTS" in json.loads(body)["detail"]


@pytest.mark.parametrize("origin", ["http://evil.example:{port}", None])
def test_a_page_whose_name_was_made_to_point_here_opens_no_socket(narrow, origin):
    address, _, port = narrow.partition(":")
    bare = socket.create_connection((address, int(port)))
    page = origin and origin.format(port=port)
    with (
        pytest.raises(InvalidStatus) as refused,
        connected(f"ws://evil.example:{port}/v1/stream", sock=bare, origin=page),
    ):
        pass
    assert refused.value.response.status_code == 403
    assert "HIPSONO_HOSTS" in json.loads(refused.value.response.body)["detail"]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1", "[::1]:8000", "10.0.0.7", "ris.example"])
def test_addresses_and_its_own_names_reach_the_server(narrow, host):
    assert asked(narrow, "GET", "/readyz", host)[0] == 200


@pytest.mark.parametrize(
    ("told", "names"),
    [
        ({}, {"localhost"}),
        ({"host": "::1"}, {"localhost"}),
        ({"host": "localhost", "hosts": ("Ris.Example",)}, {"localhost", "ris.example"}),
        ({"host": "0.0.0.0"}, set()),
        ({"host": "hipsono.lan"}, set()),
        ({"host": "0.0.0.0", "origins": (SITE,)}, set()),
        ({"host": "0.0.0.0", "hosts": ("hipsono.lan",)}, {"localhost", "hipsono.lan"}),
    ],
)
def test_a_server_open_to_a_network_goes_by_any_name_until_its_own_are_given(told, names):
    assert names_of(Settings(**told)) == names
