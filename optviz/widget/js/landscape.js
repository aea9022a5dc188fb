// The losses on a grid: heights, levels, and their picture.
import { along, clamp, cleared, h, stroke, ticks } from "./tools.js";

const DEEPEST = 1e-9; // the lowest level as a share of the highest: below it lies rounding

/** The losses on a grid over a view, as heights from 0 to 1: logarithmic above the lowest where `log`. */
export class Landscape {
  constructor(answer, view) {
    const { data, shape } = answer.arrays.values;
    Object.assign(this, { view, rows: shape[0], columns: shape[1], log: answer.log, minima: answer.minima });
    const finite = data.filter(Number.isFinite).sort();
    this.low = Math.min(answer.minimum ?? Infinity, finite[0] ?? 0); // decades count from the true minimum, if known
    this.high = finite.at(-1) ?? 1;
    this.range = this.high - this.low || 1;
    const typical = (finite[Math.floor(finite.length / 200)] ?? this.low) - this.low;
    this.bottom = Math.max(typical, this.range * DEEPEST);
    this.decades = Math.log10(this.range / this.bottom);
    if (this.decades < 1) this.log = false; // hardly any difference: even levels show more
    this.heights = data.map((value) => this.height(value));
  }

  height(value) {
    if (!Number.isFinite(value)) return NaN;
    const excess = value - this.low;
    const decades = Math.log10(Math.max(excess, this.bottom) / this.bottom);
    return clamp(this.log ? decades / this.decades : excess / this.range, 0, 1);
  }

  /** The loss at a height: the inverse of `height`. */
  loss(height) {
    return this.low + (this.log ? this.bottom * 10 ** (height * this.decades) : height * this.range);
  }

  /** The heights at which lines are drawn: whole or part powers of ten above the lowest, or round losses. */
  levels() {
    if (!this.log) return ticks(this.low, this.high, 14).map((value) => this.height(value));
    const step = [0.125, 0.25, 0.5, 1].find((s) => this.decades / s <= 18) ?? 2;
    const lowest = Math.log10(this.bottom);
    const first = Math.ceil(lowest / step + 1e-6);
    const length = Math.max(0, Math.floor((lowest + this.decades) / step) - first + 1);
    return Array.from({ length }, (_, i) => ((first + i) * step - lowest) / this.decades);
  }

  /** Height at a point; NaN outside. */
  at(x, y) {
    const [x0, x1, y0, y1] = this.view;
    return bilinear(this.heights, this.columns, this.rows, (x - x0) / (x1 - x0), (y - y0) / (y1 - y0));
  }

  /** Colours and level lines on a canvas of their own, drawn once and then only copied. */
  image({ ramp, line }, width, height) {
    const { columns, rows, heights } = this;
    const pixels = new ImageData(columns, rows);
    const table = Array.from({ length: 257 }, (_, i) => [...along(ramp, i / 256), 255]);
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < columns; j++) {
        const value = heights[(rows - 1 - i) * columns + j];
        if (!Number.isNaN(value)) pixels.data.set(table[Math.round(256 * value)], 4 * (i * columns + j));
      }
    }
    const grid = h("canvas", { width: columns, height: rows });
    grid.getContext("2d").putImageData(pixels, 0, 0);
    const canvas = h("canvas");
    const pen = cleared(canvas, width, height);
    pen.imageSmoothingQuality = "high";
    // Grid points are the centres of pixels: half a pixel of the grid hangs over each edge of the view.
    const [cell, row] = [width / (columns - 1), height / (rows - 1)];
    pen.drawImage(grid, -cell / 2, -row / 2, width + cell, height + row);
    const lines = levelLines(heights, columns, rows, this.levels(), (j, i) => [j * cell, height - i * row]);
    stroke(pen, lines, line, 0.8);
    return canvas;
  }
}

/** The value of a grid at shares `u`, `v` of its sides, between the four points around; NaN outside. */
export function bilinear(values, columns, rows, u, v) {
  if (!(u >= 0 && v >= 0 && u <= 1 && v <= 1)) return NaN;
  const j = Math.min(Math.floor(u * (columns - 1)), columns - 2);
  const i = Math.min(Math.floor(v * (rows - 1)), rows - 2);
  const [a, b, k] = [u * (columns - 1) - j, v * (rows - 1) - i, i * columns + j];
  const [lower, upper] = [(1 - a) * values[k] + a * values[k + 1], k + columns];
  return (1 - b) * lower + b * ((1 - a) * values[upper] + a * values[upper + 1]);
}

/** The lines of all `levels` (ascending) on a grid, by marching squares. `place` maps (column, row) to pixels. */
export function levelLines(values, columns, rows, levels, place) {
  const line = new Path2D();
  for (let i = 0; i + 1 < rows; i++) {
    for (let j = 0; j + 1 < columns; j++) {
      const k = i * columns + j;
      const corners = [values[k], values[k + 1], values[k + columns + 1], values[k + columns]];
      const [low, high] = [Math.min(...corners), Math.max(...corners)];
      if (Number.isNaN(low)) continue;
      for (const level of levels) {
        if (level <= low) continue;
        if (level > high) break;
        crossings(corners, level, j, i).forEach(([u, v], n) => line[n % 2 ? "lineTo" : "moveTo"](...place(u, v)));
      }
    }
  }
  return line;
}

/** Where a level crosses the sides of one cell: two or four points, in pairs. */
function crossings(corners, level, j, i) {
  const points = [];
  for (let side = 0; side < 4; side++) {
    const [a, b] = [corners[side], corners[(side + 1) % 4]];
    if (a < level === b < level) continue;
    const [at, back] = [(level - a) / (b - a), 1 - (level - a) / (b - a)];
    points.push([j + [at, 1, back, 0][side], i + [0, at, 1, back][side]]);
  }
  return points;
}
