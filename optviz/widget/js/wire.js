// The wire: answers as binary messages, requests one after another, and the two ways to reach Python.

/** An answer: the keys of its header, and `arrays` {name: {data: Float32Array, shape}}. */
export function decode(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const arrays = {};
  for (const [name, { offset, shape }] of Object.entries(header.arrays ?? {})) {
    const size = shape.reduce((a, b) => a * b, 1);
    arrays[name] = { data: new Float32Array(buffer, 4 + length + 4 * offset, size), shape };
  }
  return { ...header, arrays };
}

/** At most `transport.atOnce` requests of a kind are in flight; the newest that waits replaces older ones. */
export class Requests {
  constructor(transport, { failed, working }) {
    Object.assign(this, { transport, failed, working, waiting: {}, busy: {} });
  }

  /** `payload` is called when the request leaves, not before: it tells the newest state. */
  send(kind, payload, answered, options = {}) {
    this.waiting[kind] = { payload, answered, options };
    if ((this.busy[kind] ?? 0) < (this.transport.atOnce ?? 1)) this.next(kind);
  }

  async next(kind) {
    const job = this.waiting[kind];
    delete this.waiting[kind];
    if (job) this.busy[kind] = (this.busy[kind] ?? 0) + 1;
    // Nobody waits for preparations.
    this.working(Object.entries(this.busy).some(([name, busy]) => busy && name !== "prepare"));
    if (!job) return;
    const { payload, answered, options } = job;
    const sent = performance.now();
    try {
      const buffer = await this.transport.request({ kind, ...payload() }, options);
      const answer = decode(buffer);
      this.failed(kind, (!options.signal?.aborted && answer.error) || "", answer.where);
      if (!answer.error) answered(answer, { sent, received: performance.now(), bytes: buffer.byteLength });
    } catch (error) {
      this.failed(kind, options.signal?.aborted ? "" : error.message);
    }
    options.ended?.();
    this.busy[kind]--;
    this.next(kind);
  }
}

/** A transport over HTTP: POST of JSON, answered by one binary body. */
export function overHttp(url, settings = null, headers = {}) {
  return {
    settings,
    async request(payload, { signal } = {}) {
      const init = { method: "POST", headers: { "Content-Type": "application/json", ...headers }, signal };
      const response = await fetch(url, { ...init, body: JSON.stringify(payload) });
      if (/json/.test(response.headers.get("Content-Type"))) {
        const { error, detail } = await response.json();
        throw new Error(error ?? JSON.stringify(detail) ?? response.statusText);
      }
      return response.arrayBuffer();
    },
  };
}

/** A transport over the messages of a notebook widget: each has an id, and the answer is one buffer. */
export function overModel(model) {
  const pending = new Map();
  const answered = (message, buffers) => {
    const { resolve, onProgress } = pending.get(message.id) ?? {};
    if (message.progress !== undefined) return onProgress?.(message.progress);
    const [bytes] = buffers;
    // A view may begin anywhere in a larger buffer; numbers of four bytes must begin at a multiple of four.
    const view = ArrayBuffer.isView(bytes);
    resolve?.(view ? bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) : bytes);
    pending.delete(message.id);
  };
  model.on("msg:custom", answered);
  return {
    settings: model.get("settings"),
    // Jupyter's server holds an answer back until the browser has sent something or 40 ms have passed (Nagle's
    // algorithm and delayed acknowledgement): the next request is what it waits for.
    atOnce: 2,
    request: (payload, { signal, onProgress } = {}) =>
      new Promise((resolve) => {
        const id = crypto.getRandomValues(new Uint32Array(2)).join("-"); // views of one widget hear each other's answers
        pending.set(id, { resolve, onProgress });
        signal?.addEventListener("abort", () => model.send({ stop: id }));
        model.send({ id, payload });
      }),
    onSettings: (callback) => model.on("change:settings", () => callback(model.get("settings"))),
    saveSettings: (settings) => {
      model.set("settings", settings);
      model.save_changes();
    },
    close: () => model.off("msg:custom", answered),
  };
}
