/* The fourth brick: one head of a real layer is clipped by four rules; what happens to the other heads was measured. */
(function () {
  "use strict";
  const KM = (globalThis.KM = globalThis.KM || {});
  const { number, percent } = KM.format;
  const RULES = {
    right: { name: "the report's", factors: [0.5, 0.5, 1, 0], code: "attn.rescale_qk_(gamma_H)" },
    shared: { name: "shared key too", factors: [0.5, 0.5, 0.5, 0.5], code: "toy_shared_key_too(attn, gamma_H)" },
    root: { name: "root everywhere", factors: [0.5, 0.5, 0.5, 0], code: "toy_root_everywhere(attn, gamma_H)" },
    global: { name: "one factor for all", factors: [0.5, 0.5, 1, 0], code: "attn.rescale_qk_(gamma_H.min().expand_as(gamma_H))" },
  };
  const BRICKS = ["content query", "content key", "rotary query", "shared rotary key"];
  const STEP = 30;
  const MOVED = 0.001; // of its size: more than the arithmetic of float32 explains

  function bars(stage, before, after, y) {
    const { marks, width, state } = stage;
    const left = 66;
    const most = Math.max(...before, ...after) * 1.02;
    const ticks = KM.ticks(most);
    const at = (value) => (Math.max(0, value) / most) * (width - left - 2);
    before.forEach((value, head) => {
      const top = y + head * STEP;
      const now = after[head];
      const chosen = head === state.head;
      const moved = !chosen && Math.abs(now / value - 1) > MOVED;
      marks.text(`head-${head}`, 0, top + 15, `head ${head}`, { className: chosen ? "km-strong" : "" });
      marks.rect(`after-${head}`, left, top, at(now), 20, moved ? "km-optimizer-fill" : "km-attention-fill");
      marks.rect(`before-${head}`, left + 0.75, top + 0.75, at(value) - 1.5, 18.5, "km-outline");
      const change = Math.abs(now / value - 1) > MOVED ? `${number(now, 1)}, was ${number(value, 1)}` : number(now, 1);
      marks.text(`label-${head}`, left + 8, top + 15, change, { className: "km-on-bar" });
    });
    marks.axis("axis", left, y + before.length * STEP - 2, width - left - 2, ticks.map((tick) => ({ at: tick / most, label: number(tick) })));
  }

  function factors(stage, rule, gamma) {
    const { marks, width } = stage;
    const step = width / 4;
    BRICKS.forEach((name, index) => {
      const exponent = rule.factors[index];
      const left = gamma ** exponent;
      const wrong = exponent !== RULES.right.factors[index];
      const [first, ...rest] = name.split(" ");
      marks.text(`brick-name-${index}`, index * step, 14, first, {});
      marks.text(`brick-name2-${index}`, index * step, 31, rest.join(" "), {});
      marks.rect(`brick-${index}`, index * step + 0.75, 38, step - 8, 36, "km-outline");
      marks.rect(`brick-fill-${index}`, index * step + 0.75, 38 + 36 * (1 - left), step - 8, 36 * left, wrong ? "km-optimizer-fill" : "km-attention-fill");
      marks.text(`brick-factor-${index}`, index * step + (step - 8) / 2, 61, `\u00D7 ${number(left, 2)}`, { anchor: "middle", className: "km-halo km-strong" });
    });
  }

  KM.component("bricks", {
    state: (data) => ({
      rule: { value: "right", options: Object.keys(RULES) },
      head: { value: 0, min: 0, max: data.before.length - 1, step: 1 },
    }),

    controls: () => [
      { kind: "select", name: "rule", label: "how the clip is written", names: Object.fromEntries(Object.entries(RULES).map(([key, { name }]) => [key, name])) },
      { kind: "slider", name: "head", label: "head to be clipped", show: (value) => `head ${value}` },
    ],

    draw(stage) {
      const { data, state, width } = stage;
      const rule = RULES[state.rule];
      const after = data.after[state.rule][state.head];
      const target = data.gamma * data.before[state.head];
      const others = data.before.map((value, head) => (head === state.head ? 0 : Math.abs(after[head] / value - 1)));
      const moved = others.filter((change) => change > MOVED).length;
      const missed = Math.abs(after[state.head] / target - 1);
      stage.marks.size(width, 96 + data.before.length * STEP + 36);
      factors(stage, rule, data.gamma);
      bars(stage, data.before, after, 96);
      return {
        title: title(state, moved, Math.max(...others), missed, data),
        values: { moved, "largest-change": Math.max(...others), clipped: after[state.head], target },
        note: `Measured here: layer ${data.layer} of a trained model, the same inputs before (outline) and after (filled); \u03B3 = ${data.gamma}. Orange: a head that was not to be touched, or a factor that is wrong.`,
        table: { columns: ["head", "before", "after", "change"], rows: data.before.map((value, head) => [head, number(value, 2), number(after[head], 2), percent(after[head] / value - 1, 2)]) },
        code: `gamma_H = torch.ones(${data.before.length})\ngamma_H[${state.head}] = ${data.gamma}\nattn = model.blocks[${data.layer}].attn\n${rule.code}`,
      };
    },
  });

  function title({ rule, head }, moved, most, missed, { before, gamma }) {
    if (rule === "right") return `The report's rule: head ${head} shrinks by ${gamma}, the ${before.length - 1} others stay where they were.`;
    if (moved) return `${RULES[rule].name[0].toUpperCase()}${RULES[rule].name.slice(1)}: ${moved} heads moved that were not to be touched, by up to ${percent(most)}.`;
    return `Root everywhere: the others stay, but head ${head} misses its target by ${percent(missed)}.`;
  }
})();
