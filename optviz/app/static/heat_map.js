// A heat map on a canvas, in viridis: small is good and dark. Diverged is hatched, what did not reach the tolerance has
// a dot. A cell is chosen by mouse or by arrow keys.

const STOPS = [
  "#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80",
  "#5ec962", "#addc30", "#fde725",
];
const LEFT = 74;
const BOTTOM = 46;
const TOP = 8;
const RIGHT = 12;
const BAR = 34; // height of the colour bar with its numbers

const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));

function color(share) {
  const at = Math.min(Math.max(share, 0), 1) * (STOPS.length - 1);
  const i = Math.min(Math.floor(at), STOPS.length - 2);
  const [a, b] = [rgb(STOPS[i]), rgb(STOPS[i + 1])];
  return `rgb(${a.map((v, k) => Math.round(v + (at - i) * (b[k] - v))).join()})`;
}

function format(value) {
  if (value === null || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  return size && (size < 1e-3 || size >= 1e5) ? value.toExponential(2).replace(/\.?0*e\+?/, "e") : String(+value.toPrecision(4));
}

/** Round numbers from `low` to `high`, at most about `most`: powers of ten if the axis is logarithmic and long enough. */
function ticks(low, high, log, most) {
  if (log && high / low >= 100) {
    const [first, last] = [Math.ceil(Math.log10(low) - 1e-9), Math.floor(Math.log10(high) + 1e-9)];
    const every = Math.ceil((last - first + 1) / most);
    return Array.from({ length: Math.floor((last - first) / every) + 1 }, (_, i) => +`1e${first + i * every}`);
  }
  const rough = (high - low) / most || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((times) => times * power >= rough) * power;
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, i) => +((first + i) * step).toPrecision(9));
}

/** Where a number lies among the ascending values of an axis, in cells from the middle of the first one. */
function place(number, { values, log }) {
  const scale = log ? Math.log : (v) => v;
  const i = Math.max(0, values.findLastIndex((v, k) => v <= number && k < values.length - 1));
  const [a, b] = [values[i], values[i + 1] ?? values[i]].map(scale);
  return b > a ? i + (scale(number) - a) / (b - a) : i;
}

export default {
  template: `
    <div class="heat-map">
      <canvas ref="canvas" tabindex="0" role="application" :aria-label="texts.title" @keydown="key" @click="open"
        @pointermove="hover" @pointerleave="hover"></canvas>
      <output aria-live="polite">{{ told }}</output>
    </div>`,
  // values[row][column]: a number, null where nothing is known yet, "inf" where the run diverged, "never" where
  // it did not reach the tolerance.
  props: { values: Array, x: Object, y: Object, texts: Object },
  data: () => ({ cell: null }),
  computed: {
    range() {
      const finite = this.values.flat().filter((v) => typeof v === "number");
      const low = Math.min(...finite);
      const high = Math.max(...finite);
      return { low, high, log: low > 0 && high / low > 30, any: finite.length > 0 };
    },
    told() {
      if (!this.cell) return this.texts.hint;
      const [column, row] = this.cell;
      const value = this.values[row]?.[column];
      const result = { inf: this.texts.diverged, never: this.texts.never }[value] ?? (value === null ? "…" : format(value));
      const at = [this.x, this.y].map((axis, i) => `${axis.name} ${format(axis.values[this.cell[i]])}`);
      return `${at.join(", ")}: ${this.texts.metric} ${result}`;
    },
  },
  watch: {
    values() {
      this.draw();
    },
    x() {
      this.cell = null;
    },
  },
  mounted() {
    this.sized = new ResizeObserver(() => this.draw());
    this.sized.observe(this.$el);
    this.themed = new MutationObserver(() => this.draw());
    this.themed.observe(document.body, { attributes: true, attributeFilter: ["class"] });
  },
  unmounted() {
    this.sized.disconnect();
    this.themed.disconnect();
  },
  methods: {
    size() {
      const width = this.$el.clientWidth;
      const height = Math.round(Math.min(Math.max(0.62 * width, 300), 560));
      const [columns, rows] = [this.x.values.length, this.y.values.length];
      const [w, h] = [(width - LEFT - RIGHT) / columns, (height - TOP - BOTTOM - BAR) / rows];
      return { width, height, columns, rows, w, h, bottom: height - BOTTOM - BAR };
    },
    share(value) {
      const { low, high, log } = this.range;
      const scale = log ? Math.log : (v) => v;
      return high > low ? (scale(value) - scale(low)) / (scale(high) - scale(low)) : 0;
    },
    draw() {
      const { width, height, w, h, bottom } = this.size();
      if (width < 100) return;
      const canvas = this.$refs.canvas;
      const ratio = window.devicePixelRatio || 1;
      Object.assign(canvas, { width: width * ratio, height: height * ratio });
      canvas.style.height = `${height}px`;
      const ink = canvas.getContext("2d");
      ink.scale(ratio, ratio);
      const style = getComputedStyle(document.body);
      const [text, line, faint] = ["--ink", "--line", "--faint"].map((name) => style.getPropertyValue(name));
      ink.font = "12px system-ui, sans-serif";
      this.values.forEach((row, j) =>
        row.forEach((value, i) => {
          const [x, y] = [LEFT + i * w, bottom - (j + 1) * h];
          if (value === null) return;
          const word = typeof value === "string" && value;
          ink.fillStyle = word ? line : color(this.share(value));
          ink.fillRect(x, y, w + 0.6, h + 0.6);
          if (word) this.mark(ink, word, x, y, w, h, faint);
        }),
      );
      this.axes(ink, text, line);
      this.bar(ink, text, line, faint);
      this.cursor(ink, text);
    },
    /** A stroke across a cell whose run diverged, a dot in one whose run did not reach the tolerance. */
    mark(ink, word, x, y, w, h, faint) {
      ink.strokeStyle = ink.fillStyle = faint;
      ink.globalAlpha = 0.6;
      ink.beginPath();
      if (word === "inf") {
        ink.moveTo(x, y + h);
        ink.lineTo(x + w, y);
        ink.stroke();
      } else {
        ink.arc(x + w / 2, y + h / 2, 1.4, 0, 7);
        ink.fill();
      }
      ink.globalAlpha = 1;
    },
    axes(ink, text, line) {
      const { w, h, bottom, columns, rows } = this.size();
      const rounds = ({ values, log }, most) => ticks(values[0], values.at(-1), log, most);
      ink.strokeStyle = line;
      ink.strokeRect(LEFT, TOP, columns * w, bottom - TOP);
      ink.fillStyle = text;
      ink.textAlign = "center";
      for (const number of rounds(this.x, (columns * w) / 64)) {
        const at = LEFT + (place(number, this.x) + 0.5) * w;
        ink.fillRect(at, bottom, 1, 4);
        ink.fillText(format(number), at, bottom + 16);
      }
      ink.fillText(this.x.name + (this.x.log ? this.texts.log : ""), LEFT + (columns * w) / 2, bottom + 33);
      ink.textAlign = "right";
      for (const number of rounds(this.y, (rows * h) / 32)) {
        const at = bottom - (place(number, this.y) + 0.5) * h;
        ink.fillRect(LEFT - 4, at, 4, 1);
        ink.fillText(format(number), LEFT - 7, at + 4);
      }
      ink.save();
      ink.translate(12, TOP + (bottom - TOP) / 2);
      ink.rotate(-Math.PI / 2);
      ink.textAlign = "center";
      ink.fillText(this.y.name + (this.y.log ? this.texts.log : ""), 0, 0);
      ink.restore();
    },
    bar(ink, text, line, faint) {
      const { width, height } = this.size();
      const { low, high, log, any } = this.range;
      const [y, long] = [height - BAR + 8, Math.min(260, width - LEFT - RIGHT - 120)];
      for (let i = 0; i < long; i += 1) {
        ink.fillStyle = color(i / long);
        ink.fillRect(LEFT + i, y, 1.5, 9);
      }
      ink.fillStyle = text;
      ink.textAlign = "left";
      ink.fillText(any ? format(low) : "", LEFT, y + 22);
      ink.textAlign = "right";
      ink.fillText(any ? format(high) : "", LEFT + long, y + 22);
      ink.textAlign = "center";
      ink.fillText(log && long > 200 ? this.texts.log.trim() : "", LEFT + long / 2, y + 22);
      ink.textAlign = "left";
      const words = Object.entries({ inf: this.texts.diverged, never: this.texts.never }).filter(([, said]) => said);
      words.forEach(([word, said], i) => {
        ink.fillStyle = line;
        ink.fillRect(LEFT + long + 16, y + 15 * i, 14, 9);
        this.mark(ink, word, LEFT + long + 16, y + 15 * i, 14, 9, faint);
        ink.fillStyle = text;
        ink.fillText(said, LEFT + long + 35, y + 9 + 15 * i);
      });
    },
    cursor(ink, text) {
      if (!this.cell) return;
      const { w, h, bottom } = this.size();
      const [i, j] = this.cell;
      ink.strokeStyle = text;
      ink.lineWidth = 2;
      ink.strokeRect(LEFT + i * w, bottom - (j + 1) * h, w, h);
    },
    at({ offsetX, offsetY }) {
      const { w, h, bottom, columns, rows } = this.size();
      const [i, j] = [Math.floor((offsetX - LEFT) / w), Math.floor((bottom - offsetY) / h)];
      return i >= 0 && i < columns && j >= 0 && j < rows ? [i, j] : null;
    },
    hover(event) {
      this.cell = event.type === "pointerleave" ? null : this.at(event);
      this.draw();
    },
    open(event) {
      const cell = this.at(event);
      if (cell) this.$emit("cell", { column: cell[0], row: cell[1] });
    },
    key(event) {
      const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
      const { columns, rows } = this.size();
      const [i, j] = this.cell ?? [Math.floor(columns / 2), Math.floor(rows / 2)];
      if (event.key === "Enter" && this.cell) this.$emit("cell", { column: i, row: j });
      if (!moves[event.key]) return;
      event.preventDefault();
      const [di, dj] = this.cell ? moves[event.key] : [0, 0];
      this.cell = [Math.min(Math.max(i + di, 0), columns - 1), Math.min(Math.max(j + dj, 0), rows - 1)];
      this.draw();
    },
  },
};
