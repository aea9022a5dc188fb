"""Runs as a moving picture: the background is drawn once, and every frame adds what is new of each path."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont
from PIL import Image, ImageDraw, ImageFont

from optviz.plotting import style
from optviz.plotting.files import checked_path, replacing
from optviz.plotting.planes import Plane, on_plane
from optviz.plotting.trajectories import DrawnPath, draw_background, draw_marks, draw_path, drawn_name
from surfaces.contours import Range

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Point = tuple[float, float]

_MARGIN = 0.06  # inches around what is drawn
_HOLD = 2.0  # seconds for which the last frame stays
_BLANK = "\N{FIGURE SPACE}" * 11  # as wide as a loss in small type
_COLOURS = 255  # of the 256 that a GIF has: one is for pixels that do not change


class _Run(NamedTuple):
    """One moving path: its points, and the artists that draw them."""

    points: np.ndarray
    steps: np.ndarray
    losses: np.ndarray
    path: DrawnPath
    corner: Point
    """Where its loss is written, in pixels from the upper left."""

    def reached(self, step: int) -> int:
        """How many points of the path are reached after `step` steps."""
        return int(np.searchsorted(self.steps, step, side="right"))


class _Picture(NamedTuple):
    """A figure whose background is drawn, and what moves on it."""

    canvas: FigureCanvasAgg
    background: Any
    runs: list[_Run]
    end: Point
    """Where the line with the step ends, in pixels from the upper left."""
    fonts: tuple[ImageFont.FreeTypeFont, ...]
    """Of the step and of the losses."""
    box: tuple[int, int, int, int]
    """What of the figure is not empty margin: left, upper, right, lower."""

    @property
    def size(self) -> tuple[int, int]:
        """The width and height of a frame in pixels."""
        left, upper, right, lower = self.box
        return right - left, lower - upper

    @property
    def last(self) -> int:
        """The last step of the longest run."""
        return max(int(run.steps[-1]) for run in self.runs)


def create_animation(
    traces: Any,
    filename: str | os.PathLike[str] = "adam_rosenbrock.gif",
    fps: float = 10,
    *,
    surface: Callable[..., Any] | None = None,
    num_frames: int = 100,
    dpi: float = 100,
    x_range: Range | None = None,
    y_range: Range | None = None,
    plane: Any = None,
    note: str | None = None,
    looks: Sequence[style.Look] | None = None,
    progress: bool = True,
    **contours: Any,
) -> Path:
    """Write the runs as an animation over the level sets of their surface.

    The frames are `frame_steps`: the first steps one by one, later ones in ever longer strides. The last
    frame is the last step; it is held for two seconds.

    Args:
      traces: one run or several.
      filename: where to write: `.gif`, or `.mp4` with the extra `optviz[video]`.
      fps: frames per second.
      surface: the surface to draw; by default the one that all runs descended.
      num_frames: at most how many frames.
      dpi: dots per inch; a frame is about 4.6 inches high, less where the view is wide.
      x_range, y_range, plane: what to show, as in `plot_trajectory`.
      note: said in the heading instead of the learning rates.
      looks: label, colour and dashes of every run; by default those of its optimizer's name.
      progress: whether to show a progress bar where a person watches the terminal.
      contours: passed on to `surfaces.contours.plot_contours`.

    Returns:
      The path of the file, which replaces one of that name only once it is complete.

    Raises:
      ValueError: for another kind of file, fewer than two frames, a rate that is not positive, or runs on
        different surfaces without `surface`.
      FileNotFoundError: for a folder that does not exist.
      ImportError: for `.mp4` without PyAV.
    """
    path = checked_path(filename, tuple(_WRITERS))
    write = _WRITERS[path.suffix.lower()]
    if not 0 < fps < np.inf:
        raise ValueError(f"fps must be positive, got {fps!r}.")
    traces = style.as_traces(traces)
    drawn = on_plane(traces, surface, plane)
    shown = {"x_range": x_range, "y_range": y_range, **contours}
    picture = _picture(traces, drawn, dpi, note, style.looks(traces, looks), shown)
    steps = frame_steps(picture.last, num_frames).tolist()
    with replacing(path) as temporary:
        write(temporary, picture, _watched(steps, progress), len(steps), fps)
    return path


def frame_steps(num_steps: int, num_frames: int) -> np.ndarray:
    """The steps that the frames show, ascending, from 0 to `num_steps`: at most `num_frames` of them.

    They grow with the square of time, but by one at least: an optimizer's first steps are its longest.
    """
    if num_frames < 2:
        raise ValueError(f"num_frames must be at least 2, for the first and the last step, got {num_frames}.")
    if num_steps < num_frames:
        return np.arange(num_steps + 1)
    time = np.linspace(0, 1, num_frames)
    return np.maximum(np.arange(num_frames), np.rint(num_steps * time**2)).astype(int)


def _picture(
    traces: list[Any],
    plane: Plane,
    dpi: float,
    note: str | None,
    looks: list[style.Look],
    background: dict[str, Any],
) -> _Picture:
    """Everything that stands still, drawn; everything that moves, made."""
    figure = Figure(figsize=(6.4, 4.6), dpi=dpi, layout="compressed")
    canvas = FigureCanvasAgg(figure)
    ax = draw_background(figure.subplots(), plane, **background)
    paths = _draw_paths(ax, plane, looks)
    counter = ax.set_title("", loc="right")
    _draw_heading(ax, traces, plane, note)
    canvas.draw()
    runs = _runs(traces, plane, paths, _free_lines(ax))
    box, line = _filled_box(figure), _pixel(figure, counter.get_transform().transform(counter.get_position()))
    end = (box[2] - _MARGIN * dpi, line[1])  # as far right as can be, since the title begins the line
    fonts = tuple(_font(size, dpi) for size in (10, 7.5))
    return _Picture(canvas, canvas.copy_from_bbox(figure.bbox), runs, end, fonts, box)


def _draw_paths(ax: Axes, plane: Plane, looks: list[style.Look]) -> list[DrawnPath]:
    """The paths, which the background leaves out, with marks and a legend."""
    # The second line of an entry is blank, but as wide as the loss that will be written there.
    paths = [
        draw_path(ax, path, look.color, f"{look.label}\n{_BLANK}", dashed=look.dashed)
        for path, look in zip(plane.paths, looks, strict=True)
    ]
    for artist in (artist for path in paths for artist in path):
        artist.set_animated(True)
    draw_marks(ax, plane)
    style.legend(ax, [*plane.paths, *plane.minima[:, None]], widen=True)
    return paths


def _draw_heading(ax: Axes, traces: list[Any], plane: Plane, note: str | None) -> None:
    who = traces[0].name if len(traces) == 1 else f"{len(traces)} optimizers"
    captions = filter(None, (style.what_was_equal(traces, note), plane.caption))
    style.heading(ax, f"{who} on {drawn_name(plane)}", " · ".join(captions))


def _runs(traces: list[Any], plane: Plane, paths: list[DrawnPath], corners: list[Point]) -> list[_Run]:
    curves = jax.device_get([(trace.path_index, trace.losses) for trace in traces])
    columns = zip(plane.paths, curves, paths, corners, strict=False)  # the legend goes on with the marks
    return [_Run(points, np.asarray(steps), losses, path, corner) for points, (steps, losses), path, corner in columns]


def _free_lines(ax: Axes) -> list[Point]:
    """Where the last line of every entry of the legend begins."""
    figure, legend = ax.get_figure(root=True), ax.get_legend()
    assert figure is not None and legend is not None
    return [_pixel(figure, text.get_window_extent().min) for text in legend.get_texts()]


def _pixel(figure: Any, display: Any) -> Point:
    """A place on the figure as Pillow counts: from above."""
    return float(display[0]), float(figure.bbox.height - display[1])


def _filled_box(figure: Figure) -> tuple[int, int, int, int]:
    """What of the figure is drawn on, with a margin; the sides are even, as video needs them."""
    box, height = figure.get_tightbbox().padded(_MARGIN), figure.bbox.height / figure.dpi
    edges = np.array([box.x0, height - box.y1, box.x1, height - box.y0]) * figure.dpi
    left, upper, right, lower = np.clip(np.rint(edges), 0, np.tile(figure.bbox.size, 2)).astype(int).tolist()
    return left, upper, right - (right - left) % 2, lower - (lower - upper) % 2


def _font(size: float, dpi: float) -> ImageFont.FreeTypeFont:
    """The font of the rest of the picture, `size` in points."""
    return ImageFont.truetype(findfont(FontProperties()), size * dpi / 72)


def _images(picture: _Picture, steps: Iterable[int]) -> Iterator[Image.Image]:
    """The frame of every step in turn. Paths stay on the canvas; only what is new of them is drawn.

    Dashed ones are drawn anew, whole: in pieces their dashes would begin again with every piece.
    """
    canvas, trail, before = picture.canvas, picture.background, 0
    for step in steps:
        canvas.restore_region(trail)
        for run in picture.runs:
            run.path.show(run.points[max(run.reached(before) - 1, 0) : run.reached(step)])
            if not run.path.line.is_dashed():
                run.path.line.draw(canvas.get_renderer())
        trail, before = canvas.copy_from_bbox(canvas.figure.bbox), step
        for run in picture.runs:
            if run.path.line.is_dashed():
                run.path.show(run.points[: run.reached(step)])
                run.path.line.draw(canvas.get_renderer())
            run.path.end.draw(canvas.get_renderer())
        rgba = Image.frombuffer(
            "RGBA", canvas.get_width_height(), np.asarray(canvas.buffer_rgba()), "raw", "RGBA", 0, 1
        )
        yield _written_on(rgba.convert("RGB"), picture, step).crop(picture.box)


def _written_on(image: Image.Image, picture: _Picture, step: int) -> Image.Image:
    """The frame with its step and losses, written by Pillow: Matplotlib's text takes ten times longer."""
    draw = ImageDraw.Draw(image)
    draw.text(picture.end, f"step {step} of {picture.last}", "black", picture.fonts[0], anchor="rs")
    for run in picture.runs:
        loss = run.losses[run.reached(step) - 1]
        draw.text(run.corner, f"loss {loss:.3g}", "#595959", picture.fonts[1], anchor="ls")
    return image


def _write_gif(path: Path, picture: _Picture, steps: Iterable[int], count: int, fps: float) -> None:
    # One palette for all frames, from the last, which has every colour; one for each would take longest.
    (last,) = _images(picture, [picture.last])
    reduced = _palette(last)
    frames = (reduced(image) for image in _images(picture, steps))
    durations = [round(1000 / fps)] * (count - 1) + [round(1000 * _HOLD)]
    options = {"duration": durations, "loop": 0, "optimize": True, "disposal": 1}
    next(frames).save(path, "GIF", save_all=True, append_images=frames, **options)


def _palette(image: Image.Image) -> Callable[[Image.Image], Image.Image]:
    """What reduces a frame to the most frequent colours of `image`, which stay exactly as they are.

    Pillow looks colours up without their last two bits. So they are entered without them, the most frequent
    of those that differ in no others, and get them back afterwards.
    """
    chosen: dict[tuple[int, ...], Any] = {}
    counted: list[Any] = image.getcolors(image.width * image.height) or []
    for _, colour in sorted(counted, reverse=True):
        chosen.setdefault(tuple(channel & ~3 for channel in colour), colour)
    entered = Image.new("P", (1, 1))
    entered.putpalette(np.array(list(chosen)[:_COLOURS], np.uint8).tobytes())
    exact = np.array(list(chosen.values())[:_COLOURS], np.uint8).tobytes()

    def reduced(frame: Image.Image) -> Image.Image:
        frame = frame.quantize(palette=entered, dither=Image.Dither.NONE)
        frame.putpalette(exact)
        return frame

    return reduced


def _write_mp4(path: Path, picture: _Picture, steps: Iterable[int], count: int, fps: float) -> None:
    try:
        import av
    except ImportError as error:
        raise ImportError(
            "An .mp4 is written by PyAV, which is not installed: pip install 'optviz[video]'. "
            "A .gif needs nothing more."
        ) from error
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1000))
        stream.pix_fmt = "yuv420p"
        stream.width, stream.height = picture.size
        for number, image in enumerate(_images(picture, steps)):
            for _ in range(1 if number < count - 1 else max(1, round(_HOLD * fps))):
                container.mux(stream.encode(av.VideoFrame.from_image(image)))
        container.mux(stream.encode())


_WRITERS = {".gif": _write_gif, ".mp4": _write_mp4}


def _watched(steps: list[int], progress: bool) -> Iterable[int]:
    """The steps, with a progress bar on an interactive terminal."""
    if not progress:
        return steps
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    if not console.is_interactive:
        return steps
    return track(steps, "Drawing frames", console=console, transient=True)
