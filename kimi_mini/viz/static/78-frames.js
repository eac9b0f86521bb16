/* Empty frames: one frame for each piece that a wish needs; full, half full or empty, and what is known of the chosen one. */
(function () {
  "use strict";
  const KM = (globalThis.KM = globalThis.KM || {});
  const HEIGHT = 52;
  const GAP = 8;
  const FULL = { published: 1, elsewhere: 0.5, nowhere: 0 };
  const BAR = 12; // a frame fills from the left, beside its words

  const of = ({ data, state }) => data.pieces.filter(({ wish }) => wish === state.wish);

  function pad(stage) {
    if (stage.pad) return;
    stage.pad = KM.element("div", { class: "km-frames-pad", "aria-hidden": "true" });
    stage.picture.append(stage.pad);
    stage.pad.addEventListener("click", (event) => {
      const box = stage.pad.getBoundingClientRect();
      const { columns, width } = stage.grid;
      const column = Math.min(columns - 1, Math.floor((event.clientX - box.left) / (width + GAP)));
      const index = Math.floor((event.clientY - box.top) / (HEIGHT + GAP)) * columns + column;
      if (index < of(stage).length) stage.set({ piece: index });
    });
  }

  /* Words in at most two lines of `width`, by characters: names are short. */
  function lines(name, width) {
    const most = Math.floor(width / 7.9);
    if (name.length <= most) return [name];
    const cut = name.lastIndexOf(" ", most);
    return cut < 0 ? [name] : [name.slice(0, cut), name.slice(cut + 1)];
  }

  KM.component("frames", {
    state: (data) => ({
      wish: { value: data.opening, options: Object.keys(data.wishes) },
      piece: { value: 0, min: 0, max: Math.max(...Object.keys(data.wishes).map((wish) => data.pieces.filter((piece) => piece.wish === wish).length)) - 1, step: 1 },
    }),

    guess: ({ data }) => ({
      question: `Guess first: to pre-train K2 again, ${data.needed} pieces are counted here, from the learning rate to the training code. How many of them are published nowhere?`,
      min: 0, max: data.needed, step: 1, start: Math.round(data.needed / 4), within: "one piece", show: (value) => `${value} of ${data.needed}`,
      answer: () => `It is ${data.nowhere}. Choose "pre-train it again" to see which.`,
    }),

    controls: (stage) => [
      ...(stage.revealed ? [{ kind: "select", name: "wish", label: "I would like to", names: stage.data.wishes }] : []),
      { kind: "slider", name: "piece", label: "piece", show: (index) => of(stage)[Math.min(index, of(stage).length - 1)].name },
    ],

    draw(stage) {
      const { data, marks, width, state } = stage;
      pad(stage);
      const pieces = of(stage);
      const at = Math.min(state.piece, pieces.length - 1);
      const columns = width >= 640 ? 4 : 2;
      const wide = (width - (columns - 1) * GAP) / columns;
      stage.grid = { columns, width: wide };
      marks.size(width, Math.ceil(pieces.length / columns) * (HEIGHT + GAP));
      pieces.forEach(({ name, state: where }, index) => {
        const [x, y] = [(index % columns) * (wide + GAP), Math.floor(index / columns) * (HEIGHT + GAP)];
        marks.rect(`frame-${index}`, x + 1, y + 1, wide - 2, HEIGHT - 2, `km-outline ${where === "nowhere" ? "km-dashed" : ""}`);
        if (FULL[where]) marks.rect(`full-${index}`, x + 1, y + 1 + (1 - FULL[where]) * (HEIGHT - 2), BAR, FULL[where] * (HEIGHT - 2), "km-rest-fill");
        const words = lines(name, wide - BAR - 14);
        words.forEach((line, row) => marks.text(`name-${index}-${row}`, x + BAR + 8, y + HEIGHT / 2 + 5 + (row - (words.length - 1) / 2) * 17, line, { className: index === at ? "km-strong" : "" }));
        if (index === at) marks.rect("chosen", x - 1, y - 1, wide + 2, HEIGHT + 2, "km-derived");
      });
      const { name, said, source, here, chapter, state: where } = pieces[at];
      const counts = Object.keys(data.states).map((key) => [key, pieces.filter((piece) => piece.state === key).length]);
      return {
        title: data.sentences[state.wish],
        values: { needed: pieces.length, at, ...Object.fromEntries(counts) },
        note: `${name}: ${data.states[where]}. ${said} Source: ${source}. ${here ? `This book: ${here}. ` : ""}Chapter ${chapter}. Full frame = published, half = elsewhere, dashed = nowhere.`,
        table: {
          columns: ["piece", "where", "this book"],
          rows: pieces.map((piece) => [piece.name, data.states[piece.state], piece.here || ""]),
        },
        code: `from kimi_mini.unpublished import PIECES, count_states\n\ncount_states("${state.wish}")`,
      };
    },
  });
})();
