// Numbers, colours, nodes and canvases: small functions that every part uses.

export const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
export const copy = (value) => JSON.parse(JSON.stringify(value));
export const spaced = (name) => name.replaceAll("_", " ");

/** JSON with sorted keys: the same text for the same data. */
export const canonical = (value) =>
  JSON.stringify(value, (_, v) => (v?.constructor === Object ? Object.fromEntries(Object.entries(v).sort()) : v));

export function format(value, digits = 4) {
  if (Number.isNaN(value ?? NaN)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  const extreme = size && (size < 1e-3 || size >= 1e5);
  const rounded = +value.toPrecision(extreme ? digits - 1 : digits);
  return (extreme ? rounded.toExponential() : String(rounded)).replace("e+", "e").replaceAll("-", "−");
}

/** A number as a narrow box holds it, and as it may be typed. */
export function brief(value) {
  const size = Math.abs(value);
  const rounded = Number.isInteger(value) ? value : +value.toPrecision(size < 0.01 ? 4 : 6);
  return size && size < 1e-3 ? rounded.toExponential() : String(rounded);
}

/** About `count` round numbers from `low` to `high`. */
export function ticks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((m) => m * power >= rough) ?? 10);
  const [first, last] = [Math.ceil(low / step - 1e-9), Math.floor(high / step + 1e-9)];
  const length = Number.isFinite(step) ? Math.max(0, last - first + 1) : 0;
  return Array.from({ length }, (_, i) => (first + i) * step);
}

/** A short text for what may be long: FNV-1a of 32 bits, http://www.isthe.com/chongo/tech/comp/fnv. */
export const digest = (text) =>
  [...text].reduce((sum, letter) => Math.imul(sum ^ letter.codePointAt(0), 16777619) >>> 0, 2166136261).toString(36);

const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));

/** The colour of a ramp at 0 to 1, as three numbers. */
export function along(ramp, at) {
  const place = clamp(at, 0, 1) * (ramp.length - 1);
  const i = Math.min(Math.floor(place), ramp.length - 2);
  const [from, to] = [rgb(ramp[i]), rgb(ramp[i + 1])];
  return from.map((c, k) => c + (to[k] - c) * (place - i));
}

/** A colour that stands out from the background: on a dark one the darkest are lightened, keeping their hue. */
export function legible(hex, dark) {
  const parts = rgb(hex);
  const light = (0.3 * parts[0] + 0.59 * parts[1] + 0.11 * parts[2]) / 255;
  const share = dark ? clamp(0.62 - light, 0, 0.62) : 0;
  return `rgb(${parts.map((c) => Math.round(c + (255 - c) * share)).join(",")})`;
}

/** A node, as h("p.ov-note", {title}, child, ...). "on..." are listeners. Text is never parsed as HTML. */
export function h(name, attributes = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const node = document.createElement(tag);
  node.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key in node) node[key] = value;
    else node.setAttribute(key, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

/** Build anew what is in `root`: the focus stays at its place among the nodes of the same name. */
export function rebuild(root, build) {
  const focused = root.getRootNode().activeElement;
  const name = (node) => node.className || node.ariaLabel || node.textContent;
  const alike = () => [...root.querySelectorAll(focused.tagName)].filter((node) => name(node) === name(focused));
  const place = root.contains(focused) ? alike().indexOf(focused) : -1;
  build();
  if (place >= 0) (alike()[place] ?? alike().at(-1) ?? root.querySelector("select"))?.focus({ preventScroll: true });
}

/** The action so many milliseconds after the last call. */
export function later(milliseconds, action) {
  let timer;
  const call = () => {
    clearTimeout(timer);
    timer = setTimeout(action, milliseconds);
  };
  call.cancel = () => clearTimeout(timer);
  return call;
}

/** The pen of a canvas that is sized for the screen's pixels and cleared, with one unit a CSS pixel. */
export function cleared(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const [wide, tall] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== wide || canvas.height !== tall) [canvas.width, canvas.height] = [wide, tall];
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.font = "11px system-ui, sans-serif";
  pen.lineJoin = "bevel"; // round looks the same on thin lines, and draws a third fewer pictures a second without a GPU
  return pen;
}

/** Draw a line and leave the pen as it was. */
export function stroke(pen, line, color, width = 1, dash = [], alpha = 1) {
  pen.save();
  Object.assign(pen, { strokeStyle: color, lineWidth: width, globalAlpha: alpha });
  pen.setLineDash(dash);
  pen.stroke(line);
  pen.restore();
}

/** Draw within a box. */
export function clipped(pen, { left, top, width, height }, draw) {
  pen.save();
  pen.beginPath();
  pen.rect(left, top, width, height);
  pen.clip();
  draw();
  pen.restore();
}

export function polyline(points) {
  const line = new Path2D();
  for (const [px, py] of points) line.lineTo(px, py);
  return line;
}

/** Write at a pixel; `align` says which part of the text lies there. */
export function write(pen, text, px, py, align = "left") {
  pen.textAlign = align;
  pen.fillText(text, px, py);
}
