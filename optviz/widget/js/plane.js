// The ground seen from above: level sets, axes and colour bar.
import { clipped, format, ticks, write } from "./tools.js";

const ROOM = 36; // pixels for a number beside the colour bar: longer ones are written narrower

/** A ground has `face` (how it is looked at), `at` (pixels of a point), `pick` (the inverse), `paint`, and more below. */
export class Plane {
  constructor(app) {
    this.app = app;
  }

  face(box, view, landscape) {
    Object.assign(this, { box, view, landscape });
  }

  /** Where a point lies in the view, as shares of its sides; and the point that lies there. */
  share(x, y) {
    const [x0, x1, y0, y1] = this.view;
    return [(x - x0) / (x1 - x0), (y - y0) / (y1 - y0)];
  }

  point(u, v) {
    const [x0, x1, y0, y1] = this.view;
    return [x0 + u * (x1 - x0), y0 + v * (y1 - y0)];
  }

  at(x, y) {
    const { left, top, width, height } = this.box;
    const [u, v] = this.share(x, y);
    return [left + u * width, top + (1 - v) * height];
  }

  /** The point of the plane under a pixel. */
  under(px, py) {
    const { left, top, width, height } = this.box;
    return this.point((px - left) / width, 1 - (py - top) / height);
  }

  /** The same; null beside the picture. */
  pick(px, py) {
    const { left, top, width, height } = this.box;
    return px >= left && py >= top && px <= left + width && py <= top + height ? this.under(px, py) : null;
  }

  /** Into how many parts a step is cut to follow the ground, and whether the ground hides a point. */
  cuts() {
    return 1;
  }

  hides() {
    return false;
  }

  paint(pen) {
    const { left, top, width, height } = this.box;
    const { colours } = this.app;
    if (this.landscape) {
      // While a new landscape is on its way the old one is shown where it belongs, stretched.
      const [x0, x1, y0, y1] = this.landscape.view;
      const [[ax, ay], [bx, by]] = [this.at(x0, y1), this.at(x1, y0)];
      clipped(pen, this.box, () => pen.drawImage(this.picture(), ax, ay, bx - ax, by - ay));
    }
    pen.strokeStyle = colours.frame;
    pen.strokeRect(left + 0.5, top + 0.5, width - 1, height - 1);
    pen.fillStyle = colours.muted;
    this.paintTicks(pen);
    if (this.landscape) this.paintBar(pen);
  }

  /** The landscape's image, kept until landscape, size or colours change. */
  picture() {
    const { width, height } = this.box;
    const drawn = [this.landscape, this.app.colours, width, height];
    if (!drawn.every((part, i) => part === this.drawn?.[i])) {
      this.image = this.landscape.image(this.app.colours, width, height);
      this.drawn = drawn;
    }
    return this.image;
  }

  paintTicks(pen) {
    const [x0, x1, y0, y1] = this.view;
    const { left, top, width, height } = this.box;
    for (const x of ticks(x0, x1, width / 90)) write(pen, format(x), this.at(x, y0)[0], top + height + 15, "center");
    for (const y of ticks(y0, y1, height / 60)) write(pen, format(y), left - 6, this.at(x0, y)[1] + 4, "right");
    write(pen, "x₁", left + width / 2, top + height + 29, "center");
    pen.save();
    pen.translate(11, top + height / 2);
    pen.rotate(-Math.PI / 2);
    write(pen, "x₂", 0, 0, "center");
    pen.restore();
  }

  /** What the colours mean, at the right. */
  paintBar(pen) {
    const { left, top, width, height } = this.box;
    const { colours, t } = this.app;
    const x = left + width + 8;
    const fill = pen.createLinearGradient(0, top + height, 0, top + 16);
    colours.ramp.forEach((color, i, all) => fill.addColorStop(i / (all.length - 1), color));
    pen.fillStyle = fill;
    pen.fillRect(x, top + 16, 9, height - 16);
    pen.strokeRect(x + 0.5, top + 16.5, 8, height - 17);
    pen.fillStyle = colours.muted;
    write(pen, t("loss"), x - 2, top + 8);
    const levels = this.landscape.levels();
    const apart = Math.ceil(levels.length / 7);
    for (const level of levels.filter((_, i) => i % apart === 0))
      pen.fillText(format(this.landscape.loss(level), 2), x + 13, top + height - level * (height - 16) + 3, ROOM);
  }
}
