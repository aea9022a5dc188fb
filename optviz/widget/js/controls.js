// Everything beside the picture.
import { Fields, set } from "./fields.js";
import { chosen, scheduled } from "./settings.js";
import { brief, format, h, rebuild, spaced } from "./tools.js";

/** Each control reads and writes the settings, so that all agree whoever changes them. */
export class Controls extends Fields {
  constructor(app) {
    super();
    const { t } = app;
    Object.assign(this, { app, t, open: new WeakSet(), node: h("div.ov-controls") });
    this.overlays = {
      gradient: t("gradient"),
      momentum: t("momentum"),
      update: t("next update"),
      newton: t("Newton step"),
      model: t("quadratic model"),
      state: t("state in numbers"),
    };
  }

  build() {
    this.syncs = [];
    const parts = [this.surface(), this.optimizers(), this.regularisation(), this.atStep(), this.baseline()];
    rebuild(this.node, () => this.node.replaceChildren(this.presets(), ...parts));
    this.sync();
  }

  /** A number that was typed lies outside: say so, until the next edit. */
  outside(name, bounds) {
    const [low, high] = bounds.map(brief);
    this.app.fail("typed", this.t("{name} goes from {low} to {high}.", { name, low, high }));
  }

  /** How the setting at a path such as "optimizers.0.on" is read and written. */
  at(path) {
    const keys = path.split(".");
    const last = keys.pop();
    const owner = () => keys.reduce((part, key) => part[key], this.app.settings);
    const write = (value) => {
      owner()[last] = value;
      this.app.edited(path);
    };
    return [() => owner()[last], write];
  }

  presets() {
    const { app, t } = this;
    const { presets } = app.catalogue;
    const text = h("p.ov-note");
    this.syncs.push(() => set(text, "textContent", presets.find((p) => p.name === app.preset)?.text ?? ""));
    const options = [["", t("choose…")], ...presets.map((p) => [p.name, p.title])];
    const choose = (name) => name && app.choosePreset(presets.find((p) => p.name === name));
    return this.section(t("Show me"), this.select(t("Show me"), options, () => app.preset, choose), text); // prettier-ignore
  }

  surface() {
    const { app, t } = this;
    const { surfaces, limits } = app.catalogue;
    const own = app.settings.formula !== null;
    const options = [...surfaces.map((s) => [s.name, s.title]), ["formula", t("Your own formula…")]];
    const now = () => (own ? "formula" : app.settings.surface);
    const coefficients = app.surface?.coefficients ?? [];
    const steps = { label: t("steps"), meaning: t("how often each optimizer steps"), scale: "log", integer: true };
    const noise = { label: t("noise"), low: 0.001, high: 100, scale: "log", zero: true, bounds: [0, 1e6] };
    const axes = [0, 1].map((i) => this.box({ label: t("start") + ` x${i + 1}` }, ...this.at(`start.${i}`)));
    const seed = { label: t("seed"), integer: true, bounds: limits.seed };
    const [low, high] = limits.num_steps;
    const [seeded, write] = this.at("seed");
    const next = this.button(t("next seed"), () => this.wrote(write, seeded() + 1));
    noise.meaning = t("standard deviation added to each entry of the gradient");
    return this.section(
      t("Surface"),
      this.select(t("Surface"), options, now, (name) => app.setSurface(name)),
      (this.formula = own ? this.typed() : null),
      ...coefficients.map((c) => this.hyperparameter(c, `coefficients.${c.name}`)),
      this.row(t("start"), ...axes),
      this.number({ ...steps, low, high }, ...this.at("num_steps")),
      this.number(noise, ...this.at("noise")),
      this.row(t("seed"), this.box(seed, ...this.at("seed")), next),
    );
  }

  /** The formula of one's own. */
  typed() {
    const { app, t } = this;
    const onchange = () => app.change({ formula: node.value });
    const value = app.settings.formula;
    const node = h("input", { type: "text", spellcheck: false, ariaLabel: t("Formula in x and y"), value, onchange });
    return node;
  }

  optimizers() {
    const { app, t } = this;
    const names = app.catalogue.optimizers.map((o) => [o.name, o.name]);
    const add = (name) => name && app.setOptimizers([...app.settings.optimizers, chosen(name, app.catalogue)]);
    const options = [["", t("add an optimizer…")], ...names];
    const title = t("Sweeps the learning rate of each optimizer, all with equal effort");
    const tune = this.button("", () => app.tune(), title);
    const progress = h("progress", { max: 1 });
    this.syncs.push(() => {
      set(tune, "textContent", app.tuning ? t("Stop tuning") : t("Tune all"));
      set(progress, "hidden", !app.tuning);
      if (app.share) progress.value = app.share;
      else progress.removeAttribute("value");
    });
    const cards = app.settings.optimizers.map((choice, i) => this.card(choice, i));
    const list = this.select(t("Add an optimizer"), options, () => "", add);
    return this.section(t("Optimizers"), ...cards, this.row("", list, tune), progress);
  }

  card(choice, i) {
    const { app, t } = this;
    const {
      name,
      summary,
      color: usual,
      hyperparameters,
    } = app.catalogue.optimizers.find((o) => o.name === choice.name) ?? {
      name: choice.name,
      hyperparameters: [],
    };
    const [first, ...others] = hyperparameters.map((p) =>
      this.hyperparameter(p, `optimizers.${i}.hyperparameters.${p.name}`),
    );
    if (hyperparameters.some((p) => p.name.endsWith("learning_rate"))) others.push(...this.schedule(choice, i));
    const paint = () => this.at(`optimizers.${i}.color`)[1](color.value);
    const color = h("input", { type: "color", ariaLabel: t("color") + " " + name, onchange: paint });
    const path = () => app.paths.find((p) => p.optimizer === i);
    this.syncs.push(() => set(color, "value", choice.color ?? path()?.color ?? usual));
    const away = () => app.setOptimizers(app.settings.optimizers.filter((_, k) => k !== i));
    const remove = h("button.ov-remove", { ariaLabel: t("remove") + " " + name, onclick: away }, "×");
    const ontoggle = () => this.open[details.open ? "add" : "delete"](choice);
    const details = h("details", { open: this.open.has(choice), ontoggle }, h("summary", {}, t("more")), ...others);
    const head = h("div.ov-head", {}, color, this.check(name, ...this.at(`optimizers.${i}.on`)), remove);
    return h("div.ov-card", { title: summary }, head, first, others.length ? details : null);
  }

  /** A number or a choice of the catalogue. */
  hyperparameter(p, path) {
    const label = this.t(spaced(p.name));
    const ways = this.at(path);
    if (typeof p.default === "boolean") return this.check(label, ...ways, p.meaning);
    if (p.scale === "choice") {
      const options = p.choices.map((choice) => [choice, String(choice)]);
      return this.row(label, this.select(label, options, ...ways, p.meaning));
    }
    const bounds = [Math.min(p.low, p.default ?? p.low), Math.max(p.high, p.default ?? p.high)];
    return this.number({ ...p, label, bounds, optional: p.default === null }, ...ways);
  }

  schedule({ schedule }, i) {
    const { app, t } = this;
    const { schedules } = app.catalogue;
    const options = [["", t("constant")], ...schedules.map((s) => [s.name, t(spaced(s.name))])];
    const path = `optimizers.${i}.schedule`;
    const [read, write] = this.at(path);
    const choose = (name) => write(name ? scheduled(name, app.catalogue) : null);
    const { parameters } = schedules.find((s) => s.name === schedule?.name) ?? { parameters: [] };
    return [
      this.row(t("schedule"), this.select(t("schedule"), options, () => read()?.name ?? "", choose)), // prettier-ignore
      ...parameters.map((p) => this.hyperparameter(p, `${path}.parameters.${p.name}`)),
    ];
  }

  regularisation() {
    const { app, t } = this;
    const { kind } = app.settings.regularisation;
    const at = (name) => this.at(`regularisation.${name}`);
    const strength = { label: t("strength"), low: 0.001, high: 100, scale: "log", zero: true, bounds: [0, 1000] };
    const ratio = { label: t("share of L1"), low: 0, high: 1 };
    const twins = t("with and without, side by side (dashed: with)");
    return this.section(
      t("Regularisation"),
      this.select(t("Regularisation"), Object.entries(app.penalties), ...at("kind")),
      kind === "none" ? null : this.number(strength, ...at("strength")),
      kind === "elastic" ? this.number(ratio, ...at("ratio")) : null,
      kind === "none" ? null : this.check(twins, ...at("twins")),
    );
  }

  atStep() {
    const { app, t } = this;
    const marks = Object.entries(this.overlays).map(([name, title]) => {
      const has = () => app.shown.overlays.includes(name);
      const after = () => Object.keys(this.overlays).filter((o) => (o === name) !== app.shown.overlays.includes(o));
      const toggle = () => app.show({ overlays: after() });
      const box = this.check(title, has, toggle);
      box.style.setProperty("--mark", `var(--ov-${name}, transparent)`);
      return box;
    });
    const twice = (name) => app.settings.optimizers.filter((o) => o.name === name).length > 1;
    const names = app.settings.optimizers.map(({ name }, i) => [i, twice(name) ? `${name} #${i + 1}` : name]);
    const watch = (optimizer) => app.show({ optimizer });
    this.facts = h("dl.ov-facts");
    const which = this.select(t("optimizer"), names, () => app.watched, watch);
    return this.section(t("At this step"), which, h("div.ov-checks", {}, marks), this.facts);
  }

  /** What Python knows of the step that is looked at, in numbers; null: nothing is asked for. */
  tell(known) {
    const { t, app } = this;
    const text = (value) => (typeof value === "number" ? format(value) : String(value ?? "–"));
    const { loss, gradient, update, eigenvalues, hyperparameters = {}, state = [] } = known ?? {};
    const always = [[t("loss"), loss], [t("gradient"), gradient], [t("next update"), update], [t("curvatures"), eigenvalues]]; // prettier-ignore
    const all = app.shown.overlays.includes("state")
      ? [...always, ...Object.entries(hyperparameters), ...state]
      : always;
    const rows = known ? all : [];
    this.facts.replaceChildren(
      ...rows.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, [value].flat().map(text).join(", "))]),
    );
  }

  baseline() {
    const { app, t } = this;
    const title = t("The present paths stay, dotted, while you change things");
    const keep = this.button(t("Keep these paths"), () => app.keep(true), title);
    const forget = this.button(t("Forget them"), () => app.keep(false));
    return this.section(t("Compare with an earlier run"), h("div.ov-row", {}, keep, forget));
  }
}
