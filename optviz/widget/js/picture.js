// The picture: paths, marks and what is under the mouse, on the plane or on the relief.
import { drawOverlays } from "./overlays.js";
import { Plane } from "./plane.js";
import { Relief } from "./relief.js";
import { clamp, cleared, clipped, format, h, polyline, stroke } from "./tools.js";

const MARGIN = { left: 46, right: 58, top: 10, bottom: 34 };
const FAR = 1e5; // pixels: beyond it canvases are not exact
const FAREST = 1e6; // in parameter units: Python allows no farther view
const FAINT = 0.22; // what a hill hides can still be followed
const star = (_, k) => [k % 2 ? 3.4 : 8, (k * Math.PI) / 5 - Math.PI / 2];

/** It reads the playground and changes nothing there. The ground has a canvas of its own, so that paths alone are redrawn. */
export class Picture {
  constructor(app) {
    Object.assign(this, { app, landscape: null, plane: new Plane(app), relief: new Relief(app) });
    this.base = h("canvas.ov-layer");
    this.top = h("canvas.ov-layer.ov-top", { tabIndex: 0, role: "img" });
    this.tip = h("div.ov-tip", { hidden: true });
    this.node = h("div.ov-picture", {}, this.base, this.top, this.tip, h("div.ov-busy", {}, app.t("computing…")));
  }

  resize() {
    this.width = this.node.clientWidth;
    this.height = Math.round(clamp(this.width * 0.72, 300, 620));
    this.node.style.height = `${this.height}px`;
    const width = Math.max(this.width - MARGIN.left - MARGIN.right, 50);
    this.box = { left: MARGIN.left, top: MARGIN.top, width, height: this.height - MARGIN.top - MARGIN.bottom };
    this.face();
  }

  /** The view that fills the box: a unit as long on both axes, unless the picture would become a strip. */
  get view() {
    const [x0, x1, y0, y1] = this.app.settings.view ?? this.app.domain;
    const [wide, tall] = [x1 - x0, y1 - y0];
    if (tall / wide < 0.4 || tall / wide > 2.5) return [x0, x1, y0, y1];
    const unit = Math.max(wide / this.box.width, tall / this.box.height);
    const [dx, dy] = [(unit * this.box.width) / 2, (unit * this.box.height) / 2];
    const [x, y] = [(x0 + x1) / 2, (y0 + y1) / 2];
    return [x - dx, x + dx, y - dy, y + dy];
  }

  get minima() {
    return this.landscape?.minima ?? this.app.surface?.minima ?? [];
  }

  /** The view that holds the start, the minima and all paths but those that diverged, with some room. */
  get extent() {
    const { runs, settings } = this.app;
    const near = runs.filter((run) => run.status !== "diverged");
    const ends = [0, 1].map((axis) => {
      const paths = near.flatMap(({ points }) => [...points.filter((_, k) => k % 4 === axis)]);
      const marks = [settings.start, ...this.minima].map((point) => point[axis]);
      const sorted = Float64Array.from([...paths, ...marks])
        .filter(Number.isFinite)
        .sort();
      return [sorted[0], sorted.at(-1)];
    });
    const room = 0.08 * Math.max(...ends.map(([low, high]) => high - low)) || 1;
    return ends.flatMap(([low, high]) => [Math.max(low - room, -FAREST), Math.min(high + room, FAREST)]);
  }

  /** Take up how the settings want the ground to be looked at. */
  face() {
    this.ground = this.app.shown.three_d ? this.relief : this.plane;
    this.ground.face(this.box, this.view, this.landscape);
  }

  draw(base) {
    this.face();
    if (base) this.ground.paint(cleared(this.base, this.width, this.height));
    const pen = cleared(this.top, this.width, this.height);
    const all = { left: 0, top: 0, width: this.width, height: this.height };
    clipped(pen, this.ground === this.plane ? this.box : all, () => {
      for (const run of this.app.runs) this.drawRun(pen, run);
      this.drawMarks(pen);
      if (this.app.known) drawOverlays(pen, this, this.app.known);
    });
  }

  drawRun(pen, run) {
    const { colours, shown } = this.app;
    if (shown.display === "points") this.drawPoints(pen, run);
    if (shown.display !== "paths") return;
    const [seen, hidden] = this.lines(run);
    const width = run.kept ? 1.3 : 1.7;
    if (!run.kept && !run.twin && !shown.three_d) stroke(pen, seen, colours.halo, 3.4);
    stroke(pen, seen, run.ink, width, run.dash);
    stroke(pen, hidden, run.ink, width, run.dash, FAINT);
  }

  drawPoints(pen, { points, end, ink }) {
    pen.fillStyle = ink;
    for (let i = 0; i <= end; i++) {
      const [x, y] = [points[4 * i], points[4 * i + 1]];
      const [px, py] = this.ground.at(x, y);
      pen.globalAlpha = this.ground.hides(x, y) ? FAINT : 1;
      pen.fillRect(px - 1.2, py - 1.2, 2.4, 2.4);
    }
    pen.globalAlpha = 1;
  }

  /** A path in pixels: its parts in sight and those that a hill hides. */
  lines({ points, end }) {
    const lines = [new Path2D(), new Path2D()];
    let [lastX, lastY, last] = [NaN, NaN, null];
    const visit = (x, y, needed) => {
      const [px, py] = this.ground.at(x, y);
      const inside = Math.abs(px) < FAR && Math.abs(py) < FAR;
      // Points less than half a pixel from the last one drawn are passed over: nobody sees them.
      if (inside && last && !needed && Math.abs(px - lastX) + Math.abs(py - lastY) < 0.5) return;
      const line = inside ? lines[+this.ground.hides(x, y)] : last;
      if (last && line !== last) line.moveTo(lastX, lastY);
      // Off to infinity: the line leaves the picture in the right direction and ends.
      if (last && Number.isFinite(px + py)) line.lineTo(clamp(px, -FAR, FAR), clamp(py, -FAR, FAR));
      else if (inside) line.moveTo(px, py);
      [lastX, lastY, last] = [px, py, inside ? line : null];
    };
    for (let i = 0; i <= end; i++) {
      const [x, y] = [points[4 * i], points[4 * i + 1]];
      const [dx, dy] = i ? [x - points[4 * i - 4], y - points[4 * i - 3]] : [0, 0];
      const parts = this.ground.cuts(dx, dy);
      for (let k = parts - 1; k > 0; k--) visit(x - (dx * k) / parts, y - (dy * k) / parts);
      visit(x, y, i === end);
    }
    return lines;
  }

  /** Minima as stars, ends as discs, the start as a ring. */
  drawMarks(pen) {
    const { colours, settings } = this.app;
    const corners = Array.from({ length: 11 }, star).map(([r, angle]) => [r * Math.cos(angle), r * Math.sin(angle)]);
    const disc = (radius) =>
      new Path2D(`M${radius} 0A${radius} ${radius} 0 1 1 0 ${-radius}A${radius} ${radius} 0 0 1 ${radius} 0`);
    for (const point of this.minima) this.mark(pen, polyline(corners), point, "#fff", "#000");
    for (const { kept, twin, ink, points, end } of this.app.runs)
      if (!kept) this.mark(pen, disc(twin ? 3.5 : 5), points.subarray(4 * end, 4 * end + 2), ink, colours.halo);
    this.mark(pen, disc(5), settings.start, "#fff", "#000");
  }

  mark(pen, shape, [x, y], fill, edge) {
    const [px, py] = this.ground.at(x, y);
    if (Number.isNaN(px + py)) return;
    pen.save();
    pen.translate(px, py);
    Object.assign(pen, { fillStyle: fill, strokeStyle: edge, lineWidth: 1.2 });
    pen.fill(shape);
    pen.stroke(shape);
    pen.restore();
  }

  /** The visible point nearest to a pixel, within 14 pixels: {run, index}. */
  nearest(px, py) {
    let [found, least] = [null, 14 ** 2];
    for (const run of this.app.runs) {
      for (let index = 0; index <= run.end; index++) {
        const [x, y] = this.ground.at(run.points[4 * index], run.points[4 * index + 1]);
        const distance = (x - px) ** 2 + (y - py) ** 2;
        if (distance < least) [least, found] = [distance, { run, index }];
      }
    }
    return found;
  }

  /** What is known of the point under the mouse: of a path, else of the plane. */
  facts(found, px, py) {
    const { t, shown, playback } = this.app;
    if (found) {
      const { run, index } = found;
      const [x, y, loss, norm] = [...run.points.subarray(4 * index, 4 * index + 4)].map((v) => format(v));
      const step = playback.stepOf(run, index);
      return [
        run.title,
        `${t("step")} ${step}`,
        `(${x}, ${y})`,
        `${t("loss")} ${loss}`,
        `${t("gradient norm")} ${norm}`,
      ];
    }
    if (shown.three_d || !this.landscape) return [];
    const [x, y] = this.plane.under(px, py);
    const height = this.landscape.at(x, y);
    const loss = format(this.landscape.loss(height), 3);
    return Number.isNaN(height) ? [] : [`(${format(x, 3)}, ${format(y, 3)})`, `${t("loss")} ${loss}`];
  }

  hover(px, py) {
    const found = this.nearest(px, py);
    const lines = this.facts(found, px, py);
    this.tip.hidden = !lines.length;
    this.tip.replaceChildren(...lines.map((line) => h("div", {}, line)));
    this.tip.style.color = found ? found.run.ink : "";
    this.tip.style.left = `${clamp(px + 14, 0, this.width - 150)}px`;
    this.tip.style.top = `${clamp(py + 14, 0, this.height - 20 - 16 * lines.length)}px`;
  }
}
