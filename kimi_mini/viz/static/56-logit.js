/* One logit by two paths. They differ in its content part: its running sums, both results digit by digit, what a pair costs. */
(function () {
  "use strict";
  const KM = (globalThis.KM = globalThis.KM || {});
  const { number } = KM.format;
  const TOP = 24;
  const HIGH = 190;
  const PATHS = ["expanded", "absorbed"];
  const LINES = { expanded: "km-line km-quiet-line", absorbed: "km-line km-latent-line" };

  const chosen = ({ data, state }, path) => data[path][state.pair][state.layer][state.head];

  function sums(stage, path) {
    const { data, state } = stage;
    const cache = (stage.unpacked = stage.unpacked || {});
    const all = (cache[path] = cache[path] || KM.unpack(data.sums[path]));
    const count = data.products[path];
    const from = ((state.pair * data.layers + state.layer) * data.heads + state.head) * count;
    return Array.from(all.subarray(from, from + count));
  }

  /* All 17 digits of a float64, and how many leading ones the two numbers share. */
  const digits = (value) => value.toPrecision(17);
  const short = (value) => number(value, 3);
  function shared(a, b) {
    const [one, other] = [a, b].map((value) => value.toExponential(16).split("e"));
    if (one[1] !== other[1] || a < 0 !== b < 0) return 0;
    const [left, right] = [one[0], other[0]].map((text) => text.replace(/[-.]/g, ""));
    let count = 0;
    while (count < left.length && left[count] === right[count]) count++;
    return count;
  }

  function chart(stage, lines) {
    const { marks, width, data } = stage;
    const every = [0, ...Object.values(lines).flat()];
    const [low, high] = [Math.min(...every), Math.max(...every)];
    const y = (value) => TOP + HIGH * (1 - (value - low) / (high - low || 1));
    const most = data.products.absorbed;
    const x = (count) => (count / most) * (width - 10);
    marks.rect("zero", 0, y(0), width, 1, "km-grid");
    marks.text("chart-title", 0, 12, "the sum so far, product after product", { className: "km-quiet" });
    for (const [path, values] of Object.entries(lines)) {
      const d = values.map((value, index) => `L${x(index + 1).toFixed(1)} ${y(value).toFixed(1)}`).join("");
      marks.shape(`line-${path}`, 0, 0, `M0 ${y(0).toFixed(1)}${d}`, LINES[path]);
      const last = values.length - 1;
      marks.shape(`dot-${path}`, x(values.length), y(values[last]), "M-5 0A5 5 0 1 0 5 0A5 5 0 1 0 -5 0Z", path === "absorbed" ? "km-attention-fill" : "km-rest-fill");
    }
    for (const [path, values] of Object.entries(lines)) { // after both lines: a name lies over them, not under
      const level = y(values.at(-1));
      marks.text(`line-label-${path}`, x(values.length), level + (level < TOP + 40 ? 24 : -12), path, { anchor: "end", within: width, className: "km-halo km-strong" });
    }
    const ticks = [0, data.products.expanded, most].map((count) => ({ at: count / most, label: count === most ? `${count} products` : String(count) }));
    marks.axis("products", 0, TOP + HIGH + 14, width - 10, ticks);
  }

  function results(stage, values, rotary, count) {
    const { marks } = stage;
    const y = TOP + HIGH + 74;
    PATHS.forEach((path, index) => {
      const at = y + index * 26;
      marks.text(`path-${path}`, 0, at, path);
      if (values[path] === null) {
        marks.text(`same-${path}`, 80, at, "guess first", { className: "km-quiet" });
        return;
      }
      const text = digits(values[path]);
      let seen = 0;
      let cut = 0;
      while (cut < text.length && (seen < count || !/[1-9]/.test(text[cut]))) {
        if (/\d/.test(text[cut]) && (seen || text[cut] !== "0")) seen++;
        if (seen > count) break;
        cut++;
      }
      marks.text(`same-${path}`, 80, at, text.slice(0, cut), { className: "km-digits km-strong" });
      marks.text(`rest-${path}`, 80 + marks.long(`same-${path}`), at, text.slice(cut), { className: "km-digits" });
      marks.rect(`under-${path}`, 80 + marks.long(`same-${path}`), at + 4, marks.long(`rest-${path}`), 3, "km-optimizer-fill");
    });
    const both = `+ ${short(rotary)}, the rotary part of both = logit ${short(values.expanded + rotary)}`;
    marks.text("rotary", 0, y + 56, both, { className: "km-quiet" });
  }

  function costs(stage) {
    const { marks, width, data } = stage;
    const y = TOP + HIGH + 178;
    const { k2 } = data.flops;
    marks.text("cost-title", 0, y, "K2: FLOPs for one pair of tokens in one head", { className: "km-quiet" });
    PATHS.forEach((path, index) => {
      const at = y + 12 + index * 34;
      marks.rect(`cost-${path}`, 80, at, ((width - 84) * k2[path]) / k2.absorbed, 26, "km-attention-fill");
      marks.text(`cost-name-${path}`, 0, at + 18, path);
      marks.text(`cost-label-${path}`, 88, at + 18, number(k2[path]), { className: "km-on-mark" });
    });
  }

  KM.component("logit", {
    state: (data) => ({
      pair: { value: 0, options: data.pairs.map((_, index) => index) },
      layer: { value: 0, min: 0, max: data.layers - 1, step: 1 },
      head: { value: 0, min: 0, max: data.heads - 1, step: 1 },
    }),

    guess: (stage) => ({
      question: "Both roads sum in float64, which holds about 16 digits. Guess first: how many leading digits will the two results share?",
      min: 0, max: 17, step: 1, start: 8, within: "2 digits", show: (value) => `${value} digits`,
      answer() {
        const { all, median, least } = stage.data.shared;
        return `Of ${all} pairs of results half share ${median} digits or more of 17, and none fewer than ${least}.`;
      },
    }),

    controls: ({ data }) => [
      { kind: "select", name: "pair", label: "who looks at whom", names: data.pairs },
      { kind: "slider", name: "layer", label: "layer", show: (value) => `layer ${value}` },
      { kind: "slider", name: "head", label: "head", show: (value) => `head ${value}` },
    ],

    draw(stage) {
      const { data, state, revealed } = stage;
      const values = { expanded: chosen(stage, "expanded"), absorbed: revealed ? chosen(stage, "absorbed") : null };
      const rotary = chosen(stage, "rotary");
      const count = revealed ? shared(values.expanded, values.absorbed) : 0;
      stage.marks.size(stage.width, TOP + HIGH + 264);
      const lines = { expanded: sums(stage, "expanded") };
      if (revealed) lines.absorbed = sums(stage, "absorbed");
      chart(stage, lines);
      results(stage, values, rotary, revealed ? count : 17);
      costs(stage);
      const where = `Layer ${state.layer}, head ${state.head}`;
      const { products } = data;
      return {
        title: revealed ? `${where}: two roads to one number; of its 17 digits the first ${count} are the same.`
          : `${where}: with an expanded key the sum is ${short(values.expanded)}. Where does the other road end?`,
        values: { expanded: values.expanded, absorbed: revealed ? values.absorbed : "", shared: count, logit: values.expanded + rotary },
        note: `Measured here, in float64, on MINI: the content part of a scaled logit, ${products.expanded} products with the key or ${products.absorbed} with the latent. The bars are derived from K2\u2019s config.`,
        table: {
          columns: ["path", "content products", "content part", "rotary part", "FLOPs a pair: MINI", "K2"],
          rows: PATHS.map((path) => [path, products[path], values[path] === null ? "guess first" : digits(values[path]), digits(rotary),
            number(data.flops.mini[path]), number(data.flops.k2[path])]),
        },
        code: "paths = latent.both_paths(model, tokens, pairs)\n" +
          `paths.content_2PLH[:, ${state.pair}, ${state.layer}, ${state.head}]   # expanded, absorbed`,
      };
    },
  });
})();
