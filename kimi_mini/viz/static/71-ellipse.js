/* The ellipse: what a 2 x 2 momentum makes of the unit circle, to be stretched and turned; beside it three updates made of it.
   A recorded momentum can take its place: then all its singular values are drawn, before and after the iterations. */
(function () {
  "use strict";
  const KM = (globalThis.KM = globalThis.KM || {});
  const { number } = KM.format;
  const MOST = 10; // iterations that can be pressed; Muon makes 5
  const OTHER = 20; // degrees: the axes of the circle that become the axes of the ellipse
  const HIGH = 170; // of the chart
  const TOP = 2; // its largest value
  const BAND = [0.65, 1.25];
  const inBand = (sigma) => sigma >= BAND[0] && sigma <= BAND[1];
  const radians = (degrees) => (degrees * Math.PI) / 180;

  /* ---- the toy and its updates ---- */

  function momentum({ first, second, turn }) {
    const [c, s] = [Math.cos(radians(turn)), Math.sin(radians(turn))];
    const [d, t] = [Math.cos(radians(OTHER)), Math.sin(radians(OTHER))];
    const clean = (value) => (Math.abs(value) < 1e-12 ? 0 : value); // cos 90 degrees has no sign
    return [[first * c * d + second * s * t, first * c * t - second * s * d], [first * s * d - second * c * t, first * s * t + second * c * d]]
      .map((row) => row.map(clean));
  }

  const entries = (matrix, change) => matrix.map((row) => row.map(change));

  /* All four matrices of the state; sign and Adam over the root of 2, by which Muon multiplies in the end. */
  function four({ data, state }) {
    const m = momentum(state);
    const iterates = KM.schulz.matrices(m, data.sets[state.set], MOST);
    const sign = entries(m, (value) => Math.sign(value) / Math.SQRT2);
    const adam = entries(m, (value) => value / Math.hypot(value, data.scatter) / Math.SQRT2);
    return { m, iterates, muon: iterates[state.steps], sign, adam };
  }

  /* ---- drawing ---- */

  const circle = (radius) => `M${-radius} 0A${radius} ${radius} 0 1 0 ${radius} 0A${radius} ${radius} 0 1 0 ${-radius} 0Z`;

  function image([[a, b], [c, d]], unit) {
    let path = "";
    for (let at = 0; at < 72; at++) {
      const [x, y] = [Math.cos(radians(5 * at)), Math.sin(radians(5 * at))];
      path += `${at ? "L" : "M"}${((a * x + b * y) * unit).toFixed(2)} ${(-(c * x + d * y) * unit).toFixed(2)}`;
    }
    return `${path}Z`;
  }

  function panel(stage, key, [x, y, side], name, matrix, kind) {
    const { marks } = stage;
    const unit = side / 2 / 1.7;
    const [cx, cy] = [x + side / 2, y + 22 + side / 2];
    const [long, short] = KM.schulz.axes(matrix);
    marks.text(`${key}-name`, cx, y + 14, name, { anchor: "middle", className: "km-strong" });
    marks.shape(`${key}-ring`, cx, cy, circle(unit), "km-outline km-dashed");
    marks.shape(`${key}-body`, cx, cy, image(matrix, unit), `km-ellipse km-${kind}-stroke km-${kind}-fill`);
    const [[a, b], [c, d]] = matrix;
    marks.shape(`${key}-spoke1`, cx, cy, `M0 0L${a * unit} ${-c * unit}`, "km-line km-ink-line");
    marks.shape(`${key}-spoke2`, cx, cy, `M0 0L${b * unit} ${-d * unit}`, "km-line km-spoke");
    marks.text(`${key}-axes`, cx, y + 42 + side, `${number(long, 2)} and ${number(short, 2)}`, { anchor: "middle" });
    return { cx, cy, unit };
  }

  function ellipses(stage, found) {
    const { width, state, revealed } = stage;
    const columns = width < 600 ? 2 : 4;
    const side = Math.min(width / columns, 200);
    const place = (index) => [(index % columns) * (width / columns) + (width / columns - side) / 2, Math.floor(index / columns) * (side + 54), side];
    stage.grip = panel(stage, "momentum", place(0), "momentum", found.m, "rest");
    if (revealed) {
      panel(stage, "muon", place(1), state.steps ? `Muon, ${state.steps}\u00d7` : "over its norm", found.muon, "optimizer");
      panel(stage, "sign", place(2), "sign", found.sign, "rest");
      panel(stage, "adam", place(3), "Adam", found.adam, "rest");
    } else {
      for (const index of columns === 2 ? [1] : [1, 2, 3]) {
        const [x, y] = place(index);
        stage.marks.rect(`cover-${index}`, x + 10, y + 30, side - 20, side - 16, "km-outline km-dashed");
        stage.marks.text(`cover-name-${index}`, x + side / 2, y + 26 + side / 2, "guess first", { anchor: "middle", className: "km-quiet" });
      }
    }
    return (revealed ? Math.ceil(4 / columns) : 1) * (side + 54);
  }

  /* Lines over the iterations: the two axes, and dotted a value that starts at exactly 1. */
  function orbits(stage, found, top) {
    const { marks, width, data, state } = stage;
    const left = 34;
    const x = (step) => left + (step / MOST) * (width - left - 12);
    const y = (value) => top + HIGH * (1 - value / TOP);
    grid(stage, top, left, "size of each axis after every iteration");
    marks.rect("cursor", x(state.steps) - 0.75, top, 1.5, HIGH, "km-flag");
    const axes = found.iterates.map(KM.schulz.axes);
    const line = (values) => KM.path(values, x, y);
    marks.shape("orbit-one", 0, 0, line(KM.schulz.values(1, data.sets[state.set], MOST)), "km-line km-quiet-line");
    [0, 1].forEach((which) => {
      marks.shape(`orbit-${which}`, 0, 0, line(axes.map((pair) => pair[which])), `km-line km-optimizer-stroke ${which ? "" : "km-thick"}`);
      marks.shape(`orbit-dot-${which}`, x(state.steps), y(axes[state.steps][which]), circle(5), "km-optimizer-fill");
    });
    marks.axis("steps", left, top + HIGH, width - left - 12, [0, 5, 10].map((step) => ({ at: step / MOST, label: step === 10 ? "iteration 10" : String(step) })));
    if (!stage.guess) return;
    marks.flag("guess", x(1), y(stage.guess.value), 24);
    marks.text("guess-label", x(1) + 20, y(stage.guess.value) - 12, `your guess: ${number(stage.guess.value, 2)}`, { className: "km-halo" });
  }

  function grid(stage, top, left, title) {
    const { marks, width } = stage;
    marks.text("chart-title", 0, top - 14, title, { className: "km-quiet" });
    for (const tick of [0, 0.5, 1, 1.5]) {
      const y = top + HIGH * (1 - tick / TOP);
      marks.rect(`grid-${tick}`, left, y, width - left, tick === 1 ? 2 : 1, tick === 1 ? "km-axis" : "km-grid");
      marks.text(`grid-label-${tick}`, 0, y + 5, number(tick, 1), { className: "km-quiet" });
    }
  }

  /* A recorded momentum: one bar for each direction, outlined before, filled after the iterations. */
  function spectrum(stage, before, after) {
    const { marks, width } = stage;
    const left = 34;
    const top = 40;
    grid(stage, top, left, "every direction's singular value");
    const step = (width - left) / before.length;
    const y = (value) => top + HIGH * (1 - Math.min(value, TOP) / TOP);
    after.forEach((value, index) => marks.rect(`bar-${index}`, left + index * step, y(value), Math.max(step * 0.7, 0.8), top + HIGH - y(value), "km-optimizer-fill"));
    before.forEach((value, index) => marks.rect(`was-${index}`, left + index * step, y(value) - 1, Math.max(step * 0.7, 0.8), 2, "km-flag"));
    marks.text("bars-label", left, top + HIGH + 20, "largest first; strokes: before", { className: "km-quiet" });
    return top + HIGH + 30;
  }

  /* ---- the hand: the ends of both axes can be dragged, and answer to the arrow keys ---- */

  function handle(stage, which, label, move, keys) {
    const element = KM.element("div", { class: "km-grip", tabindex: "0", role: "slider", "aria-label": label, "data-grip": which });
    element.addEventListener("pointerdown", (event) => { element.setPointerCapture(event.pointerId); element.dataset.held = "yes"; });
    element.addEventListener("pointermove", (event) => {
      if (!element.dataset.held) return;
      const box = stage.picture.getBoundingClientRect();
      const { cx, cy, unit } = stage.grip;
      move((event.clientX - box.left - cx) / unit, -(event.clientY - box.top - cy) / unit);
    });
    for (const end of ["pointerup", "pointercancel"]) {
      element.addEventListener(end, () => { delete element.dataset.held; stage.root.classList.remove("km-dragging"); });
    }
    element.addEventListener("keydown", (event) => {
      if (!keys[event.key]) return;
      event.preventDefault();
      keys[event.key]();
    });
    return element;
  }

  const wrap = (degrees) => ((((Math.round(degrees) + 180) % 360) + 360) % 360) - 180;

  function hands(stage) {
    if (!stage.grips) {
      stage.picture.setAttribute("role", "group"); // it holds two handles
      const { state } = stage;
      const set = (changes, dragging) => stage.set(changes, dragging);
      const turn = (by) => set({ turn: wrap(stage.state.turn + by) });
      const stretch = (name, by) => () => set({ [name]: stage.state[name] + by });
      stage.grips = {
        first: handle(stage, "first", "first axis: up and down stretch it, left and right turn the ellipse",
          (x, y) => set({ first: Math.hypot(x, y), turn: wrap((Math.atan2(y, x) * 180) / Math.PI) }, true),
          { ArrowUp: stretch("first", 0.05), ArrowDown: stretch("first", -0.05), ArrowLeft: () => turn(5), ArrowRight: () => turn(-5) }),
        second: handle(stage, "second", "second axis: up and down stretch it",
          (x, y) => set({ second: Math.abs(-x * Math.sin(radians(stage.state.turn)) + y * Math.cos(radians(stage.state.turn))) }, true),
          { ArrowUp: stretch("second", 0.05), ArrowDown: stretch("second", -0.05) }),
      };
      stage.picture.append(stage.grips.first, stage.grips.second);
    }
    const { first, second, turn } = stage.state;
    const at = { first: [first, turn], second: [second, turn + 90] };
    for (const [name, [length, angle]] of Object.entries(at)) {
      const { cx, cy, unit } = stage.grip;
      const element = stage.grips[name];
      element.hidden = false;
      element.style.left = `${cx + unit * length * Math.cos(radians(angle)) - 22}px`;
      element.style.top = `${cy - unit * length * Math.sin(radians(angle)) - 22}px`;
      element.setAttribute("aria-valuenow", number(length, 2));
      element.setAttribute("aria-valuetext", name === "first" ? `${number(length, 2)} long, turned by ${turn} degrees` : `${number(length, 2)} long`);
    }
  }

  /* ---- the component ---- */

  KM.component("ellipse", {
    state: (data) => ({
      first: { value: 1, min: 0.1, max: 1.2, step: 0.05 },
      second: { value: 0.25, min: 0, max: 1.2, step: 0.05 },
      turn: { value: 30, min: -180, max: 180, step: 1 },
      steps: { value: 0, min: 0, max: MOST, step: 1 },
      set: { value: "muon", options: Object.keys(data.sets) },
      source: { value: "toy", options: ["toy", ...Object.keys(data.momenta)] },
    }),

    guess: (stage) => ({
      question: "Guess first: Muon wants every axis at 1. An axis that already is exactly 1: how long is it after one iteration?",
      min: 0, max: 2, step: 0.05, start: 1, within: "0.1", show: (value) => number(value, 2),
      answer: () => {
        const [, ...after] = KM.schulz.values(1, stage.data.sets.muon, 3);
        return `An axis of exactly 1 becomes ${after.map((value) => number(value, 2)).join(", then ")}: the iteration has no rest at 1 (dotted line).`;
      },
    }),

    controls(stage) {
      if (!stage.revealed) return [];
      const { steps } = stage.state;
      const { data } = stage;
      const momenta = Object.fromEntries(Object.entries(data.momenta).map(([key, { label }]) => [key, label]));
      return [
        { kind: "button", name: "iterate", label: steps < MOST ? `iterate (${steps} done)` : "begin again", main: steps < data.usual, press: () => stage.set({ steps: steps < MOST ? steps + 1 : 0 }) },
        { kind: "select", name: "set", label: "coefficients", names: data.names },
        { kind: "select", name: "source", label: "momentum", names: { toy: "toy, 2 x 2", ...momenta } },
      ];
    },

    draw(stage) {
      return stage.state.source === "toy" || !stage.revealed ? toy(stage) : recorded(stage);
    },
  });

  function toy(stage) {
    const { state, width, data, revealed, marks } = stage;
    const found = four(stage);
    marks.size(width, 300);
    const below = ellipses(stage, found) + 34;
    marks.size(width, revealed ? below + HIGH + 30 : below - 30);
    if (revealed) orbits(stage, found, below);
    hands(stage);
    const [long, short] = KM.schulz.axes(found.muon);
    const [signLong, signShort] = KM.schulz.axes(found.sign);
    const [adamLong, adamShort] = KM.schulz.axes(found.adam);
    const flat = signShort < 1e-9 ? "a line" : signLong - signShort < 1e-9 ? "a circle" : "an ellipse";
    const pair = (a, b) => `${number(a, 2)} and ${number(b, 2)}`;
    return {
      title: !revealed ? "A momentum pulls harder along one axis than along the other. Drag its ends. What should the update be?"
        : state.steps === 0 ? `Turned by ${state.turn}\u00b0, the sign update is ${flat}. Press iterate and see what Muon makes of the same momentum.`
          : `Turned by ${state.turn}\u00b0, the sign update is ${flat}; Muon's axes after ${state.steps} of ${data.usual} iterations are ${pair(long, short)}.`,
      values: { long, short, "sign-long": signLong, "sign-short": signShort, "adam-long": adamLong, "adam-short": adamShort },
      note: revealed ? `Toy. The dashed circle is every axis at 1. Spokes show where the matrix sends its two inputs. Sign and Adam are divided by \u221a2, by which Muon multiplies in the end; Adam's gradients scatter by ${data.scatter} around the momentum.` : "Toy. The dashed circle is every axis at 1.",
      table: !revealed ? { columns: ["axis", "length"], rows: [["first", number(state.first, 2)], ["second", number(state.second, 2)]] } : {
        columns: ["iteration", "longer axis", "shorter axis", "from exactly 1"],
        rows: found.iterates.map((matrix, step) => [step, ...KM.schulz.axes(matrix).map((value) => number(value, 4)), number(KM.schulz.values(1, data.sets[state.set], MOST)[step], 4)]),
      },
      code: `import torch, kimi_mini as km\nm = torch.tensor(${JSON.stringify(found.m.map((row) => row.map((value) => Number(value.toFixed(6)))))}, dtype=torch.float64)\n` +
        `o = km.kernels.newton_schulz(m, steps=${state.steps}, coefficients="${state.set}")\nprint(torch.linalg.svdvals(o))`,
    };
  }

  function recorded(stage) {
    const { state, data, marks, width } = stage;
    for (const grip of Object.values(stage.grips || {})) grip.hidden = true;
    const { label, sigma } = data.momenta[state.source];
    stage.unpacked = stage.unpacked || {};
    const before = (stage.unpacked[state.source] = stage.unpacked[state.source] || Array.from(KM.unpack(sigma)));
    const all = before.map((value) => KM.schulz.values(value, data.sets[state.set], MOST));
    const after = all.map((values) => values[state.steps]);
    marks.size(width, 40 + HIGH + 34);
    spectrum(stage, before, after);
    const count = (step) => all.filter((values) => inBand(values[step])).length;
    const sorted = (step) => all.map((values) => values[step]).sort((a, b) => a - b);
    const [least, median, most] = [0, Math.floor(before.length / 2), before.length - 1].map((at) => sorted(state.steps)[at]);
    return {
      title: `${label}: after ${state.steps} iterations ${count(state.steps)} of ${before.length} directions lie between ${BAND[0]} and ${BAND[1]}.`,
      values: { inside: count(state.steps), directions: before.length, least, median, most },
      note: "Measured here: the momentum that Muon was about to make orthogonal, over its Frobenius norm, in a model of MINI's shape.",
      table: {
        columns: ["iteration", "smallest", "median", "largest", `between ${BAND[0]} and ${BAND[1]}`],
        rows: before.length ? all[0].map((_, step) => { const s = sorted(step); return [step, number(s[0], 4), number(s[Math.floor(s.length / 2)], 4), number(s[s.length - 1], 4), count(step)]; }) : [],
      },
      code: `from runs.muon import Point, record   # in a copy of the repository\nfrom kimi_mini import corpus\nrow = record(Point("muon", ${data.rate}, model="mini"), corpus.load())\nrow["spectra"]`,
    };
  }
})();
