// The bar under the picture: playback, and how paths are shown.
import { Fields, set } from "./fields.js";
import { h } from "./tools.js";

const SECONDS = 8; // of playback at speed 1, whatever the number of steps

export class Playback extends Fields {
  constructor(app) {
    super();
    const { t } = app;
    Object.assign(this, { app, position: app.shown.step, speed: 1, frame: 0 }); // position null: at the end, however far
    const oninput = () => this.seek(+this.scrubber.value);
    this.scrubber = h("input.ov-scrubber", { type: "range", ariaLabel: t("step"), oninput });
    this.toggle = h("button.ov-play", { onclick: () => this.play() });
    this.counter = h("output");
    const speeds = [0.25, 0.5, 1, 2, 4].map((s) => [s, `×${s}`]);
    const speed = this.select(t("speed"), speeds, () => this.speed, (s) => (this.speed = s)); // prettier-ignore
    const displays = Object.entries({ paths: t("paths"), points: t("points"), heads: t("heads only") });
    const display = this.select(t("display"), displays, () => app.shown.display, (d) => app.show({ display: d })); // prettier-ignore
    this.relief = this.button("3-D", () => app.show({ three_d: !app.shown.three_d }));
    const whole = this.button(t("whole view"), () => app.look(null), t("Show the whole surface again"));
    const paths = t("Show all of the paths, the start and the minima");
    const fit = this.button(t("fit to paths"), () => app.look(app.picture.extent), paths);
    this.hint = h("p.ov-note");
    this.node = h("div.ov-bar", {}, this.toggle, this.scrubber, this.counter, speed, display, this.relief, whole, fit);
    this.syncs.push(() => this.show());
  }

  show() {
    const { t, settings, shown } = this.app;
    set(this.scrubber, "max", String(settings.num_steps));
    set(this.scrubber, "value", String(this.step));
    set(this.counter, "textContent", `${this.step} / ${settings.num_steps}`);
    set(this.toggle, "textContent", this.frame ? "❚❚" : "▶");
    set(this.toggle, "ariaLabel", this.frame ? t("pause") : t("play"));
    set(this.relief, "ariaPressed", String(shown.three_d));
    const hint = shown.three_d
      ? t("Click to place the start, drag to turn the surface, turn the wheel to zoom.")
      : t("Click to place the start, drag to move the view, turn the wheel to zoom.");
    set(this.hint, "textContent", hint);
  }

  get step() {
    const { num_steps } = this.app.settings;
    return this.position === null ? num_steps : Math.min(Math.floor(this.position), num_steps);
  }

  stepOf(run, index) {
    return Math.min(index * run.every, run.num_steps);
  }

  /** The last point of a path that is reached at the present step. */
  indexAt({ every, num_steps, points }) {
    const last = points.length / 4 - 1;
    return this.step >= num_steps ? last : Math.min(Math.floor(this.step / every), last);
  }

  seek(step) {
    this.pause();
    this.move(step);
    this.sync();
  }

  move(step) {
    const { app } = this;
    this.position = step >= app.settings.num_steps ? null : Math.max(0, step);
    app.shown.step = this.position === null ? null : this.step;
    app.askStep();
    app.redraw({ charts: true });
    app.save();
  }

  pause() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
  }

  play() {
    if (this.frame) return this.seek(this.step);
    if (this.position === null) this.move(0);
    let last = performance.now();
    const tick = (now) => {
      this.frame = requestAnimationFrame(tick);
      const rate = (this.speed * this.app.settings.num_steps) / SECONDS;
      this.move(this.position + ((now - last) / 1000) * rate);
      last = now;
      if (this.position === null) this.seek(Infinity);
    };
    this.frame = requestAnimationFrame(tick);
    this.sync();
  }
}
