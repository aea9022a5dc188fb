"""A server of the module and of what Python answers, and a page for each of its two homes."""

import http.server
import json
import threading

import pytest

pytest.importorskip("anywidget", reason="the extra `notebook` is not installed")

from optviz.playground import service
from optviz.widget import MODULES, STYLE, explore, joined
from tests.browser import Browser

_HEAD = """<!doctype html><html lang="en"><meta charset="utf-8"><link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width,initial-scale=1"><link rel="stylesheet" href="/playground.css">
<body style="margin:8px"><div id="app"></div><script>
window.painted = [];
window.outside = [];
document.addEventListener("keydown", (event) => outside.push(event.key));
document.getElementById("app").addEventListener("painted", (event) => painted.push(event.detail), true);
</script>"""
_PAGE = (
    _HEAD
    + """<script type="module">
import { mount, overHttp } from "/playground.js";
const given = location.hash ? JSON.parse(decodeURIComponent(location.hash.slice(1))) : null;
const http = overHttp("/api/answer", given);
window.sent = [];
const transport = { ...http, request: (payload, options) => (sent.push(payload), http.request(payload, options)),
  saveSettings: (settings) => (window.saved = settings) };
window.app = mount(document.getElementById("app"), transport);
</script>"""
)
# The notebook's side of a widget: a model whose messages reach Python, here over HTTP.
_NOTEBOOK = (
    _HEAD
    + """<script type="module">
import widget from "/joined.js";
const listeners = {};
const tell = (name, ...given) => (listeners[name] ?? []).forEach((listener) => listener(...given));
const state = { settings: await (await fetch("/settings")).json() };
window.model = {
  get: (name) => state[name],
  set: (name, value) => { state[name] = value; tell(`change:${name}`); },
  save_changes: () => fetch("/settings", { method: "POST", body: JSON.stringify(state.settings) }),
  on: (name, listener) => (listeners[name] ??= []).push(listener),
  off: (name, listener) => (listeners[name] = listeners[name].filter((other) => other !== listener)),
  send: async (message) => {
    const response = await fetch("/message", { method: "POST", body: JSON.stringify(message) });
    // As in a notebook, the answer is a view into a larger buffer.
    const bytes = new Uint8Array([0, ...new Uint8Array(await response.arrayBuffer())]);
    tell("msg:custom", { id: message.id }, [new DataView(bytes.buffer, 1)]);
  },
};
window.close_ = widget.render({ model, el: document.getElementById("app") });
</script>"""
)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    widget = None

    def log_message(self, *_):
        """Not to the terminal."""

    def reply(self, kind, body):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        files = {
            "/": ("text/html", _PAGE.encode),
            "/notebook": ("text/html", _NOTEBOOK.encode),
            "/settings": ("application/json", lambda: json.dumps(self.widget.settings).encode()),
            "/joined.js": ("text/javascript", joined().encode),
            **{f"/{module.name}": ("text/javascript", module.read_bytes) for module in MODULES},
            "/playground.css": ("text/css", STYLE.read_bytes),
        }
        kind, body = files[self.path.split("?")[0]]
        self.reply(kind, body())

    def do_POST(self):
        data = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/settings":
            type(self).widget.settings = data
            return self.reply("text/plain", b"")
        if self.path == "/message":
            return self.reply("application/octet-stream", service.answer(**_asked(data), world=self.widget._world))
        return self.reply("application/octet-stream", service.answer(data.pop("kind"), data))


def _asked(message):
    payload = dict(message["payload"])
    return {"kind": payload.pop("kind"), "request": payload}


@pytest.fixture(scope="session")
def address():
    """Where the pages are served: `/` over HTTP, `/notebook` as a widget."""
    _Handler.widget = explore("quadratic_bowl", ["gd", "adam"], num_steps=40)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def served(address):
    """The widget behind `/notebook`."""
    return _Handler.widget


@pytest.fixture(scope="session")
def browser():
    """One Chromium for all tests."""
    with Browser(1280, 900) as browser:
        yield browser
