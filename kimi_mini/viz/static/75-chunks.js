/* The chunk pipeline: a text rewritten piece by piece, each piece with the previous output in sight, and what a cut of that sight does.
   Every output was written by the rewriter when the page was made, once for each cut. */
(function () {
  "use strict";
  const KM = (globalThis.KM = globalThis.KM || {});
  const BOX = 46;
  const GAP = 22;
  const NONE = 0;
  const ASKED = 3; // the chunk before which the guess cuts

  const outputs = ({ data, state }) => data.outputs[String(state.cut)];
  const named = (data, text) => text.includes(data.name);
  const count = (data, cut) => data.outputs[String(cut)].filter((text) => named(data, text)).length;

  function strip(stage) {
    const { marks, data, width, state } = stage;
    const size = data.source.length;
    const box = (width - 2 - GAP * (size - 1)) / size;
    marks.size(width, BOX + 34);
    outputs(stage).forEach((text, index) => {
      const x = 1 + index * (box + GAP);
      const kept = named(data, text);
      if (index) {
        const cut = state.cut === index + 1;
        marks.rect(`carry-${index}`, x - GAP + 3, 8 + BOX / 2 - 1, cut ? 0 : GAP - 6, 2, "km-axis");
        marks.shape(`head-${index}`, x - 4, 8 + BOX / 2, cut ? "M-10 -14L-2 14M-2 -14L-10 14" : "M-6 -5L2 0L-6 5", cut ? "km-cut" : "km-derived");
      }
      marks.rect(`box-${index}`, x, 8, box, BOX, kept ? "km-rest-fill" : "km-outline km-lost-box");
      marks.text(`who-${index}`, x + box / 2, 8 + BOX / 2 + 5, kept ? "named" : "who?", { anchor: "middle", className: kept ? "km-on-bar" : "" });
      if (box < marks.long(`who-${index}`) + 4) marks.text(`who-${index}`, x + box / 2, 8 + BOX / 2 + 5, kept ? "\u2713" : "?", { anchor: "middle", className: kept ? "km-on-bar" : "" });
      marks.text(`number-${index}`, x + box / 2, BOX + 28, String(index + 1), { anchor: "middle", className: "km-quiet" });
    });
  }

  /* A text with the name marked; a sentence that begins with a pronoun is marked as lost. */
  function told(data, text) {
    const parts = text.split(data.name);
    const nodes = parts.flatMap((part, index) => (index ? [KM.element("mark", {}, data.name), part] : [part]));
    const lost = !named(data, text) && text.match(data.pronoun);
    if (!lost) return nodes;
    return [text.slice(0, lost.index), KM.element("mark", { class: "km-lost" }, lost[0]), text.slice(lost.index + lost[0].length)];
  }

  function list(stage) {
    const { data, state } = stage;
    if (!stage.list) stage.picture.after((stage.list = KM.element("ol", { class: "km-chunks" })));
    const now = outputs(stage);
    stage.list.replaceChildren(...data.source.map((source, index) => {
      const carried = index === 0 ? "carried: nothing, it is the first" : state.cut === index + 1 ? "carried: nothing, you cut it" : `carried: \u201C${now[index - 1]}\u201D`;
      return KM.element("li", {},
        KM.element("p", { class: "km-source-text" }, `${index + 1}. source: ${source}`),
        KM.element("p", { class: "km-carried" }, carried),
        KM.element("p", {}, ...told(data, now[index])));
    }));
  }

  KM.component("chunks", {
    state: (data) => ({ cut: { value: NONE, options: [NONE, ...data.source.map((_, index) => index + 1).slice(1)] } }),

    guess(stage) {
      const { data } = stage;
      const size = data.source.length;
      return {
        question: `Guess first: all ${size} rewritten chunks name ${data.name}, though only the first chunk of the source does. Hide the previous output once, from chunk ${ASKED}. How many still name her?`,
        min: 0, max: size, step: 1, start: size - 1, within: "half a chunk", show: String,
        answer: () => `${count(data, ASKED)} of ${size}.`,
        then: () => stage.set({ cut: ASKED }),
      };
    },

    controls: ({ revealed }) => (revealed ? [
      { kind: "slider", name: "cut", label: "hide the previous output from chunk", show: (value) => (value === NONE ? "none" : String(value)) },
    ] : []),

    draw(stage) {
      const { data, state } = stage;
      strip(stage);
      list(stage);
      const left = count(data, state.cut);
      const size = data.source.length;
      return {
        title: state.cut === NONE ? `With the previous output in sight, ${left} of ${size} chunks say who they are about.`
          : `One cut, before chunk ${state.cut}: ${left} of ${size} chunks say who they are about.`,
        values: { named: left, chunks: size, cut: state.cut },
        note: `Toy rewriter, made for this page: it replaces a leading pronoun by the last name in sight, then the package\u2019s rules reword the sentence. The pipeline around it is the package\u2019s.`,
        table: { columns: ["chunk", "source", "rewritten"], rows: data.source.map((source, index) => [index + 1, source, outputs(stage)[index]]) },
        code: "from kimi_mini.synth import rewrite_document\nrewrite_document(text, rewrite, size=10)   # rewrite(chunk, previous_output)",
      };
    },
  });
})();
