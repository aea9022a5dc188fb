// The playground: level sets, paths and everything that the user touches, drawn on canvases without any library.
// Python computes, these modules draw. They live in a notebook (anywidget calls `render`) and in a page (`mount`).
import { Chart } from "./charts.js";
import { Comparison } from "./comparison.js";
import { Controls } from "./controls.js";
import { Gestures } from "./gestures.js";
import { Picture } from "./picture.js";
import { Playback } from "./playback.js";
import { Table } from "./table.js";
import { copy, h, later, legible } from "./tools.js";
import { decode, overHttp, overModel } from "./wire.js";

const COLOURS = ["text", "muted", "frame", "grid", "halo", "line", "gradient", "momentum", "update", "newton", "model"];
const DARK = '.body--dark, .dark, .vscode-dark, [data-jp-theme-light="false"], [data-theme="dark"], [theme="dark"]';
const LIGHT =
  '.body--light, .light, .vscode-light, [data-jp-theme-light="true"], [data-theme="light"], [theme="light"]';

const PAUSE = 100; // milliseconds between two drawings of charts and table while a hand drags

/** A comparison on the screen. */
class Playground extends Comparison {
  message = h("p.ov-error", { role: "alert", hidden: true });
  rest = later(PAUSE, () => this.drawRest());
  rested = 0;

  build() {
    const { t } = this;
    this.penalties = {
      none: t("none"),
      l1: "L1",
      l2: "L2",
      elastic: t("elastic net"),
      decoupled: t("decoupled decay"),
    };
    this.fates = {
      converged: t("converged"),
      descending: t("descending"),
      stationary: t("stationary"),
      oscillating: t("oscillating"),
      diverged: t("diverged"),
      refused: t("refused"),
    };
    this.readColours();
    this.picture = new Picture(this);
    this.playback = new Playback(this);
    this.controls = new Controls(this);
    this.charts = [new Chart(this, 2, t("loss")), new Chart(this, 3, t("gradient norm"))];
    this.table = new Table(this);
    const charts = this.charts.map((chart) => chart.canvas);
    const parts = [this.message, this.picture.node, this.table.legend, this.playback.node, this.playback.hint];
    const left = h("div.ov-left", {}, parts, h("div.ov-charts", {}, charts), this.table.node);
    this.root.replaceChildren(h("div.ov-main", {}, left, this.controls.node));
    this.controls.build();
    this.measure();
    this.gestures = new Gestures(this);
    this.follow();
  }

  // Drawing: at most once a frame, and of its parts only those that changed.

  redraw(parts = {}) {
    Object.assign(this.dirty, parts);
    this.frame ||= requestAnimationFrame(() => this.draw());
  }

  draw() {
    const begun = performance.now();
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    this.runs = [...this.kept, ...this.paths].filter((path) => path.points?.length).map((path) => this.run(path));
    this.picture.draw(this.dirty.base);
    this.dirty.base = false;
    if (!this.fresh) return this.drawRest();
    const detail = { ...this.fresh, begun, drawn: performance.now() };
    this.fresh = null;
    const painted = () => {
      this.root.dispatchEvent(new CustomEvent("painted", { detail: { ...detail, painted: performance.now() } }));
      // The eye follows the paths: charts and table come after them, and not with every move of a hand that drags.
      const soon = this.requests.busy.paths && performance.now() - this.rested < PAUSE;
      soon ? this.rest() : this.drawRest();
    };
    // A task after the frame: by then the browser has painted it.
    requestAnimationFrame(() => setTimeout(painted));
  }

  drawRest() {
    this.rest.cancel();
    this.rested = performance.now();
    const { charts, table } = this.dirty;
    this.dirty = { base: this.dirty.base };
    if (charts || table) for (const chart of this.charts) chart.draw();
    if (table) this.table.draw();
    if (table) this.controls.sync();
    this.playback.sync();
    this.picture.top.ariaLabel = this.t("paths on") + ` ${this.surface?.title ?? this.settings.formula}`;
  }

  /** A path as it is drawn now. */
  run(path) {
    const { kept, twin, penalty, label } = path;
    const color = (!kept && this.settings.optimizers[path.optimizer]?.color) || path.color;
    return {
      ...path,
      ink: legible(color, this.colours.dark),
      dash: kept ? [1.5, 4] : twin ? [6, 4] : [],
      end: this.playback.indexAt(path),
      title: kept ? `${label} (${kept})` : twin ? `${label} + ${penalty}` : label,
    };
  }

  /** What the page says of itself, be it ours, NiceGUI's, a notebook's; else what the system wants. */
  isDark() {
    const says = (marks) => [document.documentElement, document.body].some((node) => node.matches(marks));
    return !says(LIGHT) && (says(DARK) || window.matchMedia("(prefers-color-scheme: dark)").matches);
  }

  /** The colours of the canvases, from the style sheet. */
  readColours() {
    const dark = this.isDark();
    this.root.dataset.ovTheme = dark ? "dark" : "light";
    const style = getComputedStyle(this.root);
    const value = (name) => style.getPropertyValue(`--ov-${name}`).trim();
    const colours = Object.fromEntries(COLOURS.map((name) => [name, value(name)]));
    this.colours = { ...colours, dark, ramp: value("ramp").split(" "), relief: value("relief").split(" ") };
  }

  measure() {
    this.picture.resize();
    for (const chart of this.charts) chart.measure();
  }

  /** Redraws when the page's width, theme or pixels change. */
  follow() {
    const recolour = () => {
      this.readColours();
      this.redraw({ base: true, charts: true, table: true });
    };
    const resize = () => {
      this.measure();
      recolour();
      this.refine();
    };
    const sizes = new ResizeObserver(resize);
    sizes.observe(this.root);
    const theme = new MutationObserver(recolour);
    for (const node of [document.documentElement, document.body]) theme.observe(node, { attributes: true });
    const scheme = window.matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", recolour);
    this.cleanups.push(() => sizes.disconnect(), () => theme.disconnect()); // prettier-ignore
    this.cleanups.push(() => scheme.removeEventListener("change", recolour));
  }

  destroy() {
    this.playback?.pause();
    this.tuning?.abort();
    cancelAnimationFrame(this.frame);
    this.rest.cancel();
    for (const cleanup of this.cleanups) cleanup();
    this.root.replaceChildren();
  }
}

/**
 * Draws a playground into `el`. `transport` has `request(payload, {signal, onProgress}) -> Promise<ArrayBuffer>`, and if it
 * likes `settings` to begin with, `onSettings(callback)` and `saveSettings(settings)`. Options: `language`.
 * Each time that new paths are on the screen `el` gets the event "painted", with the times in milliseconds as detail.
 */
export function mount(el, transport, options = {}) {
  el.classList.add("optviz");
  const app = new Playground(el, transport, options.language ?? document.documentElement.lang ?? "en");
  el.replaceChildren(app.message);
  return {
    apply: (settings) => app.apply(settings),
    destroy: () => app.destroy(),
    get settings() {
      return copy(app.settings);
    },
  };
}

export { decode, overHttp };

export default {
  render({ model, el }) {
    const root = h("div");
    el.append(root);
    const transport = overModel(model);
    const { destroy } = mount(root, transport);
    return () => {
      transport.close();
      destroy();
    };
  },
};
