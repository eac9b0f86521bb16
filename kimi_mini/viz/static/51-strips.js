/* Two strips of equal length: what is stored above, what works for one token below. Same block, same colour, joined by a band. */
(function () {
  "use strict";
  const KM = (globalThis.KM = globalThis.KM || {});
  const { percent, number, billions } = KM.format;
  const STRIP = 44;
  const ROW = 21;
  const GROUPS = [
    { name: "attention", blocks: ["attention"], kind: "attention" },
    { name: "routed experts", blocks: ["routed experts"], kind: "experts" },
    { name: "shared expert", blocks: ["shared experts"], kind: "experts" },
    { name: "all else", blocks: ["norms", "dense MLP", "routers", "embedding", "head"], kind: "rest" },
  ];
  const CONVENTIONS = { both: "both", head: "head only", neither: "neither" };
  const left_out = { both: [], head: ["embedding"], neither: ["embedding", "head"] };

  const chosen = (stage) => stage.data.models[stage.state.model];

  /* Shares of stored and of working weights per group; the convention touches only what is counted as working. */
  function shares(stage) {
    const { count } = chosen(stage);
    const skipped = left_out[stage.state.convention];
    const working = (block) => (skipped.includes(block.name) ? 0 : block.activated);
    const activated = count.blocks.reduce((sum, block) => sum + working(block), 0);
    const groups = GROUPS.map((group) => {
      const blocks = count.blocks.filter((block) => group.blocks.includes(block.name));
      const stored = blocks.reduce((sum, block) => sum + block.total, 0);
      const used = blocks.reduce((sum, block) => sum + working(block), 0);
      return { ...group, stored, used, ofAll: stored / count.total, ofUsed: used / activated };
    });
    return { groups, activated, total: count.total };
  }

  /* Label rows step outward from the middle, so that no lead line crosses a label (sign -1: above, +1: below). */
  function label(stage, key, index, text, x, y, sign) {
    const row = [3, 1, 2, 3][index];
    const anchor = ["start", "middle", "end", "end"][index];
    const edge = y + sign * (row * ROW - 5);
    if (index !== 1) stage.marks.rect(`${key}-lead`, x - 0.5, Math.min(y, edge), 1, Math.abs(edge - y), "km-axis");
    const shift = { start: 5, middle: 0, end: -5 }[anchor];
    stage.marks.text(key, x + shift, y + sign * row * ROW + (sign > 0 ? -2 : 8), text, { anchor, within: stage.width });
  }

  function strip(stage, name, groups, field, y, sign) {
    let x = 0;
    groups.forEach((group, index) => {
      const width = group[field] * stage.width;
      stage.marks.rect(`${name}-${index}`, x, y, width, STRIP, `km-${group.kind}-fill`);
      if (index === 2) stage.marks.rect(`${name}-cut`, x - 0.5, y, 1.5, STRIP, "km-paper-fill");
      label(stage, `${name}-label${index}`, index, `${group.name} ${percent(group[field])}`, x + width / 2, sign > 0 ? y + STRIP : y, sign);
      x += width;
    });
  }

  function links(stage, groups, from, to) {
    let [a, b] = [0, 0];
    groups.forEach((group, index) => {
      const [wide, narrow] = [group.ofAll * stage.width, group.ofUsed * stage.width];
      stage.marks.shape(`link-${index}`, 0, 0, `M${a} ${from}H${a + wide}L${b + narrow} ${to}H${b}Z`, "km-link-fill");
      a += wide;
      b += narrow;
    });
  }

  /* The three counting conventions on one line, with the reported figure as a hollow diamond. */
  function line(stage, y) {
    const { marks, width } = stage;
    const { count, reported } = chosen(stage);
    const counts = { both: count.activated, head: count.withoutEmbedding, neither: count.withoutBoth };
    const values = [...Object.values(counts), reported.value];
    const margin = (Math.max(...values) - Math.min(...values)) * 0.22;
    const [low, high] = [Math.min(...values) - margin, Math.max(...values) + margin];
    const at = (value) => (width * (value - low)) / (high - low);
    marks.text("line-title", 0, y, "at work for one token, by convention", { className: "km-quiet" });
    marks.rect("line", 0, y + 40, width, 1, "km-axis");
    for (const [name, value] of Object.entries(counts)) {
      const now = name === stage.state.convention;
      marks.rect(`line-${name}`, at(value) - (now ? 2 : 0.75), y + (now ? 28 : 34), now ? 4 : 1.5, now ? 25 : 13, "km-flag");
      marks.text(`line-${name}-label`, at(value), y + 70, number(value / 1e9, 2), { anchor: "middle", within: width, className: now ? "km-strong" : "km-quiet" });
    }
    marks.report("line-report", at(reported.value), y + 40);
    marks.text("line-report-label", at(reported.value), y + 24, reported.label, { anchor: "middle", within: width });
    marks.text("line-unit", width, y + 92, "billion", { anchor: "end", className: "km-quiet" });
  }

  function picture(stage, groups) {
    const { marks, width } = stage;
    const top = 3 * ROW + 34;
    const below = top + STRIP + 64;
    marks.size(width, below + STRIP + 3 * ROW + 158);
    marks.text("stored", 0, 14, `stored: ${billions(chosen(stage).count.total)}`, { className: "km-strong" });
    if (stage.revealed) links(stage, groups, top + STRIP, below);
    strip(stage, "stored", groups, "ofAll", top, -1);
    if (!stage.revealed) {
      marks.rect("covered", 0.75, below, width - 1.5, STRIP, "km-outline km-dashed");
      marks.text("covered-label", width / 2, below + 27, "working for one token: guess first", { anchor: "middle", className: "km-quiet" });
      marks.size(width, below + STRIP + 8);
      return;
    }
    strip(stage, "used", groups, "ofUsed", below, 1);
    if (stage.guess) {
      const x = (stage.guess.value / 100) * width;
      marks.flag("guess", x, below + STRIP, STRIP + 16);
      marks.text("guess-label", x + 20, below - 6, `your guess ${stage.guess.value}\u00a0%`, { within: width });
    }
    line(stage, below + STRIP + 3 * ROW + 40);
  }

  KM.component("strips", {
    state: (data) => ({
      model: { value: "K2", options: Object.keys(data.models) },
      convention: { value: "both", options: Object.keys(CONVENTIONS) },
    }),

    guess: (stage) => ({
      question: "Guess first: what share of the weights that work for one token is attention?",
      min: 0, max: 60, step: 1, start: 5, within: "5 points", show: (value) => `${value}\u00a0%`,
      answer: () => `It is ${percent(stage.data.models.K2.attentionOfActivated)} in K2.`,
    }),

    controls(stage) {
      const names = Object.fromEntries(Object.entries(stage.data.models).map(([key, { name }]) => [key, name]));
      const model = { kind: "choice", name: "model", label: "model", names };
      if (!stage.revealed) return [model];
      return [model, { kind: "choice", name: "convention", label: "embedding and head: count", names: CONVENTIONS }];
    },

    draw(stage) {
      const { groups, activated, total } = shares(stage);
      const { name } = chosen(stage);
      picture(stage, groups);
      const [attention, routed] = groups;
      const stored = `Attention is ${percent(attention.ofAll)} of ${name}'s weights`;
      return {
        title: stage.revealed ? `${stored}, but ${percent(attention.ofUsed)} of those that work for one token.` : `${stored}. How much of the work is it?`,
        values: {
          total, activated, "attention-of-total": attention.ofAll, "attention-of-activated": attention.ofUsed,
          "routed-of-total": routed.ofAll, "routed-of-activated": routed.ofUsed,
        },
        note: `Both strips are as long as 100\u00a0%. Derived from the released config; the diamond is ${chosen(stage).reported.source}.`,
        table: {
          columns: ["block", "stored", "of all", "used by one token", "of those used"],
          rows: groups.map((group) => [group.name, number(group.stored), percent(group.ofAll, 2), number(group.used), percent(group.ofUsed, 2)]),
        },
        code: code(stage.state),
      };
    },
  });

  function code({ model, convention }) {
    const property = { both: "activated", head: "activated_without_embedding", neither: "activated_without_embedding_and_head" }[convention];
    return `import kimi_mini as km\ncount = km.count_parameters(km.${model})\n` +
      `count["attention"].total / count.total\ncount["attention"].activated / count.${property}`;
  }
})();
