/* The trained model under the reader's hand: text above, layers as a column, what may come next below. */
(function () {
  "use strict";
  const KM = (globalThis.KM = globalThis.KM || {});
  const { number, percent } = KM.format;
  const make = (...parts) => KM.element(...parts);
  const HIGHEST = 100; // the axis of the head bars: logarithmic, from 1
  const share = (logit) => Math.max(0, Math.min(1, Math.log(Math.max(1, logit)) / Math.log(HIGHEST)));
  const shown = (piece) => piece.replace(/\n/g, "\u21B5").replace(/ /g, "\u00B7") || "\u2205";

  /* ---- elements, made once ---- */

  function build(stage) {
    const { config, recordings } = stage.data;
    const session = (stage.session = new KM.Session(recordings, Object.keys(recordings)[0], () => later(stage)));
    stage.picture.setAttribute("role", "group");
    const chips = Object.entries(recordings).map(([key, { name }]) =>
      make("button", { type: "button", "data-control": `begin-${key}`, onclick: () => session.begin(key) }, name));
    stage.box = make("textarea", { rows: 3, spellcheck: "false", "data-control": "text", oninput: () => session.type(stage.box.value) });
    stage.status = make("p", { class: "km-touch-status" });
    stage.bar = make("progress", { max: 1, hidden: true, "aria-label": "loading the weights" });
    const label = make("label", { class: "km-touch-label" }, make("span", {}, "Type here. MINI reads along."), stage.box);
    stage.controls.before(make("div", { class: "km-touch-hand" }, make("div", { class: "km-touch-chips" }, ...chips), label, stage.bar, stage.status));
    stage.strip = make("div", { class: "km-touch-strip", role: "group", "aria-label": "tokens read so far" });
    stage.rows = Array.from({ length: config.layers }, (_, layer) => buildLayer(stage, layer));
    stage.count = make("p", { class: "km-touch-count" });
    stage.ask = make("button", { type: "button", "data-control": "ask", onclick: () => { KM.askGuess(stage); stage.update(); } }, "how many in all? guess first");
    stage.fill = make("span", { class: "km-touch-fill" });
    stage.used = make("div", { class: "km-touch-used", "aria-hidden": "true" }, stage.fill);
    stage.memory = make("p", { class: "km-touch-memory" });
    stage.next = make("div", { class: "km-touch-next", role: "group", "aria-label": "the five likeliest next tokens" });
    stage.choices = Array.from({ length: 5 }, (_, place) => buildChoice(stage, place));
    stage.next.append(...stage.choices.map(({ button }) => button));
    stage.heading = make("p", { class: "km-touch-head" });
    const touch = make("div", { class: "km-touch" }, stage.strip, ...stage.rows.map(({ element }) => element),
      stage.count, stage.used, stage.ask, stage.memory, stage.heading, stage.next);
    stage.picture.append(touch);
    rove(stage.strip);
    for (const row of stage.rows) rove(row.element, stage.rows);
  }

  function part(stage, kind, name, text) {
    const button = make("button", { type: "button", class: `km-part km-${kind}`, "data-part": name, tabindex: "-1", onclick: () => stage.session.toggle(name) });
    return { button, name, text, kind };
  }

  function buildLayer(stage, layer) {
    const { config } = stage.data;
    const heads = Array.from({ length: config.heads }, (_, head) => part(stage, "head", `head-${layer}-${head}`, `head ${head} of layer ${layer}`));
    for (const { button } of heads) button.append(make("span", {}));
    const tau = make("span", { class: "km-touch-tau" });
    const largest = make("span", {});
    const row = { heads, tau, largest, tiles: [], shared: null };
    const left = make("div", { class: "km-touch-heads" }, ...heads.map(({ button }) => button), tau);
    const element = make("div", { class: "km-touch-layer", role: "group", "aria-label": `layer ${layer}` }, make("p", {}, `layer ${layer} `, largest), left);
    if (layer < config.dense) {
      element.append(make("div", { class: "km-touch-dense" }, "no experts here: one dense network, for every token"));
    } else {
      row.tiles = Array.from({ length: config.experts }, (_, e) => part(stage, "tile", `expert-${layer}-${e}`, `expert ${e} of layer ${layer}`));
      row.shared = part(stage, "shared", `shared-${layer}`, `shared expert of layer ${layer}`);
      row.shared.button.append("shared");
      element.append(make("div", { class: "km-touch-tiles" }, ...row.tiles.map(({ button }) => button)), row.shared.button);
    }
    return Object.assign(row, { element });
  }

  function buildChoice(stage, place) {
    const [word, bar, value] = [make("code", {}), make("span", { class: "km-touch-bar" }), make("span", { class: "km-touch-share" })];
    const choice = { word, bar, value };
    choice.button = make("button", { type: "button", "data-control": `next-${place}`, onclick: () => stage.session.take(choice.id) }, word, make("span", { class: "km-touch-track" }, bar), value);
    return choice;
  }

  /* One Tab stop per row; arrow keys move inside it, up and down to the row above or below. */
  function rove(box, rows) {
    const items = (element) => [...element.querySelectorAll("button")];
    box.addEventListener("focusin", ({ target }) => { for (const item of items(box)) item.tabIndex = item === target ? 0 : -1; });
    box.addEventListener("keydown", (event) => {
      const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 0, ArrowUp: 0, Home: -1e9, End: 1e9 };
      if (!(event.key in steps)) return;
      const [own, place] = [items(box), items(box).indexOf(event.target)];
      let target = own[Math.max(0, Math.min(own.length - 1, place + steps[event.key]))];
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        if (!rows) return;
        const row = rows[rows.findIndex(({ element }) => element === box) + (event.key === "ArrowDown" ? 1 : -1)];
        if (!row) return;
        const other = items(row.element);
        target = other[Math.min(place, other.length - 1)];
      }
      event.preventDefault();
      target.focus();
    });
  }

  const greedy = ({ state }) => Number(state.temperature) === 0;

  /* Many tokens may arrive between two frames. */
  function later(stage) {
    if (stage.waiting || !stage.drawn) return;
    stage.waiting = requestAnimationFrame(() => { stage.waiting = null; stage.update(); });
  }

  /* ---- what is drawn ---- */

  /* All that the text up to the token looked at has done. */
  function account({ session, data }) {
    const until = session.traces.slice(0, session.index + 1);
    const used = new Set();
    const largest = Array.from({ length: data.config.layers }, () => new Array(data.config.heads).fill(-Infinity));
    for (const { chosen, maxima } of until) {
      chosen.forEach((experts, layer) => experts.forEach((expert) => used.add(`expert-${layer}-${expert}`)));
      maxima.forEach((row, layer) => row.forEach((value, head) => { largest[layer][head] = Math.max(largest[layer][head], value); }));
    }
    const now = new Set(until.at(-1).chosen.flatMap((experts, layer) => experts.map((expert) => `expert-${layer}-${expert}`)));
    return { used, largest, now, tokens: until.length };
  }

  function set({ button, name, text, kind }, off, classes, says) {
    const out = off.has(name);
    button.className = `km-part km-${kind} ${classes} ${out ? "km-off" : ""}`;
    button.setAttribute("aria-pressed", String(out));
    button.setAttribute("aria-label", `${out ? "switch on" : "switch off"} ${text}: ${says}`);
    button.title = `${text}: ${out ? "off" : says}`;
  }

  function paintLayers(stage, { used, largest, now }) {
    const { session: { off }, state: { tau } } = stage;
    stage.rows.forEach((row, layer) => {
      row.largest.textContent = `max ${number(Math.max(...largest[layer]), 1)}`;
      row.tau.style.bottom = `${100 * share(tau)}%`;
      row.tau.textContent = layer === 0 ? `\u03C4 ${tau}` : "";
      row.heads.forEach((head, place) => {
        const value = largest[layer][place];
        set(head, off, value > tau ? "km-over" : "", `largest logit ${number(value, 1)}`);
        head.button.firstChild.style.height = `${100 * share(value)}%`;
      });
      for (const tile of row.tiles) {
        const lit = now.has(tile.name);
        const earlier = stage.revealed && used.has(tile.name);
        set(tile, off, lit ? "km-now" : earlier ? "km-used" : "", lit ? "chosen for this token" : earlier ? "used earlier in this text" : "not used");
      }
      if (row.shared) set(row.shared, off, "km-now", "used by every token");
      const buttons = [...row.element.querySelectorAll("button")];
      if (buttons.every((button) => button.tabIndex < 0)) buttons[0].tabIndex = 0;
    });
  }

  function paintStrip(stage) {
    const { session, strip } = stage;
    const count = session.traces.length;
    while (strip.children.length > count) strip.lastChild.remove();
    for (let index = 0; index < count; index++) {
      if (!strip.children[index]) strip.append(make("button", { type: "button", onclick: () => session.look(index) }));
      const button = strip.children[index];
      const text = shown(session.traces[index].piece);
      if (button.textContent !== text) button.textContent = text;
      button.setAttribute("aria-pressed", String(index === session.index));
      button.tabIndex = index === session.index ? 0 : -1;
    }
    if (session.at === null) strip.scrollTop = strip.scrollHeight;
  }

  /* The share used, on one axis with the measured share and the reader's guess. */
  function paintUsed(stage, part) {
    const { used, fill, guess, revealed, data } = stage;
    used.hidden = !revealed;
    fill.style.width = `${100 * part}%`;
    if (!revealed || used.children.length > 1) return;
    const mark = (at, text, side) => used.append(
      make("span", { class: `km-touch-mark ${side} ${at > 0.5 ? "km-late" : ""}`, style: `left:calc(${100 * at}% - 1px)` }, make("span", {}, text)));
    mark(data.touched, "measured, 32 tokens", "km-above");
    if (guess) mark(guess.value / 100, "your guess", "km-below");
  }

  function paintNext(stage) {
    const found = stage.session.next(5, stage.state.temperature);
    stage.heading.textContent = `What may come next${greedy(stage) ? ": chances at temperature 1; at 0 the first is taken" : ""} (press one to take it)`;
    stage.choices.forEach((choice, place) => {
      const { id, piece, share: part } = found[place];
      choice.id = id;
      choice.word.textContent = shown(piece);
      choice.bar.style.width = `${100 * part}%`;
      choice.value.textContent = percent(part);
      choice.button.disabled = !stage.session.possible;
    });
    return found[0];
  }

  const status = ({ session }) => ({
    asleep: KM.mini.possible ? "Recorded until you touch it: then 14 MB of weights are read from beside this page, once." : "",
    loading: "Reading the weights \u2026",
    ready: `MINI runs in this page${session.speed ? `: ${number(session.speed)} tokens per second` : ""}.`,
    failed: `MINI cannot run here (${KM.mini.failure}).`,
  })[KM.mini.state] + (session.full ? ` This picture ends at ${number(session.ids.length)} tokens.` : "") + (session.possible ? "" : " These are recorded sentences: choose one, and let it write on.");

  function paint(stage) {
    const { session, data: { config } } = stage;
    const seen = account(stage);
    if (stage.box.value !== session.text) stage.box.value = session.text;
    stage.box.readOnly = !session.possible;
    stage.bar.hidden = KM.mini.state !== "loading";
    stage.bar.value = KM.mini.progress;
    stage.status.textContent = status(stage);
    paintStrip(stage);
    paintLayers(stage, seen);
    const tiles = (config.layers - config.dense) * config.experts;
    const each = config.active * (config.layers - config.dense);
    stage.count.textContent = `Lit: the ${each} experts of ${tiles} that token ${seen.tokens} used.` +
      (stage.revealed ? ` Used by this text so far: ${seen.used.size} of ${tiles}, ${percent(seen.used.size / tiles, 0)}.` : "");
    paintUsed(stage, seen.used.size / tiles);
    stage.ask.hidden = stage.revealed || stage.guessBox.firstChild !== null;
    const bytes = seen.tokens * config.layers * config.entry * 4;
    stage.memory.textContent = `Cache: ${seen.tokens} tokens \u00D7 ${config.layers} layers \u00D7 ${config.entry} numbers \u00D7 4 bytes (float32) = ${number(bytes)} bytes.`;
    const best = paintNext(stage);
    return { ...seen, tiles, each, bytes, best };
  }

  /* ---- the component ---- */

  const named = (part) => {
    const [kind, layer, index] = part.split("-");
    return kind === "shared" ? `the shared expert of layer ${layer}` : `${kind} ${index} of layer ${layer}`;
  };

  function title(stage, { best, tokens, over, used, tiles }) {
    const { session } = stage;
    const off = session.off.size;
    const without = off ? `With ${off === 1 ? named([...session.off][0]) : `${off} parts`} off, ` : "";
    const sure = greedy(stage) ? ` (${percent(best.share, 0)} at temperature 1)` : `, ${percent(best.share, 0)} sure`;
    const expects = `after ${tokens} tokens MINI ${greedy(stage) ? "takes" : "expects"} \u201C${shown(best.piece)}\u201D${sure}`;
    const heads = over ? `; ${over} ${over === 1 ? "head is" : "heads are"} over \u03C4` : "";
    const touched = stage.revealed ? `; ${percent(used.size / tiles, 0)} of its experts have worked` : "";
    const sentence = `${without}${expects}${touched}${heads}.`;
    return sentence[0].toUpperCase() + sentence.slice(1);
  }

  function table(stage, { largest, now, used }) {
    const rows = largest.map((heads, layer) => {
      const mine = [...now].filter((name) => name.startsWith(`expert-${layer}-`)).map((name) => name.split("-")[2]);
      const all = [...used].filter((name) => name.startsWith(`expert-${layer}-`)).length;
      return [layer, mine.join(", ") || "dense", stage.revealed ? all : "guess first", heads.map((value) => number(value, 1)).join(", ")];
    });
    return { columns: ["layer", "experts now", "used so far", "largest logit of each head"], rows };
  }

  KM.component("touch", {
    state: () => ({
      temperature: { value: 1, min: 0, max: 1.5, step: 0.1 },
      tau: { value: 100, options: [2, 5, 8, 10, 12, 15, 20, 30, 50, 100] },
    }),

    guess: (stage) => ({
      question: "Guess first: a token uses 4 of the 32 experts in each layer. After 32 tokens of ordinary text, what share of all 128 has been used at least once?",
      min: 0, max: 100, step: 1, start: 30, within: "10 points", show: (value) => `${value}\u00a0%`, waits: true,
      answer: () => `Measured on held-out text: ${percent(stage.data.touched, 0)}. Your own text is counted below.`,
    }),

    controls: (stage) => [
      {
        kind: "button", name: "write", main: true, press: () => stage.session.press(stage.state.temperature),
        label: stage.session && stage.session.writing ? "stop" : "write on",
        disabled: stage.session && !stage.session.possible && stage.session.ids.length >= stage.session.end,
      },
      { kind: "slider", name: "temperature", label: "temperature", show: (value) => number(Number(value), 1) },
      { kind: "slider", name: "tau", label: "clip at \u03C4", show: (value) => `${value}` },
    ],

    reset: ({ session }) => session.reset(),

    draw(stage) {
      if (!stage.session) build(stage);
      const seen = paint(stage);
      const { session, state } = stage;
      seen.over = seen.largest.flat().filter((value) => value > state.tau).length;
      const largest = Math.max(...seen.largest.flat());
      return {
        title: title(stage, seen),
        values: {
          mini: KM.mini.state, live: session.live && !session.busy && !session.writing, tokens: seen.tokens, touched: seen.used.size, tiles: seen.tiles, bytes: seen.bytes,
          next: seen.best.id, share: seen.best.share, largest, over: seen.over, off: session.off.size,
          "first-answer": session.firstAnswer ?? "", speed: session.speed ?? "",
        },
        note: `A head over \u03C4 would be scaled down in training; here the line only marks it, and at K2's \u03C4 = 100 ${largest > 100 ? "some are" : "none is"} (largest ${number(largest, 1)}). ` +
          "Bars: logarithmic, 1 to 100. Click a head, an expert or a shared expert to switch it off.",
        table: table(stage, seen),
        code: `import kimi_mini as km\nmodel, tokenizer = km.load_mini()\nids = [tokenizer.bos, *tokenizer.encode(${JSON.stringify(session.text)}, special=True)]\n` +
          "output = model(torch.tensor([ids]))      # import torch\noutput.logits_BTV[0, -1], output.stats    # the same numbers",
      };
    },
  });
})();
