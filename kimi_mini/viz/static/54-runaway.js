/* The runaway heads: one line per head, its largest logit over the updates of a recorded run; tau, loss and four bricks with it.
   Sliders snap to recorded settings; nothing between two recorded runs is drawn. */
(function () {
  "use strict";
  const KM = (globalThis.KM = globalThis.KM || {});
  const { number } = KM.format;
  const NAMES = { muon: "Muon", adamw: "AdamW" };
  const TOP = 22;
  const HIGH = 250; // of the chart of logits
  const LOSS = 96; // of the chart of losses
  const GAP = 44;
  const DECADES = [1, 10, 100, 1000, 10000, 100000];
  const LOSSES = [2, 8]; // nats; 7.6 is a uniform guess over 2,048 tokens
  const COVERED = 40; // updates shown before the guess

  const free = (tau) => tau === "inf";
  const short = (value) => (value >= 100 ? number(value) : value >= 10 ? number(value, 1) : number(value, 2));

  function factor(value) {
    if (value > 0.9995) return "1";
    if (value >= 0.001) return number(value, value < 0.1 ? 3 : 2);
    if (value === 0) return "under 10\u207B\u2074\u2075";
    const power = Math.floor(Math.log10(value));
    const digits = String(-power).replace(/./g, (digit) => "\u2070\u00B9\u00B2\u00B3\u2074\u2075\u2076\u2077\u2078\u2079"[digit]);
    return `10\u207B${digits}`;
  }

  /* ---- the recorded series ---- */

  function series(stage, tau = stage.state.tau) {
    const [optimizer, rate, seed] = stage.state.run.split("/");
    const index = stage.data.runs[`${optimizer}-${rate}-${seed}-${tau}`];
    const cache = (stage.unpacked = stage.unpacked || new Map());
    if (!cache.has(index)) {
      const { loss, maxima, gamma, end } = stage.data.series[index];
      cache.set(index, { loss: KM.unpack(loss), maxima: KM.unpack(maxima).map(Math.sinh), gamma: gamma && KM.unpack(gamma), end });
    }
    return cache.get(index);
  }

  const lines = ({ data }) => data.layers * data.heads;

  /* What a recorded row says at the state's update. */
  function moment(stage, run) {
    const count = lines(stage);
    const row = (stage.revealed ? stage.state.update : COVERED) / stage.data.every - 1;
    const at = Array.from(run.maxima.subarray(row * count, (row + 1) * count));
    const passed = at.map((_, head) => {
      for (let r = 0; r <= row; r++) if (run.maxima[r * count + head] > stage.data.limit) return true;
      return false;
    });
    const top = at.indexOf(Math.max(...at));
    const gamma = run.gamma ? Math.exp(run.gamma[row * count + top]) : 1;
    return { row, at, passed, top, gamma, loss: run.loss[row], count: passed.filter(Boolean).length };
  }

  /* ---- drawing ---- */

  const logY = (value) => TOP + HIGH * (1 - Math.log10(Math.max(1, value)) / 5);
  const scaleX = (stage) => (row) => ((row + 1) / (stage.series.loss.length)) * (stage.width - 2);

  /* The part of a series that has been flown: `values(row)` up to row `last`. */
  const path = (values, x, y, last) => KM.path(Array.from({ length: last + 1 }, (_, row) => values(row)), x, y);

  function chart(stage, run, now, last) {
    const { marks, width } = stage;
    const x = scaleX(stage);
    const count = lines(stage);
    for (const decade of DECADES) {
      marks.rect(`grid-${decade}`, 0, logY(decade), width, 1, "km-grid");
      marks.text(`grid-label-${decade}`, 0, logY(decade) - 4, decade === 1 ? "1 or less" : number(decade), { className: "km-quiet km-halo" });
    }
    marks.text("chart-title", 112, TOP - 4, "largest logit of each head", { className: "km-quiet" });
    for (let head = 0; head < count; head++) {
      const hot = now.passed[head];
      const y = (row) => run.maxima[row * count + head];
      marks.shape(`head-${head}`, 0, 0, path(y, x, logY, last), `km-line ${hot ? "km-danger-line" : "km-head-line"}`);
    }
    if (!stage.revealed) return;
    label(stage, run, last);
    const { tau } = stage.state;
    if (!free(tau)) {
      const y = logY(Number(tau));
      marks.shape("tau", 0, 0, `M0 ${y}H${width}`, "km-line km-tau-line");
      marks.text("tau-label", 112, y - 5, `\u03C4 = ${tau}`, { className: "km-strong" });
    }
    const at = x(now.row);
    marks.rect("cursor", at - 0.75, TOP, 1.5, HIGH + GAP + LOSS, "km-flag");
    now.at.forEach((value, head) => marks.shape(`dot-${head}`, at, logY(value), "M-3 0A3 3 0 1 0 3 0A3 3 0 1 0 -3 0Z", now.passed[head] ? "km-optimizer-fill" : "km-attention-fill"));
  }

  /* Each layer's name at the end of its highest line; names that would collide move apart. */
  function label(stage, run, last) {
    const { data, marks, width } = stage;
    const count = lines(stage);
    const places = Array.from({ length: data.layers }, (_, layer) => {
      const row = run.maxima.subarray(last * count + layer * data.heads, last * count + (layer + 1) * data.heads);
      return { layer, y: logY(Math.max(...row)) - 6 };
    }).sort((a, b) => b.y - a.y);
    places.forEach((place, index) => {
      if (index && places[index - 1].y - place.y < 17) place.y = places[index - 1].y - 17;
      marks.text(`layer-${place.layer}`, width - 2, place.y, `layer ${place.layer}`, { anchor: "end", className: "km-halo" });
    });
  }

  function losses(stage, run, now, last) {
    const { marks, width } = stage;
    const x = scaleX(stage);
    const base = TOP + HIGH + GAP;
    const y = (value) => base + LOSS * (1 - (Math.min(LOSSES[1], value) - LOSSES[0]) / (LOSSES[1] - LOSSES[0]));
    for (const tick of [2, 4, 6, 8]) {
      marks.rect(`loss-grid-${tick}`, 0, y(tick), width, 1, "km-grid");
      marks.text(`loss-label-${tick}`, 0, y(tick) - 4, tick === 8 ? "8 nats" : String(tick), { className: "km-quiet km-halo" });
    }
    const clipped = !free(stage.state.tau);
    marks.text("loss-title", width, base - 10, clipped ? "loss, and unclipped (dashed)" : "loss", { anchor: "end", className: "km-quiet" });
    marks.shape("loss", 0, 0, path((row) => run.loss[row], x, y, last), "km-line km-ink-line");
    if (clipped) {
      const other = series(stage, "inf");
      marks.shape("loss-free", 0, 0, path((row) => other.loss[row], x, y, last), "km-line km-quiet-line");
    }
    marks.axis("updates", 0, base + LOSS, width - 2, [0, 100, 200, 300].map((update) => (
      { at: update / (run.loss.length * stage.data.every), label: update === 300 ? "update 300" : String(update) })));
  }

  /* The four matrices behind the highest head's logits, each filled to what all clips together have left of it. */
  function bricks(stage, now) {
    const { marks, width, data } = stage;
    const y = TOP + HIGH + GAP + LOSS + 80;
    const names = [["content query", 0.5], ["content key", 0.5], ["rotary query", 1], ["shared rotary key", 0]];
    const head = `layer ${Math.floor(now.top / data.heads)}, head ${now.top % data.heads}`;
    marks.text("bricks-title", 0, y - 30, `Highest now: ${head}.`, { className: "km-strong" });
    marks.text("bricks-title2", 0, y - 12, "All clips so far, multiplied together:");
    const step = width / 4;
    names.forEach(([name, exponent], index) => {
      const left = now.gamma ** exponent;
      const x = index * step;
      const [first, ...rest] = name.split(" ");
      marks.rect(`brick-${index}`, x + 0.75, y, step - 8, 40, "km-outline");
      marks.rect(`brick-fill-${index}`, x + 0.75, y + 40 - 40 * left, step - 8, 40 * left, exponent ? "km-attention-fill" : "km-rest-fill");
      marks.text(`brick-factor-${index}`, x + (step - 8) / 2, y + 25, `\u00D7 ${factor(left)}`, { anchor: "middle", className: "km-halo km-strong" });
      marks.text(`brick-name-${index}`, x, y + 58, first, {});
      marks.text(`brick-name2-${index}`, x, y + 75, rest.join(" "), {});
    });
  }

  /* ---- the hand on the picture: drag along it to move the update, drag the handle to move tau ---- */

  function hands(stage) {
    if (stage.handle) return;
    const picture = stage.picture;
    const handle = (stage.handle = KM.element("div", { class: "km-handle", "aria-hidden": "true" }));
    picture.append(handle);
    const inside = (event) => { const box = picture.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
    const scrub = (event) => stage.set({ update: (inside(event)[0] / stage.width) * 300 }, true);
    const nearest = (event) => {
      const y = inside(event)[1];
      const distance = (tau) => Math.abs(y - (free(tau) ? TOP : logY(Number(tau))));
      stage.set({ tau: stage.data.taus.reduce((best, tau) => (distance(tau) < distance(best) ? tau : best)) });
    };
    for (const [element, move] of [[picture, scrub], [handle, nearest]]) {
      element.addEventListener("pointerdown", (event) => {
        if (!stage.revealed || (element === picture && event.target === handle)) return;
        element.setPointerCapture(event.pointerId);
        element.dataset.held = "yes";
        move(event);
      });
      element.addEventListener("pointermove", (event) => { if (element.dataset.held) move(event); });
      for (const end of ["pointerup", "pointercancel"]) {
        element.addEventListener(end, () => { delete element.dataset.held; stage.root.classList.remove("km-dragging"); });
      }
    }
  }

  function cover(stage, last) {
    const { marks, width } = stage;
    const x = scaleX(stage)(last) + 6;
    marks.rect("cover", x, TOP, width - x - 1, HIGH, "km-outline km-dashed");
    marks.text("cover-label", (x + width) / 2, TOP + HIGH / 2, "guess first", { anchor: "middle", className: "km-quiet" });
  }

  /* ---- the component ---- */

  KM.component("runaway", {
    state: (data) => ({
      run: { value: "muon/0.1/0", options: data.optimizers.flatMap((o) => data.rates.flatMap((r) => data.seeds.map((s) => `${o}/${r}/${s}`))) },
      tau: { value: "inf", options: data.taus },
      update: { value: 300, min: data.every, max: 300, step: data.every },
    }),

    guess: (stage) => ({
      question: "Guess first: no clip, rate 0.1. Of 24 heads, 8 in each of 3 layers, how many will pass a logit of 100 in 300 updates?",
      min: 0, max: 24, step: 1, start: 3, within: "2 heads", show: (value) => `${value} of 24`,
      answer: () => {
        const run = opening(stage);
        return `${run.count} of 24 did: ${run.words}.`;
      },
    }),

    controls(stage) {
      if (!stage.revealed) return [];
      const names = Object.fromEntries(stage.schema.run.options.map((option) => {
        const [optimizer, rate, seed] = option.split("/");
        return [option, `${NAMES[optimizer]}, rate ${rate}, seed ${seed}`];
      }));
      return [
        { kind: "select", name: "run", label: "recorded run", names },
        { kind: "slider", name: "tau", label: "clip at \u03C4", show: (tau) => (free(tau) ? "no clip" : tau) },
        { kind: "slider", name: "update", label: "update", show: (value) => number(Number(value)) },
      ];
    },

    draw(stage) {
      const run = (stage.series = series(stage));
      const now = moment(stage, run);
      const end = run.loss.length - 1;
      const last = stage.revealed ? end : now.row;
      stage.marks.size(stage.width, stage.revealed ? TOP + HIGH + GAP + LOSS + 164 : TOP + HIGH + 12);
      chart(stage, run, now, last);
      if (!stage.revealed) cover(stage, last);
      else {
        losses(stage, run, now, end);
        bricks(stage, now);
        hands(stage);
        stage.handle.style.top = `${(free(stage.state.tau) ? TOP : logY(Number(stage.state.tau))) - 22}px`;
        flag(stage);
      }
      return say(stage, run, now);
    },
  });

  /* The run that the guess is about, whatever the reader looks at now. */
  function opening(stage) {
    const { maxima } = series({ ...stage, state: { run: "muon/0.1/0", tau: "inf" }, unpacked: stage.unpacked }, "inf");
    const count = lines(stage);
    const heads = Array.from({ length: stage.data.layers }, () => 0);
    for (let head = 0; head < count; head++) {
      for (let at = head; at < maxima.length; at += count) if (maxima[at] > stage.data.limit) { heads[Math.floor(head / stage.data.heads)] += 1; break; }
    }
    return { count: heads.reduce((a, b) => a + b), words: heads.map((n, layer) => `${n} of layer ${layer}`).join(", ") };
  }

  /* The reader's guess: as many heads as the flag says would have crossed the line at 100. */
  function flag(stage) {
    if (!stage.guess || stage.state.run !== "muon/0.1/0" || !free(stage.state.tau)) return;
    const y = logY(stage.data.limit);
    stage.marks.flag("guess", stage.width * 0.4, y, 30);
    stage.marks.text("guess-label", stage.width * 0.4 + 20, y - 14, `your guess: ${stage.guess.value} pass here`, { className: "km-halo" });
  }

  function say(stage, run, now) {
    const { state, data } = stage;
    const [optimizer, rate, seed] = state.run.split("/");
    const name = `${NAMES[optimizer]}, rate ${rate}, ${free(state.tau) ? "no clip" : `\u03C4 = ${state.tau}`}`;
    const most = now.at[now.top];
    const total = lines(stage);
    const other = series(stage, "inf");
    const compared = free(state.tau) ? "" : ` Mean loss of the last ${data.tail} updates: ${number(run.end, 2)}, unclipped ${number(other.end, 2)}.`;
    const heads = now.count === 0 ? `no head has passed ${data.limit}` : `${now.count} of ${total} heads have passed ${data.limit}`;
    return {
      title: stage.revealed ? `${name}: by update ${state.update}, ${heads}; the largest logit is ${short(most)}.` : "Muon, rate 0.1, no clip: the first 40 updates of a run. What next?",
      values: { largest: most, passed: now.count, loss: now.loss, "end-loss": run.end, "free-end-loss": other.end, gamma: now.gamma },
      note: `Measured here: 3 layers of 8 heads, 1,024 tokens an update, no weight decay, seed ${seed}; every fourth update is drawn. Orange lines have passed ${data.limit}.${compared}`,
      table: {
        columns: ["layer", "head", "largest logit", `passed ${data.limit}`],
        rows: now.at.map((value, head) => [Math.floor(head / data.heads), head % data.heads, short(value), now.passed[head] ? "yes" : "no"]),
      },
      code: `from runs.muonclip import Point, record   # in a copy of the repository\nfrom kimi_mini import corpus\n` +
        `row = record(Point("${optimizer}", ${rate}, ${free(state.tau) ? 'float("inf")' : `${state.tau}.0`}, ${seed}), corpus.load())`,
    };
  }
})();
