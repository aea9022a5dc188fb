"""A Plotly figure with a step slider on one page that needs no network."""

from __future__ import annotations

import json
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np

_TEMPLATE = Path(__file__).with_name("interactive.html")


def interactive_page(figure: Any, compress: bool) -> str:
    """The page of the template with the library and the figure in it."""
    from plotly.offline import get_plotlyjs

    stored = json.loads(figure.to_json())
    title = re.sub("<.*", "", stored["layout"].get("title", {}).get("text", "optviz"))
    text = json.dumps(_lean(stored), separators=(",", ":"))
    if compress:
        library = f'<script id="library" type="text/gzip">{_packed(get_plotlyjs())}</script>'
        kind, text = "text/gzip", _packed(text)
    else:
        library, kind, text = (
            f"<script>{get_plotlyjs()}</script>",
            "application/json",
            text.replace("<", "\\u003c"),
        )
    parts = {"TITLE": title, "LIBRARY": library, "FIGURE_TYPE": kind, "FIGURE": text}
    return re.sub(r"__([A-Z_]+?)__", lambda match: parts[match[1]], _TEMPLATE.read_text(encoding="utf-8"))


def _lean(figure: dict[str, Any]) -> dict[str, Any]:
    """The figure without what the page can tell itself: the steps that runs share, and the losses of the ground."""
    steps: list[list[int]] = []
    for trace in figure["data"]:
        if trace["type"] == "surface":
            trace.pop("customdata", None)
        if trace.get("meta", {}).get("role") == "path":
            own = [int(step) for step in trace["text"]]
            if own not in steps:
                steps.append(own)
            trace["text"] = steps.index(own)
    return {**figure, "steps": steps}


def _packed(text: str) -> str:
    """A text compressed and written in seven bits a character, for `unpacked` of the page; base64 has six."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)  # 16: with the header of gzip
    squeezed = compressor.compress(text.encode()) + compressor.flush()
    bits = np.unpackbits(np.frombuffer(squeezed, np.uint8))
    sevens = np.pad(bits, (0, -len(bits) % 7)).reshape(-1, 7)
    characters = (np.packbits(sevens, axis=1) >> 1).tobytes().decode("ascii")
    return characters.translate({code: chr(256 + code) for code in b"\0\r<"})
