/* The budget desk: two dials and a context, four number lines. On each line every recorded shape has its mark, those that differ
   in experts above, those that differ in heads below, and a needle stands where the dials point. Settings that were not run
   have no loss: nothing is drawn between runs. */
(function () {
  "use strict";
  const KM = (globalThis.KM = globalThis.KM || {});
  const { number, percent } = KM.format;
  const ROW = 146;
  const MIDDLE = 58; // of a row: marks of experts above it, of heads below
  const BASE = 104; // its axis
  const SIDE = 10; // so that marks and labels at the ends keep inside

  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const mega = (value) => `${number(value / 1e6, value < 1e7 ? 2 : value < 1e8 ? 1 : 0)}`;

  const short = (value) => number(value / 1e6, value && value < 1e7 ? 1 : 0);

  function configOf({ data }, { experts, heads }) {
    return { ...data.config, n_routed_experts: experts, num_attention_heads: heads };
  }

  /* The four numbers of a shape; loss and reach are null where no run was made. */
  function numbers(stage, shape) {
    const config = configOf(stage, shape);
    const run = stage.data.shapes.find((one) => one.experts === shape.experts && one.heads === shape.heads);
    const work = KM.accounting.decodeFlops(config, stage.state.context, "absorbed");
    return {
      loss: run ? mean(run.loss) : null, reach: run ? mean(run.reach) : null,
      work: work.weights + work.attention, bytes: 2 * KM.accounting.countParameters(config).total,
      spread: run && { loss: [Math.min(...run.loss), Math.max(...run.loss)], reach: [Math.min(...run.reach), Math.max(...run.reach)] },
    };
  }

  const LINES = [
    { key: "loss", name: "held-out loss", axis: (value) => `${number(value, 2)} nats`, show: (value) => `${number(value, 3)} nats`, measured: true },
    { key: "reach", name: (data) => `training to loss ${data.target}`, axis: (value) => `${number(value / 1e9)} GFLOP`, show: (value) => `${number(value / 1e9)} GFLOP`, measured: true },
    { key: "work", name: "work for one token", axis: (value) => `${short(value)} MFLOP`, show: (value) => `${mega(value)} MFLOP` },
    { key: "bytes", name: "all weights", axis: (value) => `${short(value)} MB`, show: (value) => `${mega(value)} MB` },
  ];

  /* Where values of a line stand: loss and training from the lowest to the highest run, the others from 0. */
  function scale(stage, line, all) {
    const values = all.flatMap((one) => (one[line.key] === null ? [] : line.measured ? one.spread[line.key] : [one[line.key]]));
    const top = Math.max(...values);
    const low = line.measured ? Math.min(...values) - 0.04 * (top - Math.min(...values)) : 0;
    const x = (value) => SIDE + ((value - low) / (top - low)) * (stage.width - 2 * SIDE);
    return { x, low, top };
  }

  const DOT = "M-5 0A5 5 0 1 0 5 0A5 5 0 1 0 -5 0Z";
  const TICK = "M-1.5 -7H1.5V7H-1.5Z";

  /* One family of recorded shapes, above or below the middle of its row; marks that lie close share a label. */
  function family(stage, line, y, x, shapes, key, above) {
    const { marks } = stage;
    const fill = `km-${key === "experts" ? "experts" : "attention"}-fill`;
    const groups = [];
    const places = shapes.map(({ shape, now }) => ({ name: shape[key], at: x(now[line.key]), now })).sort((a, b) => a.at - b.at);
    for (const { name, at, now } of places) {
      const id = `${line.key}-${key}-${name}`;
      if (line.measured) {
        const [low, high] = now.spread[line.key].map(x);
        marks.rect(`bar-${id}`, low, y - 1, Math.max(2, high - low), 2, fill);
      }
      marks.shape(`dot-${id}`, at, y, line.measured ? DOT : TICK, fill);
      const last = groups[groups.length - 1];
      if (last && at - last.at[last.at.length - 1] < 24) { last.names.push(name); last.at.push(at); } else groups.push({ names: [name], at: [at] });
    }
    groups.forEach(({ names, at }, index) => {
      names.sort((a, b) => a - b);
      const text = names.length < 3 ? names.join(", ") : `${names[0]} to ${names[names.length - 1]}`;
      marks.text(`label-${line.key}-${key}-${index}`, mean(at), above ? y - 10 : y + 20, text, { anchor: "middle", within: stage.width, className: "km-quiet" });
    });
  }

  /* Round values between low and high, two to five of them. */
  function ticks(low, high) {
    const power = 10 ** Math.floor(Math.log10((high - low) / 3));
    const step = [1, 2, 5, 10].map((m) => m * power).find((one) => (high - low) / one <= 4);
    const found = [];
    for (let index = Math.ceil(low / step); index * step <= high; index++) found.push(index * step);
    return found;
  }

  function covered(stage, line, top) {
    const { marks, width } = stage;
    marks.rect(`cover-${line.key}`, 1, top + 24, width - 2, BASE - 24, "km-outline km-dashed");
    marks.text(`cover-label-${line.key}`, width / 2, top + 68, "guess first", { anchor: "middle", className: "km-quiet" });
  }

  function row(stage, line, index, now, shapes) {
    const { marks, width, data } = stage;
    const top = index * ROW;
    const y = top + MIDDLE;
    const name = typeof line.name === "function" ? line.name(data) : line.name;
    marks.text(`name-${line.key}`, 0, top + 14, name);
    if (line.measured && !stage.revealed) { covered(stage, line, top); return; }
    const value = now[line.key];
    marks.text(`value-${line.key}`, width - 2, top + 14, value === null ? "not run" : line.show(value), { anchor: "end", className: "km-strong" });
    const { x, low, top: high } = scale(stage, line, [...[...shapes.experts, ...shapes.heads].map((one) => one.now), now]);
    marks.rect(`axis-${line.key}`, 0, top + BASE, width, 1, "km-axis");
    const found = ticks(low, high);
    found.forEach((tick, place) => {
      marks.rect(`tick-${line.key}-${place}`, x(tick) - 0.5, top + BASE, 1, 5, "km-axis");
      const text = place === found.length - 1 ? line.axis(tick) : line.axis(tick).split(" ")[0];
      marks.text(`tick-label-${line.key}-${place}`, x(tick), top + BASE + 19, text, { anchor: "middle", within: width, className: "km-quiet" });
    });
    if (value !== null) marks.rect(`needle-${line.key}`, Math.min(x(value), width - 2) - 1.5, y - 21, 3, BASE - MIDDLE + 21, "km-flag");
    family(stage, line, y - 14, x, shapes.experts, "experts", true);
    family(stage, line, y + 14, x, shapes.heads, "heads", false);
    if (line.key === "loss" && stage.guess) {
      const least = shapes.experts[0].now.loss;
      const at = Math.max(2, Math.min(width - 18, x(least * (1 - stage.guess.value / 100))));
      marks.flag("guess", at, top + BASE, 30);
      marks.text("guess-label", at + 18, top + BASE - 12, "your guess", { within: width, className: "km-halo" });
    }
  }

  function change(now, usual) {
    const by = now / usual - 1;
    if (by >= 1) return `${number(now / usual, 2)} times as much`;
    return Math.abs(by) < 0.0005 ? "the same" : `${percent(Math.abs(by))} ${by > 0 ? "more" : "less"}`;
  }

  function title(stage, now, usual) {
    const { data, state: { experts, heads, context } } = stage;
    const other = [];
    if (experts !== data.usual.experts) other.push(`${experts} experts, not ${data.usual.experts}`);
    if (heads !== data.usual.heads) other.push(`${heads} heads, not ${data.usual.heads}`);
    const bytes = `weights ${change(now.bytes, usual.bytes)}`;
    if (!stage.revealed) return `${experts} experts instead of ${data.usual.experts}, two at work: ${bytes}, work per token ${change(now.work, usual.work)}. And the loss?`;
    if (!other.length) return `${experts} experts, ${heads} heads: the shape with which the others are compared.`;
    const loss = now.loss === null ? "not run" : Math.abs(now.loss / usual.loss - 1) < 0.0005 ? "loss the same" : `loss ${percent(Math.abs(now.loss / usual.loss - 1))} ${now.loss < usual.loss ? "lower" : "higher"}`;
    return `${other.join(", ")}: ${loss}; ${bytes}; a token after ${number(context)} costs ${change(now.work, usual.work)}.`;
  }

  KM.component("desk", {
    state: (data) => ({
      experts: { value: data.experts[data.experts.length - 1], options: data.experts },
      heads: { value: data.usual.heads, options: data.heads },
      context: { value: 512, options: data.contexts },
    }),

    guess: (stage) => {
      const end = (experts) => mean(stage.data.shapes.find((one) => one.experts === experts && one.heads === stage.data.usual.heads).loss);
      const { experts } = stage.data;
      const [least, most] = [experts[0], experts[experts.length - 1]];
      return {
        question: `Guess first: ${most} experts instead of ${least}, two of them at work for a token as before, the same text. By how many percent is the held-out loss lower?`,
        min: 0, max: 30, step: 0.5, start: 10, within: "1", show: (value) => `${number(Number(value), 1)}\u00a0%`,
        answer: () => `It is ${percent(Math.abs(1 - end(most) / end(least)))} ${end(most) < end(least) ? "lower" : "higher"}: ${number(end(most), 3)} nats in place of ${number(end(least), 3)}.`,
      };
    },

    controls(stage) {
      if (!stage.revealed) return [];
      return [
        { kind: "slider", name: "experts", label: "experts in all", show: (value) => String(value) },
        { kind: "slider", name: "heads", label: "heads", show: (value) => String(value) },
        { kind: "slider", name: "context", label: "tokens before this one", show: (value) => number(Number(value)) },
      ];
    },

    draw(stage) {
      const { marks, width, data, state } = stage;
      const measured = data.shapes.map((shape) => ({ shape, now: numbers(stage, shape) }));
      const shapes = {
        experts: measured.filter(({ shape }) => shape.heads === data.usual.heads).sort((a, b) => a.shape.experts - b.shape.experts),
        heads: measured.filter(({ shape }) => shape.experts === data.usual.experts).sort((a, b) => a.shape.heads - b.shape.heads),
      };
      const now = numbers(stage, state);
      const usual = numbers(stage, data.usual);
      marks.size(width, LINES.length * ROW);
      LINES.forEach((line, index) => row(stage, line, index, now, shapes));
      const spread = ({ spread: of }) => (of ? `${number(of.loss[0], 3)} to ${number(of.loss[1], 3)}` : "");
      return {
        title: title(stage, now, usual),
        values: { loss: now.loss ?? "", reach: now.reach ?? "", work: now.work, bytes: now.bytes },
        note: `Green, above a line: ${data.experts.join(", ")} experts with ${data.usual.heads} heads. Blue, below: ${data.heads.join(", ")} heads with ${data.usual.experts} experts. ` +
          `Dots with bars: measured here, ${number(data.tokens)} training tokens, mean and range of ${data.seeds} seeds. Ticks: derived (latent absorbed; 2 bytes a weight). Other pairs were not run.`,
        table: {
          columns: ["experts", "heads", "loss", "lowest to highest seed", `GFLOP to ${data.target}`, "MFLOP a token", "MB"],
          rows: measured.map(({ shape, now: one }) => [shape.experts, shape.heads, number(one.loss, 3), spread(one), number(one.reach / 1e9), mega(one.work), mega(one.bytes)]),
        },
        code: `from kimi_mini import corpus   # in a copy of the repository\nfrom runs.bets import Point, record\n` +
          `row = record(Point(experts=${state.experts}, heads=${state.heads}, seed=0), corpus.load())`,
      };
    },
  });
})();
