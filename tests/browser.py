"""A headless Chromium driven over its DevTools protocol: real mouse, real keys, screenshots, every request noted.

Protocol: https://chromedevtools.github.io/devtools-protocol/ (Page, Runtime, Input, Network, Emulation).
"""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
_FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
    "--disable-background-networking", "--disable-component-update", "--disable-default-apps", "--disable-sync",
    "--no-first-run", "--no-default-browser-check", "--mute-audio", "--remote-debugging-port=0",
)  # fmt: skip
# What DevTools wants besides the name of a key: its code in the protocol's numbers, and its text if it writes one.
_KEYS = {
    "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Enter": 13, "Tab": 9, "Escape": 27,
    "Home": 36, "End": 35, "Backspace": 8, "Delete": 46, " ": 32,
}  # fmt: skip
Point = tuple[float, float]
_TEXTS = {"Enter": "\r", " ": " "}


class Browser:
    """One page in a Chromium of its own; a context manager.

    `requests` are the URLs asked for since the last `goto`, `errors` the exceptions and console errors of the page.
    """

    def __init__(self, width: int = 1280, height: int = 900):
        from websockets.sync.client import connect

        assert CHROMIUM is not None, "no chromium on this machine"
        self.requests: list[str] = []
        self.errors: list[str] = []
        self._last = 0
        with contextlib.ExitStack() as opened:
            self._folder = Path(opened.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
            own = f"--user-data-dir={self._folder}", f"--window-size={width},{height}"
            command = [CHROMIUM, *_FLAGS, *own, "about:blank"]
            self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            opened.callback(self._end)
            settings = {"max_size": None, "compression": None, "ping_interval": None}
            self._socket = opened.enter_context(connect(self._address(), **settings))
            for domain in ("Page", "Runtime", "Network", "Log"):
                self.call(f"{domain}.enable")
            self.size(width, height)
            self._open = opened.pop_all()

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: Any) -> None:
        self._open.close()

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol, and its result; events that arrive meanwhile are noted."""
        self._last += 1
        self._socket.send(json.dumps({"id": self._last, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(timeout=120))
            if message.get("id") != self._last:
                self._note(message)
            elif "error" in message:
                raise RuntimeError(f"{method}: {message['error']['message']}")
            else:
                return message["result"]

    def goto(self, url: str) -> None:
        """Open a page and wait until it has loaded."""
        self.requests.clear()
        self.errors.clear()
        self.call("Page.navigate", url=url)
        # A page that differs in its fragment only is not loaded again unless it is told to.
        self.wait_for(f"document.readyState === 'complete' && location.href.startsWith({json.dumps(url[:40])})")

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, awaited if it is a promise.

        Raises:
          AssertionError: with the page's message, if it throws.
        """
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            details = result["exceptionDetails"]
            raise AssertionError(details.get("exception", {}).get("description") or details["text"])
        return result["result"].get("value")

    def wait_for(self, expression: str, seconds: float = 30.0) -> Any:
        """Ask until the expression is true; its value.

        Raises:
          AssertionError: if it is not within `seconds`, with what the page complained of.
        """
        end = time.monotonic() + seconds
        while not (value := self.evaluate(expression)):
            assert time.monotonic() < end, f"not true within {seconds} s: {expression}; the page says {self.errors}"
            time.sleep(0.02)
        return value

    def size(self, width: int, height: int, scale: float = 1.0, mobile: bool = False) -> None:
        """The window's size in CSS pixels; `mobile` as a phone lays it out."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": mobile}
        self.call("Emulation.setDeviceMetricsOverride", **metrics)

    def dark(self, on: bool = True) -> None:
        """What the system asks of pages: dark or light."""
        features = [{"name": "prefers-color-scheme", "value": "dark" if on else "light"}]
        self.call("Emulation.setEmulatedMedia", features=features)

    def centre(self, selector: str, across: float = 0.5, down: float = 0.5) -> tuple[float, float]:
        """A point of an element, scrolled into view: its middle, or shares of its width and height."""
        x, y, width, height = self.evaluate(
            f"(e => (e.scrollIntoView({{block: 'center'}}), (b => [b.x, b.y, b.width, b.height])"
            f"(e.getBoundingClientRect())))(document.querySelector({json.dumps(selector)}))"
        )
        return x + across * width, y + down * height

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        """One event of the mouse: mouseMoved, mousePressed, mouseReleased, mouseWheel."""
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def click(self, x: float, y: float) -> None:
        """Press and release the left button."""
        self.mouse("mouseMoved", x, y)
        self.mouse("mousePressed", x, y, button="left", buttons=1, clickCount=1)
        self.mouse("mouseReleased", x, y, button="left", clickCount=1)

    def drag(self, start: Point, end: Point, moves: int = 10, each: Callable[[], Any] | None = None) -> None:
        """Press, move in `moves` steps (calling `each` after each one), release."""
        (x0, y0), (x1, y1) = start, end
        self.mouse("mouseMoved", x0, y0)
        self.mouse("mousePressed", x0, y0, button="left", buttons=1, clickCount=1)
        for i in range(1, moves + 1):
            self.mouse("mouseMoved", x0 + (x1 - x0) * i / moves, y0 + (y1 - y0) * i / moves, button="left", buttons=1)
            if each:
                each()
        self.mouse("mouseReleased", x1, y1, button="left", clickCount=1)

    def wheel(self, x: float, y: float, down: float) -> None:
        """Turn the wheel by `down` pixels."""
        self.mouse("mouseWheel", x, y, deltaX=0, deltaY=down)

    def key(self, key: str, shift: bool = False) -> None:
        """Press and release a key by its name, `ArrowLeft`, or by the letter it writes."""
        text = _TEXTS.get(key, key if len(key) == 1 else "")
        event = {"key": key, "windowsVirtualKeyCode": _KEYS.get(key, ord(key[0].upper())), "modifiers": 8 * shift}
        down = {"type": "keyDown", "text": text} if text else {"type": "rawKeyDown"}
        self.call("Input.dispatchKeyEvent", **down, **event)
        self.call("Input.dispatchKeyEvent", type="keyUp", **event)

    def type(self, text: str) -> None:
        """Put text where the cursor is."""
        self.call("Input.insertText", text=text)

    def screenshot(self, path: str | Path | None = None, whole: bool = False) -> bytes:
        """The window, or the whole page, as PNG."""
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        image = base64.b64decode(data)
        if path is not None:
            Path(path).write_bytes(image)
        return image

    def _address(self) -> str:
        """The page's socket; Chromium writes its port into the profile once it listens."""
        file = self._folder / "DevToolsActivePort"
        end = time.monotonic() + 60
        while not (file.exists() and file.read_text().strip()):
            assert time.monotonic() < end and self._process.poll() is None, "chromium did not start"
            time.sleep(0.05)
        port = file.read_text().split()[0]
        while True:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list") as answer:
                pages = [page for page in json.load(answer) if page["type"] == "page"]
            if pages:
                return pages[0]["webSocketDebuggerUrl"]
            time.sleep(0.05)

    def _note(self, event: dict[str, Any]) -> None:
        method, parameters = event.get("method"), event.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description") or details["text"])
        elif method == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.errors.append(parameters["entry"]["text"] + " " + parameters["entry"].get("url", ""))

    def _end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
