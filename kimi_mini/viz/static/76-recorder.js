/* The flight recorder: loss, gradient, head maxima, expert load and rate of a run on one axis of time, every update as recorded.
   Two uses: a trunk that can be landed at its branch points, and a run with a bad batch beside the same run without it. */
(function () {
  "use strict";
  const KM = (globalThis.KM = globalThis.KM || {});
  const { number } = KM.format;
  const GAP = 34; // above a strip, for its name
  const STRIPS = { loss: 150, gradient: 64, logits: 84, load: 64, rate: 44 };
  const DARK = { loss: "km-line km-ink-line", gradient: "km-line km-ink-line", logits: "km-line km-head-line", load: "km-line km-load-line", rate: "km-line km-rate-line" };
  const NONE = "no";

  /* ---- the recorded series, unpacked once ---- */

  function unpacked(stage, flight) {
    const cache = (stage.unpackedFlights = stage.unpackedFlights || new Map());
    if (!cache.has(flight)) {
      cache.set(flight, {
        loss: KM.unpack(flight.loss), gradient: KM.unpack(flight.grad).map(Math.sinh), rate: KM.unpack(flight.lr),
        logits: KM.unpack(flight.maxima).map(Math.sinh), load: KM.unpack(flight.violation), heads: flight.heads, spikes: flight.spikes,
      });
    }
    return cache.get(flight);
  }

  const landingOf = ({ data, state }) => data.landings.find(({ branch }) => String(branch) === state.land) || null;
  const flightOf = ({ data, state }) => data.flights[data.kind === "bad" ? state.flight : ""];

  /* The mean of the last `width` values at every place, of fewer at the start. */
  function smooth(values, width) {
    let sum = 0;
    return Float64Array.from(values, (value, index) => {
      sum += value - (index >= width ? values[index - width] : 0);
      return sum / Math.min(width, index + 1);
    });
  }

  /* Points of one line; of a long series the least and the largest in each step of a pixel, so that no peak is lost. */
  function path(values, x, y, first) {
    const step = Math.max(1, Math.floor((2 * values.length) / Math.max(1, x(first + values.length) - x(first)) / 2));
    let d = "";
    const go = (index) => { d += `${d ? "L" : "M"}${x(first + index).toFixed(1)} ${y(values[index]).toFixed(1)}`; };
    for (let from = 0; from < values.length; from += step) {
      let [low, high] = [from, from];
      for (let index = from; index < Math.min(from + step, values.length); index++) {
        if (values[index] < values[low]) low = index;
        if (values[index] > values[high]) high = index;
      }
      go(Math.min(low, high));
      if (low !== high) go(Math.max(low, high));
    }
    return d;
  }

  const headLine = (run, head) => run.logits.filter((_, index) => index % run.heads === head);
  const largest = (run, update) => Math.max(...run.logits.subarray(update * run.heads, (update + 1) * run.heads));

  /* What one strip shows of one run: lines, one for most, one a head for the logits. */
  function lines(stage, run, name) {
    if (name === "loss") return [smooth(run.loss, stage.state.smooth)];
    if (name === "logits") return Array.from({ length: run.heads }, (_, head) => headLine(run, head));
    return [run[name]];
  }

  const UNITS = {
    loss: { name: "loss, nats a token", digits: 1 },
    gradient: { name: "norm of the gradient, before it is clipped at 1", digits: 1 },
    logits: { name: "largest logit of each head", digits: 0 },
    load: { name: "expert load: largest over mean, less 1", digits: 1 },
    rate: { name: "learning rate", digits: 3 },
  };

  function top(stage, runs, name) {
    const cache = (stage.tops = stage.tops || {});
    const key = `${name} ${Object.keys(stage.data.flights).length}`;
    if (cache[key] === undefined) {
      const all = [...Object.values(stage.data.flights), ...stage.data.landings].map((flight) => unpacked(stage, flight)[name]);
      cache[key] = Math.max(...all.map((values) => Array.from(values).reduce((a, b) => Math.max(a, b), 0)));
    }
    return name === "loss" ? Math.min(12, cache[key] * 1.02) : cache[key] * 1.05;
  }

  function strips(stage, run, landed) {
    const { marks, width, data, state } = stage;
    const x = (update) => (update / data.span) * (width - 2);
    const branch = landed ? landed.branch : run.loss.length;
    let y0 = 0;
    const bottom = Object.values(STRIPS).reduce((a, b) => a + b + GAP, 0);
    marks.rect("now", x(state.update) - 1.5, GAP - 4, 3, bottom - GAP + 4, "km-now"); // behind the lines: it must not hide a spike
    for (const [name, height] of Object.entries(STRIPS)) {
      const base = y0 + GAP + height;
      const most = top(stage, run, name);
      const least = name === "loss" && data.kind === "trunk" ? 1.5 : 0;
      const y = (value) => base - (height * (Math.max(least, Math.min(most, value)) - least)) / (most - least);
      marks.rect(`base-${name}`, 0, base, width - 2, 1, "km-axis");
      const tick = KM.ticks(most, { count: 3 }).at(-1);
      marks.rect(`grid-${name}`, 0, y(tick), width - 2, 1, "km-grid");
      lines(stage, run, name).forEach((line, index) => {
        marks.shape(`${name}-${index}`, 0, 0, path(line, x, y, 0), `${DARK[name]}${landed ? " km-behind" : ""}`);
      });
      if (landed) {
        const flight = unpacked(stage, landed);
        lines(stage, flight, name).forEach((line, index) => marks.shape(`landed-${name}-${index}`, 0, 0, path(line, x, y, branch), "km-line km-landing-line"));
      }
      marks.text(`tick-${name}`, width - 2, y(tick) - 4, number(tick, UNITS[name].digits), { anchor: "end", className: "km-quiet km-halo" });
      marks.text(`name-${name}`, 0, y0 + GAP - 8, UNITS[name].name, { className: "km-halo" });
      y0 = base;
    }
    const ticks = [0, Math.round(data.span / 2 / 100) * 100, data.span];
    marks.axis("updates", 0, y0 + 4, width - 2, ticks.map((update) => ({ at: update / data.span, label: update === data.span ? `update ${number(update)}` : number(update) })));
    return y0 + 40;
  }

  /* The numbers under the line of the present update, and what the model wrote there. */
  function readings(stage, run, landed, y) {
    const { marks, width, state, data } = stage;
    const inLanding = landed && state.update > landed.branch;
    const flight = inLanding ? unpacked(stage, landed) : run;
    const index = Math.min(flight.loss.length, inLanding ? state.update - landed.branch : state.update) - 1;
    const now = {
      loss: flight.loss[index], gradient: flight.gradient[index], logit: largest(flight, index), load: flight.load[index], rate: flight.rate[index],
    };
    marks.text("now-1", 0, y, `update ${number(state.update)}${inLanding ? ", landing" : ""}: loss ${number(now.loss, 2)}, gradient ${number(now.gradient, 2)}`, { className: "km-strong", within: width });
    marks.text("now-2", 0, y + 20, `largest logit ${number(now.logit, 1)}, expert load ${number(now.load, 2)}, rate ${number(now.rate, 4)}`, { className: "km-quiet", within: width });
    const written = data.samples.filter(({ update }) => update <= state.update).at(-1);
    if (!data.samples.length) return [now, y + 30];
    marks.text("sample-name", 0, y + 50, written ? `after \u201CROMEO.\u201D it wrote, at update ${number(written.update)}:` : "it has written nothing yet", { className: "km-quiet" });
    const rows = written ? written.text.split("\n").map((row) => row.trim()).filter(Boolean).slice(0, 3) : [];
    const most = Math.floor(width / 8.2);
    for (let row = 0; row < 3; row++) {
      const text = rows[row] || (row === 0 && written ? "(empty lines)" : "");
      marks.text(`sample-${row}`, 0, y + 72 + row * 20, text.length > most ? `${text.slice(0, most - 1)}\u2026` : text);
    }
    return [now, y + 124];
  }

  const spikes = (run, stage) => run.spikes[stage.data.widths.indexOf(stage.state.smooth)];
  const counted = (count) => (count === 1 ? "1 spike" : `${count || "no"} spikes`);
  const over = (width) => (width === 1 ? "every update as it was" : `a mean of ${width} updates`);

  function trunkTitle(stage, landed) {
    const { flat, landings } = stage.data;
    if (!stage.revealed) return `From update ${number(flat.from)} to ${number(landings.at(-1).branch)}, at one rate, held-out loss went from ${number(flat.before, 2)} to ${number(flat.end, 2)}. Is that stagnation?`;
    if (!landed) return `At one rate from ${number(flat.before, 2)} to ${number(flat.end, 2)} in ${number(landings.at(-1).branch - flat.from)} updates; landed, ${number(landings.at(-1).after, 2)} after ${number(landings.at(-1).length)} more.`;
    return `Landed from update ${number(landed.branch)}: held-out loss ${number(landed.before, 2)} before, ${number(landed.after, 2)} after ${number(landed.length)} updates of a falling rate.`;
  }

  function badTitle(stage, run) {
    const [raw, seen] = [run.spikes[0], spikes(run, stage)];
    const { smooth: width, flight } = stage.state;
    if (width === 1) return flight === "bad" ? `One bad batch: ${counted(raw)}, counted on every update.` : `The same run without it: ${counted(raw)} on every update.`;
    return `Counted on every update: ${counted(raw)}. Counted on ${over(width)}: ${counted(seen)}.`;
  }

  KM.component("recorder", {
    state: (data) => ({
      ...(data.kind === "bad" ? { flight: { value: "bad", options: ["bad", "good"] } } : { land: { value: NONE, options: [NONE, ...data.landings.map(({ branch }) => String(branch))] } }),
      update: { value: data.kind === "bad" ? data.at : data.flat.from, min: 1, max: data.span, step: 1 },
      smooth: { value: 1, options: data.widths },
    }),

    guess: ({ data }) => (data.kind === "bad" ? {
      question: "Guess first: the loss of one update jumps from 3.5 to above 10. How many updates must a moving mean take in until the rule of this page counts no spike in the smoothed curve?",
      min: 1, max: 100, step: 1, start: 5, within: "10 updates", show: (value) => `${value} updates`,
      answer: () => `Of the widths that were tried, ${data.hidden} is the first without one.`,
    } : {
      question: `Guess first: after ${number(data.landings.at(-1).branch)} updates at one rate held-out loss is ${number(data.flat.end, 2)}. Where will it be after ${number(data.landings.at(-1).length)} more, in which the rate falls to a tenth?`,
      min: 2.5, max: 3.2, step: 0.01, start: 3, within: "0.03 nats", show: (value) => `${number(Number(value), 2)} nats`,
      answer: () => `At ${number(data.landings.at(-1).after, 2)} nats. Pull the lever: any of the six landings plays.`,
    }),

    controls: ({ data, revealed }) => [
      { kind: "slider", name: "update", label: "update", show: (update) => number(update) },
      ...(!revealed ? [] : data.kind === "bad"
        ? [{ kind: "choice", name: "flight", label: "run", names: { bad: "one bad batch", good: "without it" } }]
        : [{ kind: "select", name: "land", label: "land now", names: Object.fromEntries([[NONE, "not yet"], ...data.landings.map(({ branch }) => [String(branch), `from update ${number(branch)}`])]) }]),
      ...(revealed ? [{ kind: "slider", name: "smooth", label: "loss drawn as", show: over }] : []),
    ],

    draw(stage) {
      const { data, marks, width } = stage;
      const run = unpacked(stage, flightOf(stage));
      const landed = stage.revealed && data.kind === "trunk" ? landingOf(stage) : null;
      const height = Object.values(STRIPS).reduce((a, b) => a + b + GAP, 0) + 44;
      marks.size(width, height + (data.samples.length ? 140 : 50));
      const [now] = readings(stage, run, landed, strips(stage, run, landed) + 14);
      const title = data.kind === "bad" ? badTitle(stage, run) : trunkTitle(stage, landed);
      const rows = data.kind === "bad"
        ? data.widths.map((size, index) => [over(size), ...["bad", "good"].map((name) => data.flights[name].spikes[index])])
        : data.landings.map((one) => [number(one.branch), number(one.before, 3), stage.revealed ? number(one.after, 3) : "guess first"]);
      return {
        title,
        values: {
          ...now, spikes: spikes(run, stage), raw: run.spikes[0], smoothed: smooth(run.loss, stage.state.smooth)[Math.min(run.loss.length, stage.state.update) - 1],
          after: landed ? landed.after : "", before: landed ? landed.before : "",
        },
        note: `Measured here: every update of one run, ${number(data.tokens)} tokens each, none smoothed but the loss where you ask for it. ${data.kind === "bad" ? "Spikes by the rule of this page." : `On this curve the rule counts ${counted(spikes(run, stage))}.`}`,
        table: data.kind === "bad"
          ? { columns: ["loss drawn as", "one bad batch", "without it"], rows }
          : { columns: ["landed from", "held-out before", "after"], rows },
        code: data.kind === "bad"
          ? "from kimi_mini.train.spikes import count_spikes\n\ncount_spikes(recording.bad.loss)"
          : "from kimi_mini.viz import recorder\n\nrecording = recorder.load_recording(\"data/recorder\")\nrecording.trunks[0].landings",
      };
    },
  });
})();
