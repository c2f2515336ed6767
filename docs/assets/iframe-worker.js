// Read from a folder (file:), where browsers start no workers: a hidden frame takes the place of the one that searches.
// Zensical would fetch such a shim from elsewhere; these pages are to need no network.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    #frame = document.createElement("iframe");
    #ready;

    constructor(url) {
      super();
      this.onmessage = null;
      this.addEventListener("message", (event) => this.onmessage?.(event));
      this.#frame.hidden = true;
      this.#frame.fromWorker = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      this.#ready = new Promise((loaded) => this.#frame.addEventListener("load", loaded, { once: true }));
      const script = new URL(url, location.href).href.replaceAll("&", "&amp;").replaceAll('"', "&quot;");
      this.#frame.srcdoc =
        `<script>self.postMessage = (data) => frameElement.fromWorker(data)</script><script src="${script}"></script>`;
      document.body.append(this.#frame);
    }

    postMessage(data) {
      this.#ready.then(() => this.#frame.contentWindow.dispatchEvent(new MessageEvent("message", { data })));
    }

    terminate() {
      this.#frame.remove();
    }
  };
}
