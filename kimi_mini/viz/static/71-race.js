/* Muon against AdamW: held-out loss of whole runs against their tokens, and how many of them Muon needs for AdamW's loss. */
(function () {
  "use strict";
  const KM = (globalThis.KM = globalThis.KM || {});
  const { number, percent } = KM.format;
  const TOP = 30;
  const HIGH = 260;
  const NAMES = { muon: "Muon", adamw: "AdamW" };
  const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;

  /* Updates of Muon to a loss, between its recorded lengths along a line over log updates; null outside them. */
  function updatesTo({ lengths, ends }, loss) {
    const means = ends.map(mean);
    for (let i = 1; i < means.length; i++) {
      const [from, to] = [means[i - 1], means[i]];
      if (loss <= Math.max(from, to) && loss >= Math.min(from, to)) {
        const [a, b] = [Math.log(lengths[i - 1]), Math.log(lengths[i])];
        return Math.exp(a + ((loss - from) / (to - from)) * (b - a));
      }
    }
    return null;
  }

  function asked(stage) {
    const { muon, adamw } = stage.data.runs;
    const seeds = adamw.ends[adamw.lengths.indexOf(stage.state.budget)];
    const loss = mean(seeds);
    return { loss, need: updatesTo(muon, loss), across: seeds.map((one) => updatesTo(muon, one)) };
  }

  function chart(stage, { loss, need }) {
    const { marks, width, data, revealed, state } = stage;
    const every = Object.values(data.runs).flatMap(({ ends }) => ends.flat());
    const [least, most] = [Math.min(...every) - 0.05, Math.max(...every) + 0.12];
    const { lengths } = data.runs.muon;
    const [first, last] = [Math.log(lengths[0] / 1.6), Math.log(lengths[lengths.length - 1] * 1.12)];
    const left = 34;
    const x = (updates) => left + ((Math.log(updates) - first) / (last - first)) * (width - left);
    const y = (value) => TOP + HIGH * (1 - (value - least) / (most - least));
    marks.text("chart-title", 0, 14, "held-out loss at the end of a run, nats a token", { className: "km-quiet" });
    for (let tick = Math.ceil(least * 4) / 4; tick < most; tick += 0.25) {
      marks.rect(`grid-${tick}`, left, y(tick), width - left, 1, "km-grid");
      marks.text(`grid-label-${tick}`, 0, y(tick) + 5, number(tick, 2), { className: "km-quiet" });
    }
    for (const name of revealed ? ["adamw", "muon"] : ["adamw"]) {
      const { lengths: at, ends } = data.runs[name];
      const kind = name === "muon" ? "optimizer" : "rest";
      marks.shape(`line-${name}`, 0, 0, KM.path(ends, (i) => x(at[i]), (values) => y(mean(values))), `km-line km-${kind}-stroke km-thick`);
      ends.forEach((values, i) => {
        const [low, high] = [y(Math.min(...values)), y(Math.max(...values))];
        marks.rect(`bar-${name}-${i}`, x(at[i]) - 1.5, high, 3, low - high, `km-${kind}-fill`);
        marks.shape(`dot-${name}-${i}`, x(at[i]), y(mean(values)), "M-5 0A5 5 0 1 0 5 0A5 5 0 1 0 -5 0Z", `km-${kind}-fill`);
      });
      const low = name === "muon"; // its name beneath its line, the other one's above
      marks.text(`name-${name}`, x(at[0]) + (low ? -8 : 10), y(mean(ends[0])) + (low ? 20 : -8), NAMES[name], { anchor: low ? "end" : "start", className: "km-strong km-halo" });
    }
    const ticks = lengths.map((updates) => ({ updates, label: `${number((updates * data.tokens) / 1000)}k` }));
    marks.rect("axis", left, TOP + HIGH, width - left, 1, "km-axis");
    ticks.forEach(({ updates, label }, i) => marks.text(`tick-${i}`, x(updates), TOP + HIGH + 18, label, { anchor: "middle", within: width, className: "km-quiet" }));
    marks.text("tick-unit", width, TOP + HIGH + 36, "tokens", { anchor: "end", className: "km-quiet" });
    if (!revealed) return;
    const level = y(loss);
    if (need !== null) {
      marks.shape("step", 0, 0, `M${x(state.budget)} ${level}H${x(need)}V${TOP + HIGH}`, "km-line km-tau-line");
      marks.text("need", x(need) - 4, TOP + HIGH - 8, percent(need / state.budget, 0), { anchor: "end", className: "km-strong km-halo" });
    }
    marks.report("reported", x(data.reported * state.budget), level);
    marks.text("reported-label", x(data.reported * state.budget) - 10, level + 24, `report: ${percent(data.reported, 0)}`, { anchor: "end", className: "km-halo", within: width });
    if (stage.guess && state.budget === Math.max(...data.runs.adamw.lengths)) marks.flag("guess", x(Math.max(stage.guess.value, lengths[0] / 1.6)), TOP + HIGH, 24);
  }

  KM.component("race", {
    state: ({ runs }) => ({ budget: { value: runs.adamw.lengths[runs.adamw.lengths.length - 1], options: runs.adamw.lengths } }),

    guess: (stage) => {
      const longest = Math.max(...stage.data.runs.adamw.lengths);
      return {
        question: `Guess first: AdamW took ${longest} updates. In how many does Muon come to the same held-out loss?`,
        min: 40, max: 2 * longest, step: 10, start: longest, within: "30 updates", show: (value) => `${value} updates`,
        answer: () => {
          const { need } = asked({ data: stage.data, state: { budget: longest } });
          return need === null ? "Muon's recorded runs do not cross that loss." : `About ${number(need)}: ${percent(need / longest, 0)} of AdamW's.`;
        },
      };
    },

    controls(stage) {
      const { lengths } = stage.data.runs.adamw;
      if (!stage.revealed || lengths.length === 1) return [];
      return [{ kind: "choice", name: "budget", label: "AdamW's updates", names: Object.fromEntries(lengths.map((each) => [each, number(each)])) }];
    },

    draw(stage) {
      const { width, data, state, revealed } = stage;
      const found = asked(stage);
      stage.marks.size(width, TOP + HIGH + 44);
      chart(stage, found);
      const { need, loss } = found;
      const shown = revealed ? ["muon", "adamw"] : ["adamw"];
      const across = found.across.filter((value) => value !== null);
      const seeds = (name) => { const most = Math.max(...data.runs[name].ends.map((ends) => ends.length)); return most === 1 ? "one seed" : `${most} seeds`; };
      const span = across.length > 1 ? ` Taking AdamW's seeds one by one: ${number(Math.min(...across))} to ${number(Math.max(...across))}.` : "";
      return {
        title: !revealed ? "This is where AdamW's tuned run ended. Where are Muon's?"
          : need === null ? `AdamW's loss after ${state.budget} updates lies outside Muon's recorded runs.`
            : `To AdamW's loss after ${state.budget} updates Muon comes in about ${number(need)}: ${percent(need / state.budget, 0)} of the tokens.`,
        values: { loss, need: need === null ? -1 : need, share: need === null ? -1 : need / state.budget },
        note: revealed ? `Measured here: every point is the end of a run with its own decay of the rate, mean and range over ${seeds("muon")} of Muon and ${seeds("adamw")} of AdamW.${span} Diamond: the Moonlight report's share of training FLOPs, for models of 0.4 to 1.5 billion parameters.` : `Measured here: ${seeds("adamw")} of AdamW.`,
        table: {
          columns: ["updates", ...shown.map((name) => NAMES[name])],
          rows: data.runs.muon.lengths.map((updates) => [updates, ...shown.map((name) => (data.runs[name].ends[data.runs[name].lengths.indexOf(updates)] || []).map((end) => number(end, 3)).join(", "))]),
        },
        code: `from kimi_mini.viz import muon   # in a copy of the repository\nfor run in muon.pick(muon.load_runs("book/data/muon"), matrices="muon", lr=${data.runs.muon.lr}, decay=${data.runs.muon.decay}):\n    print(run.steps, run.seed, run.end)`,
      };
    },
  });
})();
