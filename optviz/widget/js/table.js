// The legend, and the table of metrics.
import { format, h, rebuild } from "./tools.js";

/** One row a run, sorted by a click on a heading. The best of a column is marked; a tie is a tie. */
export class Table {
  constructor(app) {
    const { t } = app;
    this.metrics = {
      final_loss: t("final loss"),
      best_loss: t("best loss"),
      steps_to_tolerance: t("steps to tolerance"),
      distance: t("distance to minimum"),
      mean_gradient_norm: t("mean gradient norm"),
    };
    const within = t(
      "steps until the loss first lies within {tolerance} of the minimum; –: never, or no minimum is known",
      app.catalogue.limits,
    );
    this.meanings = {
      final_loss: t("the loss at the last step"),
      best_loss: t("the lowest loss at any step"),
      steps_to_tolerance: within,
      distance: t("from the end to the nearest known minimum"),
      mean_gradient_norm: t("the length of the gradient, averaged over the steps"),
      status: t("how the run ended"),
    };
    this.headings = { label: t("optimizer"), ...this.metrics, status: t("status") };
    Object.assign(this, { app, by: null, up: true, node: h("div.ov-table"), legend: h("div.ov-legend") });
  }

  sort(key) {
    [this.up, this.by] = [this.by === key ? !this.up : true, key];
    this.draw();
  }

  draw() {
    const value = (run) => ({ label: run.title, status: run.status })[this.by] ?? run.metrics[this.by] ?? Infinity;
    const sign = this.up ? 1 : -1;
    const runs = [...this.app.runs];
    if (this.by) runs.sort((a, b) => sign * (value(a) < value(b) ? -1 : 1));
    const heads = Object.entries(this.headings).map(([key, title]) => this.heading(key, title));
    const table = [h("thead", {}, h("tr", {}, heads)), h("tbody", {}, runs.map((run) => this.row(run)))]; // prettier-ignore
    const note = h("p.ov-note", {}, this.app.fairness());
    rebuild(this.node, () => this.node.replaceChildren(h("table", {}, table), note));
    this.drawLegend();
  }

  heading(key, title) {
    const sorted = this.by === key;
    const ariaSort = !sorted ? "none" : this.up ? "ascending" : "descending";
    const arrow = !sorted ? "" : this.up ? " ↑" : " ↓";
    const named = { ariaLabel: title, title: this.meanings[key] ?? "" };
    return h("th", { scope: "col", ariaSort }, h("button", { ...named, onclick: () => this.sort(key) }, title, arrow));
  }

  row(run) {
    const best = (key) => this.app.runs.length > 1 && run.best.includes(key);
    const cells = Object.keys(this.metrics).map((key) =>
      h(best(key) ? "td.ov-best" : "td", {}, format(run.metrics[key])),
    );
    const swatch = h("span.ov-swatch", { style: `background: ${run.ink}` });
    const name = h("th", { scope: "row" }, swatch, run.title);
    return h("tr", {}, name, cells, h("td.ov-status", {}, this.app.fates[run.status]));
  }

  drawLegend() {
    const entry = ({ kept, twin, ink, title, status }) => {
      const style = `border-top: 2px ${kept ? "dotted" : twin ? "dashed" : "solid"} ${ink}`;
      return h(
        "span",
        {},
        h("span.ov-line", { style }),
        title,
        status === "diverged" ? ` (${this.app.fates.diverged})` : "",
      );
    };
    this.legend.replaceChildren(...this.app.runs.map(entry));
  }
}
