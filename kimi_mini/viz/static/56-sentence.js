/* A sentence over a grid of experts by layers: tap a word, tap an expert, lift its bias by hand. Every route is recomputed
   here from recorded scores (47-router.js). */
(function () {
  "use strict";
  const KM = (globalThis.KM = globalThis.KM || {});
  const { number, percent } = KM.format;
  const LEFT = 58; // room for the names of layers
  const ROW = 30; // of the grid
  const GRID = 26; // where the grid begins
  const BARS = 128; // height of the chart of scores
  const VOICE = 84; // height of the chart of weights over the sentence
  const FULL = 1; // the lift that the guess is about

  const shown = (word) => word.replace(/^ +(?=\S)/, "").replace(/\n/g, "\u21B5").replace(/ +/g, "\u2423");
  const quoted = (word) => `\u201C${shown(word)}\u201D`;
  const mean = (values) => (values.length ? values.reduce((a, b) => a + b, 0) / values.length : 0);

  /* ---- the routes ---- */

  function sentence({ data, state }, key = state.sentence) {
    const [domain, index] = key.split("/");
    const found = data.domains[domain][Number(index)];
    if (!found.unpacked) {
      const flat = KM.unpackScores(found.scores);
      const [words, experts] = [found.words.length, data.experts];
      found.unpacked = data.layers.map((_, l) => found.words.map((_, t) => flat.slice((l * words + t) * experts, (l * words + t + 1) * experts)));
    }
    return found;
  }

  /* All words of the sentence through one layer's router, with `lift` on one expert's bias. */
  function routes({ data }, found, layer, expert, lift) {
    const row = data.layers.indexOf(layer);
    const biases = data.biases[row].map((bias, e) => bias + (e === expert ? lift : 0));
    return { scores: found.unpacked[row], biases, answers: found.unpacked[row].map((scores) => KM.route(scores, biases, data.k, data.scale)) };
  }

  /* How often an expert is chosen over the sentence, and how loud it then is on average. */
  function voice({ answers }, expert) {
    const loud = answers.map(({ weights }) => weights[expert]).filter((weight) => weight > 0);
    return { chosen: loud.length, mean: mean(loud) };
  }

  function look(stage) {
    const { state } = stage;
    const found = sentence(stage);
    const word = Math.min(state.word, found.words.length - 1);
    const lift = stage.revealed ? state.lift : 0;
    const now = routes(stage, found, state.layer, state.expert, lift);
    const before = routes(stage, found, state.layer, state.expert, 0);
    return { found, word, lift, now, before, heard: voice(now, state.expert), was: voice(before, state.expert) };
  }

  /* ---- drawing ---- */

  const above = (stage) => (stage.width < 480 ? 20 : 0); // a line of its own where a label would lie on the bars
  const cell = (stage) => (stage.width - LEFT - 1) / stage.data.experts;

  function grid(stage, seen) {
    const { marks, data, state } = stage;
    const size = cell(stage);
    marks.text("grid-title", 0, 14, `experts 0 to ${data.experts - 1}: green, its share of the words; inner box: chosen for ${quoted(seen.found.words[seen.word])}`, { className: "km-quiet" });
    if (marks.long("grid-title") > stage.width) marks.text("grid-title", 0, 14, `inner box: chosen for ${quoted(seen.found.words[seen.word])}`, { className: "km-quiet" });
    data.layers.forEach((layer, row) => {
      const { answers } = layer === state.layer ? seen.now : routes(stage, seen.found, layer, -1, 0);
      const y = GRID + row * ROW;
      marks.text(`layer-${layer}`, 0, y + 19, `layer ${layer}`, { className: layer === state.layer ? "km-strong" : "" });
      for (let expert = 0; expert < data.experts; expert++) {
        const share = mean(answers.map(({ weights }) => (weights[expert] > 0 ? 1 : 0)));
        const x = LEFT + expert * size;
        marks.rect(`ground-${layer}-${expert}`, x, y, size - 1, ROW - 3, "km-tile-fill");
        marks.rect(`cell-${layer}-${expert}`, x, y, size - 1, ROW - 3, "km-experts-fill");
        marks.nodes.get(`cell-${layer}-${expert}`).style.opacity = Math.sqrt(share);
        if (answers[seen.word].weights[expert] > 0) marks.rect(`now-${layer}-${expert}`, x + size * 0.15, y + 5, size * 0.7 - 1, ROW - 13, "km-now-fill");
      }
    });
    const y = GRID + data.layers.indexOf(state.layer) * ROW;
    marks.rect("cursor", LEFT + state.expert * size - 2, y - 2, size + 3, ROW + 1, "km-cursor");
  }

  /* Score, then bias, then lift, stacked; the dashed line is the door. */
  function bars(stage, seen, top) {
    const { marks, data, state, width } = stage;
    const size = cell(stage);
    const { choices, chosen, entry } = seen.now.answers[seen.word];
    const scores = seen.now.scores[seen.word];
    const high = Math.max(1, Math.ceil(Math.max(...choices) * 2) / 2);
    const y = (value) => top + BARS * (1 - Math.max(0, value) / high);
    marks.text("bars-title", 0, top - 12 - above(stage), `layer ${state.layer}, ${quoted(seen.found.words[seen.word])}: score (filled) plus bias (outline)`, { className: "km-quiet" });
    for (let tick = 0; tick <= high; tick += 0.5) {
      marks.rect(`bars-grid-${tick}`, LEFT, y(tick), width - LEFT, 1, "km-grid");
      marks.text(`bars-label-${tick}`, LEFT - 8, y(tick) + 5, number(tick, 1), { anchor: "end", className: "km-quiet" });
    }
    scores.forEach((score, expert) => {
      const x = LEFT + expert * size;
      const [low, most] = [Math.min(score, choices[expert]), Math.max(score, choices[expert])];
      marks.rect(`score-${expert}`, x, y(score), size - 1.5, y(0) - y(score), chosen.includes(expert) ? "km-now-fill" : "km-experts-fill");
      marks.rect(`bias-${expert}`, x + 0.75, y(most), size - 3, Math.max(0, y(low) - y(most)), "km-outline");
    });
    marks.shape("entry", 0, 0, `M${LEFT} ${y(entry)}H${width}`, "km-entry");
    const line = above(stage) ? [top - 12, "dashed: "] : [y(entry) - 6, ""];
    marks.text("entry-label", width, line[0], `${line[1]}the ${data.k} highest are chosen`, { anchor: "end", className: "km-halo" });
    marks.shape("cursor-bar", LEFT + (state.expert + 0.5) * size, y(0) + 4, "M0 0L6 9H-6Z", "km-flag");
    marks.text("cursor-name", LEFT + (state.expert + 0.5) * size, y(0) + 28, `expert ${state.expert}`, { anchor: "middle", within: width, className: "km-strong" });
  }

  /* The weights of one word: before the lift as outline, now filled. They always add up to the scale. */
  function team(stage, seen, top) {
    const { marks, data, width } = stage;
    const now = seen.now.answers[seen.word];
    const before = seen.before.answers[seen.word];
    const members = [...new Set([...before.chosen, ...now.chosen])].sort((a, b) => a - b);
    const across = width - LEFT - 52;
    marks.text("team-title", 0, top - 12, `weights for ${quoted(seen.found.words[seen.word])}: scores of the chosen, scaled to ${number(data.scale, 3)} in all`, { className: "km-quiet" });
    if (marks.long("team-title") > width) marks.text("team-title", 0, top - 12, `weights for ${quoted(seen.found.words[seen.word])}, ${number(data.scale, 3)} in all`, { className: "km-quiet" });
    for (let slot = 0; slot <= data.k; slot++) {
      const expert = members[slot];
      if (expert === undefined) continue;
      const y = top + slot * 24;
      const [was, is] = [before.weights[expert], now.weights[expert]];
      marks.text(`team-${slot}`, LEFT - 8, y + 14, `${expert}`, { anchor: "end", className: expert === stage.state.expert ? "km-strong" : "" });
      marks.rect(`team-now-${slot}`, LEFT, y, (across * is) / data.scale, 18, "km-now-fill");
      marks.rect(`team-was-${slot}`, LEFT + 0.75, y + 0.75, Math.max(0, (across * was) / data.scale - 1.5), 16.5, "km-outline");
      marks.text(`team-label-${slot}`, LEFT + (across * Math.max(is, was)) / data.scale + 6, y + 14, is ? number(is, 2) : "out", {});
    }
  }

  /* The chosen expert's weight at every word of the sentence. */
  function voices(stage, seen, top) {
    const { marks, data, state, width } = stage;
    const words = seen.found.words;
    const step = (width - LEFT) / words.length;
    const high = Math.max(1, ...seen.before.answers.map(({ weights }) => weights[state.expert]));
    marks.text("voice-title", 0, top - 12, `expert ${state.expert}'s weight, word by word`, { className: "km-quiet" });
    for (const tick of [0, high]) {
      const y = top + VOICE * (1 - tick / high);
      marks.rect(`voice-grid-${tick ? 1 : 0}`, LEFT, y, width - LEFT, 1, "km-grid");
      marks.text(`voice-label-${tick ? 1 : 0}`, LEFT - 8, y + 5, number(tick, tick ? 2 : 0), { anchor: "end", className: "km-quiet" });
    }
    words.forEach((word, t) => {
      const [was, is] = [seen.before.answers[t].weights[state.expert], seen.now.answers[t].weights[state.expert]];
      const x = LEFT + t * step;
      marks.rect(`voice-${t}`, x, top + VOICE * (1 - is / high), step - 2, (VOICE * is) / high, "km-now-fill");
      if (was) marks.rect(`voice-was-${t}`, x + 0.75, top + VOICE * (1 - was / high) + 0.75, step - 3.5, (VOICE * was) / high - 1.5, "km-outline");
      if (t === seen.word) marks.shape("voice-cursor", x + step / 2 - 1, top + VOICE + 4, "M0 0L6 9H-6Z", "km-flag");
    });
    marks.text("voice-name", LEFT + (seen.word + 0.5) * step, top + VOICE + 28, quoted(words[seen.word]), { anchor: "middle", within: width, className: "km-strong" });
    if (stage.guess && state.lift > 0 && isOpening(stage)) {
      const y = top + VOICE * (1 - Math.min(high, (seen.was.mean * stage.guess.value) / 100) / high);
      marks.rect("guess-line", LEFT, y - 1, width - LEFT, 2, "km-flag");
      marks.text("guess-label", width - step - 8, y - 6, `your guess: ${stage.guess.value}\u00a0% on average`, { anchor: "end", className: "km-halo" });
    }
  }

  /* ---- the hand on the sentence and on the grid ---- */

  function words(stage, seen) {
    if (stage.wordsOf !== stage.state.sentence) {
      stage.wordsOf = stage.state.sentence;
      if (!stage.words) stage.controls.after((stage.words = KM.element("fieldset", { class: "km-words" })));
      const name = `${stage.name}-word`;
      stage.words.replaceChildren(KM.element("legend", {}, "Tap a word:"), ...seen.found.words.map((word, index) => {
        const input = KM.element("input", { type: "radio", name, value: index, "data-control": "word", onchange: () => stage.set({ word: index }) });
        return KM.element("label", { class: index && /^\s/.test(word) ? "km-apart" : "" }, input, KM.element("span", {}, shown(word)));
      }));
    }
    stage.words.querySelectorAll("label").forEach((label, index) => {
      label.querySelector("input").checked = index === seen.word;
      label.classList.toggle("km-chose", seen.now.answers[index].weights[stage.state.expert] > 0);
    });
  }

  function pad(stage, height) {
    if (!stage.pad) {
      const tell = "Grid of layers and experts. Arrow keys move to another layer or expert.";
      stage.pad = KM.element("div", { class: "km-pad", tabindex: "0", role: "application", "aria-label": tell, "data-control": "grid" });
      stage.picture.before(stage.pad);
      const { data } = stage;
      const pick = (event) => {
        const box = stage.pad.getBoundingClientRect();
        const [x, y] = [event.clientX - box.left - LEFT, event.clientY - box.top - GRID];
        const row = Math.floor(y / ROW);
        const layer = row >= 0 && row < data.layers.length ? data.layers[row] : stage.state.layer;
        stage.set({ layer, ...(x >= 0 && { expert: Math.min(data.experts - 1, Math.floor(x / cell(stage))) }) });
      };
      // A finger that scrolls the page moves up or down and picks nothing.
      stage.pad.addEventListener("click", pick);
      stage.pad.addEventListener("pointerdown", (event) => { stage.pad.setPointerCapture(event.pointerId); stage.pad.dataset.held = event.clientX; });
      stage.pad.addEventListener("pointermove", (event) => { if (stage.pad.dataset.held && Math.abs(event.clientX - stage.pad.dataset.held) > 6) pick(event); });
      for (const end of ["pointerup", "pointercancel"]) stage.pad.addEventListener(end, () => { delete stage.pad.dataset.held; });
      stage.pad.addEventListener("keydown", (event) => {
        const { layer, expert } = stage.state;
        const row = data.layers.indexOf(layer);
        const next = {
          ArrowRight: { expert: expert + 1 }, ArrowLeft: { expert: expert - 1 },
          ArrowDown: { layer: data.layers[row + 1] ?? layer }, ArrowUp: { layer: data.layers[row - 1] ?? layer },
        }[event.key];
        if (!next) return;
        event.preventDefault();
        stage.set(next);
      });
    }
    Object.assign(stage.pad.style, { height: `${height}px`, marginBottom: `-${height}px` });
  }

  /* ---- the component ---- */

  const isOpening = ({ state, data }) => ["sentence", "layer", "expert"].every((key) => state[key] === data.opening[key]);

  /* What the guess is about, whatever the reader looks at now. */
  function opening(stage) {
    const { sentence: key, layer, expert } = stage.data.opening;
    const found = sentence(stage, key);
    const [was, is] = [0, FULL].map((lift) => voice(routes(stage, found, layer, expert, lift), expert));
    return { was, is, words: found.words.length, layer, expert };
  }

  KM.component("sentence", {
    state: (data) => ({
      sentence: { value: data.opening.sentence, options: Object.keys(data.domains).flatMap((domain) => data.domains[domain].map((_, index) => `${domain}/${index}`)) },
      lift: { value: 0, min: 0, max: FULL, step: 0.02 },
      word: { value: data.opening.word, min: 0, max: data.longest - 1, step: 1 },
      layer: { value: data.opening.layer, options: data.layers },
      expert: { value: data.opening.expert, min: 0, max: data.experts - 1, step: 1 },
    }),

    guess(stage) {
      const { was, is, words: count, layer, expert } = opening(stage);
      return {
        question: `Guess first: expert ${expert} of layer ${layer} is chosen by ${was.chosen} of these ${count} words, with a weight of ${number(was.mean, 2)} on average. Lift its bias until all ${count} choose it: what is its average weight then, in percent of that?`,
        min: 0, max: 200, step: 5, start: 100, within: "15 points", show: (value) => `${value}\u00a0%`,
        answer: () => `${percent(is.mean / was.mean, 0)}: it falls from ${number(was.mean, 2)} to ${number(is.mean, 2)}.`,
        then: () => stage.set({ ...stage.data.opening, lift: FULL }),
      };
    },

    controls(stage) {
      const names = Object.fromEntries(stage.schema.sentence.options.map((key) => {
        const text = sentence(stage, key).words.join("").replace(/\s+/g, " ").trim();
        return [key, `${key.split("/")[0]}: ${text.length > 44 ? `${text.slice(0, 43)}\u2026` : text}`];
      }));
      const choose = { kind: "select", name: "sentence", label: "sentence, from text that MINI never saw", names };
      if (!stage.revealed) return [choose];
      return [choose, { kind: "slider", name: "lift", label: `lift expert ${stage.state.expert}'s bias by`, show: (value) => number(Number(value), 2) }];
    },

    draw(stage) {
      const { state, data } = stage;
      const seen = look(stage);
      const below = GRID + data.layers.length * ROW + 40 + above(stage);
      const tall = below + BARS + 72;
      const last = tall + (data.k + 1) * 24 + 40;
      stage.marks.size(stage.width, last + VOICE + 36);
      words(stage, seen);
      pad(stage, below + BARS);
      grid(stage, seen);
      bars(stage, seen, below);
      team(stage, seen, tall);
      voices(stage, seen, last);
      const now = seen.now.answers[seen.word];
      const unbiased = KM.route(seen.now.scores[seen.word], data.biases[0].map(() => 0), data.k, data.scale).chosen;
      return {
        title: title(state, seen),
        values: {
          chosen: seen.heard.chosen, "chosen-before": seen.was.chosen, voice: seen.heard.mean, "voice-before": seen.was.mean,
          weight: now.weights[state.expert], score: seen.now.scores[seen.word][state.expert], choice: now.choices[state.expert],
          team: [...now.chosen].sort((a, b) => a - b).join(","), words: seen.found.words.length,
        },
        note: `Measured here: MINI, ${data.layers.length} layers of ${data.experts} routed experts, ${data.k} for each word. Underlined words choose expert ${state.expert}. ` +
          `Without any bias ${quoted(seen.found.words[seen.word])} would go to ${[...unbiased].sort((a, b) => a - b).join(", ")}. ` +
          "Green in the grid: the share of the words. Outline in the chart of scores: the bias, on top of the fill or, where it is negative, inside it. In the lower charts: outline, before the lift; out, no longer chosen.",
        table: {
          columns: ["expert", "score", "bias", "score + bias", "weight"],
          rows: seen.now.scores[seen.word].map((score, expert) => [expert, number(score, 3), number(seen.now.biases[expert], 3), number(now.choices[expert], 3), now.weights[expert] ? number(now.weights[expert], 3) : "not chosen"]),
        },
        code: code(stage, seen),
      };
    },
  });

  function title({ layer, expert }, { found, word, lift, now, heard, was }) {
    const count = found.words.length;
    const members = [...now.answers[word].chosen].sort((a, b) => a - b);
    if (!lift) return `Layer ${layer} sends ${quoted(found.words[word])} to experts ${members.slice(0, -1).join(", ")} and ${members.at(-1)}; expert ${expert} is chosen by ${was.chosen} of ${count} words.`;
    const then = was.chosen ? `instead of ${was.chosen}; average weight ${number(heard.mean, 2)}, was ${number(was.mean, 2)}` : `instead of none; average weight ${number(heard.mean, 2)}`;
    return `Expert ${expert} lifted by ${number(lift, 2)}: chosen by ${heard.chosen} of ${count} words ${then}.`;
  }

  function code({ state }, { lift }) {
    const [domain, index] = state.sentence.split("/");
    return `from kimi_mini.viz import routing   # in the folder book/\n` +
      `domains, _ = routing.load_routes("data/routes")\n` +
      `routing.reroute(domains, "${domain}", ${index}, layer=${state.layer}, expert=${state.expert}, lift=${number(lift, 2)})`;
  }
})();
