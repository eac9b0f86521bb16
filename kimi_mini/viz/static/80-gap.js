/* The gap: what the critic thinks of an actor and what is true, over the steps of RL. The truth is covered until the reader has
   planted a flag where they would stop; the flag is the guess, dragged in the picture or with its slider. */
(function () {
  "use strict";
  const KM = (globalThis.KM = globalThis.KM || {});
  const { number, percent } = KM.format;
  const TOP = 44; // above a strip, for its name
  const HEIGHTS = { gap: 190, agreement: 70 };
  const DOT = "M-5 0A5 5 0 1 0 5 0A5 5 0 1 0 -5 0Z";

  const settingOf = ({ data, state, revealed }) => data.settings.find(({ key }) => key === (revealed ? state.setting : data.settings[0].key));
  const runOf = (stage) => settingOf(stage).seeds.find(({ seed }) => String(seed) === String(stage.state.seed));
  const place = ({ data, width }, step) => 8 + (step / data.steps.at(-1)) * (width - 28);
  const guessInput = (stage) => stage.guessBox.querySelector("input[type='range']");

  /* Where the flag stands: what was locked, what is being set, or nowhere. */
  function flagAt(stage) {
    if (stage.revealed) return stage.guess ? stage.guess.value : null;
    const input = guessInput(stage);
    return input ? Number(input.value) : null;
  }

  /* A pointer on the picture moves the guess, as long as it is open. */
  function listen(stage) {
    if (stage.listens) return;
    stage.listens = true;
    stage.guessBox.addEventListener("input", () => stage.update());
    const move = (event) => {
      const input = guessInput(stage);
      if (stage.revealed || !input || !(event.buttons & 1)) return;
      const { left } = stage.picture.getBoundingClientRect();
      const share = Math.min(1, Math.max(0, (event.clientX - left - 8) / (stage.width - 28)));
      input.value = share * stage.data.steps.at(-1);
      input.dispatchEvent(new Event("input", { bubbles: true }));
    };
    stage.picture.addEventListener("pointerdown", move);
    stage.picture.addEventListener("pointermove", move);
  }

  function line(stage, key, values, y, className, name, above) {
    const { marks, width, data } = stage;
    const shown = values.map((value, index) => [value, index]).filter(([value]) => value !== null);
    if (!shown.length) return;
    marks.shape(`line-${key}`, 0, 0, shown.map(([value, index], n) => `${n ? "L" : "M"}${place(stage, data.steps[index]).toFixed(1)} ${y(value).toFixed(1)}`).join(""), className);
    const [last] = shown.at(-1);
    marks.text(`name-${key}`, width - 2, y(last) + (above ? -9 : 18), name, { anchor: "end", within: width, className: "km-halo" });
  }

  function grid(stage, key, base, height, label) {
    const { marks, width } = stage;
    marks.text(`label-${key}`, 0, base - height - 22, label, { className: "km-halo" });
    marks.rect(`base-${key}`, 0, base, width - 2, 1, "km-axis");
    for (const share of [0.5, 1]) {
      marks.rect(`grid-${key}-${share}`, 0, base - share * height, width - 2, 1, "km-grid");
      marks.text(`tick-${key}-${share}`, 0, base - share * height - 3, number(share, 1), { className: "km-quiet km-halo" });
    }
    return (value) => base - value * height;
  }

  function card(stage, run, index) {
    const make = KM.element;
    if (!stage.card) {
      stage.card = { about: make("p", { class: "km-gap-about" }), text: make("p", { class: "km-gap-text" }), said: make("p", { class: "km-gap-about" }) };
      stage.picture.after(make("div", { class: "km-gap-card" }, stage.card.about, stage.card.text, stage.card.said));
    }
    const best = run.best[index];
    stage.card.about.textContent = `step ${number(stage.data.steps[index])}, asked: ${best.asked} The critic's first of four:`;
    stage.card.text.textContent = best.text || "(nothing)";
    stage.card.said.textContent = stage.revealed ? `hidden truth of it: ${number(best.truth, best.truth % 1 ? 2 : 0)}` : "its hidden truth: covered";
  }

  KM.component("gap", {
    state: (data) => ({
      step: { value: data.steps[0], options: data.steps },
      setting: { value: data.settings[0].key, options: data.settings.map(({ key }) => key) },
      seed: { value: data.settings[0].seeds[0].seed, options: data.settings[0].seeds.map(({ seed }) => seed) },
    }),

    guess({ data }) {
      const [{ seeds: [run] }] = data.settings;
      return {
        question: "Guess first: you see the critic's score and the answers it likes best, never the truth. Drag the flag to the step after which you would stop.",
        min: 0, max: data.steps.at(-1), step: data.every, start: data.steps.at(-1), within: `${data.every} steps of the best one`, show: (value) => `step ${number(value)}`,
        answer: () => `The truth was highest at step ${number(run.peak)} (${number(Math.max(...run.truth), 2)}), and ${number(run.truth.at(-1), 2)} at the end.`,
      };
    },

    controls: (stage) => [
      { kind: "slider", name: "step", label: "answer of step", show: (step) => number(step) },
      ...(stage.revealed ? [
        { kind: "select", name: "setting", label: "critic", names: Object.fromEntries(stage.data.settings.map(({ key, name }) => [key, name])) },
        { kind: "select", name: "seed", label: "seed", names: Object.fromEntries(stage.schema.seed.options.map((seed) => [seed, String(seed)])) },
      ] : []),
    ],

    draw(stage) {
      const { data, marks, width, state, revealed } = stage;
      listen(stage);
      const setting = settingOf(stage);
      const run = revealed ? runOf(stage) : setting.seeds[0];
      const index = data.steps.indexOf(state.step);
      const base = TOP + HEIGHTS.gap;
      const under = base + TOP + 6 + HEIGHTS.agreement;
      marks.size(width, under + 34);
      const y = grid(stage, "gap", base, HEIGHTS.gap, "critic's score, and hidden truth");
      if (revealed) {
        const above = run.truth.at(-1) > run.score.at(-1);
        line(stage, "truth", run.truth, y, "km-line km-ink-line", "hidden truth", above);
        line(stage, "score", run.score, y, "km-line km-reward-line", "critic's score", !above);
        marks.shape("dot-truth", place(stage, state.step), y(run.truth[index]), DOT, "km-flag");
      } else {
        marks.rect("cover", 0, y(0.4), width - 2, 0.4 * HEIGHTS.gap - 2, "km-cover");
        marks.text("covered", width / 2, y(0.17), "the truth is covered", { anchor: "middle", className: "km-quiet" });
        line(stage, "score", run.score, y, "km-line km-reward-line", "critic's score", true);
      }
      marks.shape("dot-score", place(stage, state.step), y(run.score[index]), DOT, "km-reward-fill");
      const z = grid(stage, "agreement", under, HEIGHTS.agreement, "agreement on the actor's own pairs");
      if (revealed) line(stage, "agreement", run.agreement, z, "km-line km-ink-line", "", true);
      else marks.rect("cover-agreement", 0, z(1), width - 2, HEIGHTS.agreement - 2, "km-cover");
      const flag = flagAt(stage);
      if (flag !== null) {
        marks.flag("flag", place(stage, flag), base, 60);
        marks.text("flag-text", place(stage, flag) + 14, base - 66, revealed ? "your flag" : "stop here", { anchor: "end", within: width, className: "km-halo" });
      }
      const end = data.steps.at(-1);
      marks.axis("steps", 8, under + 4, width - 28, [0, end / 2, end].map((step) => ({ at: step / end, label: step === end ? `step ${number(step)}` : number(step) })));
      card(stage, run, index);
      const agreement = run.agreement[index];
      return {
        title: !revealed ? `${number(end)} steps with a frozen critic: its score goes from ${number(run.score[0], 2)} to ${number(run.score.at(-1), 2)}. Where would you stop?`
          : `${setting.name}, seed ${state.seed}: score from ${number(run.score[0], 2)} to ${number(run.score.at(-1), 2)}, truth from ${number(run.truth[0], 2)} over ${number(Math.max(...run.truth), 2)} at step ${number(run.peak)} to ${number(run.truth.at(-1), 2)}.`,
        values: {
          score: run.score[index], flag: flag === null ? "" : flag, peak: revealed ? run.peak : "", truth: revealed ? run.truth[index] : "",
          agreement: revealed && agreement !== null ? agreement : "", praise: revealed ? run.praise[index] : "",
        },
        note: `Measured here: ${number(data.answers)} answers a point. Score: the share that the critic prefers to the first model's answers, a tie counting half, so 0.5 at the start.${revealed ? ` At step ${number(state.step)}: praise in ${percent(run.praise[index], 0)} of the answers, self-justification in ${percent(run.justification[index], 0)}, help in ${percent(run.helpful[index], 0)}.` : ""}`,
        table: {
          columns: ["step", "critic's score", "hidden truth", "agreement"],
          rows: data.steps.map((step, at) => [number(step), number(run.score[at], 2), ...(revealed ? [number(run.truth[at], 2), run.agreement[at] === null ? "no pair" : number(run.agreement[at], 2)] : ["covered", "covered"])]),
        },
        code: "from kimi_mini.viz import critic\n\nruns = critic.load_critic(\"data/critic\")\nruns[\"frozen\"][0].values[\"truth\"]",
      };
    },
  });
})();
