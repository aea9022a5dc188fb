// A place for one file: drop it or choose it; it is sent as it is, and the share that has gone is shown.

export default {
  template: `
    <div class="file-drop" :class="{ over }" @dragover.prevent="over = true" @dragleave="over = false"
      @drop.prevent="drop">
      <label class="button"><span>{{ texts.choose }}</span>
        <input type="file" :accept="accept" @change="choose"></label>
      <span class="tags">{{ texts.drop }}</span>
      <progress v-if="share !== null" max="1" :value="share" :aria-label="texts.sending"></progress>
      <button v-if="share !== null" type="button" class="button" @click="stop">{{ texts.stop }}</button>
      <p class="error" role="alert" v-if="sentence">{{ sentence }}</p>
    </div>`,
  props: { url: String, accept: String, limit: Number, texts: Object },
  data: () => ({ over: false, share: null, sentence: "" }),
  mounted() {
    // A file that misses the place must not replace the page.
    this.guard = (event) => event.dataTransfer?.types?.includes("Files") && event.preventDefault();
    for (const name of ["dragover", "drop"]) window.addEventListener(name, this.guard);
  },
  unmounted() {
    for (const name of ["dragover", "drop"]) window.removeEventListener(name, this.guard);
    this.stop();
  },
  methods: {
    choose({ target }) {
      this.send(target.files[0]);
      target.value = "";
    },
    drop({ dataTransfer }) {
      this.over = false;
      this.send(dataTransfer.files[0]);
    },
    stop() {
      this.request?.abort();
    },
    empty() {
      this.stop();
      this.sentence = "";
    },
    send(file) {
      if (!file) return;
      this.stop();
      this.$emit("begun");
      this.sentence = file.size > this.limit ? this.texts.long : "";
      if (this.sentence) return;
      const request = new XMLHttpRequest();
      this.request = request;
      this.share = 0;
      request.upload.onprogress = ({ loaded, total }) => (this.share = total ? loaded / total : 0);
      request.onload = () => this.answered(request);
      request.onerror = () => this.end(request, this.texts.broken);
      request.onabort = () => {
        this.end(request, "");
        this.$emit("stopped");
      };
      request.open("POST", this.url);
      request.setRequestHeader("Content-Type", "application/octet-stream");
      request.setRequestHeader("X-File-Name", encodeURIComponent(file.name).slice(0, 1000));
      request.send(file);
    },
    answered(request) {
      let answer = {};
      try {
        answer = JSON.parse(request.responseText);
      } catch {
        answer = { error: request.responseText.slice(0, 300) };
      }
      this.end(request, request.status === 200 ? "" : answer.error || this.texts.broken);
      if (request.status === 200) this.$emit("arrived", answer);
    },
    end(request, sentence) {
      if (request !== this.request) return;
      [this.request, this.share, this.sentence] = [null, null, sentence];
    },
  },
};
