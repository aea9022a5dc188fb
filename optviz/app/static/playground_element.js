// The playground in a page: the module that draws it, the address bar that keeps its settings, and files of its run.
import { decode, mount, overHttp } from "/static/playground.js";

const FORMATS = ["png", "svg", "gif", "csv", "json", "zip", "py"];
const post = (url, data, signal) =>
  fetch(url, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(data), signal });

/** The address that shows these settings. JSON's own signs are left readable. */
function address(settings, path) {
  const text = encodeURIComponent(JSON.stringify(settings)).replace(/%(7B|7D|3A|2C|5B|5D)/gi, decodeURIComponent);
  return `${path}?settings=${text}`;
}

/** The last message of a stream of messages, each after its length; those before it tell the share done. */
async function followed(response, onProgress) {
  let rest = new Uint8Array();
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) throw new Error("The server ended the answer early.");
    const bytes = new Uint8Array(rest.length + value.length);
    bytes.set(rest);
    bytes.set(value, rest.length);
    rest = bytes;
    while (rest.length >= 4 && rest.length >= 4 + new DataView(rest.buffer, rest.byteOffset).getUint32(0, true)) {
      const end = 4 + new DataView(rest.buffer, rest.byteOffset).getUint32(0, true);
      const message = rest.slice(4, end).buffer;
      rest = rest.slice(end);
      const { progress } = decode(message);
      if (progress === undefined) return message;
      onProgress?.(progress);
    }
  }
}

export default {
  template: `
    <div>
      <p class="error" role="alert" v-if="sentence">{{ sentence }}</p>
      <div ref="root"></div>
      <section class="keep" v-if="files" :aria-label="texts.keep">
        <span class="tags">{{ texts.keep }}</span>
        <button type="button" class="button" @click="copy">{{ copied ? texts.copied : texts.copy }}</button>
        <button v-for="format in formats" type="button" class="button" :disabled="busy === format" :data-format="format"
          @click="download(format)">{{ busy === format ? "…" : format === "py" ? "Python" : format.toUpperCase() }}</button>
        <label class="button">{{ texts.open }}<input type="file" accept=".json,application/json" @change="open"></label>
      </section>
    </div>`,
  props: { settings: Object, texts: Object, language: String, files: Boolean, problem: String },
  data: () => ({ sentence: "", busy: "", copied: false, formats: FORMATS }),
  watch: {
    problem(value) {
      this.sentence = value;
    },
  },
  mounted() {
    this.sentence = this.problem ?? "";
    this.current = this.settings;
    const http = overHttp("/api/answer");
    const transport = {
      settings: this.settings,
      request: (payload, options) =>
        payload.kind === "tune" ? this.tune(payload, options) : http.request({ language: this.language, ...payload }, options),
      onSettings: (callback) => (this.apply = callback),
      saveSettings: (settings) => this.save(settings),
    };
    this.view = mount(this.$refs.root, transport, { language: this.language });
  },
  unmounted() {
    clearTimeout(this.timer);
    this.view?.destroy?.();
  },
  methods: {
    async tune(payload, { signal, onProgress } = {}) {
      const response = await post("/api/answer", payload, signal);
      if (!response.ok) throw new Error((await response.json()).error);
      return followed(response, onProgress);
    },
    save(settings) {
      this.current = settings;
      this.sentence = "";
      // Browsers allow about a hundred changes of the address in half a minute.
      clearTimeout(this.timer);
      this.timer = setTimeout(() => history.replaceState(history.state, "", address(settings, location.pathname)), 300);
    },
    async copy() {
      const link = new URL(address(this.current ?? {}, "/"), location.href).href;
      try {
        await navigator.clipboard.writeText(link);
        this.copied = true;
        setTimeout(() => (this.copied = false), 2000);
      } catch {
        window.prompt(this.texts.copy, link); // a page that is not on localhost or HTTPS has no clipboard
      }
    },
    async download(format) {
      this.busy = format;
      this.sentence = "";
      try {
        const response = await post("/api/export", { settings: this.current ?? {}, format });
        if (!response.ok) throw new Error((await response.json()).error);
        const name = /filename="([^"]*)"/.exec(response.headers.get("Content-Disposition"))[1];
        const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(await response.blob()), download: name });
        link.click();
        setTimeout(() => URL.revokeObjectURL(link.href), 60000);
      } catch (error) {
        this.sentence = error.message;
      }
      this.busy = "";
    },
    async open({ target }) {
      const [file] = target.files;
      if (!file) return;
      try {
        // Only the content leaves the browser, never the name.
        const answer = await (await post("/api/import", { text: await file.text() })).json();
        if (answer.error) throw new Error(answer.error);
        this.apply(answer.settings);
        this.save(answer.settings);
      } catch (error) {
        this.sentence = error.message;
      }
      target.value = "";
    },
  },
};
