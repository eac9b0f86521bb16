/* Four shelves, each one GPU's memory: what a kind of attention must remember of the conversations it serves.
   Closed forms of 40-accounting.js; a box is one conversation. Beneath, the work for one written token. */
(function () {
  "use strict";
  const KM = (globalThis.KM = globalThis.KM || {});
  const { gib, gflop, number, percent } = KM.format;
  const KINDS = [["mha", "MHA"], ["gqa", "GQA-8"], ["mqa", "MQA"], ["mla", "MLA"]];
  const CONTEXTS = Array.from({ length: 8 }, (_, power) => 1024 * 2 ** power);
  const TOP = 112;
  const HIGH = 264;
  const BASE = TOP + HIGH;
  const BOX = 5; // a thinner box is not told from its neighbours
  const GPU = 14; // side of a small square: one more GPU
  const ROWS = 3;

  const headsOf = (stage) => (stage.revealed ? stage.state.heads : stage.schema.heads.value);
  const size = (bytes) => (bytes < 2 ** 40 ? gib(bytes) : gib(bytes / 1024).replace("GiB", "TiB"));
  const total = (work) => work.weights + work.attention;

  function numbers(stage, heads) {
    const { config, gpu } = stage.data;
    const { context, users } = stage.state;
    const shape = { ...config, num_attention_heads: heads };
    const one = Object.fromEntries(KINDS.map(([kind]) => [kind, KM.accounting.cacheBytes(shape, context, kind)]));
    const all = Object.fromEntries(KINDS.map(([kind]) => [kind, one[kind] * users]));
    const fits = Object.fromEntries(KINDS.map(([kind]) => [kind, Math.floor(gpu / one[kind])]));
    return { one, all, fits, work: KM.accounting.decodeFlops(shape, context, "absorbed") };
  }

  function shelf(stage, kind, name, x, wide, now) {
    const { marks, data } = stage;
    const height = Math.min(HIGH, Math.max(1, (HIGH * now.all[kind]) / data.gpu));
    const box = (HIGH * now.one[kind]) / data.gpu;
    const over = now.all[kind] > data.gpu;
    const middle = x + wide / 2;
    marks.text(`name-${kind}`, middle, 14, name, { anchor: "middle" });
    marks.text(`size-${kind}`, middle, 35, size(now.all[kind]), { anchor: "middle", within: stage.width, className: "km-strong" });
    marks.rect(`fill-${kind}`, x, BASE - height, wide, height, "km-attention-fill");
    let edges = "";
    if (box >= BOX) for (let y = BASE - box; y > BASE - height + 1; y -= box) edges += `M${x} ${y.toFixed(1)}h${wide}`;
    marks.shape(`edges-${kind}`, 0, 0, edges || "M0 0", "km-box-edges");
    marks.rect(`shelf-${kind}`, x + 0.75, TOP + 0.75, wide - 1.5, HIGH - 1.5, "km-outline");
    const gpus = now.all[kind] / data.gpu;
    marks.shape(`spill-${kind}`, x, TOP - 4, spilled(gpus - 1, wide), "km-optimizer-fill");
    const spill = over ? `${number(gpus, gpus < 2 ? 2 : gpus < 10 ? 1 : 0)} GPUs` : "";
    marks.text(`spill-label-${kind}`, middle, 55, spill, { anchor: "middle", within: stage.width });
    marks.text(`fits-${kind}`, middle, BASE + 20, `fits ${number(now.fits[kind])}`, { anchor: "middle", within: stage.width });
  }

  /* What overflows, as small squares above the shelf, one per GPU, the last one as wide as it is full; at most ROWS rows. */
  function spilled(gpus, wide) {
    const row = Math.floor((wide + 2) / (GPU + 2));
    let d = "M0 0";
    for (let index = 0; index < Math.min(Math.ceil(gpus), row * ROWS); index++) {
      const part = GPU * Math.min(1, gpus - index);
      d += `M${(index % row) * (GPU + 2)} ${-(GPU + 2) * Math.floor(index / row) - GPU}h${part.toFixed(1)}v${GPU}h${-part.toFixed(1)}Z`;
    }
    return d;
  }

  /* Where the reader's factor would have put MLA's cache, drawn for twice the released heads. */
  function guessed(stage, x, wide, now) {
    if (!stage.guess) return;
    const { marks, data } = stage;
    const level = Math.min(HIGH, (HIGH * now.all.mla * stage.guess.value) / data.gpu);
    marks.rect("guess-line", x - 6, BASE - level - 1, wide + 12, 2, "km-flag");
    marks.text("guess-label", x + wide, BASE - level - 7, "your guess", { anchor: "end", within: stage.width, className: "km-halo" });
  }

  function meter(stage, now, before) {
    const { marks, width, data, state } = stage;
    const y = BASE + 80;
    const shape = { ...data.config, num_attention_heads: 2 * data.config.num_attention_heads };
    const most = total(KM.accounting.decodeFlops(shape, state.context, "absorbed")) * 1.04;
    const at = (flops) => (flops / most) * (width - 4);
    marks.text("work-name", 0, y, "work for one written token");
    marks.text("work-value", width - 2, y, gflop(total(now.work)), { anchor: "end", className: "km-strong" });
    marks.rect("work-weights", 0, y + 10, at(now.work.weights), 26, "km-rest-fill");
    marks.rect("work-attention", at(now.work.weights), y + 10, at(now.work.attention), 26, "km-attention-fill");
    marks.rect("work-before", at(total(before)) - 1, y + 5, 2, 36, "km-flag");
    marks.text("work-before-label", at(total(before)), y + 58, `${data.config.num_attention_heads} heads`,
      { anchor: "middle", within: width, className: "km-quiet" });
    const inside = at(now.work.attention) > 150;
    marks.text("work-part", at(now.work.weights) + 8, y + 28, inside ? "attention" : "", { className: "km-on-mark" });
  }

  KM.component("shelves", {
    state: (data) => ({
      context: { value: 131072, options: CONTEXTS },
      users: { value: 1, options: [1, 2, 4, 8, 16, 32, 64] },
      heads: { value: data.config.num_attention_heads, options: [64, 80, 96, 112, 128] },
    }),

    guess: (stage) => ({
      question: "DeepSeek-V3 has 128 heads where K2 has 64. Guess first: by what factor does MLA\u2019s cache grow with twice the heads?",
      min: 0.5, max: 4, step: 0.1, start: 2, within: "0.2", show: (value) => `${number(value, 1)} times`,
      answer: () => "It does not grow at all: MLA remembers a latent, not heads.",
      then: () => stage.set({ heads: 2 * stage.data.config.num_attention_heads }),
    }),

    controls(stage) {
      const specs = [
        { kind: "slider", name: "context", label: "context", show: (value) => `${number(Number(value))} tokens` },
        { kind: "slider", name: "users", label: "conversations at once", show: (value) => number(Number(value)) },
      ];
      if (stage.revealed) specs.push({ kind: "slider", name: "heads", label: "attention heads", show: (value) => number(Number(value)) });
      return specs;
    },

    draw(stage) {
      const { marks, width, data, state } = stage;
      const heads = headsOf(stage);
      const now = numbers(stage, heads);
      const before = numbers(stage, data.config.num_attention_heads);
      const gap = width < 420 ? 12 : 28;
      const wide = (width - 3 * gap - 8) / 4;
      marks.size(width, BASE + 80 + 66);
      const place = (index) => 4 + index * (wide + gap);
      KINDS.forEach(([kind, name], index) => shelf(stage, kind, name, place(index), wide, now));
      marks.text("room", width / 2, BASE + 41, `each shelf is one GPU: ${number(data.gpu / 2 ** 30)} GiB`, { anchor: "middle", className: "km-quiet" });
      guessed(stage, place(3), wide, before);
      meter(stage, now, before.work);
      const growth = total(now.work) / total(before.work);
      return {
        title: title(stage, heads, now, growth),
        values: {
          ...now.all, ...Object.fromEntries(KINDS.map(([kind]) => [`fits-${kind}`, now.fits[kind]])),
          flops: total(now.work), growth,
        },
        note: `A GPU of ${number(data.gpu / 1e9)} GB (${number(data.gpu / 2 ** 30)} GiB), empty. A box in it is one conversation, a small square one more GPU (as far as there is room); fits: conversations that one GPU can hold. ` +
          "Derived: 2 bytes a number, 61 layers, K2\u2019s widths; weights need room too and are left out. MHA keeps 320 numbers a head (K2\u2019s 192-wide key, 128-wide value), GQA and MQA 256 a group. The meter: grey weights, blue attention, the latent absorbed.",
        table: {
          columns: ["", "one conversation", "all", "fit one GPU", "against MLA"],
          rows: KINDS.map(([kind, name]) => [name, size(now.one[kind]), size(now.all[kind]), number(now.fits[kind]), number(now.one[kind] / now.one.mla, 2)]),
        },
        code: `import kimi_mini as km\nconfig = km.K2.replace(num_attention_heads=${heads})\n` +
          `km.accounting.cache_bytes(config, ${state.context * state.users}, "mla")   # or "mha", "gqa", "mqa"\n` +
          `km.accounting.decode_flops(config, ${state.context}).total`,
      };
    },
  });

  function title({ state, data }, heads, now, growth) {
    const { context, users } = state;
    const what = users > 1 ? `${users} conversations` : "One conversation";
    if (heads === data.config.num_attention_heads) {
      return `${what} of ${number(context)} tokens: MHA remembers ${size(now.all.mha)}, MLA ${size(now.all.mla)}.`;
    }
    return `${heads} heads: MHA needs ${size(now.all.mha)}, MLA still ${size(now.all.mla)}; the work for one token grew by ${percent(growth - 1, 0)}.`;
  }
})();
