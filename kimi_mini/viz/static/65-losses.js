/* What each part is worth: one dot a part, at the nats per token that the held-out loss gains without it. */
(function () {
  "use strict";
  const KM = (globalThis.KM = globalThis.KM || {});
  const { number } = KM.format;
  const KNEE = 0.001; // the axis is linear below it and logarithmic above, so that small and negative costs have a place
  const [LOW, HIGH] = [-0.05, 1];
  const TICKS = [-0.01, 0, 0.001, 0.01, 0.1, 1];
  const ROW = 62;
  const TOP = 22;

  const bend = (cost) => Math.asinh(cost / KNEE);
  const scale = (width) => (cost) => ((bend(Math.max(LOW, Math.min(HIGH, cost))) - bend(LOW)) / (bend(HIGH) - bend(LOW))) * (width - 8) + 4;
  const nats = (cost) => number(cost, Math.abs(cost) < 0.01 ? 4 : 2);
  const costs = (stage, key) => stage.data.rows.find((row) => row.key === key).cost[stage.state.text];
  const median = (values) => { const sorted = [...values].sort((a, b) => a - b); return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2; };

  function dots(stage, row, top, x) {
    const { marks } = stage;
    const found = row.cost[stage.state.text];
    const few = found.length <= 4;
    marks.text(`label-${row.key}`, 0, top, row.label, { className: "km-halo" });
    found.forEach(([cost, error], index) => {
      const y = top + 14 + (few ? 10 : (index * 7) % 24);
      if (few) marks.rect(`error-${row.key}-${index}`, x(cost - error), y - 1, Math.max(2, x(cost + error) - x(cost - error)), 2, `km-${row.colour}-fill`);
      const size = few ? 5 : 3;
      marks.shape(`dot-${row.key}-${index}`, x(cost), y, `M${-size} 0A${size} ${size} 0 1 0 ${size} 0A${size} ${size} 0 1 0 ${-size} 0Z`, `km-${row.colour}-fill`);
    });
  }

  function flag(stage, x, bottom) {
    if (!stage.guess) return;
    stage.marks.flag("guess", x(stage.guess.value), bottom, 34);
    stage.marks.text("guess-label", x(stage.guess.value) - 6, bottom - 20, "your guess", { anchor: "end", className: "km-halo" });
  }

  function say(stage) {
    const { state: { text }, data } = stage;
    const cost = (key) => costs(stage, key).map(([value]) => value);
    const heads = cost("head");
    const parts = data.rows.find((row) => row.key === "head").parts;
    const [, layer, head] = parts[heads.indexOf(Math.max(...heads))].split("-");
    const [shared] = cost("all-shared");
    const values = { shared, head: Math.max(...heads), expert: median(cost("expert")), worst: Math.max(...cost("expert")), routed: Math.min(...cost("routed")) };
    const title = `${text === "all" ? "W" : `On ${text}: w`}ithout all four shared experts the loss gains ${nats(shared)} nats per token; without head ${head} of layer ${layer} alone, ${nats(values.head)}.`;
    return { values, title };
  }

  KM.component("losses", {
    state: (data) => ({ text: { value: "all", options: data.domains } }),

    guess: (stage) => ({
      question: `Guess first: whole, MINI pays ${number(stage.data.whole, 2)} nats per token on held-out text. How much more without its four shared experts, which every token uses?`,
      min: 0, max: 1, step: 0.01, start: 0.3, within: "0.05 nats", show: (value) => `${number(Number(value), 2)} nats more`,
      answer: () => { const [[cost, error]] = stage.data.rows.find((row) => row.key === "all-shared").cost.all; return `It is ${number(cost, 3)} more, with a standard error of ${number(error, 3)}.`; },
    }),

    controls: (stage) => {
      if (!stage.revealed) return [];
      const names = Object.fromEntries(stage.data.domains.map((domain) => [domain, domain === "all" ? "all five kinds" : domain]));
      return [{ kind: "select", name: "text", label: "held-out text", names }];
    },

    draw(stage) {
      const { marks, width, data } = stage;
      const rows = stage.revealed ? data.rows : data.rows.slice(0, 1);
      const bottom = TOP + rows.length * ROW;
      const x = scale(width);
      marks.size(width, bottom + 34);
      for (const tick of TICKS) {
        marks.rect(`grid-${tick}`, x(tick), 4, 1, bottom - 4, "km-grid");
        if (tick === KNEE && width < 500) continue; // no room beside the 0
        marks.text(`tick-${tick}`, x(tick), bottom + 18, tick === 1 ? "1 nat" : String(tick), { anchor: "middle", within: width, className: "km-quiet" });
      }
      rows.forEach((row, index) => dots(stage, row, TOP + index * ROW, x));
      if (stage.revealed) flag(stage, x, bottom);
      const { values, title } = say(stage);
      return {
        title: stage.revealed ? title : `Half of the 128 routed experts are worth less than ${nats(values.expert)} nats per token each.`,
        values,
        note: `Measured here on held-out text: ${data.windows} windows of ${data.length} tokens of each kind, ${data.windows * (data.domains.length - 1)} in all. Bars: one standard error, of the shared experts and of whole layers; single experts and heads have none. The axis is logarithmic beyond 0.001. A part is off when its output counts for nothing; nothing else changes.`,
        table: {
          columns: ["part off", "parts", "least", "median", "most"],
          rows: rows.map((row) => {
            const found = row.cost[stage.state.text].map(([cost]) => cost);
            return [row.label, found.length, nats(Math.min(...found)), nats(median(found)), nats(Math.max(...found))];
          }),
        },
        code: `from kimi_mini.viz import touch   # in a copy of the repository\nmeasured = touch.load_ablation("book/data/ablation.json")\nmeasured.cost("shared"), measured.cost("head-2-5")   # nats per token, standard error`,
      };
    },
  });
})();
