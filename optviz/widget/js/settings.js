// Settings with everything filled in that may be left out, as Python fills them in.
import { copy } from "./tools.js";

const BLANK = { surface: "formula", coefficients: {}, formula: null, start: null, num_steps: 300, noise: 0, seed: 0 };
const LOOKS = { step: null, display: "paths", three_d: false, angle: [0.6, 0.65], overlays: [], optimizer: 0 };

const defaultsOf = (entries = []) => Object.fromEntries(entries.map((p) => [p.name, p.default]));
const named = (entries, name) => entries.find((entry) => entry.name === name);

/** Whole settings from some of them; from the default comparison unless they name a surface or formula. */
export function filled(given, catalogue) {
  const { settings: first, surfaces } = catalogue;
  const other = given.formula || (given.surface && given.surface !== first.surface);
  const base = other ? { ...BLANK, view: null, optimizers: first.optimizers.map((o) => o.name) } : first;
  const settings = { ...copy(base), ...copy(given) };
  const surface = settings.formula === null ? named(surfaces, settings.surface) : null;
  return {
    ...settings,
    coefficients: { ...defaultsOf(surface?.coefficients), ...settings.coefficients },
    start: settings.start ?? surface?.start ?? [-2, 2],
    optimizers: settings.optimizers.map((choice) => chosen(choice, catalogue)),
    regularisation: { kind: "none", strength: 0.1, ratio: 0.5, twins: true, ...settings.regularisation },
    shown: { ...copy(LOOKS), ...settings.shown },
  };
}

/** Whether the catalogue has all that these settings name. */
export function knows({ surfaces, optimizers }, settings) {
  const names = settings.optimizers?.map((choice) => choice.name ?? choice) ?? [];
  const surface = settings.formula || !settings.surface || named(surfaces, settings.surface);
  return Boolean(surface && names.every((name) => named(optimizers, name)));
}

/** One optimizer of the list, given by its name or some of its settings. */
export function chosen(given, catalogue) {
  const choice = typeof given === "string" ? { name: given } : given;
  const defaults = defaultsOf(named(catalogue.optimizers, choice.name)?.hyperparameters);
  const hyperparameters = { ...defaults, ...choice.hyperparameters };
  const schedule = choice.schedule ? scheduled(choice.schedule, catalogue) : null;
  return { on: true, color: null, ...choice, hyperparameters, schedule };
}

/** A schedule, given by its name or some of its settings. */
export function scheduled(given, catalogue) {
  const { name, parameters } = typeof given === "string" ? { name: given } : given;
  return { name, parameters: { ...defaultsOf(named(catalogue.schedules, name)?.parameters), ...parameters } };
}
