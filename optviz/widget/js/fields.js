// Inputs that show what they read.
import { brief, clamp, h } from "./tools.js";

const ENDS = 1000; // positions of a slider

/** Writing what is there already would cost the browser a new layout. */
export function set(node, key, value) {
  if (node[key] !== value) node[key] = value;
}

/** Each field takes `read()`, what it shows, and `write(value)`, called when the hand changes it. */
export class Fields {
  syncs = [];

  /** Show again what is read, whoever changed it. */
  sync() {
    for (const sync of this.syncs) sync();
  }

  wrote(write, value) {
    write(value);
    this.sync();
  }

  /** A slider and a number box for one number. The slider's left end is 0 if `zero`. */
  number(range, read, write) {
    const { label, meaning = "", low, high, scale, integer, zero, bounds = [low, high] } = range;
    const log = scale === "log";
    const [from, to] = log ? [Math.log(low), Math.log(high)] : [low, high];
    const place = (value) => {
      if (value === null || (zero && value <= 0)) return 0;
      return Math.round(clamp((ENDS * ((log ? Math.log(value) : value) - from)) / (to - from), zero ? 1 : 0, ENDS));
    };
    const value = (position) => {
      if (zero && position === 0) return 0;
      const exact = from + (position / ENDS) * (to - from);
      const number = clamp(log ? Math.exp(exact) : exact, low, high);
      return integer ? Math.round(number) : +number.toPrecision(log ? 3 : 4);
    };
    const oninput = () => this.wrote(write, value(+slider.value));
    const slider = h("input", { type: "range", max: ENDS, title: meaning, ariaLabel: label, oninput });
    this.syncs.push(() => set(slider, "value", String(place(read()))));
    const box = this.box({ ...range, bounds }, read, write);
    return h("div.ov-number", {}, h("label", { title: meaning }, label), slider, box);
  }

  /** A box to type a number into: kept within `bounds`, whole if `integer`; empty it means null if `optional`. */
  box({ label, meaning = "", bounds = [-Infinity, Infinity], integer, optional }, read, write) {
    const onchange = () => {
      const typed = integer ? Math.round(+node.value) : +node.value;
      const number = clamp(typed, ...bounds);
      if (node.value !== "" && Number.isFinite(number)) write(number);
      else if (node.value === "" && optional) write(null);
      if (number !== typed) this.outside(label, bounds);
      show();
      this.sync();
    };
    const node = h("input", { type: "number", step: "any", title: meaning, ariaLabel: label, onchange });
    const show = () => set(node, "value", read() === null ? "" : brief(+read()));
    this.syncs.push(() => document.activeElement === node || show()); // what is being typed stays
    return node;
  }

  /** A list of [value, text]. */
  select(label, options, read, write, title = "") {
    const onchange = () => this.wrote(write, options[node.selectedIndex][0]);
    const nodes = options.map(([value, text]) => h("option", { value }, text));
    const node = h("select", { ariaLabel: label, title, onchange }, nodes);
    this.syncs.push(() =>
      set(
        node,
        "selectedIndex",
        options.findIndex(([value]) => value === read()),
      ),
    );
    return node;
  }

  check(label, read, write, title = "") {
    const box = h("input", { type: "checkbox", onchange: () => this.wrote(write, box.checked) });
    this.syncs.push(() => set(box, "checked", read()));
    return h("label.ov-check", { title }, box, label);
  }

  button(text, onclick, title = "") {
    return h("button", { onclick, title }, text);
  }

  row(label, ...nodes) {
    return h("div.ov-row", {}, h("label", {}, label), ...nodes);
  }

  section(title, ...children) {
    return h("section", {}, h("h3", {}, title), ...children);
  }
}
