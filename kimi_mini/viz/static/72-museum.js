/* The bug museum: twelve recorded runs as small frames, the chosen one large with an instrument on it, four suspects to accuse.
   What is drawn of a run are its recorded numbers; the verdict on it is 73-verdict.js. */
(function () {
  "use strict";
  const KM = (globalThis.KM = globalThis.KM || {});
  const { number, percent } = KM.format;
  const COLUMNS = 4;
  const CELL = 66; // height of a small frame, its number above it
  const LOSSES = [3.1, 5.5]; // nats; what is above or below stays at the edge
  const HIGH = 120; // of the large loss
  const INSTRUMENT = 300;
  const DECADES = [1, 10, 100, 1000, 10000];
  const NAMES = { logits: "largest logit per head", factors: "factors: due, logged, done", spared: "heads at or below \u03C4", values: "norm of the value rows" };
  const PARTS = ["content query", "content key", "rotary query", "shared key", "values", "down-projections"];
  const SHARES = [0.5, 0.5, 1, 0, 0, 0]; // of a head's log-factor that the rule gives to each part

  const frameOf = ({ data, state }) => data.frames[state.frame - 1];
  const sum = (values) => values.reduce((a, b) => a + b, 0);
  const short = (value) => (value >= 100 ? number(value) : value >= 10 ? number(value, 1) : number(value, 2));

  /* ---- the recorded series of a frame, unpacked once ---- */

  function series(stage, frame) {
    const cache = (stage.unpacked = stage.unpacked || new Map());
    if (!cache.has(frame)) {
      cache.set(frame, {
        loss: KM.unpack(frame.loss), maxima: KM.unpack(frame.maxima).map(Math.sinh),
        touched: KM.unpack(frame.touched), values: KM.unpack(frame.values),
      });
    }
    return cache.get(frame);
  }

  function reference(stage) {
    const { maxima, values } = stage.data.reference;
    return (stage.reference = stage.reference || { maxima: KM.unpack(maxima).map(Math.sinh), values: KM.unpack(values) });
  }

  const edges = (stage) => (stage.edges = stage.edges || stage.data.band.map(KM.unpack));
  const updateAt = ({ data }) => (row) => data.every * (row + 1);

  const every = (values, count, from) => Array.from({ length: values.length / count }, (_, row) => values[row * count + from]);

  /* The running mean of a loss in a box, the band of healthy seeds behind it once the reader has guessed. */
  function lossIn(stage, key, frame, [left, top, width, height]) {
    const { marks, data } = stage;
    const shown = series(stage, frame).loss;
    const first = data.window;
    const x = (index) => left + ((first + index * data.drawn - first) / (data.steps - first)) * width;
    const y = (value) => top + height * (1 - (Math.min(LOSSES[1], Math.max(LOSSES[0], value)) - LOSSES[0]) / (LOSSES[1] - LOSSES[0]));
    if (stage.revealed) {
      const [low, high] = edges(stage).map((edge) => Array.from(edge));
      const back = low.map((value, index) => `L${x(index).toFixed(1)} ${y(value).toFixed(1)}`).reverse().join("");
      marks.shape(`${key}-band`, 0, 0, `${KM.path(high, x, y)}${back}Z`, "km-healthy-band");
    }
    marks.shape(`${key}-loss`, 0, 0, KM.path(shown, x, y), "km-line km-ink-line");
    return y;
  }

  function wall(stage) {
    const { marks, width, data, state } = stage;
    const step = (width + 8) / COLUMNS;
    data.frames.forEach((frame, index) => {
      const [left, top] = [(index % COLUMNS) * step, Math.floor(index / COLUMNS) * (CELL + 24)];
      const chosen = stage.revealed && index + 1 === state.frame;
      const mark = stage.revealed ? KM.verdictMark(stage, frame) : "";
      marks.text(`number-${index}`, left + 2, top + 14, `${index + 1}${mark}`, { className: chosen ? "km-strong" : "km-quiet" });
      lossIn(stage, `small-${index}`, frame, [left + 4, top + 24, step - 16, CELL - 8]);
      marks.rect(`frame-${index}`, left + 1, top + 20, step - 10, CELL, chosen ? "km-frame km-frame-chosen" : "km-frame");
    });
    return Math.ceil(data.frames.length / COLUMNS) * (CELL + 24);
  }

  function large(stage, frame, top) {
    const { marks, width, data } = stage;
    marks.text("loss-title", 0, top + 14, `frame ${stage.state.frame}: loss; grey: healthy seeds`, { className: "km-quiet" });
    const box = [0, top + 26, width - 2, HIGH];
    const y = lossIn(stage, "large", frame, box);
    for (const tick of [3.5, 4, 4.5, 5]) {
      marks.rect(`loss-grid-${tick}`, 0, y(tick), width, 1, "km-grid");
      marks.text(`loss-label-${tick}`, 0, y(tick) - 4, tick === 5 ? "5 nats" : number(tick, 1), { className: "km-quiet km-halo" });
    }
    axis(stage, "loss-axis", top + 26 + HIGH, data.window);
    return top + 26 + HIGH + 44;
  }

  function axis(stage, key, y, first) {
    const { marks, width, data } = stage;
    const ticks = [...new Set([first, 100, 200, data.steps])];
    marks.axis(key, 0, y, width - 2, ticks.map((update) => ({ at: (update - first) / (data.steps - first), label: update === data.steps ? `update ${update}` : String(update) })));
  }

  /* Names of the layers at the right end of their lines, kept apart. */
  function layerNames(stage, levels) {
    const places = levels.map((y, layer) => ({ layer, y: y - 6 })).sort((a, b) => b.y - a.y);
    places.forEach((place, index) => {
      if (index && places[index - 1].y - place.y < 17) place.y = places[index - 1].y - 17;
      stage.marks.text(`layer-${place.layer}`, stage.width - 2, place.y, `layer ${place.layer}`, { anchor: "end", className: "km-halo" });
    });
  }

  /* ---- the instruments: each draws into a box of its own height and says its finding ---- */

  const instruments = {
    logits(stage, frame, top) {
      const { marks, data, width } = stage;
      const shown = series(stage, frame);
      const base = top + INSTRUMENT;
      const y = (value) => base - (INSTRUMENT - 30) * Math.min(1, Math.log10(Math.max(1, value)) / 4);
      const x = (row) => (updateAt(stage)(row) / data.steps) * (width - 2);
      for (const decade of DECADES) marks.rect(`grid-${decade}`, 0, y(decade), width, 1, "km-grid");
      const count = data.layers * data.heads;
      for (let head = 0; head < count; head++) {
        const line = every(shown.maxima, count, head);
        marks.shape(`head-${head}`, 0, 0, KM.path(line, x, y), `km-line ${Math.max(...line) > data.tau ? "km-danger-line" : "km-head-line"}`);
      }
      for (const decade of DECADES) marks.text(`grid-label-${decade}`, 0, y(decade) - 4, decade === 1 ? "1 or less" : number(decade), { className: "km-quiet km-halo" });
      marks.shape("tau", 0, 0, `M0 ${y(data.tau)}H${width}`, "km-line km-tau-line");
      marks.text("tau-label", 0, y(data.tau) - 5, `\u03C4 = ${data.tau}`, { className: "km-strong km-halo" });
      const agrees = frame.lied ? `the run\u2019s own log is wrong in ${percent(frame.lied, 0)} of cases` : "the run\u2019s own log says the same";
      marks.text("logged", 70, top + 12, agrees, { className: "km-strong km-halo", within: width });
      const last = shown.maxima.length / count - 1;
      layerNames(stage, Array.from({ length: data.layers }, (_, layer) => y(Math.max(...shown.maxima.subarray(last * count + layer * data.heads, last * count + (layer + 1) * data.heads)))));
      axis(stage, "updates", base, 0);
      return "Lines: each head\u2019s largest logit, measured from outside by the right code; orange: was above \u03C4 at some time. The run\u2019s own log counts as wrong where it is off by more than 1\u00a0%.";
    },

    factors(stage, frame, top) {
      const { marks, width, data } = stage;
      const rows = [["due to the heads, by the rule", frame.due.map((value) => [value, value])], ["as the run logged it", frame.told.map((value, layer) => [value, frame.due[layer]])],
        ...PARTS.map((name, part) => [`done to: ${name}`, frame.told.map((value, layer) => [frame.factors[part][layer], value * SHARES[part]])])];
      const most = Math.max(1, ...rows.flatMap(([, bars]) => bars.flat().map(Math.abs))) / Math.LN10;
      const zero = rows.some(([, bars]) => bars.some(([done]) => done > 0.01)) ? width * 0.25 : 0;
      const long = (value) => (Math.abs(value) / Math.LN10 / most) * (width - zero - 12);
      rows.forEach(([name, bars], row) => {
        const y = top + 4 + row * 52;
        marks.text(`part-${row}`, 0, y + 12, name, { className: "km-halo" });
        bars.forEach(([done, said], layer) => {
          const [size, ought] = [Math.min(long(done), done > 0 && zero ? zero : Infinity), long(said)];
          marks.rect(`done-${row}-${layer}`, done > 0 ? zero - size : zero, y + 18 + layer * 9, size, 7, "km-optimizer-fill");
          marks.rect(`ought-${row}-${layer}`, (said > 0 ? zero - Math.min(ought, zero) : zero + ought) - 1, y + 17 + layer * 9, 2.5, 9, "km-ought");
        });
      });
      marks.rect("zero", zero, top + 4, 1, rows.length * 52, "km-axis");
      const ticks = KM.ticks(most);
      const at = (decades) => (decades * (width - zero - 12)) / most;
      ticks.forEach((tick, index) => marks.text(`tick-${index}`, zero + at(tick), top + 24 + rows.length * 52, tick ? `10\u207B${KM.superscript(tick)}` : "\u00D7 1", { anchor: index ? "middle" : "start", className: "km-quiet", within: width }));
      return "Bars: all factors of the run multiplied, mean over the heads of layers 0, 1, 2 from above, on a logarithmic axis; bars to the left: made larger. Upright marks: what the row above them asks for (logged: what was due; done: what was logged, with exponents \u00BD, \u00BD, 1, 0).";
    },

    spared(stage, frame, top) {
      const { marks, width, data } = stage;
      const { touched } = series(stage, frame);
      const most = Math.max(100, ...touched);
      const base = top + INSTRUMENT;
      const y = (value) => base - (INSTRUMENT - 40) * (value / most);
      const x = (row) => (updateAt(stage)(row) / data.steps) * (width - 2);
      for (const tick of KM.ticks(most)) {
        marks.rect(`count-grid-${tick}`, 0, y(tick), width, 1, "km-grid");
        marks.text(`count-label-${tick}`, 0, y(tick) - 4, tick ? number(tick) : "0 times", { className: "km-quiet km-halo" });
      }
      for (let layer = 0; layer < data.layers; layer++) marks.shape(`touched-${layer}`, 0, 0, KM.path(every(touched, data.layers, layer), x, y), "km-line km-danger-line");
      layerNames(stage, Array.from({ length: data.layers }, (_, layer) => y(touched[touched.length - data.layers + layer])));
      axis(stage, "updates", base, 0);
      return "How often, so far, a head whose largest logit was at or below \u03C4 had a term of its logits multiplied outside of the optimizer. The rule says: never.";
    },

    values(stage, frame, top) {
      const { marks, width, data } = stage;
      const { values } = series(stage, frame);
      const other = reference(stage).values;
      const norms = [values, other].map((logs) => logs.map(Math.exp));
      const most = Math.max(...norms.map((list) => Math.max(...list)));
      const base = top + INSTRUMENT;
      const y = (value) => base - (INSTRUMENT - 40) * (value / most);
      const x = (row) => (updateAt(stage)(row) / data.steps) * (width - 2);
      for (const tick of KM.ticks(most)) {
        marks.rect(`norm-grid-${tick}`, 0, y(tick), width, 1, "km-grid");
        marks.text(`norm-label-${tick}`, 0, y(tick) - 4, number(tick), { className: "km-quiet km-halo" });
      }
      for (let layer = 0; layer < data.layers; layer++) {
        marks.shape(`other-${layer}`, 0, 0, KM.path(every(norms[1], data.layers, layer), x, y), "km-line km-quiet-line");
        marks.shape(`norm-${layer}`, 0, 0, KM.path(every(norms[0], data.layers, layer), x, y), "km-line km-head-line");
      }
      layerNames(stage, Array.from({ length: data.layers }, (_, layer) => y(norms[0][norms[0].length - data.layers + layer])));
      axis(stage, "updates", base, 0);
      return `Norm of the rows that make a head\u2019s values, mean over the heads of a layer. Dashed: a healthy run of seed ${data.reference.seed}.`;
    },
  };

  /* ---- the component ---- */

  function hang(stage) {
    if (stage.hung) return;
    stage.hung = true;
    stage.picture.addEventListener("click", (event) => {
      const box = stage.picture.getBoundingClientRect();
      const [column, row] = [(event.clientX - box.left) / ((stage.width + 8) / COLUMNS), (event.clientY - box.top) / (CELL + 24)].map(Math.floor);
      const frame = row * COLUMNS + column + 1;
      if (stage.revealed && row < stage.data.frames.length / COLUMNS && column < COLUMNS) stage.set({ frame });
    });
  }

  KM.component("museum", {
    state: (data) => ({
      frame: { value: 1, min: 1, max: data.frames.length, step: 1 },
      instrument: { value: "logits", options: Object.keys(NAMES) },
    }),

    guess: (stage) => ({
      question: `Guess first: ${stage.data.seeds} healthy runs from different seeds make a band of loss curves. Of these ${stage.data.frames.length} runs ${stage.data.wrong} are wrong. How many of the wrong ones lie outside of the band for more than a tenth of the time?`,
      min: 0, max: stage.data.wrong, step: 1, start: Math.round(stage.data.wrong / 2), within: "1 run", show: (value) => `${value} of ${stage.data.wrong}`,
      answer: () => `${stage.data.left} of ${stage.data.wrong}. The other ${stage.data.wrong - stage.data.left} curves lie where healthy ones lie.`,
    }),

    controls: (stage) => (stage.revealed ? [
      { kind: "slider", name: "frame", label: "frame", show: (value) => `${value} of ${stage.data.frames.length}` },
      { kind: "select", name: "instrument", label: "instrument", names: NAMES },
    ] : []),

    reset: (stage) => KM.forgetVerdicts(stage),

    draw(stage) {
      const { data, state, marks, width } = stage;
      const frame = frameOf(stage);
      hang(stage);
      marks.size(width, 10);
      const bottom = wall(stage);
      if (!stage.revealed) {
        marks.size(width, bottom);
        KM.drawVerdict(stage, null);
        return say(stage, frame, "Each curve is the loss of one run, the mean of 50 updates, from update 50 to 300; all share one axis. Same seed, same batches, same learning rate.");
      }
      const top = large(stage, frame, bottom + 8);
      const note = instruments[state.instrument](stage, frame, top);
      marks.size(width, top + (state.instrument === "factors" ? 8 * 52 + 34 : INSTRUMENT + 34));
      KM.drawVerdict(stage, frame);
      return say(stage, frame, `Measured here, Muon at rate ${data.lr}, \u03C4 = ${data.tau}, no weight decay. ${note}`);
    },
  });

  function say(stage, frame, note) {
    const { data, state } = stage;
    const [count, hit] = [sum(frame.below), sum(frame.needless)];
    const largest = Math.max(...series(stage, frame).maxima);
    const wrong = `${data.frames.length} runs from one seed: ${data.wrong} by wrong code, one by the right one.`;
    const band = frame.broke ? `breaks at update ${frame.broke}` : `its loss is ${frame.leaves ? "outside of the band of healthy seeds" : "where healthy losses are"} (${percent(1 - frame.outside / data.compared, 0)} of the time inside)`;
    const title = stage.revealed ? KM.verdictTitle(stage, frame) || `Frame ${state.frame}: ${band}; the largest logit is ${short(largest)}.` : `${wrong} Which?`;
    return {
      title, note,
      values: {
        "end-loss": frame.end, outside: frame.outside, largest, below: count, needless: hit, "needless-share": count ? hit / count : 0,
        told: sum(frame.told), due: sum(frame.due), values: sum(frame.factors[4]), lied: frame.lied, ...KM.verdictScore(stage),
      },
      table: {
        columns: ["layer", "due", "logged", ...PARTS.map((name) => `done: ${name}`), "at or below \u03C4", "of them changed"],
        rows: frame.due.map((due, layer) => [layer, ...[due, frame.told[layer], ...frame.factors.map((part) => part[layer])].map((value) => number(value / Math.LN10, 2)),
          number(frame.below[layer]), percent(frame.below[layer] ? frame.needless[layer] / frame.below[layer] : 0)]),
      },
      code: KM.verdictOn(stage, frame) ? `from runs.museum import Point, record   # in a copy of the repository\nfrom kimi_mini import corpus\nrow = record(Point("${frame.version}", 0), corpus.load())` : "# Accuse somebody first: the code names the piece.",
    };
  }
})();
