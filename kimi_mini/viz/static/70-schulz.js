/* Newton-Schulz in the page: the definition in kimi_mini/kernels/newton_schulz_ref.py on matrices, and on singular values alone. */
(function () {
  "use strict";
  const KM = (globalThis.KM = globalThis.KM || {});

  const transpose = (x) => x[0].map((_, column) => x.map((row) => row[column]));
  const product = (x, y) => x.map((row) => y[0].map((_, column) => row.reduce((sum, value, at) => sum + value * y[at][column], 0)));
  const sum = (a, x, b, y) => x.map((row, i) => row.map((value, j) => a * value + b * y[i][j]));
  const frobenius = (x) => Math.sqrt(x.reduce((all, row) => row.reduce((part, value) => part + value * value, all), 0));

  /* The (a, b, c) of each of `steps` iterations; the last one of a set repeats. */
  const triples = (set, steps) => Array.from({ length: steps }, (_, index) => set[Math.min(index, set.length - 1)]);

  KM.schulz = {
    /* The matrix (rows of numbers) over its Frobenius norm, then after each iteration: steps + 1 matrices. */
    matrices(matrix, set, steps) {
      const tall = matrix.length > matrix[0].length;
      let x = tall ? transpose(matrix) : matrix;
      const norm = Math.max(frobenius(x), 1e-7);
      x = x.map((row) => row.map((value) => value / norm));
      const all = [x];
      for (const [a, b, c] of triples(set, steps)) {
        const gram = product(x, transpose(x));
        x = sum(a, x, 1, product(sum(b, gram, c, product(gram, gram)), x));
        all.push(x);
      }
      return tall ? all.map(transpose) : all;
    },

    /* The same for one singular value: sigma, then after each iteration. */
    values(sigma, set, steps) {
      const all = [sigma];
      for (const [a, b, c] of triples(set, steps)) {
        const last = all[all.length - 1];
        all.push(a * last + b * last ** 3 + c * last ** 5);
      }
      return all;
    },

    /* Singular values of a 2 x 2, the larger one first: half the sum and half the difference of two lengths. */
    axes([[a, b], [c, d]]) {
      const turning = Math.hypot(a + d, c - b) / 2;
      const mirroring = Math.hypot(a - d, b + c) / 2;
      return [turning + mirroring, Math.abs(turning - mirroring)];
    },
  };
})();
