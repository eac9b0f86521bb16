/* Three quiet calculators on one drawing: a row of bars, one per alternative, for a setting under the reader's thumb. */
(function () {
  "use strict";
  const KM = (globalThis.KM = globalThis.KM || {});
  const { gib, gb, gflop, number, percent } = KM.format;
  const BAR = 26;
  const CONTEXTS = Array.from({ length: 8 }, (_, power) => 1024 * 2 ** power);

  /* rows: [{name, parts: [{value, kind}], label, report}] on one axis from 0 to `max`. */
  function bars(stage, rows, max, show, axisTicks) {
    const { marks, width } = stage;
    const step = BAR + 40;
    marks.size(width, rows.length * step + 34);
    const at = (value) => (value / max) * (width - 8);
    rows.forEach((row, index) => {
      const y = index * step;
      marks.text(`name-${index}`, 0, y + 15, row.name);
      marks.text(`label-${index}`, width - 2, y + 15, row.label, { anchor: "end", className: "km-strong" });
      let x = 0;
      row.parts.forEach((part, place) => {
        marks.rect(`bar-${index}-${place}`, x, y + 23, at(part.value), BAR, `km-${part.kind}-fill`);
        if (part.label && at(part.value) > 90) marks.text(`part-${index}-${place}`, x + 8, y + 41, part.label, { className: "km-on-mark" });
        x += at(part.value);
      });
      if (row.report !== undefined) marks.report(`report-${index}`, at(row.report), y + 23 + BAR / 2);
    });
    marks.axis("axis", 0, rows.length * step - 8, width - 8, axisTicks.map((value) => ({ at: value / max, label: show(value) })));
  }

  const unitOnLast = (ticks, divide, unit) => {
    const last = ticks[ticks.length - 1];
    const digits = last / divide < 0.5 ? 2 : last / divide < 3 ? 1 : 0;
    return (value) => number(value / divide, value ? digits : 0) + (value === last ? unit : "");
  };
  const contextSlider = { kind: "slider", name: "context", label: "context", show: (value) => `${number(Number(value))} tokens` };
  const imports = "import kimi_mini as km\n";

  /* ---- cache bytes ---- */

  const KINDS = [
    ["mha", "MHA: every head"],
    ["gqa", "GQA: 8 key-value heads"],
    ["mla", "MLA: one latent (K2)"],
    ["mqa", "MQA: one key-value head"],
  ];

  KM.component("cache", {
    state: () => ({
      context: { value: 131072, options: CONTEXTS },
      users: { value: 1, options: [1, 2, 4, 8, 16, 32, 64] },
    }),
    controls: () => [contextSlider, { kind: "slider", name: "users", label: "conversations at once", show: (value) => number(Number(value)) }],
    draw(stage) {
      const { context, users } = stage.state;
      const bytes = Object.fromEntries(KINDS.map(([kind]) => [kind, KM.accounting.cacheBytes(stage.data.config, context * users, kind)]));
      const max = bytes.mha * 1.02;
      const ticks = KM.ticks(max / 2 ** 30).map((value) => value * 2 ** 30);
      bars(stage, KINDS.map(([kind, name]) => ({ name, parts: [{ value: bytes[kind], kind: "attention" }], label: gib(bytes[kind]) })),
        max, unitOnLast(ticks, 2 ** 30, " GiB"), ticks);
      return {
        title: `At ${number(context)} tokens${users > 1 ? ` and ${users} conversations` : ""} MLA keeps ${gib(bytes.mla)}; caching every head would take ${gib(bytes.mha)}.`,
        values: bytes,
        note: "Derived: 2 bytes per element (bf16), all 61 layers, K2's own head widths.",
        table: { columns: ["cache", "bytes", "size", "against MLA"], rows: KINDS.map(([kind, name]) => [name, number(bytes[kind]), gib(bytes[kind]), number(bytes[kind] / bytes.mla, 2)]) },
        code: `${imports}km.accounting.cache_bytes(km.K2, ${context * users}, "mla")   # or "mha", "gqa", "mqa"`,
      };
    },
  });

  /* ---- FLOPs per token ---- */

  KM.component("flops", {
    state: () => ({ context: { value: 4096, options: CONTEXTS } }),
    controls: () => [contextSlider],
    draw(stage) {
      const { config } = stage.data;
      const { context } = stage.state;
      const ways = [
        ["training", "a trained token", KM.accounting.trainingFlops(config, context)],
        ["expanded", "next token, keys expanded", KM.accounting.decodeFlops(config, context, "expanded")],
        ["absorbed", "next token, latent absorbed", KM.accounting.decodeFlops(config, context, "absorbed")],
      ];
      const total = (way) => way.weights + way.attention;
      const max = Math.max(...ways.map(([, , way]) => total(way))) * 1.02;
      const ticks = KM.ticks(max);
      bars(stage, ways.map(([, name, way]) => ({
        name, label: gflop(total(way)), parts: [{ value: way.weights, kind: "rest", label: "weights" }, { value: way.attention, kind: "attention", label: "attention" }],
      })), max, unitOnLast(ticks, 1e9, " GFLOP"), ticks);
      const absorbed = ways[2][2];
      return {
        title: `With ${number(context)} tokens of context, attention over them is ${percent(absorbed.attention / total(absorbed), 0)} of the work of writing one more token.`,
        values: Object.fromEntries(ways.flatMap(([key, , way]) => [[`${key}-weights`, way.weights], [`${key}-attention`, way.attention]])),
        note: "Grey: 2 FLOPs per working weight, head counted, input embedding not (three times that in training). Blue: attention over the context. Training counts the causal mean; derived.",
        table: { columns: ["", "weights", "attention", "attention share"], rows: ways.map(([, name, way]) => [name, gflop(way.weights), gflop(way.attention), percent(way.attention / total(way))]) },
        code: `${imports}km.accounting.decode_flops(km.K2, ${context})   # path="expanded" for the other way\nkm.accounting.training_flops(km.K2, ${context})`,
      };
    },
  });

  /* ---- memory per GPU ---- */

  const PARTS = [["weights", "rest"], ["gradients", "rest"], ["optimizer", "optimizer"]];

  KM.component("memory", {
    state: () => ({
      pipeline: { value: 16, options: [1, 2, 4, 8, 16, 32, 61] },
      expert: { value: 16, options: [1, 2, 4, 8, 16, 32, 64, 128] },
      data: { value: 8, options: [1, 2, 4, 8, 16, 32] },
    }),
    controls: () => [
      { kind: "slider", name: "pipeline", label: "pipeline stages", show: (value) => number(Number(value)) },
      { kind: "slider", name: "expert", label: "expert ranks", show: (value) => number(Number(value)) },
      { kind: "slider", name: "data", label: "replicas of that group", show: (value) => number(Number(value)) },
    ],
    draw(stage) {
      const { pipeline, expert, data } = stage.state;
      const stages = KM.accounting.memoryPerGpu(stage.data.config, { pipeline, expert, data });
      const total = (one) => one.weights + one.gradients + one.optimizer;
      const fullest = stages.reduce((most, one) => (total(one) > total(most) ? one : most));
      const gpus = pipeline * expert * data;
      const reported = pipeline === 16 && expert === 16;
      const max = Math.max(total(fullest), reported ? stage.data.reported : 0) * 1.05;
      const ticks = KM.ticks(max);
      const rows = [...PARTS.map(([part, kind]) => ({ name: part, parts: [{ value: fullest[part], kind }], label: gb(fullest[part]) })),
        { name: "together", parts: PARTS.map(([part, kind]) => ({ value: fullest[part], kind })), label: gb(total(fullest)), report: reported ? stage.data.reported : undefined }];
      bars(stage, rows, max, unitOnLast(ticks, 1e9, " GB"), ticks);
      return {
        title: `${gpus === 1 ? "One GPU alone would hold" : `On ${number(gpus)} GPUs the fullest one holds`} ${gb(total(fullest))} of training states.`,
        values: { gpus, fullest: total(fullest), ...Object.fromEntries(PARTS.map(([part]) => [part, fullest[part]])) },
        note: "Derived: bf16 weights, fp32 gradients, 8 bytes of optimizer state per weight, sharded; activations not counted. Hollow diamond: the report's figure of about 30 GB, at its 16 x 16 layout; the number of GPUs is not published.",
        table: { columns: ["stage", "weights", "gradients", "optimizer", "together"], rows: stages.map((one, index) => [index, gb(one.weights), gb(one.gradients), gb(one.optimizer), gb(total(one))]) },
        code: `${imports}layout = km.accounting.Layout(pipeline=${pipeline}, expert=${expert}, data=${data})\nmax(stage.total for stage in km.accounting.memory_per_gpu(km.K2, layout))`,
      };
    },
  });
})();
