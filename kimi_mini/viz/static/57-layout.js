/* The wrong layout: MINI's loss by domain with its rotary pairs read right and read wrong, and what a monitor of logits sees of it. */
(function () {
  "use strict";
  const KM = (globalThis.KM = globalThis.KM || {});
  const { number } = KM.format;
  const STEP = 58;
  const TOP = 18;
  const SHOWS = {
    loss: { name: "loss", unit: "nats a token", digits: 2, fields: ["right", "wrong"] },
    logit: { name: "largest logit", unit: "largest logit of all heads", digits: 1, fields: ["right_logit", "wrong_logit"] },
  };

  function bars(stage, show) {
    const { data, marks, width, revealed } = stage;
    const [right, wrong] = show.fields;
    const most = show === SHOWS.loss ? data.uniform * 1.05 : Math.max(...data.domains.flatMap((d) => [d[right], d[wrong]])) * 1.4; // room for the words behind the bars
    const left = 54;
    const at = (value) => (value / most) * (width - left - 2);
    marks.text("unit", left, TOP - 6, show.unit, { className: "km-quiet" });
    data.domains.forEach((domain, index) => {
      const y = TOP + 6 + index * STEP;
      marks.text(`name-${index}`, 0, y + 16, domain.name, { className: "km-strong" });
      marks.rect(`right-${index}`, left, y, at(domain[right]), 21, "km-attention-fill");
      marks.text(`right-label-${index}`, left + at(domain[right]) + 6, y + 15, `${number(domain[right], show.digits)} right`, { className: "km-halo", within: width });
      if (!revealed) return;
      marks.rect(`wrong-${index}`, left, y + 23, at(domain[wrong]), 21, "km-optimizer-fill");
      marks.text(`wrong-label-${index}`, left + at(domain[wrong]) + 6, y + 38, `${number(domain[wrong], show.digits)} wrong`, { className: "km-halo", within: width });
      if (stage.guess && show === SHOWS.loss && domain.name === data.asked) marks.flag("guess", left + at(stage.guess.value), y + 44, 24);
    });
    const ticks = KM.ticks(most);
    marks.axis("axis", left, TOP + 6 + data.domains.length * STEP - 6, width - left - 2, ticks.map((tick) => ({ at: tick / most, label: number(tick) })));
  }

  KM.component("layout", {
    state: () => ({ show: { value: "loss", options: Object.keys(SHOWS) } }),

    guess: ({ data }) => {
      const asked = data.domains.find(({ name }) => name === data.asked);
      return {
        question: `Guess first: read right, MINI foretells ${asked.name} at ${number(asked.right, 2)} nats a token. What will it be with the same weights and the pairs read wrong? (A uniform guess costs ${number(data.uniform, 1)}.)`,
        min: 0, max: 8, step: 0.1, start: number(asked.right, 1), within: "half a nat", show: (value) => `${number(Number(value), 1)} nats`,
        answer: () => `It is ${number(asked.wrong, 2)}: worse, and far from noise.`,
      };
    },

    controls: (stage) => (stage.revealed ? [
      { kind: "choice", name: "show", label: "show", names: Object.fromEntries(Object.entries(SHOWS).map(([key, { name }]) => [key, name])) },
    ] : []),

    draw(stage) {
      const { data } = stage;
      const show = SHOWS[stage.revealed ? stage.state.show : "loss"];
      const asked = data.domains.find(({ name }) => name === data.asked);
      const [right, wrong] = show.fields.map((field) => asked[field]);
      stage.marks.size(stage.width, TOP + data.domains.length * STEP + 32);
      bars(stage, show);
      const title = !stage.revealed ? `MINI, its pairs read right: ${number(asked.right, 2)} nats a token of ${asked.name}.`
        : show === SHOWS.loss ? `The wrong layout takes MINI from ${number(right, 2)} to ${number(wrong, 2)} nats a token of ${asked.name}.`
          : `The largest logit on ${asked.name}: ${number(right, 1)} read right, ${number(wrong, 1)} read wrong. No alarm.`;
      return {
        title,
        values: { right, wrong },
        note: `Measured here: held-out text, ${number(data.tokens)} tokens a domain. Nothing but the order of the rotary pairs differs.`,
        table: {
          columns: ["domain", `${show.name}, right`, ...(stage.revealed ? [`${show.name}, wrong`] : [])],
          rows: data.domains.map((d) => [d.name, number(d[show.fields[0]], 3), ...(stage.revealed ? [number(d[show.fields[1]], 3)] : [])]),
        },
        code: "model, tokenizer = km.load_mini()\nread_half_split_(model)   # from kimi_mini.viz.position",
      };
    },
  });
})();
