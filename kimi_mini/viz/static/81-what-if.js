/* The what-if player. Every strip is a run that was played: flipping call k leads to the recorded run named by the flips
   before k, and k:outcome. Nothing is invented here. */
(function () {
  "use strict";
  const KM = (globalThis.KM = globalThis.KM || {});
  const make = (...parts) => KM.element(...parts);
  const NAMES = { careful: "careful", "believes failures": "believes failures", "repeats acts": "repeats acts" };
  const PLACES = { shop: "shop", airline: "airline", files: "files", calendar: "calendar" };

  const treeOf = ({ data, state }) => data.trees.find(({ server, habit }) => server === state.server && habit === state.habit);
  const keyOf = (stage) => (treeOf(stage).runs[stage.state.flips] ? stage.state.flips : "");
  const split = (flips) => (flips ? flips.split(",") : []);

  /* The name of the run in which call `number` has this outcome, and all before it went as they did. */
  function flipped(flips, number, outcome) {
    const before = split(flips).filter((flip) => Number(flip.split(":")[0]) < number);
    return [...before, ...(outcome === "success" ? [] : [`${number}:${outcome}`])].join(",");
  }

  function frame(stage, tree, run, place, position) {
    const shown = tree.frames[place];
    const number = run.calls.indexOf(position);
    const words = shown.call ? `${shown.call.tool} ${JSON.stringify(shown.call.arguments)}` : shown.text;
    const box = make("li", { class: `km-film-${shown.who}` }, make("p", { class: "km-film-who" }, shown.call ? "agent calls" : shown.who === "tool" ? "tool answers" : `${shown.who} says`), make("p", {}, words));
    if (number < 0) return box;
    const flips = keyOf(stage);
    const own = split(flips).find((flip) => flip.startsWith(`${number}:`));
    if (own) box.classList.add("km-film-flipped");
    const buttons = stage.data.outcomes.map((outcome) => {
      const to = flipped(flips, number, outcome);
      const now = own ? own.split(":")[1] === outcome : outcome === "success";
      return make("button", { type: "button", "data-control": `call-${number}-${outcome}`, "aria-pressed": String(now), disabled: !tree.runs[to] && !now,
        onclick: () => { stage.set({ flips: to }); stage.film.querySelector(`[data-control=call-${number}-${outcome}]`)?.focus(); } }, outcome);
    });
    box.append(make("div", { class: "km-film-flips", role: "group", "aria-label": `outcome of call ${number + 1}` }, ...buttons));
    return box;
  }

  function strip(stage, tree, run) {
    if (!stage.film) {
      stage.film = make("ol", { class: "km-film", tabindex: "0", "aria-label": "the run, frame by frame" });
      stage.rubric = make("ul", { class: "km-rubric", "aria-label": "rubric" });
      stage.picture.before(stage.film, stage.rubric);
    }
    const scroll = stage.film.scrollLeft;
    stage.film.replaceChildren(...run.frames.map((place, position) => frame(stage, tree, run, place, position)));
    stage.film.scrollLeft = scroll;
    stage.rubric.replaceChildren(...run.items.map((place) => {
      const { item, passed, why } = tree.items[place];
      return make("li", { class: passed ? "" : "km-failed-item" }, `${passed ? "\u2713" : "\u2717"} ${item} `, make("span", {}, passed ? "" : `(${why})`));
    }));
  }

  /* The larger batch, widths in proportion. */
  function funnel(stage) {
    const { marks, width, data } = stage;
    const steps = Object.entries(data.funnel);
    marks.size(width, steps.length * 34 + 6);
    steps.forEach(([name, count], index) => {
      const wide = (width - 120) * (count / data.funnel.made);
      marks.text(`name-${name}`, 0, index * 34 + 22, `${name} ${count}`);
      marks.rect(`bar-${name}`, 110 + (width - 120 - wide) / 2, index * 34 + 4, wide, 26, "km-rest-fill");
    });
  }

  KM.component("what-if", {
    state: (data) => ({
      habit: { value: "believes failures", options: Object.keys(NAMES) },
      server: { value: "shop", options: Object.keys(PLACES) },
      flips: { value: "", options: ["", ...new Set(data.trees.flatMap(({ runs }) => Object.keys(runs).filter(Boolean)))] },
    }),

    guess(stage) {
      const tree = stage.data.trees.find(({ server, habit }) => server === "shop" && habit === "believes failures");
      const run = tree.runs["2:error"];
      const failed = run.items.filter((place) => !tree.items[place].passed).length;
      return {
        question: `Guess first: this run is good. Now its last call, the order, gets no answer and nothing is done. The agent goes on. How many of the ${run.items.length} items of the rubric fail?`,
        min: 0, max: run.items.length, step: 1, start: 1, within: "half an item", show: String,
        answer: () => `${failed} of ${run.items.length}.`,
        then: () => {
          stage.set({ habit: "believes failures", server: "shop", flips: "2:error" });
          stage.film.scrollLeft = stage.film.querySelector(".km-film-flipped").offsetLeft - stage.film.offsetLeft;
        },
      };
    },

    controls: (stage) => (stage.revealed ? [
      { kind: "choice", name: "habit", label: "an agent that", names: NAMES },
      { kind: "select", name: "server", label: "works in", names: PLACES },
    ] : []),

    draw(stage) {
      const tree = treeOf(stage);
      const flips = keyOf(stage);
      const run = tree.runs[flips];
      strip(stage, tree, run);
      stage.film.classList.toggle("km-film-locked", !stage.revealed);
      if (!stage.revealed) for (const button of stage.film.querySelectorAll("button")) button.disabled = true;
      funnel(stage);
      const failed = run.items.filter((place) => !tree.items[place].passed);
      const last = tree.frames[run.frames.at(-1)].text;
      const what = flips ? `With ${split(flips).map((flip) => `call ${Number(flip.split(":")[0]) + 1} ${flip.split(":")[1]}`).join(" and ")}` : "All calls answered";
      return {
        title: `${what}, the agent says \u201C${last}\u201D and ${failed.length ? `fails ${failed.length} of ${run.items.length} items` : `passes all ${run.items.length} items`}.`,
        values: { failed: failed.length, items: run.items.length, frames: run.frames.length, calls: run.calls.length, passed: Number(run.passed), ...stage.data.funnel },
        note: `Recorded runs of agents that are programs, up to ${stage.data.limit} flips. The bars are another, larger batch: made, well formed, passed by the judge, kept.`,
        table: { columns: ["who", "what"], rows: run.frames.map((place) => { const f = tree.frames[place]; return [f.who, f.call ? `${f.call.tool} ${JSON.stringify(f.call.arguments)}` : f.text]; }) },
        code: "from kimi_mini.agentic import PERSONAS, ProgrammaticPlayer, ProgrammaticUser, draw_agent, draw_task, judge, play\ntask = draw_task(\"shop\", 28)\nrun = play(task, draw_agent(task, 28), ProgrammaticPlayer(\"believes failures\"), ProgrammaticUser(), PERSONAS[0], seed=28, forced={2: \"error\"})\njudge(task, run)",
      };
    },
  });
})();
