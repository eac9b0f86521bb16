/* One pixel per million parameters; "next token" lights its experts, a curve adds up the tiles ever used. */
(function () {
  "use strict";
  const KM = (globalThis.KM = globalThis.KM || {});
  const { percent, number, billions } = KM.format;
  const TOP = 34; // room for the labels above the picture
  const LINE = 24;

  const chosen = (stage) => stage.data.models[stage.state.model];
  const moeLayers = (config) => config.num_hidden_layers - config.first_k_dense_replace;
  const expected = (config, tokens) => 1 - (1 - config.num_experts_per_tok / config.n_routed_experts) ** tokens;

  function routes(stage) {
    const { config } = chosen(stage);
    const { model, tokens } = stage.state;
    if (!stage.routes || stage.routes.model !== model || stage.routes.tokens > tokens) {
      stage.routes = new KM.Routes(moeLayers(config), config.n_routed_experts, config.num_experts_per_tok, 1);
      stage.routes.model = model;
    }
    stage.routes.advance(tokens);
    return stage.routes;
  }

  /* ---- the picture ---- */

  function paint(canvas, stage, size) {
    const ratio = devicePixelRatio || 1;
    const pixels = Math.round(size * ratio);
    Object.assign(canvas, { width: pixels, height: pixels });
    Object.assign(canvas.style, { width: `${size}px`, height: `${size}px`, top: `${TOP}px` });
    const pen = canvas.getContext("2d");
    const scale = pixels / stage.data.side;
    const { parts } = chosen(stage).areas;
    const colours = Object.fromEntries(["attention", "experts", "rest", "tile-now"].map((name) => [name, KM.theme.colour(name)]));
    for (const [name, part] of Object.entries(parts)) {
      if (name === "routed experts") continue;
      pen.fillStyle = name === "shared experts" ? colours["tile-now"] : colours[part.kind];
      fill(pen, part.x, part.y, part.width, part.height, scale);
    }
    paintTiles(pen, stage, parts["routed experts"], scale);
  }

  /* Edges are snapped to whole pixels, so neighbours neither overlap nor leave a gap. */
  function fill(pen, x, y, width, height, scale) {
    const [left, top] = [Math.round(x * scale), Math.round(y * scale)];
    pen.fillRect(left, top, Math.max(1, Math.round((x + width) * scale) - left), Math.max(1, Math.round((y + height) * scale) - top));
  }

  function paintTiles(pen, stage, part, scale) {
    const { last, layers, experts } = routes(stage);
    const rows = KM.tileRows(experts, part.width, part.height / layers);
    const columns = experts / rows;
    const [width, height] = [part.width / columns, part.height / layers / rows];
    const shades = ["tile", "tile-alt", "tile-used", "tile-now"].map(KM.theme.colour);
    shades.forEach((colour, index) => {
      pen.fillStyle = colour; // once per shade: setting it 23,040 times would be felt under the finger
      for (let tile = 0; tile < last.length; tile++) {
        const [layer, expert] = [Math.floor(tile / experts), tile % experts];
        const [row, column] = [Math.floor(expert / columns), expert % columns];
        if (shade(last[tile], stage.state.tokens, row + column + layer) !== index) continue;
        fill(pen, part.x + column * width, part.y + (layer * rows + row) * height, width, height, scale);
      }
    });
  }

  const shade = (last, now, place) => (last === 0 ? place % 2 : last === now ? 3 : 2);

  /* One layer, enlarged, because a tile of 44 pixels is small: beside the picture where there is room, else below it. */
  function lensPlace(stage, size, experts) {
    const room = stage.width - size - 32;
    const beside = room >= 150;
    const columns = beside ? 16 : 48;
    const rows = Math.ceil(experts / columns);
    const cell = Math.min(18, beside ? Math.min(room / columns, size / rows) : stage.width / columns);
    const [left, top] = beside ? [size + 32, TOP] : [0, TOP + size + 2 * LINE + 14];
    const bottom = Math.max(TOP + size + LINE, top + rows * cell);
    return { columns, rows, cell, left, top, bottom };
  }

  function paintLayer(canvas, stage, layer, { columns, rows, cell, left, top }) {
    const { last, experts } = routes(stage);
    const ratio = devicePixelRatio || 1;
    const [across, down] = [cell * columns, cell * rows];
    Object.assign(canvas, { width: Math.round(across * ratio), height: Math.round(down * ratio) });
    Object.assign(canvas.style, { width: `${across}px`, height: `${down}px`, left: `${left}px`, top: `${top}px` });
    const pen = canvas.getContext("2d");
    const shades = ["tile", "tile", "tile-used", "tile-now"].map(KM.theme.colour);
    for (let expert = 0; expert < experts; expert++) {
      const [row, column] = [Math.floor(expert / columns), expert % columns];
      pen.fillStyle = shades[shade(last[layer * experts + expert], stage.state.tokens, 0)];
      fill(pen, column * cell, row * cell, cell - 1 / ratio, cell - 1 / ratio, ratio);
    }
  }

  /* Many marks change at once: the old picture fades over the new one. */
  function fade(stage, canvas) {
    if (!stage.drawn || KM.theme.still()) return;
    const old = stage.ghost || (stage.ghost = KM.element("canvas", { class: "km-fade" }));
    Object.assign(old, { width: canvas.width, height: canvas.height });
    old.getContext("2d").drawImage(canvas, 0, 0);
    old.style.cssText = `${canvas.style.cssText};transition:none;opacity:1`;
    canvas.after(old);
    requestAnimationFrame(() => requestAnimationFrame(() => Object.assign(old.style, { transition: "", opacity: "0" })));
  }

  /* ---- labels and curve ---- */

  function labels(stage, size, count) {
    const { marks } = stage;
    const { parts, side } = chosen(stage).areas;
    const scale = size / stage.data.side;
    const share = (...names) => names.reduce((sum, name) => sum + count.blocks.find((block) => block.name === name).total, 0) / count.total;
    const middle = (name) => (parts[name].x + parts[name].width / 2) * scale;
    const bottom = TOP + side * scale;
    marks.rect("lead-attention", middle("attention") - 0.5, 20, 1, TOP - 20, "km-attention-fill");
    marks.text("label-attention", 0, 14, `attention ${percent(share("attention"))}`);
    const routed = Math.max(marks.long("label-attention") + 28, Math.min(middle("routed experts"), size - 160));
    const target = Math.min(routed + 8, (side - 4) * scale);
    marks.text("label-routed", routed, 14, `routed experts ${percent(share("routed experts"))}`);
    marks.shape("lead-routed", 0, 0, `M${routed + 8} 20L${target} ${TOP + 4}`, "km-derived km-lead");
    marks.shape("lead-shared", 0, 0, `M${middle("shared experts")} ${bottom}V${bottom + 8}`, "km-derived km-lead");
    marks.text("label-shared", stage.state.model === "K2" ? 0 : 5, bottom + 20, `shared ${percent(share("shared experts"))}`);
    const rest = Math.max(marks.long("label-shared") + 28, Math.min(side * scale * 0.55, size - 175));
    const end = Math.min(rest + 8, (side - 4) * scale);
    marks.text("label-rest", rest, bottom + 20, `embedding, head ${percent(share("embedding", "head"))}`);
    marks.shape("lead-rest", 0, 0, `M${end} ${bottom}L${rest + 8} ${bottom + 8}`, "km-derived km-lead");
    if (stage.state.model !== stage.schema.model.value) {
      marks.rect("outline", 0.75, TOP + 0.75, size - 1.5, size - 1.5, "km-outline km-dashed");
      marks.text("outline-label", size - 8, TOP + size - 12, "K2 at the same scale", { anchor: "end", className: "km-quiet" });
    }
  }

  function curve(stage, top, height) {
    const { marks, width } = stage;
    const { config } = chosen(stage);
    const { tokens } = stage.state;
    const { touched, last } = routes(stage);
    const across = Math.max(100, Math.ceil(tokens / 100) * 100);
    const [left, right, base] = [0, width - 4, top + height];
    const at = (token, share) => [left + ((right - left) * token) / across, base - (height - 26) * share];
    marks.text("curve-title", 0, top + 2, "tiles used at least once", { className: "km-quiet" });
    marks.axis("curve", left, base, right - left, (width < 500 ? [0, 0.5, 1] : [0, 0.25, 0.5, 0.75, 1]).map((t) => ({ at: t, label: number(t * across) + (t === 1 ? " tokens" : "") })));
    marks.rect("curve-all", left, at(0, 1)[1], right - left, 1, "km-grid");
    marks.text("curve-all-label", right, at(0, 1)[1] - 5, "100\u00a0% of the tiles", { anchor: "end", className: "km-quiet" });
    const points = Array.from({ length: tokens + 1 }, (_, token) => at(token, expected(config, token)).join(" "));
    marks.shape("curve-derived", 0, 0, `M${points.join("L")}`, "km-derived");
    const step = Math.ceil(tokens / 25);
    const dots = [];
    for (let token = step; token <= tokens; token += step) dots.push(dot(...at(token, touched[token] / last.length)));
    marks.shape("curve-toy", 0, 0, dots.join(""), "km-toy");
    const [x, y] = at(tokens, touched[tokens] / last.length);
    const late = tokens > across / 2;
    marks.text("curve-now", x + (late ? -10 : 12), y + (late ? 24 : -6), percent(touched[tokens] / last.length), { anchor: late ? "end" : "start", className: "km-strong" });
    if (stage.guess && stage.state.model === "K2") guessMark(stage, at(100, stage.guess.value / 100));
  }

  const dot = (x, y) => `M${x - 3} ${y}a3 3 0 1 0 6 0a3 3 0 1 0-6 0Z`;

  function guessMark(stage, [x, y]) {
    stage.marks.rect("guess-line", x - 22, y - 1, 22, 2, "km-flag");
    stage.marks.text("guess-label", x - 28, y + 5, `your guess ${stage.guess.value}\u00a0%`, { anchor: "end" });
  }

  /* ---- the component ---- */

  function title(model, count, config, tokens, share) {
    const active = percent(count.activated / count.total);
    if (tokens === 1) return `One token puts ${active} of ${model}'s ${billions(count.total)} parameters to work.`;
    return `After ${number(tokens)} tokens ${percent(share)} of ${model}'s routed experts have been used, ${active} of the weights at a time.`;
  }

  function table(count) {
    const row = (block) => [block.name, number(block.total), percent(block.total / count.total, 2), number(block.activated), percent(block.activated / count.activated, 2)];
    const all = { name: "all", total: count.total, activated: count.activated };
    return { columns: ["block", "parameters", "of all", "used by one token", "of those used"], rows: [...count.blocks, all].map(row) };
  }

  function code(model, config, tokens) {
    const share = `1 - (1 - ${config.num_experts_per_tok} / ${config.n_routed_experts}) ** ${tokens}`;
    return `import kimi_mini as km\ncount = km.count_parameters(km.${model})\n` +
      `count.total, count.activated        # the areas, and what one token uses\n${share}        # share of tiles expected after ${tokens} tokens`;
  }

  KM.component("pixels", {
    state: (data) => ({ model: { value: "K2", options: Object.keys(data.models) }, tokens: { value: 1, min: 1, max: 1000, step: 1 } }),

    guess: (stage) => ({
      question: "Guess first: after 100 tokens, what share of K2's 23,040 routed experts has been used at least once?",
      min: 0, max: 100, step: 1, start: 50, within: "10 points", show: (value) => `${value}\u00a0%`,
      answer: () => `With random routes ${percent(expected(stage.data.models.K2.config, 100))} are to be expected.`,
      waits: true,
      then: () => stage.set({ model: "K2", tokens: Math.max(100, stage.state.tokens) }),
    }),

    controls(stage) {
      const { tokens } = stage.state;
      const jump = Math.min(1000, (Math.floor(tokens / 100) + 1) * 100);
      const names = Object.fromEntries(Object.entries(stage.data.models).map(([key, { name }]) => [key, name]));
      return [
        { kind: "button", name: "next", label: "next token", main: true, disabled: tokens >= 1000, press: () => stage.set({ tokens: tokens + 1 }) },
        { kind: "button", name: "jump", label: `on to ${number(jump)} tokens`, disabled: tokens >= 1000, press: () => (stage.revealed ? stage.set({ tokens: jump }) : KM.askGuess(stage)) },
        { kind: "choice", name: "model", label: "model, same scale", names },
      ];
    },

    draw(stage) {
      const { name, config, count } = prepare(stage);
      const { tokens } = stage.state;
      const size = Math.min(stage.width, 1013, Math.max(320, 0.6 * screen.height)); // one screen shows it whole
      const layer = Math.floor(moeLayers(config) / 2);
      for (const key of ["canvas", "lens"]) {
        if (!stage[key]) stage.picture.prepend((stage[key] = KM.element("canvas", {})));
      }
      fade(stage, stage.canvas);
      paint(stage.canvas, stage, size);
      const lens = lensPlace(stage, size, config.n_routed_experts);
      paintLayer(stage.lens, stage, layer, lens);
      const top = lens.bottom + 38;
      stage.marks.size(stage.width, top + 190);
      labels(stage, size, count);
      const enlarged = `layer ${layer + config.first_k_dense_replace} enlarged`;
      stage.marks.text("lens-label", lens.left, lens.top - 8, lens.left ? enlarged : `${enlarged}: ${config.n_routed_experts} routed experts`, { className: "km-quiet" });
      curve(stage, top, 156);
      const { touched, last } = routes(stage);
      const share = touched[tokens] / last.length;
      return {
        title: title(name, count, config, tokens, share),
        values: {
          tokens, touched: touched[tokens], tiles: last.length, share, expected: expected(config, tokens),
          total: count.total, activated: count.activated, side: Math.round(chosen(stage).areas.side),
        },
        note: `${number(touched[tokens])} of ${number(last.length)} routed tiles used. Lit: this token; plain green: an earlier one; faint: none yet. ` +
          `Routes are random (toy). One pixel on this screen is ${number((stage.data.side / size / (devicePixelRatio || 1)) ** 2, 1)} million parameters.`,
        table: table(count),
        code: code(stage.state.model, config, tokens),
      };
    },
  });

  /* Geometry once per model; the scale is K2's for all. */
  function prepare(stage) {
    const model = chosen(stage);
    if (!model.areas) model.areas = KM.areas(model.config, model.count);
    if (!stage.data.side) stage.data.side = KM.areas(stage.data.models.K2.config).side;
    return model;
  }
})();
