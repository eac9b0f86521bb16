/* The thermostat: each expert's load in a recorded run, layer by layer, as one drags through the updates; the devices that share
   the experts as frames around them; the violation over all updates beneath. Grouping is computed here, runs are recorded. */
(function () {
  "use strict";
  const KM = (globalThis.KM = globalThis.KM || {});
  const { number } = KM.format;
  const TOP = 26;
  const PANEL = 148; // height of a layer's bars
  const GAP = 44;
  const CHART = 104;
  const BUSY = 2; // times its share: drawn in the colour of danger
  const IDLE = 0.1;
  const OPENING = "rate0/0";

  const times = (value) => number(value, value < 10 ? 2 : 1);
  const highest = ({ data }) => data.experts / data.chosen; // every token chose it

  /* ---- the recorded series ---- */

  function series(stage, run = stage.state.run) {
    const cache = (stage.unpacked = stage.unpacked || new Map());
    if (!cache.has(run)) {
      const { load, violation, ...rest } = stage.data.runs[run];
      cache.set(run, { load: KM.unpack(load), violation: KM.unpack(violation), ...rest });
    }
    return cache.get(run);
  }

  /* Loads over the mean, [layer][expert], at an update. */
  function shares(stage, run, update) {
    const { layers, experts, every } = stage.data;
    const start = (update / every - 1) * layers.length * experts;
    return layers.map((_, layer) => {
      const row = Array.from(run.load.subarray(start + layer * experts, start + (layer + 1) * experts));
      const mean = row.reduce((a, b) => a + b) / experts;
      return row.map((load) => load / mean);
    });
  }

  /* Neighbours on one device: its load over the mean device's. */
  const grouped = (row, devices) => Array.from({ length: devices }, (_, device) => {
    const each = row.length / devices;
    return row.slice(device * each, (device + 1) * each).reduce((a, b) => a + b) / each;
  });

  const name = (stage, run) => stage.data.names[run.split("/")[0]];

  /* ---- drawing ---- */

  function panel(stage, index, row, devices) {
    const { marks, width, data } = stage;
    const base = TOP + index * (PANEL + GAP) + PANEL;
    const y = (share) => base - (share / highest(stage)) * PANEL;
    const step = (width - 2) / data.experts;
    for (const tick of [0, 2, 4, 6, 8]) marks.rect(`grid-${index}-${tick}`, 0, y(tick), width, 1, "km-grid");
    row.forEach((share, expert) => {
      const x = 1 + expert * step;
      marks.rect(`bar-${index}-${expert}`, x + step * 0.15, y(share), step * 0.7, base - y(share), share > BUSY ? "km-optimizer-fill" : "km-experts-fill");
    });
    const loads = grouped(row, devices);
    if (devices < data.experts) {
      const wide = (width - 2) / devices;
      loads.forEach((load, device) => marks.rect(`device-${index}-${device}`, 1 + device * wide + 1, y(load), wide - 2, base - y(load), "km-outline"));
    }
    marks.rect(`fair-${index}`, 0, y(1) - 0.5, width, 1.5, "km-axis");
    marks.text(`tick8-${index}`, width, y(8) + 15, "8 times: every token", { anchor: "end", className: "km-quiet km-halo" });
    marks.text(`tick4-${index}`, width, y(4) - 4, "4 times", { anchor: "end", className: "km-quiet km-halo" });
    marks.text(`panel-${index}`, 0, y(8) - 9, `layer ${data.layers[index]}: load of each expert, in fair shares`, { className: "km-halo" });
    return { busiest: Math.max(...row), device: Math.max(...loads), idle: row.filter((share) => share < IDLE).length };
  }

  function chart(stage, run, update) {
    const { marks, width, data } = stage;
    const base = TOP + data.layers.length * (PANEL + GAP) + CHART + 6;
    const count = data.layers.length;
    const updates = run.violation.length / count;
    const x = (row) => ((row + 1) / updates) * (width - 2);
    const y = (value) => base - (value / (highest(stage) - 1)) * CHART;
    for (const tick of [0, 2, 4, 6]) {
      marks.rect(`chart-grid-${tick}`, 0, y(tick), width, 1, "km-grid");
      if (tick) marks.text(`chart-label-${tick}`, 0, y(tick) - 3, String(tick), { className: "km-quiet km-halo" });
    }
    marks.text("chart-title", 0, base - CHART - 8, "violation: busiest over mean, less 1", { className: "km-halo", within: width });
    data.layers.forEach((layer, index) => {
      const own = run.violation.filter((_, place) => place % count === index);
      marks.shape(`line-${index}`, 0, 0, KM.path(own, x, y), `km-line ${index ? "km-quiet-line" : "km-expert-line"}`);
    });
    marks.rect("cursor", x(update - 1) - 0.75, base - CHART, 1.5, CHART, "km-flag");
    marks.axis("updates", 0, base, width - 2, [0, 160, 320].map((at) => ({ at: at / updates, label: at === 320 ? "update 320" : String(at) })));
    const [solid, dashed] = data.layers;
    marks.text("legend", width, base - CHART + 12, `layer ${solid}, layer ${dashed} dashed`, { anchor: "end", className: "km-quiet km-halo" });
  }

  /* Drag along the picture to move through the run. */
  function hands(stage) {
    if (stage.handed) return;
    stage.handed = true;
    const { picture } = stage;
    picture.classList.add("km-scrub");
    const move = (event) => {
      const box = picture.getBoundingClientRect();
      stage.set({ update: ((event.clientX - box.left) / stage.width) * stage.data.steps }, true);
    };
    picture.addEventListener("pointerdown", (event) => {
      if (!stage.revealed) return;
      picture.setPointerCapture(event.pointerId);
      picture.dataset.held = "yes";
      move(event);
    });
    picture.addEventListener("pointermove", (event) => { if (picture.dataset.held) move(event); });
    for (const end of ["pointerup", "pointercancel"]) {
      picture.addEventListener(end, () => { delete picture.dataset.held; stage.root.classList.remove("km-dragging"); });
    }
  }

  function flag(stage) {
    if (!stage.guess || stage.state.run !== OPENING) return;
    const y = TOP + PANEL - (Math.min(highest(stage), stage.guess.value) / highest(stage)) * PANEL;
    stage.marks.rect("guess-line", 0, y - 1, stage.width, 2, "km-flag");
    stage.marks.text("guess-label", 4, y - 5, `your guess: ${times(stage.guess.value)} times`, { className: "km-halo km-strong" });
  }

  /* ---- the component ---- */

  KM.component("thermostat", {
    state: (data) => ({
      run: { value: OPENING, options: Object.keys(data.runs) },
      update: { value: data.steps, min: data.every, max: data.steps, step: data.every },
      devices: { value: data.experts, options: data.devices },
    }),

    guess: (stage) => ({
      question: `Guess first: nothing balances the router of layer ${stage.data.layers[0]}. Of ${stage.data.experts} experts, how many times its fair share does the busiest one get in the last ${stage.data.tail} updates? (1 is perfect balance, ${highest(stage)} means that every token chose it.)`,
      min: 1, max: highest(stage), step: 0.25, start: 1.5, within: "half a share", show: (value) => `${times(Number(value))} times`,
      answer: () => `It got ${times(series(stage, OPENING).busiest[0])} times its share on average, and ${series(stage, OPENING).idle[0]} of the ${stage.data.experts} experts less than a tenth of theirs.`,
    }),

    controls(stage) {
      if (!stage.revealed) return [];
      const names = Object.fromEntries(stage.schema.run.options.map((run) => [run, `${name(stage, run)}, seed ${run.split("/")[1]}`]));
      return [
        { kind: "select", name: "run", label: "recorded run", names },
        { kind: "slider", name: "update", label: "update", show: (value) => number(Number(value)) },
        { kind: "slider", name: "devices", label: "devices that share the experts", show: (value) => (Number(value) === 1 ? "1, with all experts" : `${value}, ${stage.data.experts / value} expert${Number(value) === stage.data.experts ? "" : "s"} each`) },
      ];
    },

    draw(stage) {
      const { state, data, marks } = stage;
      const update = stage.revealed ? Number(state.update) : data.every;
      const devices = stage.revealed ? Number(state.devices) : data.experts;
      const run = series(stage);
      const rows = shares(stage, run, update);
      marks.size(stage.width, stage.revealed ? TOP + rows.length * (PANEL + GAP) + CHART + 40 : TOP + rows.length * (PANEL + GAP) - 20);
      const found = rows.map((row, index) => panel(stage, index, row, devices));
      if (stage.revealed) {
        chart(stage, run, update);
        hands(stage);
        flag(stage);
      }
      return say(stage, run, found, rows, update, devices);
    },
  });

  function say(stage, run, found, rows, update, devices) {
    const { data, state } = stage;
    const busiest = Math.max(...found.map((each) => each.busiest));
    const device = Math.max(...found.map((each) => each.device));
    const idle = found.reduce((sum, each) => sum + each.idle, 0);
    const shared = devices < data.experts ? `; the busiest of ${devices} devices ${times(device)} times` : "";
    const values = { idle, "held-out": run.held_out, "end-violation": run.end_violation, "end-echo": run.end_echo };
    found.forEach((each, index) => { values[`busiest-${data.layers[index]}`] = each.busiest; values[`device-${data.layers[index]}`] = each.device; });
    return {
      title: stage.revealed
        ? `${name(stage, state.run)}, update ${update}: the busiest expert has ${times(busiest)} times its fair share${shared}.`
        : `The first ${data.every} updates of a run without any balance. What next?`,
      values,
      note: `Measured here: ${data.experts} experts a layer, ${data.chosen} for a token, ${number(data.tokens)} tokens an update; every ${data.every}th update is drawn as bars. Orange: more than twice the share.` +
        (stage.revealed ? ` Now ${idle} of ${data.experts * data.layers.length} experts have less than a tenth of theirs. Frames: devices. Last ${data.tail} updates of this run: violation ${times(run.end_violation)}, echo (correlation of one update\u2019s loads with the next) ${number(run.end_echo, 2).replace("-", "\u2212")}. Held-out loss at the end: ${number(run.held_out, 3)} nats.` : ""),
      table: {
        columns: ["expert", ...data.layers.map((layer) => `layer ${layer}, in shares`)],
        rows: rows[0].map((_, expert) => [expert, ...rows.map((row) => number(row[expert], 3))]),
      },
      code: `from kimi_mini.viz import balance   # in a copy of the repository\nfrom kimi_mini.optim import device_load, max_violation\nimport torch\n` +
        `run = next(run for run in balance.load_runs("book/data/balance") if run.key == "${state.run}")\n` +
        `load = torch.tensor(run.load[${update} // run.every - 1])   # [layers, experts]\nmax_violation(load), max_violation(device_load(load, ${devices}))`,
    };
  }
})();
