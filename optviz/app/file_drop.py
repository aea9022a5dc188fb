"""A place for one file on a page: who sends another one, takes it away or leaves gives its room back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nicegui import ui

from optviz.app.texts import Texts
from optviz.app.uploads import MAX_BYTES, Files


class FileDrop(ui.element, component=Path(__file__).parent / "static" / "file_drop.js"):
    """A place to drop a file, which goes to `url`; it holds the one that was chosen last.

    `on_arrived` is called when a file has come, `on_changed` when one is chosen or given up.
    """

    def __init__(
        self,
        texts: Texts,
        files: Files,
        url: str,
        accept: str,
        on_arrived: Callable[[], Any],
        on_changed: Callable[[], Any] = lambda: None,
    ) -> None:
        super().__init__()
        self.files, self.file_id, self.title = files, "", ""
        self.is_missing = False
        """Whether a file was chosen that is still on its way, or that was refused."""
        self._lent: list[str] = []
        self.on_arrived, self.on_changed = on_arrived, on_changed
        self._props["url"], self._props["accept"], self._props["limit"] = url, accept, MAX_BYTES
        self._props["texts"] = _words(texts)
        self.on("begun", lambda: self.forget(is_missing=True))
        self.on("stopped", lambda: self.forget())
        self.on("arrived", self.take)
        ui.context.client.on_delete(self._release)

    async def take(self, event: Any) -> None:
        """A file has come: it replaces the one before."""
        self._release()
        sent = event.args if isinstance(event.args, dict) else {}
        self.file_id, self.title, self.is_missing = str(sent.get("id")), str(sent.get("title", ""))[:100], False
        await self.on_arrived()

    def forget(self, is_missing: bool = False) -> None:
        """Give up the file; with `is_missing`, another one was chosen."""
        self._release()
        self.is_missing = is_missing
        self.on_changed()

    def empty(self) -> None:
        """Give up the file, and what the place says of it."""
        self.run_method("empty")
        self.forget()

    def path(self) -> Path | None:
        """Where the file lies; None if none was chosen. ValueError if it has been deleted meanwhile."""
        return self.files.path(self.file_id) if self.file_id else None

    @contextmanager
    def lent(self) -> Iterator[Path | None]:
        """The file as `path` gives it. In the block it stays, though another one comes or the page goes."""
        file_id, path = self.file_id, self.path()
        self._lent.append(file_id)
        try:
            yield path
        finally:
            self._lent.remove(file_id)
            if file_id not in (self.file_id, *self._lent):
                self.files.discard(file_id)

    def _release(self) -> None:
        if self.file_id not in self._lent:
            self.files.discard(self.file_id)
        self.file_id, self.title = "", ""


def _words(texts: Texts) -> dict[str, str]:
    return {
        "choose": texts("Choose a file"),
        "drop": texts("or drop it here ({limit} MB at most)", limit=MAX_BYTES // 10**6),
        "stop": texts("Cancel"),
        "sending": texts("Sending the file"),
        "long": texts("This file is too long: at most {limit} MB.", limit=MAX_BYTES // 10**6),
        "broken": texts("The connection broke off; send the file again."),
    }
