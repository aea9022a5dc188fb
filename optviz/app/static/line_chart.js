// Curves on a canvas that grow while a run goes on; read by pointing or with the arrow keys.
import { cleared, clipped, format, legible, polyline, stroke, ticks, write } from "/static/tools.js";

const [LEFT, RIGHT, TOP, BOTTOM] = [56, 24, 10, 36];

export default {
  template: `
    <figure class="line-chart">
      <figcaption>
        <b>{{ title }}</b>
        <span v-for="line in series" class="key">
          <svg width="22" height="10" aria-hidden="true"><line x1="1" y1="5" x2="21" y2="5" stroke-width="2.5"
            :stroke="ink(line)" :stroke-dasharray="line.dash ? '5 3' : 'none'" /></svg>{{ line.name }}
        </span>
      </figcaption>
      <canvas ref="canvas" tabindex="0" role="img" :aria-label="spoken" @keydown="key" @pointermove="hover"
        @pointerleave="at = null"></canvas>
      <output aria-live="polite">{{ told }}</output>
    </figure>`,
  // series: [{name, color, dash, x: [...], y: [...]}], where null breaks a line; log: the y axis.
  props: { title: String, xLabel: String, series: Array, log: Boolean, empty: String },
  data: () => ({ at: null, dark: false }),
  computed: {
    steps() {
      return [...new Set(this.series.flatMap((line) => line.x))].sort((a, b) => a - b);
    },
    told() {
      if (this.at === null || !this.steps.length) return "";
      const values = this.series.map((line) => [line.name, this.near(line)]).filter(([, y]) => y !== undefined);
      return `${this.xLabel} ${format(this.at, 8)}: ${values.map(([name, y]) => `${name} ${format(y ?? NaN)}`).join(", ")}`;
    },
    spoken() {
      const last = this.series.filter((line) => line.y.length).map((line) => `${line.name} ${format(line.y.at(-1) ?? NaN)}`);
      return `${this.title}: ${last.join(", ") || this.empty}`;
    },
    ends() {
      const xs = this.steps;
      const ys = this.series.flatMap((line) => line.y.filter((y) => y !== null && (!this.log || y > 0)));
      if (!ys.length) return null;
      const scale = this.log ? Math.log10 : (y) => y;
      const [low, high] = [scale(Math.min(...ys)), scale(Math.max(...ys))];
      const room = (high - low || Math.abs(high) * 0.1 || 1) * 0.06;
      return { x: [xs[0], xs.at(-1) > xs[0] ? xs.at(-1) : xs[0] + 1], y: [low - room, high + room] };
    },
  },
  watch: {
    series() {
      this.draw();
    },
    at() {
      this.draw();
    },
  },
  mounted() {
    this.dark = document.body.classList.contains("body--dark");
    this.sized = new ResizeObserver(() => this.draw());
    this.sized.observe(this.$el);
    this.themed = new MutationObserver(() => {
      this.dark = document.body.classList.contains("body--dark");
      this.draw();
    });
    this.themed.observe(document.body, { attributes: true, attributeFilter: ["class"] });
  },
  unmounted() {
    this.sized.disconnect();
    this.themed.disconnect();
  },
  methods: {
    ink(line) {
      return legible(line.color, this.dark);
    },
    size() {
      const width = this.$refs.canvas.clientWidth;
      return { width, height: this.$refs.canvas.clientHeight, right: width - RIGHT };
    },
    x(step) {
      const [low, high] = this.ends.x;
      return LEFT + ((this.size().right - LEFT) * (step - low)) / (high - low);
    },
    y(value) {
      const [low, high] = this.ends.y;
      const place = this.log ? Math.log10(Math.max(value, 1e-300)) : value;
      const bottom = this.size().height - BOTTOM;
      return Math.min(Math.max(bottom - ((bottom - TOP) * (place - low)) / (high - low), -1e4), 1e4);
    },
    /** The value of a curve at the step that is looked at, or the last one before it. */
    near(line) {
      const i = line.x.findLastIndex((step) => step <= this.at);
      return i < 0 ? undefined : line.y[i];
    },
    draw() {
      const { width, height, right } = this.size();
      if (width < 80) return;
      const pen = cleared(this.$refs.canvas, width, height);
      const style = getComputedStyle(document.body);
      const [text, grid, faint] = ["--ink", "--line", "--faint"].map((name) => style.getPropertyValue(name));
      pen.font = "12px system-ui, sans-serif";
      pen.fillStyle = faint;
      if (!this.ends) {
        write(pen, this.empty, width / 2, height / 2, "center");
        return;
      }
      this.axes(pen, grid, faint);
      const box = { left: LEFT - 4, top: TOP - 4, width: right - LEFT + 8, height: height - BOTTOM - TOP + 8 };
      clipped(pen, box, () => this.series.forEach((line) => this.curve(pen, line)));
      if (this.at !== null) stroke(pen, polyline([[this.x(this.at), TOP], [this.x(this.at), height - BOTTOM]]), text); // prettier-ignore
    },
    axes(pen, grid, faint) {
      const { width, height, right } = this.size();
      const [low, high] = this.ends.y;
      const decades = this.log ? ticks(low, high, 5).filter(Number.isInteger) : [];
      const values = !this.log
        ? ticks(low, high, 5)
        : decades.length > 1
          ? decades.map((k) => 10 ** k)
          : ticks(10 ** low, 10 ** high, 5);
      const digits = Math.min(Math.max(-Math.floor(Math.log10(values[1] - values[0]) + 1e-9), 0), 8);
      const plain = !this.log && values.length > 1 && Math.max(...values.map(Math.abs)) < 1e5 && digits < 7;
      for (const value of values) {
        const y = this.y(value);
        if (y < TOP - 1 || y > height - BOTTOM + 1) continue;
        const text = plain ? value.toFixed(digits).replace("-", "−") : format(+value.toPrecision(8), 3);
        write(pen, text, LEFT - 6, y + 4, "right");
        stroke(pen, polyline([[LEFT, y], [right, y]]), grid); // prettier-ignore
      }
      for (const step of ticks(...this.ends.x, width / 100).filter(Number.isInteger))
        write(pen, format(step, 6), this.x(step), height - BOTTOM + 16, "center");
      write(pen, this.xLabel, (LEFT + right) / 2, height - 4, "center");
      stroke(pen, polyline([[LEFT, height - BOTTOM], [right, height - BOTTOM]]), faint); // prettier-ignore
    },
    curve(pen, line) {
      const path = new Path2D();
      let [open, alone] = [false, null];
      line.y.forEach((value, i) => {
        const shown = value !== null && (!this.log || value > 0);
        if (shown) path[open ? "lineTo" : "moveTo"](this.x(line.x[i]), this.y(value));
        open = shown;
        alone = shown ? [this.x(line.x[i]), this.y(value)] : alone;
      });
      stroke(pen, path, this.ink(line), 1.6, line.dash ? [5, 3] : []);
      if (line.points || line.x.length === 1) {
        pen.fillStyle = this.ink(line);
        line.y.forEach((value, i) => value !== null && this.dot(pen, this.x(line.x[i]), this.y(value)));
      }
    },
    dot(pen, x, y) {
      pen.beginPath();
      pen.arc(x, y, 2.6, 0, 2 * Math.PI);
      pen.fill();
    },
    nearest(step) {
      return this.steps.reduce((best, s) => (Math.abs(s - step) < Math.abs(best - step) ? s : best), this.steps[0]);
    },
    hover({ offsetX }) {
      if (!this.ends) return;
      const [low, high] = this.ends.x;
      this.at = this.nearest(low + ((offsetX - LEFT) / (this.size().right - LEFT)) * (high - low));
    },
    key(event) {
      const move = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
      if (event.key === "Escape") this.at = null;
      if (!move || !this.steps.length) return;
      event.preventDefault();
      const last = this.steps.length - 1;
      const here = this.at === null ? (move > 0 ? -1 : last + 1) : this.steps.indexOf(this.nearest(this.at));
      this.at = this.steps[Math.min(Math.max(here + move, 0), last)];
    },
  },
};
