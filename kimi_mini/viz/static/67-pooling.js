/* Fewer and fuller devices: the busiest device's load over the mean against the number of devices, for the same routes. */
(function () {
  "use strict";
  const KM = (globalThis.KM = globalThis.KM || {});
  const { number } = KM.format;
  const TOP = 30;
  const HIGH = 210;
  const EDGE = 24;

  const times = (value) => number(value, 2);
  const source = (stage, index = stage.state.source) => stage.data.sources[index];
  const at = (points, devices) => points.find((point) => point[0] === devices);
  const each = (experts, devices) => `${experts / devices} expert${experts === devices ? "" : "s"} each`;

  /* The devices that the guess is about: eight experts on each. */
  const asked = (stage) => { const { experts, points } = source(stage, 0); return at(points, experts / 8); };

  KM.component("pooling", {
    state: (data) => ({
      source: { value: 0, options: data.sources.map((_, index) => index) },
      place: { value: 1, options: data.sources[0].points.map((_, index) => index) },
    }),

    guess(stage) {
      const { experts, points } = source(stage, 0);
      const most = at(points, experts);
      const [devices, , middle] = asked(stage);
      return {
        question: `Guess first: a batch of 512 tokens in MINI. With one expert on each of ${experts} devices, the busiest device has ${times(most[2])} times the mean load. The same routes, but ${devices} devices of ${each(experts, devices)}: how many times?`,
        min: 1, max: 5, step: 0.05, start: 3, within: "0.25", show: (value) => `${times(Number(value))} times`,
        answer: () => `${times(middle)} times, the middle of all batches and layers.`,
      };
    },

    controls(stage) {
      if (!stage.revealed) return [];
      const { points, experts } = source(stage);
      const names = Object.fromEntries(stage.data.sources.map(({ name }, index) => [index, name]));
      return [
        { kind: "select", name: "source", label: "routes", names },
        { kind: "slider", name: "place", label: "devices", show: (place) => { const [devices] = points[place]; return `${devices}, ${each(experts, devices)}`; } },
      ];
    },

    draw(stage) {
      const { marks, width, state } = stage;
      const { name, experts, points, about } = source(stage);
      const shown = stage.revealed ? points : [at(points, experts)];
      const top = Math.max(...points.map((point) => point[3]));
      const ticks = KM.ticks(top - 1, { cover: true }).map((tick) => tick + 1);
      const last = ticks[ticks.length - 1];
      const base = TOP + HIGH;
      const x = (index) => EDGE + (points.length - 1 ? index / (points.length - 1) : 0) * (width - 2 * EDGE);
      const y = (value) => base - ((value - 1) / (last - 1)) * HIGH;
      const chosen = points[Math.min(state.place, points.length - 1)];
      marks.size(width, base + 64);
      marks.text("title", 0, TOP - 14, "busiest device, in fair shares", { className: "km-halo" });
      for (const tick of ticks) {
        marks.rect(`grid-${tick}`, 0, y(tick), width, 1, "km-grid");
        marks.text(`tick-${tick}`, 0, y(tick) - 3, number(tick, Number.isInteger(tick) ? 0 : 1), { className: "km-quiet km-halo" });
      }
      const line = shown.map((point) => `${x(points.indexOf(point)).toFixed(1)} ${y(point[2]).toFixed(1)}`);
      if (shown.length > 1) marks.shape("line", 0, 0, `M${line.join("L")}`, "km-line km-pooled-line");
      points.forEach((point, index) => {
        const [devices, low, middle, high] = point;
        marks.text(`devices-${index}`, x(index), base + 20, String(devices), { anchor: "middle", className: point === chosen && stage.revealed ? "km-strong" : "km-quiet" });
        if (!shown.includes(point)) return;
        const size = point === chosen ? 7 : 4.5;
        marks.rect(`bar-${index}`, x(index) - 1.5, y(high), 3, y(low) - y(high), "km-experts-fill");
        marks.shape(`dot-${index}`, x(index), y(middle), `M${-size} 0A${size} ${size} 0 1 0 ${size} 0A${size} ${size} 0 1 0 ${-size} 0Z`, "km-experts-fill");
      });
      marks.text("unit", width, base + 42, "devices that share the experts", { anchor: "end", className: "km-quiet" });
      if (stage.guess && Number(state.source) === 0) {
        const place = points.indexOf(asked(stage));
        marks.flag("guess", x(place), y(stage.guess.value), 26);
        marks.text("guess-label", x(place) + 18, y(stage.guess.value) - 14, "your guess", { className: "km-halo" });
      }
      const [devices, low, middle, high] = stage.revealed ? chosen : at(points, experts);
      return {
        title: stage.revealed
          ? `${name}: the busiest of ${devices} devices (${each(experts, devices)}) has ${times(middle)} times the mean load.`
          : `${name}: one expert a device, and the busiest has ${times(middle)} times the mean load. And on fewer devices?`,
        values: { devices, low, middle, high },
        note: `${about} Dots: the middle of all batches; bars: the middle 80\u00a0% of them. Neighbouring experts share a device.`,
        table: {
          columns: ["devices", "experts each", "busiest over mean", "10\u00a0%", "90\u00a0%"],
          rows: shown.map(([count, lower, mid, upper]) => [count, experts / count, times(mid), times(lower), times(upper)]),
        },
        code: "from kimi_mini.viz import balance   # in a copy of the repository\nload_WLE, row = balance.load_mini(\"book/data/balance\")\nbalance.pooled(load_WLE, [2, 4, 8, 16, 32])   # {devices: (10 %, middle, 90 %)}",
      };
    },
  });
})();
