// Mouse, fingers and keys on the picture.
import { clamp } from "./tools.js";

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
const distance = ([ax, ay], [bx, by]) => Math.hypot(bx - ax, by - ay);
const spot = (event) => [event.offsetX, event.offsetY];

/** A click places the start, a drag moves the start, the view or the relief, two fingers and the wheel zoom. */
export class Gestures {
  constructor(app) {
    Object.assign(this, { app, picture: app.picture, pointers: new Map(), from: null, moved: false, grip: "" });
    const { top } = app.picture;
    top.onpointerdown = (event) => this.press(event);
    top.onpointermove = (event) => this.moveTo(event);
    top.onpointerup = top.onpointercancel = (event) => this.release(event);
    top.onpointerleave = () => (this.picture.tip.hidden = true);
    const wheel = (event) => {
      event.preventDefault();
      this.zoom(Math.exp(clamp(event.deltaY, -120, 120) / 500), ...spot(event));
    };
    top.addEventListener("wheel", wheel, { passive: false });
    // Notebooks and pages have shortcuts of their own: keys pressed in here stay in here.
    app.root.onkeydown = (event) => {
      event.stopPropagation();
      if (!event.ctrlKey && !event.metaKey && !event.altKey && this.key(event)) event.preventDefault();
    };
  }

  press(event) {
    const { shown, settings } = this.app;
    this.picture.top.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, spot(event));
    const onStart = distance(spot(event), this.picture.ground.at(...settings.start)) < 14;
    Object.assign(this, {
      from: spot(event),
      moved: false,
      grip: shown.three_d ? "relief" : onStart ? "start" : "view",
    });
    this.picture.tip.hidden = true;
  }

  moveTo(event) {
    const before = this.pointers.get(event.pointerId);
    const at = spot(event);
    if (!before) return this.picture.hover(...at);
    this.pointers.set(event.pointerId, at);
    this.moved ||= this.pointers.size > 1 || distance(this.from, at) > 3;
    if (this.pointers.size === 2) {
      const [, fixed] = [...this.pointers].find(([id]) => id !== event.pointerId);
      this.zoom(Math.max(distance(fixed, before), 1) / Math.max(distance(fixed, at), 1), ...fixed);
    } else if (this.moved) this.drag(before, at);
  }

  release(event) {
    this.pointers.delete(event.pointerId);
    const point =
      this.moved || this.pointers.size || event.type !== "pointerup" ? null : this.picture.ground.pick(...spot(event));
    if (point) this.app.place(...point);
    if (this.app.turning) this.app.turnBy(0, 0, false);
  }

  drag([ax, ay], [bx, by]) {
    const { app, picture } = this;
    if (this.grip === "relief") return app.turnBy((ax - bx) / 150, (by - ay) / 150, true);
    const [from, to] = [picture.plane.under(ax, ay), picture.plane.under(bx, by)];
    if (this.grip === "start") return app.place(...to);
    app.look(picture.view.map((end, i) => end + from[i >> 1] - to[i >> 1]));
  }

  /** The view made `factor` times as wide about the point under a pixel. */
  zoom(factor, px, py) {
    const [x0, x1, y0, y1] = this.picture.view;
    const [x, y] = this.app.shown.three_d ? [(x0 + x1) / 2, (y0 + y1) / 2] : this.picture.plane.under(px, py);
    const view = [x + (x0 - x) * factor, x + (x1 - x) * factor, y + (y0 - y) * factor, y + (y1 - y) * factor];
    // Not closer than float32 can tell apart, not farther than Python allows.
    const far = view[1] - view[0] > 1e-4 * Math.max(Math.abs(x), Math.abs(y), 0.01);
    if (far && view.every((v) => Math.abs(v) < 1e6)) this.app.look(view);
  }

  /** What a key does; true if it did something. */
  key({ key, target, shiftKey }) {
    const { playback } = this.app;
    const { top, width, height } = this.picture;
    if (target === top && ARROWS[key]) {
      this.arrow(...ARROWS[key], shiftKey ? 0.1 : 0.01);
      return true;
    }
    if (/INPUT|SELECT|BUTTON|SUMMARY/.test(target.tagName)) return false;
    const actions = {
      " ": () => playback.play(),
      Home: () => playback.seek(0),
      End: () => playback.seek(Infinity),
      ",": () => playback.seek(playback.step - 1),
      ".": () => playback.seek(playback.step + 1),
      "+": () => this.zoom(0.8, width / 2, height / 2),
      "-": () => this.zoom(1.25, width / 2, height / 2),
      0: () => this.app.look(null),
    };
    actions[key]?.();
    return key in actions;
  }

  /** An arrow turns the relief, or moves the start by a share of the view. */
  arrow(right, up, share) {
    const { app, picture } = this;
    const [x0, x1, y0, y1] = picture.view;
    const [x, y] = app.settings.start;
    if (!app.shown.three_d) return app.place(x + right * share * (x1 - x0), y + up * share * (y1 - y0));
    app.turnBy(-right / 15, up / 15, false);
  }
}
