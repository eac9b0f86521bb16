/* The tile walk: causal attention of one real head, tile by tile. Only the tile in hand has logits; of each row stay a maximum,
   a sum and an unfinished output. Two meters: bytes asked of memory in three ways, bytes held on the chip.
   The walk and the counts are in 48-tiles.js. */
(function () {
  "use strict";
  const KM = (globalThis.KM = globalThis.KM || {});
  const { number } = KM.format;
  const { tiles, traffic, onChip, kept } = KM.tileWalk;
  const WAYS = { write: "write all logits", twice: "look twice", fused: "fused" };
  const UNITS = [[1e9, "GB"], [1e6, "MB"], [1e3, "kB"]];

  const bytes = (value) => {
    const [unit, name] = UNITS.find(([size]) => value >= size) || [1, "bytes"];
    const scaled = value / unit;
    return `${number(scaled, unit === 1 || scaled >= 100 ? 0 : 1)}\u00a0${name}`;
  };

  /* Scaled logits of the whole head, once: the page needs them to draw, a kernel never has them. */
  function head(stage) {
    if (stage.head) return stage.head;
    const { tokens, width, scale } = stage.data.head;
    const [q, k, v] = ["q", "k", "v"].map((name) => KM.unpack(stage.data.head[name]));
    const logits = new Float64Array(tokens * tokens).fill(-Infinity);
    const largest = new Float64Array(tokens).fill(-Infinity);
    for (let t = 0; t < tokens; t++) {
      for (let s = 0; s <= t; s++) {
        let sum = 0;
        for (let n = 0; n < width; n++) sum += q[t * width + n] * k[s * width + n];
        logits[t * tokens + s] = sum * scale;
        largest[t] = Math.max(largest[t], sum * scale);
      }
    }
    const seen = logits.filter(Number.isFinite);
    stage.head = { tokens, wide: stage.data.head.out_width, logits, largest, v, low: seen.reduce((a, b) => Math.min(a, b)), high: seen.reduce((a, b) => Math.max(a, b)) };
    return stage.head;
  }

  /* Everything about the present tile. */
  function now(stage) {
    const { head: { tokens }, k2 } = stage.data;
    const [rows, keys] = sizes(stage);
    const all = tiles(tokens, rows, keys);
    const at = Math.min(stage.state.step, all.length);
    const { row, key } = all[at - 1];
    const { logits, largest } = head(stage);
    let best = { value: -Infinity };
    for (const { row: [r0, r1], key: [k0, k1] } of all.slice(0, at)) {
      for (let t = r0; t < r1; t++) for (let s = k0; s < k1; s++) if (logits[t * tokens + s] > best.value) best = { value: logits[t * tokens + s], t, s };
    }
    const inRow = all.slice(0, at).filter((tile) => tile.row[0] === row[0]).map((tile) => tile.key);
    let focus = row[0];
    for (let t = row[0]; t < row[1]; t++) if (largest[t] > largest[focus]) focus = t;
    return {
      rows, keys, all, at, row, key, best, focus, kept: kept(head(stage), focus, inRow), final: kept(head(stage), focus, [[0, tokens]]),
      asked: traffic({ ...k2, tokens }, rows, keys, at), total: traffic({ ...k2, tokens }, rows, keys),
      layer: traffic(k2, rows, keys), chip: onChip(k2, rows, keys),
    };
  }

  const sizes = ({ state, schema, revealed }) => ["rows", "keys"].map((name) => Number(revealed ? state[name] : schema[name].value));

  /* ---- drawing ---- */

  function paint(stage, { all, at, row, key }, size, top) {
    if (!stage.canvas) stage.picture.prepend((stage.canvas = KM.element("canvas", { class: "km-tile-scores" })));
    const { tokens } = stage.data.head;
    const { logits, low, high } = head(stage);
    Object.assign(stage.canvas, { width: tokens, height: tokens });
    Object.assign(stage.canvas.style, { width: `${size}px`, height: `${size}px`, top: `${top}px` });
    const pen = stage.canvas.getContext("2d");
    pen.fillStyle = KM.theme.colour("line");
    for (const tile of all.slice(0, at - 1)) pen.fillRect(tile.key[0], tile.row[0], tile.key[1] - tile.key[0], tile.row[1] - tile.row[0]);
    pen.clearRect(key[0], row[0], key[1] - key[0], row[1] - row[0]);
    pen.fillStyle = KM.theme.colour("score");
    for (let t = row[0]; t < row[1]; t++) {
      for (let s = key[0]; s < Math.min(key[1], t + 1); s++) {
        pen.globalAlpha = 0.05 + 0.95 * ((logits[t * tokens + s] - low) / (high - low)) ** 2;
        pen.fillRect(s, t, 1, 1);
      }
    }
  }

  function square(stage, found, size, top) {
    const { marks, data: { head: { tokens, words } } } = stage;
    const { all, row, key, best } = found;
    const at = (place) => (place / tokens) * size;
    marks.text("keys", 0, top - 8, `keys 0 to ${tokens - 1}, queries downwards`, { className: "km-quiet" });
    const edges = all.map((tile) => `M${at(tile.key[0]).toFixed(1)} ${at(tile.row[0]).toFixed(1)}H${at(tile.key[1]).toFixed(1)}V${at(tile.row[1]).toFixed(1)}H${at(tile.key[0]).toFixed(1)}Z`);
    marks.shape("tiles", 0, top, edges.join(""), "km-tile-edges");
    marks.rect("square", 0.75, top + 0.75, size - 1.5, size - 1.5, "km-outline");
    if (found.keys < 128 && found.rows < 128) {
      marks.text("ahead-1", size - 10, top + 24, "looks ahead:", { anchor: "end", className: "km-quiet" });
      marks.text("ahead-2", size - 10, top + 43, "never computed", { anchor: "end", className: "km-quiet" });
    }
    marks.rect("tile", at(key[0]), top + at(row[0]), at(key[1] - key[0]), at(row[1] - row[0]), "km-derived");
    marks.shape("best", at(best.s + 0.5), top + at(best.t + 0.5), "M-6 0A6 6 0 1 0 6 0A6 6 0 1 0-6 0", "km-derived");
    const left = best.s > tokens * 0.8;
    marks.text("best-label", at(best.s + 0.5) + (left ? -10 : 10), top + at(best.t + 0.5) + 5, number(best.value, 1), { anchor: left ? "end" : "start", within: size, className: "km-strong km-halo" });
    return words[best.t];
  }

  /* The row whose maximum turns out largest in this tile's rows: what is kept of it, and where its output will end. */
  function rowPanel(stage, { kept: k, final, focus }, x, y, wide) {
    const { marks, data: { head: { words } } } = stage;
    const high = 34;
    const most = final.out.reduce((a, b) => Math.max(a, Math.abs(b)), 1e-9);
    const scale = (value) => Math.max(-1, Math.min(1, value / most)) * high;
    marks.text("row-name", x, y + 14, `kept of row ${focus} (${words[focus]})`, { className: "km-strong" });
    marks.text("row-max", x, y + 35, `maximum ${number(k.max, 2)}, sum ${number(k.sum, 2)}`);
    marks.text("row-shrink", x, y + 55, k.isFirst ? "first tile: there is nothing to shrink" : `old sum and output times ${number(k.shrink, k.shrink < 0.01 ? 5 : 2)}`, { className: "km-quiet" });
    const base = y + 70 + high;
    const step = wide / k.out.length;
    const bar = (key, value, inset, className) => marks.rect(key, x + step * (value.index + inset), base - Math.max(0, scale(value.size)), step * (1 - 2 * inset), Math.abs(scale(value.size)), className);
    Array.from(k.out).forEach((size, index) => bar(`out-${index}`, { size, index }, 0.15, "km-attention-fill"));
    Array.from(final.out).forEach((size, index) => bar(`end-${index}`, { size, index }, 0.05, "km-tile-end"));
    marks.rect("out-axis", x, base - 0.5, wide, 1, "km-axis");
    marks.text("out-name", x, base + high + 20, "its output so far; outlines: at the end", { className: "km-quiet" });
  }

  function bar(stage, key, label, told, x, y, wide, part, rest) {
    const { marks } = stage;
    marks.text(`${key}-name`, x, y + 14, label);
    marks.text(`${key}-told`, x + wide, y + 14, told, { anchor: "end", className: "km-strong" });
    marks.rect(`${key}-part`, x, y + 21, Math.min(part, wide), 14, rest);
    return y + 21;
  }

  function meters(stage, { asked, total, chip, layer }, x, y, wide) {
    const { marks, data, revealed } = stage;
    marks.text("traffic", x, y + 14, "bytes asked of memory so far", { className: "km-quiet" });
    const most = total.write;
    Object.entries(WAYS).forEach(([way, label], index) => {
      const top = bar(stage, `way-${way}`, label, revealed ? `${bytes(asked[way])}; K2: ${bytes(layer[way] * data.k2.heads)}` : bytes(asked[way]), x, y + 22 + index * 44, wide, (asked[way] / most) * wide, way === "fused" ? "km-attention-fill" : "km-rest-fill");
      marks.rect(`way-${way}-all`, x + 0.75, top, Math.max(2, (total[way] / most) * wide - 1.5), 14, "km-outline");
    });
    if (!revealed) return;
    marks.text("chip", x, y + 176, "bytes held on the chip, of what it has", { className: "km-quiet" });
    Object.entries(data.chip).forEach(([kind, limit], index) => {
      const over = chip[kind] > limit;
      const room = wide * 0.6; // where the limit stands; what overflows runs on to the right
      const top = bar(stage, `chip-${kind}`, kind === "shared" ? "shared memory" : "registers", `${number(chip[kind])} of ${number(limit)}`, x, y + 184 + index * 44, wide, (Math.min(chip[kind], limit) / limit) * room, "km-attention-fill");
      marks.rect(`chip-${kind}-over`, x + room, top, over ? Math.min(wide - room, (chip[kind] / limit - 1) * room) : 0, 14, "km-optimizer-fill");
      marks.rect(`chip-${kind}-limit`, x + 0.75, top, room - 1.5, 14, "km-outline");
    });
  }

  /* One layer of K2 on a logarithmic scale from one byte: what the logits would be, and what the clip needs. */
  function scaleOfBytes(stage, y) {
    const { marks, width, data } = stage;
    const short = width < 420;
    const place = (value) => (Math.log10(value) / 12) * (width - 16);
    marks.text("scale-name", 0, y + 14, `one layer of K2, ${number(data.k2.tokens)} tokens, in bytes`, { className: "km-quiet" });
    marks.axis("scale", 8, y + 74, width - 16, ["1 byte", "1 kB", "1 MB", "1 GB", "1 TB"].map((label, index) => ({ at: index / 4, label })));
    const told = [["needed", data.needed, short ? "the clip" : "the clip needs"], ["logits", data.all_logits, short ? "logits" : "all logits, bf16"]];
    for (const [key, value, label] of told) {
      marks.rect(`scale-${key}`, 8 + place(value) - 1.5, y + 46, 3, 28, "km-attention-fill");
      marks.text(`scale-${key}-label`, 8 + place(value), y + 40, `${label}: ${bytes(value)}`, { anchor: "middle", within: width });
    }
    if (stage.guess) {
      const at = 8 + place(2 ** stage.guess.value);
      marks.flag("guess-flag", at, y + 74, 26);
      const left = at > width / 2; // of the flag there is more room
      marks.text("guess-label", at + (left ? -6 : 18), y + 68, "your guess", { anchor: left ? "end" : "start", className: "km-halo", within: width });
    }
  }

  function touch(stage) {
    if (stage.touched) return;
    stage.touched = true;
    stage.picture.addEventListener("click", (event) => {
      const box = stage.canvas.getBoundingClientRect();
      const place = [event.clientY - box.top, event.clientX - box.left].map((pixels) => (pixels / box.width) * stage.data.head.tokens);
      const { all } = now(stage);
      const index = all.findIndex(({ row, key }) => row[0] <= place[0] && place[0] < row[1] && key[0] <= place[1] && place[1] < key[1]);
      if (index >= 0) stage.set({ step: index + 1 });
    });
  }

  /* ---- the component ---- */

  function title(stage, found) {
    const { data } = stage;
    const most = number(found.rows * found.keys);
    if (!stage.revealed) return `Tile ${found.at} of ${found.all.length}: never more than ${most} logits exist at a time, and the largest so far is known: ${number(found.best.value, 1)}.`;
    const over = Object.keys(data.chip).find((kind) => found.chip[kind] > data.chip[kind]);
    if (over) return `Tiles of ${found.rows} rows by ${found.keys} keys do not fit: ${number(found.chip[over])} bytes of ${over === "shared" ? "shared memory" : "registers"}, and the chip has ${number(data.chip[over])}.`;
    const done = found.at === found.all.length ? "All tiles done" : `Tile ${found.at} of ${found.all.length}`;
    return `${done}: largest logit so far ${number(found.best.value, 1)}. A K2 layer would write ${bytes(data.all_logits)} of logits; the clip needs ${number(data.needed)} bytes.`;
  }

  KM.component("tile-walk", {
    state: (data) => ({
      step: { value: data.start, min: 1, max: Math.max(...data.sizes.map((size) => tiles(data.head.tokens, size, data.sizes[0]).length)), step: 1 },
      rows: { value: 64, options: data.sizes },
      keys: { value: 64, options: data.sizes },
    }),

    guess: ({ data }) => ({
      question: `Guess first: in one layer of K2, ${data.k2.heads} heads over ${number(data.k2.tokens)} tokens, all logits in bf16 would be ${bytes(data.all_logits)}. How much of it must a kernel hand out so that the clip knows the largest logit of every head?`,
      min: 0, max: 33, step: 1, start: 20, within: "a factor of two", show: (power) => bytes(2 ** Number(power)),
      answer: () => `${number(data.needed)} bytes: one fp32 number for each of ${data.k2.heads} heads.`,
    }),

    controls(stage) {
      const { all, at } = now(stage);
      stage.schema.step.max = all.length;
      const specs = [
        { kind: "button", name: "next", label: at < all.length ? "next tile" : "start again", main: true, press: () => stage.set({ step: at < all.length ? at + 1 : 1 }) },
        { kind: "slider", name: "step", label: "tile", show: (step) => `${Math.min(step, all.length)} of ${all.length}` },
      ];
      if (!stage.revealed) return specs;
      return [
        ...specs,
        { kind: "slider", name: "rows", label: "rows of a tile (queries)", show: (value) => number(Number(value)) },
        { kind: "slider", name: "keys", label: "columns of a tile (keys)", show: (value) => number(Number(value)) },
      ];
    },

    draw(stage) {
      const { data, marks, width, revealed } = stage;
      const found = now(stage);
      const beside = width >= 620;
      const size = beside ? Math.min(360, width * 0.52) : Math.min(width, 420);
      const [top, gap] = [26, 28];
      const panel = beside ? [size + gap, 0, width - size - gap] : [0, top + size + 14, width];
      const long = panel[1] + 178 + (revealed ? 276 : 160);
      const tall = beside ? Math.max(top + size, long) : long;
      marks.size(width, tall + (revealed ? 108 : 6));
      touch(stage);
      paint(stage, found, size, top);
      square(stage, found, size, top);
      rowPanel(stage, found, ...panel);
      meters(stage, found, panel[0], panel[1] + 178, panel[2]);
      if (revealed) scaleOfBytes(stage, tall + 10);
      const { best, kept: k, asked, total, layer, chip } = found;
      const values = {
        at: found.at, steps: found.all.length, row: found.row[0], key: found.key[0], largest: best.value, query: best.t, seen: best.s,
        focus: found.focus, max: k.max, sum: k.sum, shrink: k.shrink, out: Math.hypot(...k.out), ...chip,
      };
      for (const way of Object.keys(WAYS)) Object.assign(values, { [`asked-${way}`]: asked[way], [`total-${way}`]: total[way], [`layer-${way}`]: layer[way] * data.k2.heads });
      return {
        title: title(stage, found),
        values,
        note: `Logits, rows and outputs: ${data.head.name}, ${data.head.tokens} tokens (measured here). Bytes: the same walk with K2\u2019s widths ${data.k2.qk} and ${data.k2.v} in bf16, as if nothing but the tile stayed on the chip (derived); K2: one layer, ${number(data.k2.tokens)} tokens, ${data.k2.heads} heads. ` +
          `Ring: the largest so far, query ${best.t} (${data.head.words[best.t]}), key ${best.s} (${data.head.words[best.s]}). Chip: one processor of an H100, ${data.k2.stages} tiles of keys and values in flight.`,
        table: {
          columns: ["way", "this head, so far", "this head, all", revealed ? `K2 layer, ${number(data.k2.tokens)} tokens` : "K2 layer: guess first"],
          rows: Object.entries(WAYS).map(([way, label]) => [label, number(asked[way]), number(total[way]), revealed ? bytes(layer[way] * data.k2.heads) : ""]),
        },
        code: `from kimi_mini.viz import tile_walk\n\nsteps = list(tile_walk.walk(q_TN, k_TN, v_TM, scale=scale, rows=${found.rows}, keys=${found.keys}))\nsteps[${found.at - 1}].max_R   # what is kept of each row\n` +
          `tile_walk.traffic(${data.k2.tokens}, ${found.rows}, ${found.keys})   # bytes, one head\ntile_walk.on_chip(${found.rows}, ${found.keys})`,
      };
    },
  });
})();
