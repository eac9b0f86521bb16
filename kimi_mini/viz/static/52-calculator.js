/* The counting calculator: turn one config field at a time; areas re-flow and the exact counts follow. */
(function () {
  "use strict";
  const KM = (globalThis.KM = globalThis.KM || {});
  const { number, billions, percent } = KM.format;
  const FIELDS = {
    num_hidden_layers: { label: "layers", min: 12, max: 120, step: 1 },
    first_k_dense_replace: { label: "dense layers", min: 0, max: 12, step: 1 },
    n_routed_experts: { label: "routed experts per layer", min: 16, max: 768, step: 8 },
    num_experts_per_tok: { label: "experts per token", min: 1, max: 16, step: 1 },
    num_attention_heads: { label: "attention heads", min: 8, max: 256, step: 8 },
    hidden_size: { label: "hidden size", min: 1024, max: 14336, step: 256 },
    vocab_size: { label: "vocabulary", min: 32768, max: 327680, step: 4096 },
  };

  const config = (stage) => {
    const { field, ...changed } = stage.state;
    return { ...stage.data.config, ...changed };
  };

  /* Areas at one scale with K2's outline; a bigger model shrinks both together. */
  function areas(stage, now, size) {
    const { marks } = stage;
    const picture = KM.areas(now);
    const k2 = Math.sqrt(stage.data.total / 1e6);
    const scale = size / Math.max(k2, picture.side);
    for (const [name, part] of Object.entries(picture.parts)) {
      marks.rect(`area-${name}`, part.x * scale, 24 + part.y * scale, part.width * scale, part.height * scale,
        name === "routed experts" ? "km-tile-fill" : `km-${part.kind}-fill`);
    }
    marks.rect("k2", 0.75, 24.75, k2 * scale - 1.5, k2 * scale - 1.5, "km-outline km-dashed");
    marks.text("k2-label", size, 14, "dashed: K2", { anchor: "end", className: "km-quiet" });
    const { attention } = picture.parts;
    marks.rect("attention-lead", (attention.x + attention.width / 2) * scale - 0.5, 19, 1, 6, "km-attention-fill");
    marks.text("attention-label", 0, 14, `attention ${percent((attention.width * attention.height) / picture.side ** 2)}`);
    const routed = picture.parts["routed experts"];
    const share = (routed.width * routed.height) / picture.side ** 2;
    const inside = routed.width * scale > 170;
    const x = inside ? (routed.x + routed.width / 2) * scale : (routed.x + routed.width) * scale + 8;
    const y = 24 + (inside ? (routed.y + routed.height / 2) * scale : 18);
    marks.text("routed-label", x, y, `routed experts ${percent(share)}`, { anchor: inside ? "middle" : "start", className: inside ? "km-on-tile" : "" });
  }

  /* A number line from 0 with this count as a bar and the report's figures as hollow diamonds. */
  function line(stage, key, label, value, reports, x, y, width) {
    const { marks } = stage;
    const ticks = KM.ticks(Math.max(value, ...reports.values) * 1.2, { count: 3, cover: true });
    const at = (v) => (v / ticks[ticks.length - 1]) * width;
    marks.text(`${key}-label`, x, y, label, { className: "km-quiet" });
    marks.text(`${key}-value`, x, y + 21, number(value), { className: "km-strong" });
    marks.text(`${key}-report`, x + width, y + 21, reports.label, { anchor: "end" });
    marks.rect(`${key}-bar`, x, y + 36, at(value), 14, "km-rest-fill");
    reports.values.forEach((report, index) => marks.report(`${key}-report${index}`, x + at(report), y + 43));
    marks.axis(`${key}-axis`, x, y + 58, width, ticks.map((tick, index) => (
      { at: index / (ticks.length - 1), label: number(tick / 1e9) + (index === ticks.length - 1 ? " billion" : "") })));
  }

  KM.component("calculator", {
    state(data) {
      const fields = Object.entries(FIELDS).map(([name, { min, max, step }]) => [name, { value: data.config[name], min, max, step }]);
      return { field: { value: "first_k_dense_replace", options: Object.keys(FIELDS) }, ...Object.fromEntries(fields) };
    },

    controls(stage) {
      const { field } = stage.state;
      const names = Object.fromEntries(Object.entries(FIELDS).map(([name, { label }]) => [name, label]));
      const allMoe = stage.state.first_k_dense_replace === 0;
      return [
        { kind: "select", name: "field", label: "field of the config", names },
        { kind: "slider", name: field, slot: "value", label: field, show: (value) => number(Number(value)) },
        {
          kind: "button", name: "all-moe", label: "layer 0 holds experts too", pressed: allMoe,
          press: () => stage.set({ first_k_dense_replace: allMoe ? 1 : 0 }),
        },
      ];
    },

    draw(stage) {
      const now = config(stage);
      const count = KM.accounting.countParameters(now);
      const wide = stage.width > 600;
      const size = wide ? stage.width * 0.46 : Math.min(stage.width, 320);
      const [x, y, width] = wide ? [size + 40, 44, stage.width - size - 44] : [0, size + 62, stage.width - 4];
      stage.marks.size(stage.width, wide ? size + 30 : size + 290);
      areas(stage, now, size);
      const { reports } = stage.data;
      line(stage, "total", "all parameters", count.total, reports.total, x, y, width);
      line(stage, "active", "used by one token", count.activated, reports.activated, x, y + 120, width);
      return {
        title: title(stage, count),
        values: { total: count.total, activated: count.activated },
        note: "Hollow diamonds: the report's 1.04T and 32.6B (Table 2) and 1043B (Table 4). Everything else is derived; all fields keep what you gave them until reset.",
        table: {
          columns: ["block", "parameters", "used by one token"],
          rows: [...count.blocks, { name: "all", ...count }].map((block) => [block.name, number(block.total), number(block.activated)]),
        },
        code: code(stage),
      };
    },
  });

  function changes(stage) {
    return stage.changed().filter(([key]) => key !== "field");
  }

  function title(stage, count) {
    const changed = changes(stage);
    const sizes = `${billions(count.total)} parameters, ${billions(count.activated)} at work per token`;
    if (!changed.length) return `K2 as released: ${sizes}.`;
    if (changed.length > 1) return `With ${changed.length} fields changed: ${sizes}.`;
    const [[key, value]] = changed;
    return `With ${FIELDS[key].label} ${number(stage.data.config[key])} \u2192 ${number(value)}: ${sizes}.`;
  }

  function code(stage) {
    const changed = changes(stage).map(([key, value]) => `${key}=${value}`);
    const shape = changed.length ? `km.K2.replace(${changed.join(", ")})` : "km.K2";
    return `import kimi_mini as km\ncount = km.count_parameters(${shape})\ncount.total, count.activated`;
  }
})();
