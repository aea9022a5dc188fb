// What is known at one step, drawn on the picture: arrows, and level lines of the quadratic model.
import { levelLines } from "./landscape.js";
import { polyline, stroke } from "./tools.js";

const GRID = 160; // points along a side, for the level lines of a model without a lowest value
const ARROW = 65; // pixels, of an arrow that shows a direction alone

/** `known` is Python's answer to `step`. */
export function drawOverlays(pen, picture, known) {
  const { shown, colours } = picture.app;
  if (shown.overlays.includes("model")) drawModel(pen, picture, known);
  const [x0, x1] = picture.ground.view;
  const unit = ((x1 - x0) * ARROW) / picture.box.width;
  // Gradient and momentum have other units than the plane: their arrows show directions, the text their lengths.
  const direction = (vector) => vector?.map((v) => (v / (Math.hypot(...vector) || 1)) * unit);
  const { gradient, momentum, update, newton } = known;
  const vectors = { gradient: direction(gradient), momentum: direction(momentum), update, newton };
  for (const [name, vector] of Object.entries(vectors)) {
    if (!vector || !shown.overlays.includes(name)) continue;
    const [from, to] = [
      picture.ground.at(known.x, known.y),
      picture.ground.at(known.x + vector[0], known.y + vector[1]),
    ];
    // A small update still shows where it goes.
    drawArrow(pen, from, to, [colours.halo, colours[name]], name === "update" ? 14 : 0);
  }
}

/** An arrow at least `shortest` pixels long, in a broad line of the first colour under one of the second. */
function drawArrow(pen, [ax, ay], [bx, by], [under, over], shortest) {
  const length = Math.hypot(bx - ax, by - ay);
  if (!(length > 0 && length < 1e5)) return;
  const stretch = Math.max(1, shortest / length);
  const [tx, ty, angle] = [ax + (bx - ax) * stretch, ay + (by - ay) * stretch, Math.atan2(by - ay, bx - ax)];
  const barb = (turn) => [tx + 8 * Math.cos(angle + turn), ty + 8 * Math.sin(angle + turn)];
  const line = polyline([[ax, ay], [tx, ty], barb(2.6), [tx, ty], barb(-2.6)]); // prettier-ignore
  stroke(pen, line, under, 5);
  stroke(pen, line, over, 2.4);
}

/** Level lines of the model f + g·d + d·H·d / 2 about the point, dashed; the solid one passes through the point. */
function drawModel(pen, picture, known) {
  const { slope, newton, eigenvalues, loss } = known;
  const { model } = picture.app.colours;
  const convex = newton && eigenvalues?.[0] > 0;
  // The lowest value of a convex model lies this much below the point.
  const depth = convex ? -(slope[0] * newton[0] + slope[1] * newton[1]) / 2 : (Math.abs(loss) || 1) / 2;
  const line = (levels) => (convex ? ellipses(picture, known, levels) : saddles(picture, known, levels));
  const [solid, dashed] = convex
    ? [[depth], [depth / 2, 2 * depth, 4 * depth]]
    : [[0], [-2, -1, 1, 2].map((k) => k * depth)];
  stroke(pen, line(solid), model, 1.5, [], 0.6);
  stroke(pen, line(dashed), model, 1, [5, 4], 0.5);
}

/** Where a convex model lies at `heights` above its lowest value. */
function ellipses({ ground }, { x, y, newton, hessian: [[a, b], [, d]] }, heights) {
  // With H = L Lᵀ an ellipse is the circle of radius √(2 height), mapped by the inverse of Lᵀ.
  const [p, q] = [Math.sqrt(a), b / Math.sqrt(a)];
  const r = Math.sqrt(d - q * q);
  const all = new Path2D();
  for (const height of heights) {
    const points = Array.from({ length: 97 }, (_, k) => {
      const [u, v] = [Math.cos, Math.sin].map((f) => f((k * Math.PI) / 48) * Math.sqrt(2 * height));
      return ground.at(x + newton[0] + (u - (q * v) / r) / p, y + newton[1] + v / r);
    });
    all.addPath(polyline(points));
  }
  return all;
}

/** A model without a lowest value has hyperbolas for level lines; `levels` are above the loss at the point. */
function saddles({ ground }, { x, y, slope: [gx, gy], hessian: [[a, b], [, d]] }, levels) {
  const point = (j, i) => ground.point(j / (GRID - 1), i / (GRID - 1));
  const values = Float64Array.from({ length: GRID * GRID }, (_, k) => {
    const [px, py] = point(k % GRID, Math.floor(k / GRID));
    const [u, v] = [px - x, py - y];
    return gx * u + gy * v + (a * u * u + 2 * b * u * v + d * v * v) / 2;
  });
  return levelLines(values, GRID, GRID, levels, (j, i) => ground.at(...point(j, i)));
}
