// Loss and gradient norm against the step.
import { clamp, cleared, clipped, format, h, polyline, stroke, ticks, write } from "./tools.js";

const [LEFT, RIGHT, TOP, BOTTOM] = [48, 18, 22, 30];

/** One column of the paths, linked to the scrubber: 2 is the loss, 3 the gradient norm. */
export class Chart {
  constructor(app, column, title) {
    Object.assign(this, { app, column, title });
    const seek = ({ buttons, offsetX }) =>
      buttons && app.playback.seek(Math.round(((offsetX - LEFT) / (this.right - LEFT)) * app.settings.num_steps));
    this.canvas = h("canvas.ov-chart", { onpointerdown: seek, onpointermove: seek, role: "img", ariaLabel: title });
  }

  /** Logarithmic from the least to the greatest positive value; where values are negative, linear about 0. */
  range() {
    let [low, high, first] = [Infinity, -Infinity, 0];
    for (const { points } of this.app.runs) {
      first = Math.max(first, Math.abs(points[this.column]) || 0);
      for (let k = this.column; k < points.length; k += 4)
        if (Number.isFinite(points[k]) && points[k] !== 0)
          [low, high] = [Math.min(low, points[k]), Math.max(high, points[k])];
    }
    if (!(high >= low)) [low, high] = [0.1, 1];
    this.log = low > 0;
    // A run that diverges leaves through the top; it does not press the others into one line.
    high = Math.min(high, 1e4 * (first || high));
    const ends = this.log ? [Math.log10(Math.max(low, high * 1e-20)), Math.log10(high)] : [low, high];
    const room = (ends[1] - ends[0] || 1) * 0.04;
    return [ends[0] - room, ends[1] + room];
  }

  measure() {
    [this.width, this.height] = [this.canvas.clientWidth, this.canvas.clientHeight];
  }

  x(step) {
    return LEFT + ((this.right - LEFT) * step) / Math.max(this.app.settings.num_steps, 1);
  }

  y(value) {
    const [low, high] = this.ends;
    return this.bottom - ((this.bottom - TOP) * ((this.log ? Math.log10(value) : value) - low)) / (high - low);
  }

  draw() {
    const { app, width, height } = this;
    const pen = cleared(this.canvas, width, height);
    Object.assign(this, { right: width - RIGHT, bottom: height - BOTTOM, ends: this.range() });
    this.drawAxes(pen);
    const box = { left: LEFT, top: TOP - 4, width: this.right - LEFT, height: this.bottom - TOP + 8 };
    clipped(pen, box, () => app.runs.forEach((run) => this.drawCurve(pen, run)));
    const now = this.x(app.playback.step);
    stroke(pen, polyline([[now, TOP - 4], [now, this.bottom]]), app.colours.text); // prettier-ignore
  }

  drawAxes(pen) {
    const { app, right, bottom, ends } = this;
    pen.fillStyle = app.colours.muted;
    const decades = ticks(...ends, 5).filter(Number.isInteger);
    const round = this.log ? ticks(10 ** ends[0], 10 ** ends[1], 5) : ticks(...ends, 5);
    for (const value of this.log && decades.length > 1 ? decades.map((k) => 10 ** k) : round) {
      const y = this.y(value);
      write(pen, format(value, 3), LEFT - 5, y + 4, "right");
      stroke(pen, polyline([[LEFT, y], [right, y]]), app.colours.grid); // prettier-ignore
    }
    for (const step of ticks(0, app.settings.num_steps, this.width / 90).filter(Number.isInteger))
      write(pen, format(step, 6), this.x(step), bottom + 14, "center");
    write(pen, app.t("step"), (LEFT + right) / 2, bottom + 27, "center");
    write(pen, this.title, LEFT, 12);
  }

  /** The part up to the present step, and faintly what comes. */
  drawCurve(pen, run) {
    const [seen, ahead] = [new Path2D(), new Path2D()];
    const last = run.points.length / 4 - 1;
    let [lastX, lastY] = [NaN, NaN];
    for (let i = 0; i <= last; i++) {
      const px = this.x(this.app.playback.stepOf(run, i));
      const py = clamp(this.y(run.points[4 * i + this.column]), -1e4, 1e4);
      const near = i < last && i !== run.end && Math.abs(px - lastX) + Math.abs(py - lastY) < 0.7;
      if (Number.isNaN(py) || near) continue;
      if (i <= run.end) seen.lineTo(px, py);
      if (i >= run.end) ahead.lineTo(px, py);
      [lastX, lastY] = [px, py];
    }
    stroke(pen, seen, run.ink, 1.4, run.dash);
    stroke(pen, ahead, run.ink, 1.4, run.dash, 0.25);
  }
}
