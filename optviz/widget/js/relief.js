// The ground as a relief: a shaded mesh, painted from the back to the front, seen along parallel lines.
import { bilinear } from "./landscape.js";
import { Plane } from "./plane.js";
import { along, clamp, format, polyline, stroke, ticks, write } from "./tools.js";

const [FINE_MESH, COARSE_MESH] = [96, 48]; // cells along a side, at rest and while it is turned
const LIFT = 0.012; // keeps lines just above the surface
const TALL = 0.95; // the height of the relief; its floor is 2 by 2

export class Relief extends Plane {
  face(box, view, landscape) {
    const [azimuth, elevation] = this.app.shown.angle;
    const [tilt, upright] = [Math.sin(elevation), Math.cos(elevation)];
    super.face(box, landscape?.view ?? view, landscape);
    Object.assign(this, { tilt, upright });
    Object.assign(this, { sin: Math.sin(azimuth), cos: Math.cos(azimuth) });
    // The whole cube fits from every side: its corners are √2 from the middle.
    this.scale = Math.min(box.width / 3, box.height / (2.83 * tilt + TALL * upright + 0.25));
    if (landscape) this.build(this.app.turning ? COARSE_MESH : FINE_MESH);
  }

  /** Heights and colours of a mesh of `size` by `size` cells, kept until the landscape or the theme changes. */
  build(size) {
    const built = [this.landscape, this.app.colours, size];
    if (built.every((part, i) => part === this.built?.[i])) return;
    const n = size + 1;
    const height = (k) => this.landscape.at(...this.point((k % n) / size, Math.floor(k / n) / size));
    const z = Float32Array.from({ length: n * n }, (_, k) => height(k));
    const inks = Array.from({ length: n * size - 1 }, (_, k) =>
      this.shade(z[k], z[k + 1], z[k + n], z[k + n + 1], size),
    );
    Object.assign(this, { built, size, n, z, inks });
  }

  /** The colour of a cell: its height's, in the light from one side; null where the surface has a hole. */
  shade(a, b, c, d, size) {
    const middle = (a + b + c + d) / 4;
    if (Number.isNaN(middle)) return null;
    const [east, north] = [((b - a) * size) / 2, ((c - a) * size) / 2];
    const light = 0.8 + (0.3 * (0.75 - 0.6 * east + 0.45 * north)) / Math.hypot(east, north, 1);
    const color = along(this.app.colours.relief, middle);
    return `rgb(${color.map((part) => clamp(Math.round(part * light), 0, 255))})`;
  }

  /** A corner of the cube [-1, 1] x [-1, 1] x [0, 1] on the screen. */
  space(x, y, z) {
    const { left, top, width, height } = this.box;
    const [across, away] = [x * this.cos - y * this.sin, x * this.sin + y * this.cos];
    const up = away * this.tilt + (z - 0.45) * TALL * this.upright;
    return [left + width / 2 + this.scale * across, top + height / 2 - this.scale * up];
  }

  /** Of the mesh that is painted, not of the finer landscape, which would dip under it; NaN outside. */
  height(u, v) {
    return this.landscape ? bilinear(this.z, this.n, this.n, u, v) : NaN;
  }

  at(x, y) {
    const [u, v] = this.share(x, y);
    return this.space(2 * u - 1, 2 * v - 1, this.height(u, v) + LIFT);
  }

  /** Whether a hill stands before a point: whether the line from it to the viewer passes under the surface. */
  hides(x, y) {
    let [u, v] = this.share(x, y);
    let z = this.height(u, v) + LIFT;
    const rise = (2 * this.tilt) / (TALL * this.upright * this.size);
    while (z < 1 && u >= 0 && v >= 0 && u <= 1 && v <= 1) {
      [u, v, z] = [u - this.sin / this.size, v - this.cos / this.size, z + rise];
      if (this.height(u, v) > z) return true;
    }
    return false;
  }

  cuts(dx, dy) {
    const [x0, x1, y0, y1] = this.view;
    const cells = Math.max(Math.abs(dx) / (x1 - x0), Math.abs(dy) / (y1 - y0)) * (this.size ?? 1);
    return Number.isFinite(cells) ? clamp(Math.ceil(cells), 1, 400) : 1;
  }

  /** The point of the plane that is seen at a pixel; null beside the relief. */
  pick(px, py) {
    let [found, nearest] = [null, Infinity];
    for (let k = 0; k < 101 * 101; k++) {
      const [u, v] = [(k % 101) / 100, Math.floor(k / 101) / 100];
      const [sx, sy] = this.space(2 * u - 1, 2 * v - 1, this.height(u, v));
      // Of all points under the pixel, the one that faces the viewer.
      const away = u * this.sin + v * this.cos;
      if (Math.hypot(sx - px, sy - py) < 6 && away < nearest) [found, nearest] = [this.point(u, v), away];
    }
    return found;
  }

  paint(pen) {
    if (!this.landscape) return;
    this.paintFloor(pen);
    const { size, n, z, inks } = this;
    const corners = Array.from(z, (height, k) =>
      this.space((2 * (k % n)) / size - 1, (2 * Math.floor(k / n)) / size - 1, height),
    );
    pen.lineWidth = 0.7;
    for (let a = 0; a < size; a++) {
      const i = this.cos > 0 ? size - 1 - a : a;
      for (let b = 0; b < size; b++) {
        const k = i * n + (this.sin > 0 ? size - 1 - b : b);
        if (!inks[k]) continue;
        const cell = polyline([corners[k], corners[k + 1], corners[k + n + 1], corners[k + n], corners[k]]);
        pen.fillStyle = pen.strokeStyle = inks[k];
        pen.fill(cell);
        pen.stroke(cell); // closes the hairline gaps between cells
      }
    }
  }

  paintFloor(pen) {
    const { colours, t } = this.app;
    const [x0, x1, y0, y1] = this.view;
    const sides = [this.space(-1, -1, 0), this.space(1, -1, 0), this.space(1, 1, 0), this.space(-1, 1, 0)];
    stroke(pen, polyline([...sides, sides[0]]), colours.frame);
    pen.fillStyle = colours.muted;
    const label = (text, x, y) => write(pen, text, this.space(x, y, 0)[0], this.space(x, y, 0)[1] + 4, "center");
    // Numbers stand along the two sides that face the viewer.
    const [nearX, nearY] = [this.sin > 0 ? -1.12 : 1.12, this.cos > 0 ? -1.12 : 1.12];
    for (const x of ticks(x0, x1, 4)) label(format(x), 2 * this.share(x, y0)[0] - 1, nearY);
    for (const y of ticks(y0, y1, 4)) label(format(y), nearX, 2 * this.share(x0, y)[1] - 1);
    label("x₁", 0, nearY * 1.14);
    label("x₂", nearX * 1.14, 0);
    const title = this.landscape.log ? t("height: loss, logarithmic") : t("height: loss");
    write(pen, title, this.box.left, this.box.top + 8);
  }
}
