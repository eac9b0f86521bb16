/* Twice the heads: what they add to the work for one token, against the context, under four ways of counting. */
(function () {
  "use strict";
  const KM = (globalThis.KM = globalThis.KM || {});
  const { number, percent, gflop } = KM.format;
  const TOP = 26;
  const HIGH = 270;
  const ASKED = 131072; // the context of the guess

  const twice = (config) => ({ ...config, num_attention_heads: 2 * config.num_attention_heads });

  function work({ data }, config, context, convention) {
    const { pair } = data.conventions[convention];
    return 2 * KM.accounting.countParameters(config).activated + config.num_hidden_layers * config.num_attention_heads * pair * context;
  }

  const extra = (stage, context, convention) =>
    work(stage, twice(stage.data.config), context, convention) / work(stage, stage.data.config, context, convention) - 1;

  const yOf = (share) => TOP + HIGH * (1 - share);

  function xOf(stage) {
    const { contexts } = stage.data;
    const [first, last] = [contexts[0], contexts[contexts.length - 1]].map(Math.log2);
    const wide = stage.width - 58; // the marks of the report stand at the right end
    return (context) => 40 + ((Math.log2(context) - first) / (last - first)) * (wide - 40);
  }

  function curve(stage, convention, x) {
    const { contexts } = stage.data;
    const [first, last] = [contexts[0], contexts[contexts.length - 1]].map(Math.log2);
    const steps = Array.from({ length: 57 }, (_, index) => 2 ** (first + (index / 56) * (last - first)));
    return KM.path(steps, (index) => x(steps[index]), (context) => yOf(extra(stage, context, convention)));
  }

  function axes(stage, x) {
    const { marks, width, data } = stage;
    for (const share of [0, 0.25, 0.5, 0.75, 1]) {
      marks.rect(`grid-${share}`, 0, yOf(share), width, 1, "km-grid");
      marks.text(`grid-label-${share}`, 0, yOf(share) - 4, percent(share, 0), { className: "km-quiet km-halo" });
    }
    for (const context of data.contexts) {
      marks.rect(`tick-${context}`, x(context) - 0.5, TOP + HIGH, 1, 6, "km-axis");
      const name = `${context / 1024}k`;
      marks.text(`tick-label-${context}`, x(context), TOP + HIGH + 21, name, { anchor: "middle", className: "km-quiet" });
    }
    marks.text("axis-name", width - 2, TOP + HIGH + 42, "tokens of context", { anchor: "end", className: "km-quiet" });
    marks.text("chart-name", width - 2, TOP - 10, "more work for one token", { anchor: "end", className: "km-quiet" });
  }

  /* The report's figures; its gain in loss on the same axis of percent. */
  function report(stage, x) {
    const { marks, data, width } = stage;
    const at = x(ASKED);
    if (stage.revealed) {
      marks.report("report-work", at + 26, yOf(data.report.work / 100));
      marks.text("report-label", at + 26, yOf(data.report.work / 100) + 25, "report", { anchor: "middle", within: width, className: "km-quiet km-halo" });
    }
    data.report.loss.forEach((gain, index) => marks.report(`report-loss-${index}`, at + 18 + 16 * index, yOf(gain / 100)));
    marks.text("report-loss", width - 2, yOf(0.012) - 13, `loss lower by ${data.report.loss.join(" to ")} %`, { anchor: "end", className: "km-halo" });
  }

  KM.component("doubling", {
    state: (data) => ({
      context: { value: 4096, options: data.contexts },
      convention: { value: "plain", options: Object.keys(data.conventions) },
    }),

    guess: (stage) => ({
      question: `Guess first: at 4,096 tokens of context 128 heads cost ${percent(extra(stage, 4096, "plain"), 0)} more work per token than 64. And at 131,072?`,
      min: 0, max: 200, step: 1, start: 25, within: "5 points", show: (value) => `${number(Number(value))}\u00a0% more`,
      answer: () => `${percent(extra(stage, ASKED, "plain"), 0)} more, by the same formula.`,
      then: () => stage.set({ context: ASKED }),
    }),

    controls(stage) {
      if (!stage.revealed) return [];
      const names = Object.fromEntries(Object.entries(stage.data.conventions).map(([key, { words, pair }]) => [key, `${words}: ${number(pair)} FLOPs`]));
      return [
        { kind: "slider", name: "context", label: "context", show: (value) => `${number(Number(value))} tokens` },
        { kind: "select", name: "convention", label: "counted for each head and earlier token", names },
      ];
    },

    draw(stage) {
      const { marks, width, data, state } = stage;
      const x = xOf(stage);
      const context = stage.revealed ? state.context : 4096;
      const more = extra(stage, context, state.convention);
      marks.size(width, TOP + HIGH + 50);
      axes(stage, x);
      if (stage.revealed) {
        for (const name of Object.keys(data.conventions)) {
          if (name !== state.convention) marks.shape(`curve-${name}`, 0, 0, curve(stage, name, x), "km-line km-quiet-line");
        }
        marks.shape("curve", 0, 0, curve(stage, state.convention, x), "km-line km-chosen-line");
      }
      report(stage, x);
      if (stage.guess) {
        marks.flag("guess", x(ASKED), yOf(Math.min(1, stage.guess.value / 100)), 24);
        const above = stage.guess.value < 40;
        marks.text("guess-label", x(ASKED) - 6, yOf(Math.min(1, stage.guess.value / 100)) + (above ? -10 : 16), "your guess", { anchor: "end", className: "km-halo" });
      }
      marks.shape("dot", x(context), yOf(more), "M-6 0A6 6 0 1 0 6 0A6 6 0 1 0 -6 0Z", "km-attention-fill");
      marks.text("dot-label", x(context) - 9, yOf(more) - 9, `+${percent(more, 0)}`, { anchor: "end", within: width, className: "km-strong km-halo" });
      const [less, most] = [data.config, twice(data.config)].map((config) => work(stage, config, context, state.convention));
      return {
        title: `${2 * data.config.num_attention_heads} heads for ${data.config.num_attention_heads}, ${number(context)} tokens of context: ${percent(more, 0)} more work per token.`,
        values: { extra: more, work: less, twice: most },
        note: `Derived for K2\u2019s shape: 2 FLOPs per activated weight, embedding counted, and ${number(data.conventions[state.convention].pair)} FLOPs per head, layer and earlier token. Dashed: the other ways to count. Hollow: the report, which does not say how it counts.`,
        table: {
          columns: ["counted", ...data.contexts.map((one) => number(one))],
          rows: Object.entries(data.conventions).map(([name, { words }]) => [words, ...data.contexts.map((one) => (stage.revealed ? `+${percent(extra(stage, one, name), 0)}` : "?"))]),
        },
        code: `import kimi_mini as km\nfrom kimi_mini.viz.bets import extra_work\nextra_work(km.K2, ${context}, "${state.convention}")   # ${gflop(less)} a token become ${gflop(most)}`,
      };
    },
  });
})();
