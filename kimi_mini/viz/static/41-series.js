/* Recorded series: float16 in base64, as kimi_mini/viz/series.py writes them. */
(function () {
  "use strict";
  const KM = (globalThis.KM = globalThis.KM || {});

  function half(bits) {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    if (exponent === 0) return sign * fraction * 2 ** -24;
    if (exponent === 31) return fraction ? NaN : sign * Infinity;
    return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }

  KM.unpack = function (text) {
    const bytes = atob(text);
    return Float32Array.from({ length: bytes.length / 2 }, (_, i) => half(bytes.charCodeAt(2 * i) | (bytes.charCodeAt(2 * i + 1) << 8)));
  };
})();
