// A heat map on a canvas: small is good and dark green, diverged is hatched; a cell is chosen by mouse or by arrow keys.

const STOPS = ["#0b5345", "#1e8a6a", "#6bbf73", "#cfe08a", "#f7e6a0", "#f2b96b", "#d9774e", "#a5403c"];
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
  return size && (size < 1e-3 || size >= 1e5) ? value.toExponential(2).replace("e+", "e") : String(+value.toPrecision(4));
}

export default {
  template: `
    <div class="heat-map">
      <canvas ref="canvas" tabindex="0" role="application" :aria-label="texts.title" @keydown="key" @click="open"
        @pointermove="hover" @pointerleave="hover"></canvas>
      <output aria-live="polite">{{ told }}</output>
    </div>`,
  // values[row][column]: a number, null where nothing is known yet, "inf" where the run diverged.
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
      const result = value === "inf" ? this.texts.diverged : value === null ? "…" : format(value);
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
          ink.fillStyle = value === "inf" ? line : color(this.share(value));
          ink.fillRect(x, y, w + 0.6, h + 0.6);
          if (value !== "inf") return;
          ink.strokeStyle = faint;
          ink.globalAlpha = 0.5;
          ink.beginPath();
          ink.moveTo(x, y + h);
          ink.lineTo(x + w, y);
          ink.stroke();
          ink.globalAlpha = 1;
        }),
      );
      this.axes(ink, text, line);
      this.bar(ink, text, line, faint);
      this.cursor(ink, text);
    },
    axes(ink, text, line) {
      const { width, w, h, bottom, columns, rows } = this.size();
      ink.strokeStyle = line;
      ink.strokeRect(LEFT, TOP, columns * w, bottom - TOP);
      ink.fillStyle = text;
      ink.textAlign = "center";
      const every = Math.ceil(64 / w);
      for (let i = 0; i < columns; i += every) ink.fillText(format(this.x.values[i]), LEFT + (i + 0.5) * w, bottom + 15);
      ink.fillText(this.x.name + (this.x.log ? this.texts.log : ""), LEFT + (columns * w) / 2, bottom + 33);
      ink.textAlign = "right";
      const step = Math.ceil(26 / h);
      for (let j = 0; j < rows; j += step) ink.fillText(format(this.y.values[j]), LEFT - 6, bottom - (j + 0.5) * h + 4);
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
      ink.fillStyle = line;
      ink.fillRect(LEFT + long + 16, y, 14, 9);
      ink.strokeStyle = faint;
      ink.beginPath();
      ink.moveTo(LEFT + long + 16, y + 9);
      ink.lineTo(LEFT + long + 30, y);
      ink.stroke();
      ink.fillStyle = text;
      ink.textAlign = "left";
      ink.fillText(this.texts.diverged, LEFT + long + 35, y + 9);
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
