/* MINI off the page's own thread. A worker is made of a Blob, because file:// refuses a worker from a file, and of the source of
   the definitions in 60 and 61. The weights are scripts in _static/mini that are asked for on the first use:

     KM.miniHead({config, tokenizer, bytes, parts, cut})   head.js
     KM.miniPart(index, base64)                            part-00.js, ...: the shipped safetensors file, cut

     KM.mini.possible                        whether such scripts exist here (not inside a notebook's frame)
     KM.mini.wake()                          starts loading; later calls do nothing
     KM.mini.onChange(callback)              state, progress or failure changed
     KM.mini.read(ids, off, have, {begin, token})
         begin(keep): tokens before `keep` are not read again; token(index, trace, logits). `have`: the caller has the traces of so
         many leading tokens and wants no others again (one that ended a reading half-way missed some that the worker knows). */
(function () {
  "use strict";
  const KM = (globalThis.KM = globalThis.KM || {});

  /* ---- inside the worker ---- */

  function define(KM) {
    "use strict";
    KM.serve = function (port) {
      let engine, file, left, config;
      let [latest, known, switches] = [0, [], ""];
      const channel = new MessageChannel();
      /* Lets messages in between two tokens; a timer would wait 4 ms. */
      const turn = () => new Promise((resolve) => { channel.port1.onmessage = resolve; channel.port2.postMessage(0); });

      const answer = {
        head(head) {
          [file, left, config] = [new Uint8Array(head.bytes), head.parts, head.config];
        },

        part({ at, text }) {
          const binary = atob(text);
          for (let i = 0; i < binary.length; i++) file[at + i] = binary.charCodeAt(i);
          left -= 1;
          if (left) return;
          engine = new KM.Engine(config, KM.readSafetensors(file));
          file = null;
          port.postMessage({ type: "ready" });
        },

        async read({ job, ids, off, have }) {
          latest = job;
          let keep = 0;
          if (off.join() === switches) while (keep < Math.min(have, ids.length - 1) && known[keep] === ids[keep]) keep += 1;
          engine.length = known.length = keep;
          switches = off.join();
          port.postMessage({ type: "begin", job, keep });
          const parts = new Set(off);
          for (let index = keep; index < ids.length; index++) {
            const { logits, ...trace } = engine.step(ids[index], parts);
            known.push(ids[index]);
            port.postMessage({ type: "token", job, index, trace, logits });
            await turn();
            if (latest !== job) return;
          }
        },
      };
      port.onmessage = async ({ data }) => {
        try {
          await answer[data.type](data);
        } catch (error) {
          port.postMessage({ type: "failed", message: error.message });
        }
      };
    };
  }

  (KM.forWorker = KM.forWorker || []).push(define);
  if (typeof document === "undefined") { define(KM); return; } // node, in tests

  /* ---- on the page ---- */

  const own = document.currentScript && document.currentScript.src;
  const base = own ? own.replace(/stage\/[^/]*$/, "mini/") : null;
  const listeners = [];
  let [worker, job, ears] = [null, 0, null];

  const mini = (KM.mini = {
    possible: base !== null && typeof Worker !== "undefined",
    state: "asleep", // asleep | loading | ready | failed
    progress: 0,
    failure: "",
    bytes: 0,
    config: null,
    tokenizer: null,

    onChange(callback) { listeners.push(callback); },

    wake() {
      if (mini.state !== "asleep" || !mini.possible) return;
      mini.woken = performance.now();
      change({ state: "loading" });
      try {
        const source = `"use strict";const KM={};${KM.forWorker.map((part) => `(${part})(KM);`).join("\n")}KM.serve(self);`;
        worker = new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
        worker.onerror = (event) => fail(event.message || "the worker did not start");
        worker.onmessage = ({ data }) => hear[data.type](data);
        load("head.js");
      } catch (error) {
        fail(error.message);
      }
    },

    read(ids, off, have, callbacks) {
      ears = callbacks;
      job += 1;
      worker.postMessage({ type: "read", job, ids, off: [...off].sort(), have });
    },
  });

  const hear = {
    ready() { change({ state: "ready", progress: 1 }); },
    begin({ job: about, keep }) { if (about === job) ears.begin(keep); },
    token({ job: about, index, trace, logits }) { if (about === job) ears.token(index, trace, logits); },
    failed({ message }) { fail(message); },
  };

  function change(what) {
    Object.assign(mini, what);
    for (const listener of listeners) listener();
  }

  function fail(why) {
    if (worker) worker.terminate();
    change({ state: "failed", failure: why });
  }

  function load(name) {
    const script = KM.element("script", { src: base + name, onerror: () => fail(`${name} is not there`) });
    script.addEventListener("load", () => script.remove());
    document.head.append(script);
  }

  let cut = 0;
  const part = (index) => `part-${String(index).padStart(2, "0")}.js`;

  KM.miniHead = function (head) {
    [mini.config, mini.bytes, mini.parts, cut] = [head.config, head.bytes, head.parts, head.cut];
    mini.tokenizer = new KM.Tokenizer(head.tokenizer);
    worker.postMessage({ type: "head", config: head.config, bytes: head.bytes, parts: head.parts });
    load(part(0));
  };

  KM.miniPart = function (index, text) {
    worker.postMessage({ type: "part", at: index * cut, text });
    change({ progress: (index + 1) / (mini.parts + 1) });
    if (index + 1 < mini.parts) load(part(index + 1));
  };
})();
