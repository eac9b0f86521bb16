/* THE tokenizer in the page: byte-level BPE, id for id what kimi_mini.Tokenizer gives.

     new KM.Tokenizer({vocab: [entry by id], merges: ["a b", ...], special: [entry]})
   Reserved tokens spelled out in a text are meant (encode(..., special=True) of the package).
   The definition is a function, so that a worker can be made of its source (62-worker.js). */
(function () {
  "use strict";
  const KM = (globalThis.KM = globalThis.KM || {});

  function define(KM) {
    "use strict";
    /* Bytes stand as printable characters: visible ones as themselves, the rest from 256 on. */
    const CHARACTERS = (() => {
      const own = (byte) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
      let next = 256;
      return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(own(byte) ? byte : next++));
    })();
    const BYTES = new Map(CHARACTERS.map((character, byte) => [character, byte]));
    // Every digit alone; then words with the space before them, runs of signs, runs of white space.
    const DIGIT = /(\p{N})/u;
    const PIECE = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

    KM.Tokenizer = class {
      constructor({ vocab, merges, special }) {
        this.vocab = vocab;
        this.ids = new Map(vocab.map((entry, id) => [entry, id]));
        this.ranks = new Map(merges.map((merge, rank) => [merge, rank]));
        this.special = new Set(special);
        this.reserved = new RegExp(`(${special.map((token) => token.replace(/[[\]|]/g, "\\$&")).join("|")})`);
        this.known = new Map();
      }

      get bos() { return this.ids.get("[BOS]"); }
      get eos() { return this.ids.get("[EOS]"); }

      encode(text) {
        const ids = [];
        for (const part of text.split(this.reserved)) {
          if (this.special.has(part)) ids.push(this.ids.get(part));
          else for (const run of part.split(DIGIT)) for (const piece of run.match(PIECE) || []) ids.push(...this.piece(piece));
        }
        return ids;
      }

      piece(text) {
        if (!this.known.has(text)) this.known.set(text, this.merge(text));
        return this.known.get(text);
      }

      /* The earliest learned merge first, from the left, until none is left. */
      merge(text) {
        let parts = Array.from(new TextEncoder().encode(text), (byte) => CHARACTERS[byte]);
        for (;;) {
          let best = Infinity;
          for (let i = 1; i < parts.length; i++) best = Math.min(best, this.ranks.get(`${parts[i - 1]} ${parts[i]}`) ?? Infinity);
          if (best === Infinity) return parts.map((part) => this.ids.get(part));
          const joined = [];
          for (let i = 0; i < parts.length; i++) {
            const fits = i + 1 < parts.length && this.ranks.get(`${parts[i]} ${parts[i + 1]}`) === best;
            joined.push(fits ? parts[i] + parts[++i] : parts[i]);
          }
          parts = joined;
        }
      }

      bytes(id) {
        const entry = this.vocab[id];
        return this.special.has(entry) ? new TextEncoder().encode(entry) : Uint8Array.from(entry, (character) => BYTES.get(character));
      }

      /* Bytes that are no character, as in a cut-off answer, become U+FFFD. */
      decode(ids) {
        return new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(ids.flatMap((id) => [...this.bytes(id)])));
      }
    };
  }

  (KM.forWorker = KM.forWorker || []).push(define);
  define(KM);
})();
