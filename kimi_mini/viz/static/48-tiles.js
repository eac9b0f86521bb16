/* Causal attention in tiles, as kimi_mini/viz/tile_walk.py walks it: the order of tiles, the bytes that three ways ask of memory,
   the bytes held on the chip, what is kept of a row. tests/viz/test_tiles.py holds this file to that one. */
(function () {
  "use strict";
  const KM = (globalThis.KM = globalThis.KM || {});

  const blocks = (reach, size, n) => Array.from({ length: Math.ceil(reach / size) }, (_, i) => [i * size, Math.min((i + 1) * size, n)]);

  const tiles = (tokens, rows, keys) => blocks(tokens, rows, tokens).flatMap((row) => {
    const over = blocks(row[1], keys, tokens);
    return over.map((key, index) => ({ row, key, first: index === 0, last: index === over.length - 1 }));
  });

  /* Bytes that one head has asked for after `upto` tiles, with numbers of two bytes; a maximum or log-sum-exp has four. */
  function traffic({ tokens, qk, v }, rows, keys, upto = Infinity) {
    const asked = { write: 0, twice: 0, fused: 0 };
    tiles(tokens, rows, keys).slice(0, upto).forEach(({ row, key, first, last }) => {
      const [r, c] = [row[1] - row[0], key[1] - key[0]];
      const [q, out, told] = [2 * r * qk * first, 2 * r * v * last, 4 * (r + 1) * last];
      const unseen = last ? tokens - key[1] : 0; // the plain product writes what the mask hides too
      asked.fused += q + 2 * c * (qk + v) + out + told;
      asked.twice += 2 * q + 2 * c * (2 * qk + v) + out + told;
      asked.write += q + 2 * (c + unseen) * (qk + v + 4 * r) + out + 4 * last;
    });
    return asked;
  }

  const onChip = ({ qk, v, stages }, rows, keys) => ({
    shared: 2 * (rows * qk + stages * keys * (qk + v)),
    registers: 4 * rows * (keys + v + 2),
  });

  /* What a program keeps of row t after its tiles of keys `over`, [[start, end], ...], and by what the last one shrank the old. */
  function kept({ tokens, wide, logits, v }, t, over) {
    let [max, sum, shrink, out] = [-Infinity, 0, 1, new Float64Array(wide)];
    for (const [start, end] of over) {
      const row = logits.subarray(t * tokens + start, t * tokens + end);
      const next = row.reduce((a, b) => Math.max(a, b), max);
      shrink = Math.exp(max - next);
      sum *= shrink;
      out = out.map((value) => value * shrink);
      row.forEach((logit, index) => {
        const weight = Math.exp(logit - next);
        sum += weight;
        for (let m = 0; m < wide; m++) out[m] += weight * v[(start + index) * wide + m];
      });
      max = next;
    }
    return { max, sum, shrink, isFirst: over.length === 1, out: out.map((value) => value / sum) };
  }

  KM.tileWalk = { tiles, traffic, onChip, kept };
})();
