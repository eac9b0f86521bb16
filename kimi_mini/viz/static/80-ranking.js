/* The ranking machine: models as lanes, benchmarks as chips that count or do not. A model without a figure for one that
   counts has no mean and is not ranked: a missing cell is never a 0. */
(function () {
  "use strict";
  const KM = (globalThis.KM = globalThis.KM || {});
  const { number } = KM.format;
  const LANE = 58;
  const SAME = 1e-9;
  const FAR = 6; // pixels that make a press a drag

  const counts = (stage, chip) => stage.state[chip.key] === "in" && (stage.state.mean === "plain" || chip.questions !== null);
  const counted = (stage) => stage.data.chips.filter((chip) => counts(stage, chip));
  const listed = (names) => (names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`);
  const nameOf = (stage, key) => stage.data.models.find((model) => model.key === key).name;

  /* Mean and standard error in percent; a mean by question weighs each benchmark with its questions. */
  function measured(stage, model) {
    const chips = counted(stage);
    const missing = chips.filter((chip) => !(model.key in chip.values)).map((chip) => chip.name);
    if (!chips.length || missing.length) return { model, missing, mean: null, error: null };
    const weights = chips.map((chip) => (stage.state.mean === "plain" ? 1 : chip.questions));
    const whole = weights.reduce((a, b) => a + b, 0);
    const mean = chips.reduce((sum, chip, index) => sum + weights[index] * chip.values[model.key], 0) / whole;
    const known = chips.every((chip) => chip.questions !== null);
    const parts = chips.map((chip, index) => { const p = chip.values[model.key] / 100; return (weights[index] / whole) ** 2 * ((p * (1 - p)) / chip.questions); });
    return { model, missing, mean, error: known ? 100 * Math.sqrt(parts.reduce((a, b) => a + b, 0)) : null };
  }

  function order(stage) {
    const lanes = stage.data.models.map((model) => measured(stage, model));
    return [...lanes.filter(({ mean }) => mean !== null).sort((a, b) => b.mean - a.mean), ...lanes.filter(({ mean }) => mean === null)];
  }

  const leaders = (lanes) => lanes.filter(({ mean }) => mean !== null && mean > lanes[0].mean - SAME).map(({ model }) => model.key);
  const span = (stage, { mean, error }) => [Math.max(0, mean - stage.data.z * error), Math.min(100, mean + stage.data.z * error)];

  /* ---- chips: kept from draw to draw, moved between two shelves by tap, key or drag ---- */

  function shelf(name, text) {
    const make = KM.element;
    const chips = make("div", { class: "km-chips" });
    return Object.assign(make("div", { class: `km-shelf km-shelf-${name}`, role: "group", "aria-label": text }, make("p", {}, text), chips), { chips });
  }

  function chip(stage, bench) {
    const size = bench.questions === null ? "number of questions unknown" : `${number(bench.questions)} questions`;
    const button = KM.element("button", { type: "button", "data-control": bench.key }, bench.name, KM.element("small", {}, bench.metric ? `${bench.metric}, ${size}` : size));
    const put = (place) => stage.set({ [bench.key]: place });
    let from = null;
    let dragged = false;
    button.addEventListener("pointerdown", (event) => {
      dragged = false;
      if (event.pointerType === "touch" || event.button !== 0) return; // a finger taps: a drag of it scrolls the page
      from = [event.clientX, event.clientY];
      button.setPointerCapture(event.pointerId);
    });
    button.addEventListener("pointermove", (event) => {
      if (!from) return;
      const [x, y] = [event.clientX - from[0], event.clientY - from[1]];
      dragged = dragged || Math.hypot(x, y) > FAR;
      button.classList.toggle("km-carried", dragged);
      if (dragged) button.style.transform = `translate(${x}px, ${y}px)`;
    });
    const drop = (event) => {
      if (!from) return;
      from = null;
      button.style.transform = "";
      button.classList.remove("km-carried");
      if (!dragged || event.type !== "pointerup") return;
      const under = ["in", "out"].find((place) => {
        const { top, bottom } = stage.shelves[place].getBoundingClientRect();
        return top <= event.clientY && event.clientY <= bottom;
      });
      if (under) put(under);
    };
    button.addEventListener("pointerup", drop);
    button.addEventListener("pointercancel", drop);
    button.addEventListener("click", () => { if (!dragged) put(stage.state[bench.key] === "in" ? "out" : "in"); dragged = false; });
    return button;
  }

  function shelves(stage) {
    if (!stage.shelves) {
      stage.shelves = { in: shelf("in", "counted: tap or drag a benchmark to leave it out"), out: shelf("out", "left out: tap or drag it back") };
      stage.tally = KM.element("p", { class: "km-ranking-tally" });
      stage.chips = Object.fromEntries(stage.data.chips.map((bench) => [bench.key, chip(stage, bench)]));
      stage.picture.before(stage.shelves.in, stage.shelves.out, stage.tally);
    }
    const focused = document.activeElement;
    for (const place of ["in", "out"]) {
      const wanted = stage.data.chips.filter((bench) => stage.state[bench.key] === place);
      wanted.forEach((bench, index) => {
        const button = stage.chips[bench.key];
        const box = stage.shelves[place].chips;
        if (box.children[index] !== button) box.insertBefore(button, box.children[index] || null);
        button.setAttribute("aria-pressed", String(place === "in"));
        button.classList.toggle("km-uncounted", place === "in" && !counts(stage, bench));
      });
    }
    if (focused && focused !== document.activeElement && Object.values(stage.chips).includes(focused)) focused.focus();
    for (const box of [stage.shelves.in, stage.shelves.out, stage.tally]) box.hidden = !stage.revealed;
  }

  /* ---- lanes ---- */

  function lane(stage, { model, missing, mean, error }, place) {
    const { marks, width, data } = stage;
    const key = model.key;
    const y = place * LANE;
    const x = (value) => 8 + (value / 100) * (width - 16);
    const own = key === "k2" ? "km-strong" : "";
    const ranked = mean !== null;
    marks.text(`name-${key}`, 0, y + 16, ranked ? `${place + 1}. ${model.name}` : model.name, { className: ranked ? own : "km-quiet" });
    const lacks = `${width < 420 ? "no" : "no figure:"} ${missing[0]}${missing.length > 1 ? ` +${missing.length - 1}` : ""}`; // beside the name on a phone
    const said = ranked ? number(mean, 1) : missing.length ? lacks : "not ranked";
    marks.text(`mean-text-${key}`, width, y + 16, said, { anchor: "end", className: ranked ? "km-strong" : "km-quiet" });
    marks.rect(`line-${key}`, x(0), y + 34, x(100) - x(0), 2, "km-lane-line");
    if (ranked && error !== null && stage.state.intervals === "on") {
      const [low, high] = span(stage, { mean, error });
      marks.rect(`span-${key}`, x(low), y + 29, x(high) - x(low), 12, "km-lane-span");
    }
    for (const bench of data.chips) {
      if (!counts(stage, bench) || !(key in bench.values)) continue;
      marks.shape(`at-${key}-${bench.key}`, x(bench.values[key]), y + 35, "M0-6L6 0L0 6L-6 0Z", `km-report ${bench.vendor.includes(key) ? "km-vendor" : ""}`);
    }
    if (ranked) marks.rect(`mean-${key}`, x(mean) - 2, y + 23, 4, 24, "km-lane-mean");
  }

  function titleOf(stage, lanes, first) {
    const { data, state } = stage;
    if (!stage.revealed) return `Counting all ${data.chips.length} benchmarks alike, ${nameOf(stage, first[0])} is first. How many of the ${data.models.length} can be, if you choose what counts?`;
    const chips = counted(stage);
    if (!chips.length) return "Nothing is counted, so nobody is first.";
    const what = `Counting ${chips.length === 1 ? chips[0].name : `${chips.length} benchmarks`}${state.mean === "plain" ? "" : " by question"}`;
    if (first.length > 1) return `${what}, ${listed(first.map((key) => nameOf(stage, key)))} share the first place: ${number(lanes[0].mean, 1)}.`;
    const [one, two] = lanes;
    if (!two || two.mean === null) return `${what}, only ${one.model.name} has all figures.`;
    const [low] = one.error === null ? [] : span(stage, one);
    const doubt = state.intervals === "on" && one.error !== null ? (low < span(stage, two)[1] ? "; the two intervals overlap" : "; the two intervals do not touch") : "";
    return `${what}, ${one.model.name} is first: ${number(one.mean, 1)}, ${number(one.mean - two.mean, 1)} before ${two.model.name}${doubt}.`;
  }

  function tally(stage, first) {
    stage.found = stage.found || new Set();
    const possible = stage.data.firsts.map(([key]) => key);
    if (stage.revealed && first.length === 1) stage.found.add(first[0]);
    const done = possible.filter((key) => stage.found.has(key));
    stage.tally.textContent = `Put first so far: ${listed(done.map((key) => nameOf(stage, key))) || "nobody"}. ${done.length} of ${possible.length}.`;
    return done.length;
  }

  function note(stage) {
    const uncounted = stage.data.chips.filter((bench) => stage.state[bench.key] === "in" && !counts(stage, bench));
    const unknown = counted(stage).filter(({ questions }) => questions === null);
    const parts = ["Diamonds: the report's figures, dashed where they are the vendor's own. The bar: their mean, derived."];
    if (uncounted.length) parts.push(`Not counted, for their number of questions is unknown here: ${listed(uncounted.map(({ name }) => name))}.`);
    if (stage.state.intervals === "on") {
      parts.push(unknown.length ? `No interval: the number of questions is unknown here for ${listed(unknown.map(({ name }) => name))}.` : "Grey: 95\u00a0%, were the questions drawn anew. Both models had the same questions, so their difference may be known better.");
    }
    return parts.join(" ");
  }

  KM.component("ranking", {
    state: (data) => ({
      ...Object.fromEntries(data.chips.map(({ key }) => [key, { value: "in", options: ["in", "out"] }])),
      mean: { value: "plain", options: ["plain", "weighted"] },
      intervals: { value: "off", options: ["off", "on"] },
    }),

    guess: (stage) => {
      const { models, firsts, choices, shared } = stage.data;
      const told = firsts.map(([key, count]) => `${nameOf(stage, key)} in ${number(count)}`);
      return {
        question: `Guess first: how many of these ${models.length} models can be first, if you choose which benchmarks count alike?`,
        min: 1, max: models.length, step: 1, start: 1, within: "half a model", show: (value) => String(value),
        answer: () => `${firsts.length}. Of ${number(choices)} choices ${told.join(", ")}; in ${shared} two share it. Put each of them first, by a choice that you would defend.`,
      };
    },

    reset(stage) { stage.found = new Set(); },

    controls: ({ revealed }) => (revealed ? [
      { kind: "choice", name: "mean", label: "mean", names: { plain: "each benchmark once", weighted: "each question once" } },
      { kind: "choice", name: "intervals", label: "intervals", names: { off: "hidden", on: "shown" } },
    ] : []),

    draw(stage) {
      const { marks, width, data } = stage;
      shelves(stage);
      const lanes = order(stage);
      const first = leaders(lanes);
      marks.size(width, data.models.length * LANE + 40);
      for (const model of data.models) { // in one order, so that marks move and are not put in anew
        const place = lanes.findIndex((one) => one.model === model);
        lane(stage, lanes[place], place);
      }
      marks.axis("axis", 8, data.models.length * LANE + 8, width - 16, [0, 25, 50, 75, 100].map((at) => ({ at: at / 100, label: at === 100 ? "100\u00a0%" : String(at) })));
      const found = tally(stage, first);
      const values = Object.fromEntries(lanes.flatMap(({ model, mean, error }, place) => [
        [`mean-${model.key}`, mean === null ? "" : mean], [`error-${model.key}`, error === null ? "" : error], [`place-${model.key}`, place + 1],
      ]));
      const chips = counted(stage);
      return {
        title: titleOf(stage, lanes, first),
        values: { ...values, first: first.join(" "), found, counted: chips.length },
        note: note(stage),
        table: {
          columns: ["model", "mean", "standard error", ...chips.map(({ name }) => name)],
          rows: lanes.map(({ model, mean, error }) => [
            model.name, mean === null ? "not ranked" : number(mean, 1), error === null ? "-" : number(error, 1),
            ...chips.map(({ values: of, vendor }) => (model.key in of ? `${of[model.key]}${vendor.includes(model.key) ? "*" : ""}` : "-")),
          ]),
        },
        code: `from kimi_mini.evals.reported import TABLES, mean_of\n\ntable = TABLES["instruct"]\nrows = [table[key] for key in (${chips.map(({ key }) => `"${key}"`).join(", ")}${chips.length === 1 ? "," : ""})]\nmean_of(rows, "k2", weighted=${stage.state.mean === "plain" ? "False" : "True"})`,
      };
    },
  });
})();
