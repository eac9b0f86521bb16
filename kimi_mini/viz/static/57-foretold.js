/* What foretells a router's choice: for each thing that may be known of a token, the measured share, with its interval. */
(function () {
  "use strict";
  const KM = (globalThis.KM = globalThis.KM || {});
  const percent = (share, digits) => KM.format.percent(share, digits).replace("-", "\u2212");
  const ROW = 46;
  const FLAG = 26;
  const [LEAST, MOST] = [-0.05, 0.8]; // of the axis: a control may come out below zero
  const NAMES = {
    "domain": "the domain of the text",
    "kind": "the kind of token",
    "token before": "the token before",
    "token": "the token itself",
    "token and domain": "the token and the domain",
    "token and token before": "the token and the one before",
    "shuffled token": "control: tokens shuffled",
  };
  const HIDDEN = ["domain", "token and domain"]; // until the guess is locked

  const shares = ({ data, state }, name) => {
    const { layers, shares: all } = data.measures[state.windows];
    return all[name][state.layer === "all" ? layers.length : layers.indexOf(Number(state.layer))];
  };
  const over = (layer) => (layer === "all" ? "all layers together" : `in layer ${layer}`);
  const where = (layer) => (layer === "all" ? "all layers" : `layer ${layer}`);

  KM.component("foretold", {
    state: (data) => ({
      layer: { value: "all", options: [...data.layers.map(String), "all"] },
      windows: { value: data.opening, options: Object.keys(data.measures) },
    }),

    guess: (stage) => ({
      question: "Guess first: you are told only whether a token stands in a play, in code, in mathematics or in facts. How well can the router's choices be foretold from that? Share of variance: 0\u00a0% = no better than the averages, 100\u00a0% = every choice known.",
      min: 0, max: 100, step: 1, start: 30, within: "5 points", show: (value) => `${value}\u00a0%`,
      answer: () => {
        const [domain, token] = ["domain", "token"].map((name) => shares({ data: stage.data, state: { windows: stage.data.opening, layer: "all" } }, name).value);
        return `${percent(domain, 0)}; told the token itself, ${percent(token, 0)}.`;
      },
    }),

    controls: (stage) => (stage.revealed ? [
      { kind: "slider", name: "layer", label: "layer", show: (layer) => where(layer) },
      { kind: "slider", name: "windows", label: "text to learn from and to test on", show: (windows) => `${KM.format.number(windows * stage.data.length * stage.data.domains)} tokens` },
    ] : []),

    draw(stage) {
      const { marks, width, state } = stage;
      const names = Object.keys(NAMES).filter((name) => stage.revealed || !HIDDEN.includes(name));
      const at = (share) => (Math.max(LEAST, share) - LEAST) * (width - 4) / (MOST - LEAST);
      const room = stage.guess ? FLAG : 0; // under the first row
      const base = names.length * ROW + room;
      marks.size(width, base + 40);
      marks.rect("zero", at(0), 22, 1, base - 22, "km-grid");
      names.forEach((name, row) => {
        const { value, low, high } = shares(stage, name);
        const y = row * ROW + (row ? room : 0);
        const kind = name.startsWith("shuffled") ? "km-rest-fill" : "km-experts-fill";
        marks.text(`name-${name}`, 0, y + 16, `${NAMES[name]}: ${percent(value)}`, { className: "km-halo" });
        marks.rect(`ground-${name}`, 0, y + 30, width - 4, 1, "km-grid");
        marks.rect(`bar-${name}`, at(low), y + 28, Math.max(2, at(high) - at(low)), 5, kind);
        marks.shape(`dot-${name}`, at(value), y + 30.5, "M-5 0A5 5 0 1 0 5 0A5 5 0 1 0 -5 0Z", kind);
      });
      if (stage.guess) {
        const x = at(Math.min(MOST, stage.guess.value / 100));
        marks.flag("guess", x, 30 + FLAG, FLAG);
        marks.text("guess-label", x + 20, 24 + FLAG, `your guess ${stage.guess.value}\u00a0%`, { within: width, className: "km-halo" });
      }
      marks.axis("axis", 0, base, width - 4, [0, 20, 40, 60, 80].map((tick) => ({ at: at(tick / 100) / (width - 4), label: tick === 80 ? "80\u00a0%" : String(tick) })));
      const [domain, token] = ["domain", "token"].map((name) => shares(stage, name).value);
      return {
        title: stage.revealed
          ? `The token accounts for ${percent(token, 0)} of the variance of the choices, the domain for ${percent(domain, 0)}, ${over(state.layer)}.`
          : `The token accounts for ${percent(token, 0)} of the variance of the choices, all layers together. And the domain?`,
        values: Object.fromEntries(Object.keys(NAMES).map((name) => [name.replaceAll(" ", "-"), shares(stage, name).value])),
        note: "Measured here: MINI on held-out text; shares are of the variance of its choices. Each half of the text is foretold from the other. Bars: the middle 95\u00a0% over resampled stretches of text, often narrower than the dot.",
        table: {
          columns: ["known", "share of variance", "from", "to"],
          rows: names.map((name) => { const { value, low, high } = shares(stage, name); return [NAMES[name], percent(value, 2), percent(low, 2), percent(high, 2)]; }),
        },
        code: `from runs import routes   # in a copy of the repository\nimport kimi_mini as km\nfrom kimi_mini import corpus\n` +
          `model, _ = km.load_mini()\nroutes.measure(*routes.choices(model, corpus.load(), ${state.windows}))`,
      };
    },
  });
})();
