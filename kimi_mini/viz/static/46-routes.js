/* Toy routes: for every token and layer, `active` distinct experts drawn at random, the same ones whenever the seed is the same. */
(function () {
  "use strict";
  const KM = (globalThis.KM = globalThis.KM || {});

  /* mulberry32: 32 bits of state, enough for a picture. Returns numbers in [0, 1). */
  KM.random = function (seed) {
    let state = seed >>> 0;
    return function () {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 15), state | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
    };
  };

  /* Tiles are numbered layer by layer; `last[tile]` is the number of the last token that used it, 0 for never. */
  KM.Routes = class {
    constructor(layers, experts, active, seed) {
      Object.assign(this, { layers, experts, active, seed });
      this.last = new Int32Array(layers * experts);
      this.touched = [0];
    }

    get tokens() { return this.touched.length - 1; }

    advance(tokens) {
      while (this.tokens < tokens) this.next();
    }

    next() {
      const token = this.tokens + 1;
      const draw = KM.random(this.seed * 100003 + token);
      let touched = this.touched[this.tokens];
      for (let layer = 0; layer < this.layers; layer++) {
        for (let chosen = 0; chosen < this.active; ) {
          const tile = layer * this.experts + Math.floor(draw() * this.experts);
          if (this.last[tile] === token) continue;
          if (this.last[tile] === 0) touched++;
          this.last[tile] = token;
          chosen++;
        }
      }
      this.touched.push(touched);
    }
  };
})();
