/* A config as a picture: every area is a parameter count, one unit of area per million parameters.
   From top to bottom: embedding, dense layers, MoE layers, head. Inside a layer from left to right: attention, routers,
   shared experts, routed experts. */
(function () {
  "use strict";
  const KM = (globalThis.KM = globalThis.KM || {});

  /* {side, parts: {name: {x, y, width, height, kind}}}; a part without parameters has no area. */
  KM.areas = function (config, count = KM.accounting.countParameters(config)) {
    const side = Math.sqrt(count.total / 1e6);
    const size = Object.fromEntries(count.blocks.map((block) => [block.name, block.total / 1e6]));
    const layers = config.num_hidden_layers;
    const dense = config.first_k_dense_replace;
    const perLayer = (size.attention + size.norms) / layers;
    const parts = {};
    let y = 0;
    const band = (columns) => {
      const area = columns.reduce((sum, [, , amount]) => sum + amount, 0);
      const height = area / side;
      let x = 0;
      for (const [name, kind, amount] of columns) {
        const width = height ? amount / height : 0;
        parts[name] = { x, y, width, height, kind };
        x += width;
      }
      y += height;
    };
    band([["embedding", "rest", size.embedding]]);
    band([["attention of dense layers", "attention", dense * perLayer], ["dense MLP", "rest", size["dense MLP"]]]);
    band([
      ["attention", "attention", (layers - dense) * perLayer],
      ["routers", "experts", size.routers],
      ["shared experts", "experts", size["shared experts"]],
      ["routed experts", "experts", size["routed experts"]],
    ]);
    band([["head", "rest", size.head]]);
    return { side, parts };
  };

  /* Rows of tiles for `experts` in a band of one layer, so that a tile is as square as a divisor allows. */
  KM.tileRows = function (experts, width, height) {
    const skew = (rows) => Math.abs(Math.log((width / (experts / rows)) / (height / rows)));
    let best = 1;
    for (let rows = 2; rows <= 16; rows++) if (experts % rows === 0 && skew(rows) < skew(best)) best = rows;
    return best;
  };
})();
