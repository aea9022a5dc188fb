"""What the guard lets through: each promise against the guard alone, and the ones about sockets against the server."""

import asyncio
import contextlib
import json
import socket

import httpx
import pytest

from optviz.app import security
from optviz.app.security import MAX_BODY, Access, access_for, guarded
from tests.app.conftest import Server

HOST = "127.0.0.1:8080"
OWN = {"origin": f"http://{HOST}"}
FOREIGN = ("http://evil.example", "http://127.0.0.1:9999", "null", f"https://{HOST}.evil.example", "file://")


async def echo(scope, receive, send):
    """An application that reads all of its body and says how long it was."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RuntimeError("broken off")
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


def asked(method="GET", path="/", headers=None, access=None, max_body=1000, **more):
    async def ask():
        app = guarded(echo, access or Access(), max_body)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=f"http://{HOST}") as client:
            return await client.request(method, path, headers=headers, **more)

    return asyncio.run(ask())


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost:8080", "localhost", "[::1]:8080"])
def test_known_hosts_are_answered(host):
    assert asked(headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "169.254.169.254", "", "localhost.evil"])
def test_unknown_hosts_are_refused(host):
    assert asked(headers={"host": host}).status_code == 400


@pytest.mark.parametrize("origin", FOREIGN)
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/api/answer"), ("DELETE", "/"), ("GET", "/_nicegui_ws/socket.io/")]
)
def test_a_page_of_another_origin_is_refused(method, path, origin):
    assert asked(method, path, {"origin": origin}).status_code == 403


def test_own_pages_and_scripts_without_origin_may_post():
    assert asked("POST", headers=OWN).status_code == 200
    assert asked("POST").status_code == 200


def test_a_cross_site_post_without_origin_is_refused():
    assert asked("POST", headers={"sec-fetch-site": "cross-site"}).status_code == 403


def test_reading_a_page_needs_no_origin():
    assert asked(headers={"origin": "http://evil.example"}).status_code == 200


@pytest.mark.parametrize("size", [0, 1, 1000])
def test_a_body_up_to_the_limit_passes(size):
    assert asked("POST", content=b"x" * size).text == str(size)


def chunks(size):
    async def generate():
        for _ in range(size // 100):
            yield b"x" * 100

    return generate()


@pytest.mark.parametrize("content", [b"x" * 1001, b"x" * 10**7])
def test_a_longer_body_is_refused(content):
    refused = asked("POST", content=content)
    assert refused.status_code == 413
    assert "1000 bytes" in refused.text


@pytest.mark.parametrize("size", [1100, 10**6])
def test_a_longer_body_in_chunks_is_refused(size):
    assert asked("POST", content=chunks(size)).status_code == 413


def test_chunks_within_the_limit_pass():
    assert asked("POST", content=chunks(1000)).text == "1000"


@pytest.mark.parametrize("claim", ["-1", "1e9", "x", "9" * 5000])
def test_a_length_that_is_none_is_refused(claim):
    assert asked("POST", headers={"content-length": claim}, content=b"x").status_code == 413


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.2"])
def test_this_machine_alone_needs_no_token(host):
    assert access_for(host).token is None


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.org"])
def test_other_addresses_need_a_token_unless_it_is_not_wanted(host):
    assert len(access_for(host).token) >= 24
    assert access_for(host).token != access_for(host).token
    assert access_for(host, no_token=True).token is None


def test_an_address_for_all_still_knows_its_hosts():
    access = access_for("0.0.0.0", allow_hosts=["box.example"])
    assert "*" not in access.hosts
    assert asked(headers={"host": "box.example"}, access=Access(access.hosts)).status_code == 200
    assert asked(headers={"host": "evil.example"}, access=Access(access.hosts)).status_code == 400


LOCKED = Access(token="secret-token")


@pytest.mark.parametrize(
    "path", ["/", "/static/app.css", "/?token=wrong", "/?token=", "/?token=secret-tokenx", "/?token=ü"]
)
def test_without_the_token_nothing_is_answered(path):
    assert asked(path=path, access=LOCKED).status_code == 401


def test_the_token_in_a_link_becomes_a_cookie_and_leaves_the_address():
    answer = asked(path="/sweep?token=secret-token&x=1", access=LOCKED)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sweep?x=1")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "samesite=strict" in cookie.lower()
    assert asked(headers={"cookie": cookie.split(";")[0]}, access=LOCKED).status_code == 200


def test_the_token_never_leads_to_another_machine():
    assert asked(path="/%2Fevil.example/?token=secret-token", access=LOCKED).headers["location"] == "/evil.example/"


def test_a_script_may_send_the_token_in_a_header():
    assert asked("POST", headers={"authorization": "Bearer secret-token"}, access=LOCKED).status_code == 200
    assert asked("POST", headers={"authorization": "Bearer wrong"}, access=LOCKED).status_code == 401


def test_the_browser_is_told_to_load_nothing_from_elsewhere():
    policy = asked().headers["content-security-policy"]
    assert "default-src 'self'" in policy and "connect-src 'self'" in policy and "frame-ancestors 'none'" in policy
    assert "http:" not in policy and "https:" not in policy and "*" not in policy


def socket_refused(url, **headers):
    """Whether the server refuses to open its socket for these headers."""
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    try:
        with connect(url, additional_headers=headers, open_timeout=10):
            return False
    except InvalidStatus as refused:
        return refused.response.status_code in (400, 403)


SOCKET = "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"


def test_the_socket_of_the_server_takes_its_own_pages_alone(server):
    url = f"ws://127.0.0.1:{server.port}{SOCKET}"
    assert not socket_refused(url, Origin=server.url)
    assert all(socket_refused(url, Origin=origin) for origin in FOREIGN)


def test_the_socket_of_the_server_takes_known_hosts_alone(server):
    lines = (
        f"GET {SOCKET} HTTP/1.1",
        "Host: evil.example",
        "Origin: http://evil.example",  # as a page would send it whose name was made to point here
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as raw:
        raw.sendall("\r\n".join((*lines, "", "")).encode())
        assert raw.recv(100).split()[1] in (b"400", b"403")


def test_the_polling_socket_takes_its_own_pages_alone(server):
    url = server.url + SOCKET.replace("websocket", "polling")
    assert httpx.get(url, headers={"origin": "http://evil.example"}).status_code == 403
    answer = httpx.get(url, headers={"origin": server.url})
    assert answer.headers.get("access-control-allow-origin") in (None, server.url)


def test_by_default_only_this_machine_is_listened_to(server):
    with open("/proc/net/tcp", encoding="ascii") as file:  # noqa: PTH123
        listening = [line.split()[1] for line in file if line.split()[3] == "0A"]
    mine = [address for address in listening if address.endswith(f":{server.port:04X}")]
    assert mine == [f"0100007F:{server.port:04X}"]


def test_an_open_address_prints_a_link_with_a_token_and_asks_for_it(tmp_path):
    running = Server(tmp_path, "--host", "0.0.0.0")
    try:
        assert "?token=" in running.url
        assert httpx.get(f"http://127.0.0.1:{running.port}/").status_code == 401
        assert httpx.get(running.url, follow_redirects=True).status_code == 200
        assert socket_refused_without_cookie(running.port)
    finally:
        running.end()


def socket_refused_without_cookie(port):
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    with pytest.raises(InvalidStatus), connect(f"ws://127.0.0.1:{port}{SOCKET}", origin=f"http://127.0.0.1:{port}"):
        pass
    return True


def test_the_server_refuses_a_body_that_claims_to_be_short(server):
    lie = b"x" * (MAX_BODY + 1)

    def body():
        yield from (lie[i : i + 65536] for i in range(0, len(lie), 65536))

    with contextlib.suppress(httpx.WriteError):  # it hung up while we were still sending: refused as well
        assert httpx.post(f"{server.url}/api/answer", content=body(), timeout=30).status_code == 413
    assert httpx.get(f"{server.url}/static/app.css").status_code == 200


def test_a_large_message_on_the_socket_ends_it_and_not_the_server(server):
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import connect

    with connect(f"ws://127.0.0.1:{server.port}{SOCKET}", origin=server.url) as socket:
        socket.recv()
        with pytest.raises(ConnectionClosed):
            socket.send("4" + "x" * (security.MAX_SOCKET_MESSAGE + 10))
            for _ in range(5):
                socket.recv(timeout=10)
    assert httpx.get(f"{server.url}/static/app.css").status_code == 200


@pytest.mark.parametrize(
    "name", ["..%2fserver.py", "%2e%2e%2fserver.py", "server.py", "..%2f..%2fcli.py", "%2fetc%2fpasswd"]
)
def test_only_the_listed_files_are_served(server, name):
    answer = httpx.get(f"{server.url}/static/{name}")
    assert answer.status_code == 404
    assert "def " not in answer.text and "root:" not in answer.text


def test_the_token_is_not_among_what_pages_say(server):
    assert json.dumps("token") not in httpx.get(f"{server.url}/").text
