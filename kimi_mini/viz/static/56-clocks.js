/* The clocks: one dial per rotary pair, its hand at the position on the slider, shaded where training saw it.
   Beneath them the measured loss of a small model: its length stands to its training as the position to the 4,096 of the clocks. */
(function () {
  "use strict";
  const KM = (globalThis.KM = globalThis.KM || {});
  const { number } = KM.format;
  const TURN = 2 * Math.PI;
  const COLUMNS = 8;
  const CHART = 170;
  const EDGE = 1e-9; // a hand at the rim of its shade is in it

  /* Eight positions an octave, whole tokens: one arrow key turns the slow clocks as visibly as the fast ones. */
  function positions(last) {
    const steps = Array.from({ length: Math.round(Math.log2(last) * 8) + 1 }, (_, index) => Math.round(2 ** (index / 8)));
    return [0, ...new Set(steps)];
  }

  /* Every clock at the state's position: laps made, laps seen in training, whether the hand has left what was seen. */
  function hands({ data, state }) {
    const model = data.models[state.model];
    const slow = state.yarn === "on";
    return model.plain.map((freq, pair) => {
      const seen = (freq * data.trained) / TURN;
      const laps = ((slow ? model.yarn[pair] : freq) * state.position) / TURN;
      return { pair, seen, laps, slowed: slow && model.yarn[pair] < freq, out: seen < 1 && laps % 1 > seen * (1 + EDGE) };
    });
  }

  /* ---- drawing ---- */

  const on = (laps, radius) => { const a = laps * TURN; return `${(radius * Math.sin(a)).toFixed(2)} ${(-radius * Math.cos(a)).toFixed(2)}`; };
  const disc = (radius) => `M0 ${-radius}A${radius} ${radius} 0 1 1 0 ${radius}A${radius} ${radius} 0 1 1 0 ${-radius}Z`;
  const slice = (laps, radius) => (laps >= 1 ? disc(radius) : `M0 0L0 ${-radius}A${radius} ${radius} 0 ${laps > 0.5 ? 1 : 0} 1 ${on(laps, radius)}Z`);

  function dials(stage, all) {
    const { marks, width } = stage;
    const step = width / COLUMNS;
    const radius = Math.min(30, step / 2 - 3);
    const high = 2 * radius + 30;
    for (const { pair, seen, laps, slowed, out } of all) {
      const x = (pair % COLUMNS) * step + step / 2;
      const y = Math.floor(pair / COLUMNS) * high + radius + 2;
      if (stage.revealed) marks.shape(`seen-${pair}`, x, y, slice(seen, radius), "km-seen");
      marks.shape(`face-${pair}`, x, y, disc(radius), "km-face");
      const wrong = stage.revealed && out;
      marks.shape(`hand-${pair}`, x, y, `M0 0L${on(laps, radius - 1)}`, wrong ? "km-hand km-hand-out" : "km-hand");
      const name = slowed ? `${pair} slow` : String(pair);
      marks.text(`name-${pair}`, x, y + radius + 17, width < 480 && slowed ? `${pair}*` : name, { anchor: "middle", className: wrong ? "km-strong" : "km-quiet" });
    }
    if (stage.guess && stage.state.model === "K2" && stage.guess.value < all.length) {
      const { value } = stage.guess; // the flag stands before the first clock that was guessed not to finish
      marks.flag("guess", (value % COLUMNS) * step + 1, Math.floor(value / COLUMNS) * high + 2 * radius + 2, 24);
    }
  }

  /* ---- the measured loss ---- */

  const times = ({ data, state }) => Math.max(1, state.position / data.trained);
  const bucket = (stage) => stage.data.runs.times.findIndex((last) => last >= times(stage));
  const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;

  function losses(stage, top) {
    const { marks, width, data, state } = stage;
    const { runs } = data;
    const names = ["plain", state.model];
    const drawn = Object.values(runs.excess).flat(2);
    const most = Math.max(...drawn) + 0.35; // room for a name above the line
    const least = Math.min(0, ...drawn) - 0.1;
    const left = 34;
    const last = Math.log2(runs.times[runs.times.length - 1]);
    const x = (factor) => left + (Math.log2(factor) / last) * (width - left - 24);
    const y = (value) => top + CHART * (1 - (value - least) / (most - least));
    marks.text("chart-title", 0, top - 22, `Measured: trained on ${runs.short} positions`, { className: "km-strong" });
    marks.text("chart-unit", 0, top - 4, `nats a token more than in pieces of ${runs.short}`, { className: "km-quiet" });
    for (const tick of KM.ticks(most, { count: 4 })) {
      marks.rect(`grid-${tick}`, left, y(tick), width - left, 1, "km-grid");
      marks.text(`grid-label-${tick}`, 0, y(tick) + 5, number(tick, 1), { className: "km-quiet" });
    }
    const at = x(times(stage));
    marks.rect("cursor", at - 0.75, top, 1.5, CHART, "km-flag");
    for (const name of names) {
      const slot = name === "plain" ? "plain" : "yarn";
      const chosen = (slot === "plain") === (state.yarn === "off");
      const kind = slot === "plain" ? "rest" : "attention";
      const means = runs.times.map((_, index) => mean(runs.excess[name].map((seed) => seed[index])));
      marks.shape(`line-${slot}`, 0, 0, KM.path(means, (index) => x(runs.times[index]), y), `km-line km-${kind}-stroke ${chosen ? "km-thick" : ""}`);
      runs.times.forEach((factor, index) => {
        const values = runs.excess[name].map((seed) => seed[index]);
        marks.rect(`bar-${slot}-${index}`, x(factor) - 1, y(Math.max(...values)), 2, y(Math.min(...values)) - y(Math.max(...values)), `km-${kind}-fill`);
        marks.shape(`dot-${slot}-${index}`, x(factor), y(means[index]), disc(4.5), `km-${kind}-fill`);
      });
      const label = slot === "plain" ? "plain" : `YaRN${name === "K2" ? "" : ", V3's ramp"}`;
      marks.text(`label-${slot}`, x(16) - 10, y(means[4]) + (slot === "plain" ? -16 : 28), label, { anchor: "middle", className: "km-halo km-strong" });
    }
    const ends = runs.times.map((factor) => ({ at: Math.log2(factor) / last, label: factor === runs.times[runs.times.length - 1] ? `${factor}\u00d7` : String(factor) }));
    marks.axis("lengths", left, top + CHART, width - left - 24, ends);
    marks.text("lengths-title", left, top + CHART + 40, "length, in trained lengths", { className: "km-quiet" });
  }

  /* ---- words ---- */

  function say(stage, all) {
    const { data, state } = stage;
    const model = data.models[state.model];
    const full = all.filter(({ seen }) => seen >= 1).length;
    const out = all.filter((hand) => hand.out).length;
    const slowed = all.filter((hand) => hand.slowed).length;
    const place = bucket(stage);
    const [plain, yarn] = ["plain", state.model].map((name) => mean(data.runs.excess[name].map((seed) => seed[place])));
    const how = state.yarn === "on" ? "with YaRN" : "without YaRN";
    const title = stage.revealed
      ? `${model.name} at position ${number(state.position)} ${how}: ${out} of ${all.length} hands point where training never went.`
      : `${model.name} counts positions with ${all.length} clocks. Position ${number(state.position)}.`;
    const what = state.yarn === "on" ? ` Slowed: clocks ${all.length - slowed} to ${all.length - 1}, from clock ${model.high} on in full, by ${model.factor}.` : "";
    return {
      title,
      values: { full, outside: out, slowed, slowest: all[all.length - 1].laps, "first-partial": all[full].laps, "plain-loss": plain, "yarn-loss": yarn },
      note: stage.revealed
        ? `Derived: shaded is where positions 0 to ${number(data.trained)} put a hand; ${full} clocks finish a lap. Orange: outside.${stage.guess ? " Flag: your guess." : ""}${what} Measured: mean of ${data.runs.seeds.length} seeds, bars from the lowest to the highest; no training beyond ${data.runs.short} positions.`
        : "Derived: each hand turns by its own angle per token, from K2's configuration.",
      table: stage.revealed ? {
        columns: ["clock", "tokens a lap", `laps in ${number(data.trained)}`, "laps here", "outside"],
        rows: all.map(({ pair, seen, laps, out: wrong }) => [pair, number(TURN / model.plain[pair], 1), number(seen, 3), number(laps, 3), wrong ? "yes" : "no"]),
      } : { columns: ["clock", "laps here"], rows: all.map(({ pair, laps }) => [pair, number(laps, 3)]) },
      code: `import kimi_mini as km\nfrom kimi_mini.model.rope import rope_frequencies\n\nconfig = km.${state.model}${state.yarn === "on" ? "" : ".replace(rope_scaling=None)"}\n` +
        `angles = rope_frequencies(config) * ${state.position}   # radians, one per clock`,
    };
  }

  KM.component("clocks", {
    state: (data) => ({
      position: { value: data.last, options: positions(data.last) },
      yarn: { value: "off", options: ["off", "on"] },
      model: { value: "K2", options: Object.keys(data.models) },
    }),

    guess: (stage) => ({
      question: `Guess first: how many of K2's 32 clocks finish a lap within ${number(stage.data.trained)} tokens? Drag the position to see them turn.`,
      min: 0, max: 32, step: 1, start: 16, within: "two clocks", show: (value) => `${value} of 32`,
      answer: () => {
        const { plain } = stage.data.models.K2;
        const full = plain.filter((freq) => freq * stage.data.trained >= TURN).length;
        return `${full} of K2's do; the other ${plain.length - full} show only part of their dial in training.`;
      },
    }),

    controls: (stage) => [
      { kind: "slider", name: "position", label: "position", show: (value) => number(value) },
      ...(stage.revealed ? [
        { kind: "choice", name: "yarn", label: "YaRN", names: { off: "off", on: "on" } },
        { kind: "select", name: "model", label: "model", names: Object.fromEntries(Object.entries(stage.data.models).map(([key, { name }]) => [key, name])) },
      ] : []),
    ],

    draw(stage) {
      const all = hands(stage);
      const { width } = stage;
      const high = Math.ceil(all.length / COLUMNS) * (2 * Math.min(30, width / COLUMNS / 2 - 3) + 30);
      stage.marks.size(width, stage.revealed ? high + 60 + CHART + 48 : high + 4);
      dials(stage, all);
      if (stage.revealed) losses(stage, high + 56);
      return say(stage, all);
    },
  });
})();
