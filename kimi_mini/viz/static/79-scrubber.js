/* The run scrubber: reward, right answers, length and divergence of a recorded RL run on one axis of steps, with what was written. */
(function () {
  "use strict";
  const KM = (globalThis.KM = globalThis.KM || {});
  const { number, percent } = KM.format;
  const GAP = 30; // above a strip, for its name
  const STRIPS = [
    { name: "reward", label: "mean reward of the step's answers", height: 84, digits: 1, className: "km-line km-reward-line", whole: true },
    { name: "length", label: "tokens an answer, mean", height: 60, digits: 0, className: "km-line km-ink-line" },
    { name: "drift", label: "divergence from the start, nats an answer", height: 60, digits: 1, className: "km-line km-quiet-line" },
  ];
  const HELD = 110;

  const runOf = ({ data, state }) => data.runs.find(({ key }) => key === state.run);

  const place = ({ data, width }, step) => 6 + (step / data.span) * (width - 12);

  function series(stage, run) {
    const cache = (stage.unpackedRuns = stage.unpackedRuns || new Map());
    if (!cache.has(run)) cache.set(run, Object.fromEntries(STRIPS.map(({ name }) => [name, KM.unpack(run[name])])));
    return cache.get(run);
  }

  /* Steps at which a strip has a value: the drift was measured with the held-out problems, all else at every step. */
  const stepsOf = (run, name) => (name === "drift" ? run.held.map(([step]) => step) : Array.from({ length: run.steps }, (_, index) => index + 1));
  const indexAt = (run, name, step) => Math.max(0, stepsOf(run, name).filter((at) => at <= step).length - 1);

  /* The last held-out measurement at or before `step`. */
  const heldAt = (run, step) => run.held.filter(([at]) => at <= step).at(-1);

  function strips(stage, run, y0) {
    const { marks, width, data, revealed } = stage;
    const now = Math.min(stage.state.step, run.steps);
    const shown = series(stage, run);
    const x = (step) => place(stage, step);
    for (const { name, label, height, digits, className, whole } of STRIPS) {
      const values = revealed ? shown[name] : shown[name].slice(0, 1);
      const base = y0 + GAP + height;
      const top = whole ? 1 : Math.max(...data.runs.map((each) => series(stage, each)[name].reduce((a, b) => Math.max(a, b), 0))) * 1.05 || 1;
      const y = (value) => base - (Math.max(0, Math.min(top, value)) / top) * height;
      marks.rect(`base-${name}`, 0, base, width - 2, 1, "km-axis");
      const tick = KM.ticks(top, { count: 2 }).at(-1);
      marks.rect(`grid-${name}`, 0, y(tick), width - 2, 1, "km-grid");
      const at = stepsOf(run, name);
      marks.shape(`line-${name}`, 0, 0, KM.path(values, (index) => x(at[index]), y), className);
      const index = indexAt(run, name, now);
      if (revealed && now > 0) marks.shape(`now-${name}`, x(at[index]), y(shown[name][index]), "M-5 0A5 5 0 1 0 5 0A5 5 0 1 0 -5 0Z", name === "reward" ? "km-reward-fill" : "km-flag");
      marks.text(`tick-${name}`, width - 2, y(tick) - 4, number(tick, digits), { anchor: "end", className: "km-quiet km-halo" });
      marks.text(`name-${name}`, 0, y0 + GAP - 8, label, { className: "km-halo" });
      y0 = base;
    }
    return y0;
  }

  /* Right answers on held-out problems, with intervals, and the control that spent the same time on more examples. */
  function held(stage, run, y0) {
    const { marks, width, data, revealed, guess } = stage;
    const x = (step) => place(stage, step);
    const base = y0 + GAP + HELD;
    const y = (share) => base - share * HELD;
    marks.text("name-held", 0, y0 + GAP - 8, `right of ${data.problems} held-out problems`, { className: "km-halo" });
    marks.rect("base-held", 0, base, width - 2, 1, "km-axis");
    for (const share of [0.5, 1]) {
      marks.rect(`grid-held-${share}`, 0, y(share), width - 2, 1, "km-grid");
      marks.text(`tick-held-${share}`, width - 2, y(share) - 4, percent(share, 0), { anchor: "end", className: "km-quiet km-halo" });
    }
    const draw = (name, points, fill) => points.slice(0, revealed ? undefined : 1).forEach(([step, share, low, high]) => {
      marks.rect(`bar-${name}-${step}`, x(step) - 1, y(high), 2, y(low) - y(high), fill);
      marks.shape(`dot-${name}-${step}`, x(step), y(share), "M-5 0A5 5 0 1 0 5 0A5 5 0 1 0 -5 0Z", fill);
    });
    draw("control", run.control, "km-rest-fill");
    draw("held", run.held, "km-reward-fill");
    if (revealed && run.control.length > 1) {
      const [step, share] = run.control.at(-1);
      marks.text("control-name", x(step) - 52, Math.min(base - 6, y(share) + 22), "control: more examples, same time", { anchor: "end", within: width, className: "km-quiet km-halo" });
    }
    if (guess) {
      marks.flag("guess", x(data.span) - 16, y(guess.value / 100), 24);
      marks.text("guess-text", x(data.span) - 20, y(guess.value / 100) - 10, "your guess", { anchor: "end", className: "km-halo" });
    }
    return base;
  }

  function sample(stage, run) {
    if (!stage.sampleBox) stage.picture.after((stage.sampleBox = KM.element("p", { class: "km-run-sample" })));
    const written = run.samples.filter(({ step }) => step <= stage.state.step).at(-1);
    stage.sampleBox.textContent = !stage.revealed ? "What was written stands here once you have guessed."
      : !written ? "Move the step: one of its answers stands here."
      : `step ${number(written.step)}, asked: ${written.prompt}\nanswered: ${written.text || "(nothing)"}\nreward ${number(written.reward, written.reward % 1 ? 2 : 0)}`;
  }

  KM.component("scrubber", {
    state: (data) => ({
      step: { value: 0, min: 0, max: data.span, step: 1 },
      run: { value: data.runs[0].key, options: data.runs.map(({ key }) => key) },
    }),

    guess({ data }) {
      const [run] = data.runs;
      const [first, last] = [run.held[0], run.held.at(-1)];
      return {
        question: `Guess first: after a light fine-tuning MINI solves ${percent(first[1], 0)} of ${data.problems} problems it has not seen. After ${number(last[0])} steps of RL, with nothing but right or wrong as teacher?`,
        min: 0, max: 100, step: 1, start: Math.round(100 * first[1]), within: "5 points", show: (value) => `${value}\u00a0%`,
        answer: () => `${percent(last[1], 0)}; the same time spent on more examples gives ${percent(run.control.at(-1)[1], 0)}.`,
      };
    },

    controls: (stage) => (stage.revealed ? [
      { kind: "slider", name: "step", label: "step of RL", show: (step) => number(step) },
      { kind: "select", name: "run", label: "run", names: Object.fromEntries(stage.data.runs.map(({ key, name }) => [key, name])) },
    ] : []),

    draw(stage) {
      const { data, marks, width, state, revealed } = stage;
      const run = runOf(stage);
      const span = Math.min(state.step, run.steps);
      const all = STRIPS.reduce((sum, { height }) => sum + height + GAP, HELD + GAP) + 34;
      marks.size(width, all);
      if (revealed) marks.rect("now", place(stage, span) - 1, 20, 2, all - 54, "km-now");
      const base = strips(stage, run, held(stage, run, 0));
      const ticks = [0, data.span / 2, data.span];
      marks.axis("steps", 6, base + 4, width - 12, ticks.map((step) => ({ at: step / data.span, label: step === data.span ? `step ${number(step)}` : number(step) })));
      sample(stage, run);
      const now = series(stage, run);
      const [at, share] = heldAt(run, span);
      const last = run.held.at(-1);
      const at0 = run.held[0][1];
      const reading = Object.fromEntries(STRIPS.map(({ name }) => [name, now[name][indexAt(run, name, span)]]));
      return {
        title: !revealed ? `After a light fine-tuning MINI solves ${percent(at0, 0)} of ${data.problems} held-out problems. And after RL?`
          : state.step === 0 ? `${run.name}: from ${percent(at0, 0)} to ${percent(last[1], 0)} right on problems it never saw, in ${number(last[0])} steps.`
          : `Step ${number(span)}: reward ${number(reading.reward, 2)}, ${number(reading.length, 1)} tokens an answer, ${number(reading.drift, 1)} nats from the start; ${percent(share, 0)} right on held-out problems at step ${number(at)}.`,
        values: { ...reading, held: share, "held-step": at, first: at0, last: last[1] },
        note: `Measured here: one run of ${number(run.steps)} steps, every step as recorded. Bars: 95\u00a0% intervals (Wilson) for ${data.problems} problems. Divergence: an estimate of KL from the start, from the answers to the held-out problems.`,
        table: {
          columns: ["step", "right, held out", "from", "to"],
          rows: run.held.slice(0, revealed ? undefined : 1).map(([step, right, low, high]) => [number(step), percent(right, 1), percent(low, 1), percent(high, 1)]),
        },
        code: `from kimi_mini.viz import rewards   # in the folder book/\nrewards.load_recording("data/climb").climbs[${run.seed}].held`,
      };
    },
  });
})();
