// Pages that were opened from disk may not start workers, which the search needs: a frame takes a
// worker's place there.
if (location.protocol === "file:")
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.append(frame);
      const inner = frame.contentWindow;
      // What the worker posts comes here; what is posted to it is kept until it has been read.
      inner.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      const load = (source) =>
        new Promise((done) => {
          const script = inner.document.createElement("script");
          script.src = source;
          script.onload = done;
          inner.document.body.append(script);
        });
      inner.importScripts = (...sources) => Promise.all(sources.map(load));
      this.inner = inner;
      this.ready = load(url);
    }
    postMessage(data) {
      this.ready.then(() => this.inner.dispatchEvent(new MessageEvent("message", { data })));
    }
  };
