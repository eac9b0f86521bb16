/* Ask it differently: three students read the same facts in three ways; a question moves from the words they read to words nobody read.
   Bars are recorded probabilities of the right answer among ten; nothing between two recorded checkpoints is drawn. */
(function () {
  "use strict";
  const KM = (globalThis.KM = globalThis.KM || {});
  const { number, percent } = KM.format;
  const TOP = 8;
  const ROW = 92; // of one student
  const LOSS = 4; // nats at the end of the meter
  const ALL = "all facts";
  const ASKED = { level: 1, reading: 3 }; // what the guess is about: places in levels and readings

  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const whole = (share) => percent(share, 0);

  function place({ data, state, revealed }) {
    return { level: revealed ? data.levels.indexOf(state.wording) : 0, reading: data.readings.indexOf(state.readings) };
  }

  /* What one student answers at the state's wording and checkpoint. */
  function seen(stage, student, { level, reading } = place(stage)) {
    const { data, state } = stage;
    const loss = student.loss[reading];
    if (state.fact === ALL) {
      const seeds = student.seeds[reading][level];
      return { share: mean(seeds), seeds, loss, right: `wrote ${student.right[reading][level]} of ${student.asked}` };
    }
    const fact = data.facts.findIndex(({ village, kind }) => `${village}: ${kind}` === state.fact);
    const cache = (stage.unpacked = stage.unpacked || {});
    const each = (cache[student.key] = cache[student.key] || KM.unpack(student.each));
    const row = reading * data.levels.length + level;
    return {
      share: each[row * data.facts.length + fact], seeds: [], loss,
      right: student.each_right[row][fact] === "1" ? "wrote it" : "wrote another word",
    };
  }

  /* ---- the question ---- */

  const shown = (prompt) => `${prompt.replace("\n", " ")} \u2026?`;

  function question(stage) {
    const { data, state } = stage;
    const { level } = place(stage);
    if (!stage.asked) stage.picture.before((stage.asked = KM.element("div", { class: "km-asked" })));
    const fact = data.facts.find(({ village, kind }) => `${village}: ${kind}` === state.fact) || data.facts[0];
    const prompts = data.students.map(({ key }) => fact.prompts[key][level]);
    const lines = prompts[1] === prompts[0] ? [["Asked:", prompts[0]]] : [["Asked, the raw text\u2019s student:", prompts[0]], ["Asked, the others:", prompts[1]]];
    const known = state.fact === ALL ? `(one of ${data.students[0].asked} facts; the answer is ${fact.answer})` : `(the answer is ${fact.answer})`;
    stage.asked.replaceChildren(
      ...lines.map(([label, prompt]) => KM.element("p", {}, KM.element("span", {}, label), ` ${shown(prompt)}`)),
      KM.element("p", { class: "km-answer" }, known),
    );
  }

  /* ---- drawing ---- */

  function bars(stage) {
    const { marks, data, width, state } = stage;
    data.students.forEach((student, index) => {
      const { share, seeds, loss, right } = seen(stage, student);
      const y = TOP + index * ROW;
      const times = student.key === "ten" ? `${data.readings[place(stage).reading]} texts in ten versions` : `the same one ${data.readings[place(stage).reading]} times`;
      marks.text(`name-${index}`, 0, y + 14, student.name, { className: "km-strong" });
      marks.text(`times-${index}`, marks.long(`name-${index}`) + 10, y + 14, times, { className: "km-quiet" });
      marks.rect(`bar-${index}`, 0, y + 22, share * width, 22, "km-rest-fill");
      const end = Math.max(share, ...seeds) * width + 8;
      const text = `${whole(share)}, ${right}`;
      marks.text(`share-${index}`, end, y + 38, text, { className: "km-halo" });
      if (end + marks.long(`share-${index}`) > width) marks.text(`share-${index}`, share * width - 8, y + 38, text, { anchor: "end", className: "km-on-bar" });
      seeds.forEach((value, seed) => marks.shape(`seed-${index}-${seed}`, value * width, y + 44, "M-4 0A4 4 0 1 0 4 0A4 4 0 1 0 -4 0Z", "km-flag"));
      marks.rect(`loss-field-${index}`, 0, y + 56, width * 0.3, 8, "km-grid");
      marks.rect(`loss-${index}`, 0, y + 56, width * 0.3 * Math.min(1, loss / LOSS), 8, "km-flag");
      marks.text(`loss-label-${index}`, width * 0.3 + 8, y + 65, `training loss ${number(loss, 2)}`, { className: "km-quiet" });
    });
    if (stage.guess && state.fact === ALL && place(stage).level === ASKED.level && place(stage).reading === ASKED.reading) {
      const x = (stage.guess.value / 100) * width;
      marks.flag("guess", x, TOP + 2 * ROW + 44, 30);
      marks.text("guess-label", x + 18, TOP + 2 * ROW + 14, "your guess", { within: width, className: "km-halo" });
    }
    const base = TOP + data.students.length * ROW - 8;
    marks.axis("axis", 0, base, width - 1, [0, 0.1, 0.5, 1].map((at) => ({ at, label: at === 0 ? "" : at === 0.1 ? "chance" : at === 1 ? "100\u00a0%" : number(100 * at) })));
    return base + 40;
  }

  /* The report's own three numbers: another test, so another axis. */
  function report(stage, top) {
    const { marks, data, width } = stage;
    marks.text("report-title", 0, top, "K2\u2019s Table 1: SimpleQA accuracy in\u00a0%", { className: "km-quiet" });
    const at = (value) => ((value - 22) / 8) * width;
    data.students.forEach(({ key, table }, index) => {
      marks.report(`report-${key}`, at(table), top + 40);
      marks.text(`report-label-${key}`, at(table), top + (index === 1 ? 68 : 26), `${key === "raw" ? "raw" : key} ${table}`, { anchor: "middle", within: width });
    });
    marks.rect("report-line", 0, top + 40, width, 1, "km-axis");
    data.students.forEach(({ key, table }) => marks.report(`report-${key}`, at(table), top + 40));
    return top + 80;
  }

  /* ---- the component ---- */

  KM.component("askings", {
    state: (data) => ({
      fact: { value: ALL, options: [ALL, ...data.facts.map(({ village, kind }) => `${village}: ${kind}`)] },
      wording: { value: data.levels[ASKED.level], options: data.levels },
      readings: { value: data.readings[ASKED.reading], options: data.readings },
    }),

    guess(stage) {
      const { data } = stage;
      const [one, ten] = [1, 2].map((index) => mean(data.students[index].seeds[ASKED.reading][ASKED.level]));
      const count = data.readings[ASKED.reading];
      return {
        question: `Guess first: put a clause in front of the sentence. The student that read one rephrasing ${count} times falls from ${whole(mean(data.students[1].seeds[ASKED.reading][0]))} to ${whole(one)}. What does the one that read ten rephrasings, ${count / 10} times each, give the right answer?`,
        min: 0, max: 100, step: 1, start: Math.round(100 * one), within: "10 points", show: (value) => `${value}\u00a0%`,
        answer: () => `It is ${whole(ten)}, against ${whole(one)}.`,
      };
    },

    controls(stage) {
      if (!stage.revealed) return [];
      const names = Object.fromEntries(stage.data.facts.map(({ village, kind }) => [`${village}: ${kind}`, `${village}: ${kind}`]));
      return [
        { kind: "select", name: "fact", label: "fact", names: { [ALL]: `all ${stage.data.students[0].asked} facts`, ...names } },
        { kind: "slider", name: "wording", label: "asked in", show: (value) => value },
        { kind: "slider", name: "readings", label: "texts read about each village", show: (value) => String(value) },
      ];
    },

    draw(stage) {
      const { data, state, revealed } = stage;
      const at = place(stage);
      const [raw, one, ten] = data.students.map((student) => seen(stage, student));
      question(stage);
      stage.marks.size(stage.width, TOP + data.students.length * ROW + 120);
      report(stage, bars(stage) + 14);
      const wording = data.levels[at.level];
      const about = state.fact === ALL ? "" : `${state.fact}. `;
      const title = `${about}${wording[0].toUpperCase()}${wording.slice(1)}, ${state.readings} texts: right answer ${whole(ten.share)} after ten rephrasings, ${whole(one.share)} after one, ${whole(raw.share)} after the raw text.`;
      const apart = data.students.map(({ distance }) => percent(distance[at.level], 0));
      return {
        title: revealed ? title : `Word for word, ${state.readings} texts: all three students know what they read.`,
        values: { raw: raw.share, one: one.share, ten: ten.share, "raw-loss": raw.loss, "one-loss": one.loss, "ten-loss": ten.loss, level: at.level, written: `${raw.right}|${one.right}|${ten.right}` },
        note: `Measured here: bars give the probability of the right answer among ten of its kind${state.fact === ALL ? ", dots the three seeds" : " (first seed)"}; \u201Cwrote\u201D counts answers written without any choice given. Of the question\u2019s words and word pairs, ${apart[0]} (raw), ${apart[1]} (one) and ${apart[2]} (ten) were not in the student\u2019s texts about that village. Hollow: report.`,
        table: {
          columns: ["wording", ...data.students.map(({ name }) => name)],
          rows: (revealed ? data.levels : data.levels.slice(0, 1)).map((level, index) => [level, ...data.students.map((student) => whole(seen(stage, student, { ...at, level: index }).share))]),
        },
        code: `from kimi_mini.viz import rephrase   # in the folder book/\nrows = rephrase.load_runs("data/rephrase")\n` +
          `rephrase.counted(rows, "ten", ${at.level}, ${state.readings}, readings=${Math.max(...data.readings)})   # (right, asked), three seeds`,
      };
    },
  });
})();
