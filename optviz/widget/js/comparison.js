// What is compared: the settings, and what Python answers to them.
import { Landscape } from "./landscape.js";
import { filled, knows } from "./settings.js";
import { canonical, clamp, copy, digest, later } from "./tools.js";
import { Requests } from "./wire.js";

const FINE = 240; // grid points along the longer side of a landscape at rest
const COARSE = 90; // the same while a coefficient is being dragged: a quarter of the bytes
const EXAMPLE = "(1-x)**2 + 100*(y-x**2)**2";
const ANYWHERE = [-3, 3, -3, 3];

/** All that changes the settings, and all questions to Python. Whoever extends it builds and draws. */
export class Comparison {
  constructor(root, transport, language) {
    Object.assign(this, { root, transport, preset: "", paths: [], kept: [], known: null, edition: 0, errors: {} });
    Object.assign(this, { points: new Map(), dirty: {} });
    this.t = (text, values = {}) =>
      (this.catalogue?.texts?.[text] ?? text).replace(/{(\w+)}/g, (_, name) => values[name]);
    // Answers mostly come at once: only what takes longer is worth a word.
    const slow = later(500, () => root.classList.add("ov-working"));
    const working = (on) => (on ? slow() : (slow.cancel(), root.classList.remove("ov-working")));
    this.requests = new Requests(transport, { working, failed: (...given) => this.fail(...given) });
    this.save = later(300, () => this.errors.paths || transport.saveSettings?.(copy(this.settings)));
    this.refine = later(150, () => this.askLandscape(FINE));
    this.prepare = later(1500, () => this.askPreparation());
    this.cleanups = [slow, this.save, this.refine, this.prepare].map((timer) => timer.cancel);
    const begin = (catalogue) => this.begin(catalogue, language);
    this.requests.send("catalogue", () => ({ language }), begin);
  }

  begin(catalogue, language) {
    this.catalogue = catalogue;
    this.take(this.transport.settings ?? {});
    this.build();
    this.transport.onSettings?.((settings) => {
      if (!settings || canonical(filled(settings, this.catalogue)) === canonical(this.settings)) return;
      const take = (catalogue) => {
        this.catalogue = catalogue;
        this.apply(settings);
      };
      // Python may name what it has just been given.
      knows(this.catalogue, settings) ? take(this.catalogue) : this.requests.send("catalogue", () => ({ language }), take);
    });
    this.ask();
  }

  // What the settings say.

  get shown() {
    return this.settings.shown;
  }

  get surface() {
    const { surface, formula } = this.settings;
    return formula === null ? this.catalogue.surfaces.find((s) => s.name === surface) : null;
  }

  get domain() {
    return this.surface?.domain.flat() ?? ANYWHERE;
  }

  /** The optimizer whose step is looked at: the chosen one, or the first that is on. */
  get watched() {
    const { optimizers } = this.settings;
    const first = optimizers.findIndex((o) => o.on);
    return optimizers[this.shown.optimizer]?.on ? this.shown.optimizer : Math.max(0, first);
  }

  /** What a landscape depends on. */
  world({ surface, formula, coefficients } = this.settings) {
    return canonical([surface, formula, coefficients]);
  }

  /** What tuned rates depend on: all that changes paths, and not which of them are looked at, and how. */
  race({ view, shown, optimizers, ...rest } = this.settings) {
    return digest(canonical([rest, optimizers.map(({ on, color, ...choice }) => choice)]));
  }

  // What changes them.

  take(settings) {
    const { presets } = this.catalogue;
    this.settings = filled(settings, this.catalogue);
    const same = (preset) => this.race(filled(preset.settings, this.catalogue)) === this.race();
    this.preset = presets.find(same)?.name ?? "";
  }

  /** New settings as a whole: a preset, a link, an assignment from Python. */
  apply(settings) {
    const before = this.world();
    this.take(settings);
    this.playback.position = this.shown.step;
    this.playback.pause();
    if (before !== this.world()) this.forget();
    this.controls.build();
    this.ask();
  }

  /** Of these settings only; the rest stays. */
  change(settings) {
    this.apply({ ...this.settings, ...settings });
    this.save();
  }

  /** After the setting at `path` was changed in place. */
  edited(path) {
    this.preset = "";
    this.fail("typed", "");
    this.askPaths();
    if (/kind$|schedule$|optimizers$/.test(path)) this.controls.build();
    if (path.startsWith("coefficients")) {
      this.askLandscape(COARSE);
      this.refine();
    }
    this.save();
  }

  choosePreset({ settings }) {
    this.change({ ...settings, shown: { ...this.shown, step: null, ...settings.shown } });
  }

  setOptimizers(optimizers) {
    this.settings.optimizers = optimizers;
    this.edited("optimizers");
  }

  setSurface(surface) {
    const formula = surface === "formula" ? EXAMPLE : null;
    this.change({ surface, formula, coefficients: {}, start: null, view: null });
  }

  place(x, y) {
    this.settings.start = [x, y].map((v) => +v.toPrecision(6));
    this.edited("start");
    this.controls.sync();
    this.redraw();
  }

  /** What changes no number: which overlays, which display, flat or relief. */
  show(change) {
    Object.assign(this.shown, change);
    this.askStep();
    this.redraw({ base: true });
    this.save();
  }

  look(view) {
    this.settings.view = view?.map((v) => +v.toPrecision(8)) ?? null;
    this.picture.face();
    this.refine();
    this.redraw({ base: true });
    this.save();
  }

  /** The relief under the moving hand; `turning` is false once the hand lets go: it is drawn with all its cells. */
  turnBy(azimuth, elevation, turning) {
    const [a, e] = this.shown.angle;
    this.shown.angle = [(a - azimuth) % (2 * Math.PI), clamp(e + elevation, 0.05, 1.5)];
    this.turning = turning;
    this.redraw({ base: true });
    this.save();
  }

  keep(on) {
    this.kept = on ? this.paths.map((path) => ({ ...path, kept: this.t("kept"), best: [] })) : [];
    this.redraw({ charts: true, table: true });
  }

  /** Paths of another surface are wrong on this one: they go at once. */
  forget() {
    this.edition++;
    [this.paths, this.kept, this.known, this.picture.landscape] = [[], [], null, null];
    this.redraw({ base: true, charts: true, table: true });
  }

  // Questions to Python.

  ask() {
    this.askPaths();
    this.askLandscape(FINE);
  }

  /** What is answered after the surface has changed is of no use. */
  send(kind, payload, answered, options) {
    const { edition } = this;
    const current = (...given) => edition === this.edition && answered(...given);
    this.requests.send(kind, () => ({ settings: this.settings, ...payload() }), current, options);
  }

  askPaths() {
    const have = () => ({ have: this.paths.map((path) => path.hash) });
    this.send("paths", have, (answer, timing) => {
      const penalty = this.penalties[answer.settings.regularisation.kind];
      const before = this.paths; // a request that left before this answer came says that it has these
      this.paths = answer.paths.map((path, i) => {
        const points = answer.arrays[`path${i}`]?.data ?? this.points.get(path.hash);
        const best = Object.keys(path.metrics).filter((key) => answer.best[key]?.includes(i));
        return { ...path, points, best, penalty };
      });
      this.points = new Map([...before, ...this.paths].map((path) => [path.hash, path.points]));
      this.fail("refused", this.paths.find((path) => path.error)?.error ?? "");
      this.fresh = { ...timing, paths: this.paths.length };
      Object.assign(this.dirty, { charts: true, table: true });
      this.draw(); // at once, not at the next frame: that one shows it
      this.askStep();
      this.prepare();
    });
  }

  /** Once a comparison has come to rest Python compiles what it will need when noise is turned on. */
  askPreparation() {
    const { surface, formula, optimizers, regularisation } = this.settings;
    const kinds = optimizers.map((o) => [o.name, o.schedule?.name]);
    const prepared = JSON.stringify([surface, formula, kinds, regularisation.kind]);
    const done = () => (this.prepared = prepared);
    if (this.prepared !== prepared) this.send("prepare", () => ({}), done);
  }

  askLandscape(points) {
    let view;
    const payload = () => {
      view = this.picture.view;
      const { width, height } = this.picture.box;
      const scale = points / Math.max(width, height);
      return { view, width: Math.round(width * scale), height: Math.max(20, Math.round(height * scale)) };
    };
    this.send("landscape", payload, (answer) => {
      this.picture.landscape = new Landscape(answer, view);
      this.redraw({ base: true });
    });
  }

  askStep() {
    const told = (known) => {
      this.known = known;
      this.controls.tell(known);
      this.redraw();
    };
    if (!this.shown.overlays.length || !this.paths.length) return this.known && told(null);
    this.send("step", () => ({ optimizer: this.watched, step: this.playback.step }), told);
  }

  /** The learning rate of each optimizer tuned with equal effort; a second click while it runs stops it. */
  tune() {
    if (this.tuning) return this.tuning.abort();
    this.tuning = new AbortController();
    const onProgress = (share) => {
      this.share = share;
      this.controls.sync();
    };
    const ended = () => onProgress((this.tuning = null));
    const tuned = ({ settings }) => {
      for (const [i, { hyperparameters }] of settings.optimizers.entries())
        Object.assign(this.settings.optimizers[i], { hyperparameters });
      this.shown.tuned = this.race(); // a link keeps it, until something else is set
      this.edited("optimizers");
    };
    onProgress(null);
    this.send("tune", () => ({}), tuned, { signal: this.tuning.signal, onProgress, ended });
  }

  fairness() {
    const { t } = this;
    if (this.preset) return ""; // its text says what was tuned
    return this.shown.tuned === this.race()
      ? t("Rates tuned with equal effort for this surface, start and number of steps.")
      : t(
          "Rates were not tuned for this surface, start and number of steps: the best here may only be the best tuned.",
        );
  }

  fail(kind, sentence, where) {
    this.errors[kind] = sentence;
    const formula = this.controls?.formula;
    formula?.setAttribute("aria-invalid", String(Boolean(sentence) && /^(formula|column)/.test(where)));
    const column = /^column (\d+)/.exec(where)?.[1];
    if (column && formula?.getRootNode().activeElement === formula) formula.setSelectionRange(column - 1, column);
    this.message.textContent = Object.values(this.errors).find(Boolean) ?? "";
    this.message.hidden = !this.message.textContent;
  }
}
