/* A text under way: its tokens, what the model did with each, and which parts are off. Where the model sleeps or cannot run, the
   same is told by a recording:

     new KM.Session(recordings, key, changed)    recordings[key] = {name, asked, ids, traces: [{id, piece, maxima, chosen, top}]}
     session.ids, .traces (what is known so far), .at (the token looked at), .off, .writing, .live
   `changed()` is called whenever there is something new to draw. */
(function () {
  "use strict";
  const KM = (globalThis.KM = globalThis.KM || {});
  const LONGEST = 400; // tokens of a text; more would be slow to look at, not to read
  const BURST = 60; // tokens that one press writes

  KM.Session = class {
    constructor(recordings, key, changed) {
      Object.assign(this, { recordings, changed, off: new Set(), writing: false, live: false, busy: false, draw: KM.random(1), clock: null });
      KM.mini.onChange(() => this.wakes());
      this.begin(key);
    }

    /* Start again with one of the recorded beginnings. */
    begin(key) {
      Object.assign(this, { key, writing: false, pending: undefined });
      const { ids, asked } = this.recordings[key];
      if (KM.mini.state === "ready") this.read(ids.slice(0, asked));
      else this.replay(asked);
    }

    /* All parts on again, and the first beginning. */
    reset() {
      this.off.clear();
      this.begin(Object.keys(this.recordings)[0]);
    }

    /* The first `count` tokens of the recording. */
    replay(count) {
      const { ids, traces } = this.recordings[this.key];
      Object.assign(this, { ids: ids.slice(0, count), traces: traces.slice(0, count), at: null, live: false, busy: false });
      this.changed();
    }

    get possible() { return KM.mini.possible && KM.mini.state !== "failed"; }
    get end() { return this.recordings[this.key].ids.length; }
    get full() { return this.ids.length >= LONGEST; }
    get index() { return this.at === null ? this.traces.length - 1 : Math.min(this.at, this.traces.length - 1); }

    /* What the reader typed; the first key wakes the model. */
    type(text) {
      this.writing = false;
      this.pending = text;
      KM.mini.wake();
      if (KM.mini.state === "ready") this.wakes();
    }

    toggle(part) {
      if (!this.possible) return;
      if (!this.off.delete(part)) this.off.add(part);
      KM.mini.wake();
      if (KM.mini.state === "ready") this.read(this.ids);
      else this.changed();
    }

    wakes() {
      if (KM.mini.state === "failed") {
        this.off.clear();
        this.writing = false;
        this.replay(this.recordings[this.key].asked);
      } else if (KM.mini.state === "ready" && (this.pending !== undefined || !this.live)) {
        const { tokenizer } = KM.mini;
        const ids = this.pending === undefined ? this.ids : [tokenizer.bos, ...tokenizer.encode(this.pending)];
        this.pending = undefined;
        this.read(ids.slice(0, LONGEST));
      } else this.changed();
    }

    read(ids) {
      Object.assign(this, { ids, live: true, busy: true, at: null });
      let first = null;
      const off = [...this.off].sort().join();
      const same = (trace, index) => trace.logits && trace.id === ids[index] && trace.off === off;
      const have = this.traces.findIndex((trace, index) => !same(trace, index));
      KM.mini.read(ids, this.off, have < 0 ? this.traces.length : have, {
        begin: (keep) => { [first, this.clock] = [keep, this.writing ? this.clock : performance.now()]; },
        token: (index, trace, logits) => {
          this.traces = [...this.traces.slice(0, index), { ...trace, off, id: ids[index], piece: KM.mini.tokenizer.decode([ids[index]]), logits }];
          if (this.firstAnswer === undefined) this.firstAnswer = performance.now() - KM.mini.woken;
          if (index + 1 === ids.length) this.done(this.writing ? this.written : index + 1 - first);
          this.changed();
        },
      });
    }

    /* All that was asked is read; when writing, the next token follows. */
    done(count) {
      this.busy = false;
      if (count > 4) this.speed = (1000 * count) / (performance.now() - this.clock);
      if (this.writing) this.write();
    }

    /* The chances of every token after the one looked at; a recording keeps the five likeliest, at temperature 1. At temperature 0
       the likeliest is taken, and the chances are those at 1: only there can the runners-up be told apart. */
    next(count, temperature) {
      const { top, logits } = this.traces[this.index];
      if (!logits) return top.slice(0, count).map(([id, piece, share]) => ({ id, piece, share }));
      const shares = KM.probabilities(logits, Number(temperature) || 1);
      return KM.likeliest(shares, count).map((id) => ({ id, piece: KM.mini.tokenizer.decode([id]), share: shares[id] }));
    }

    /* Write on, or stop. */
    press(temperature) {
      if (this.writing) { this.writing = false; this.changed(); return; }
      if (!this.possible) { this.replay(Math.min(this.end, this.ids.length + 1)); return; }
      Object.assign(this, { writing: true, written: 0, clock: performance.now(), temperature });
      KM.mini.wake();
      if (KM.mini.state === "ready" && this.live && !this.busy) this.write();
      else this.changed();
    }

    write() {
      const { logits } = this.traces[this.traces.length - 1];
      if (this.written === 0) this.clock = performance.now();
      const token = KM.pick(KM.probabilities(logits, this.temperature), this.draw());
      this.written += 1;
      if (token === KM.mini.tokenizer.eos || this.written > BURST || this.full) this.writing = false;
      else this.read([...this.ids, token]);
    }

    /* The reader takes one of the likely tokens. */
    take(id) {
      this.writing = false;
      if (this.full) return;
      if (this.live) this.read([...this.ids.slice(0, this.index + 1), id]);
      else if (this.possible) { this.ids = [...this.ids.slice(0, this.index + 1), id]; KM.mini.wake(); this.changed(); }
    }

    look(index) {
      this.at = index;
      this.changed();
    }

    get text() {
      if (this.pending !== undefined) return this.pending;
      if (this.live) return KM.mini.tokenizer.decode(this.ids.slice(1));
      return this.traces.slice(1).map(({ piece }) => piece).join("");
    }
  };
})();
