/* What the stage needs of the page: the state in the URL, the theme, number formats. */
(function () {
  "use strict";
  const KM = (globalThis.KM = globalThis.KM || {});

  /* #km:<visual>?key=value&key=value;<visual>?...   only what differs from the default, the visual last touched first. */
  const PREFIX = "#km:";
  const segment = (stage) => {
    const changed = stage.changed();
    return stage.name + (changed.length ? `?${new URLSearchParams(changed)}` : "");
  };

  KM.hash = {
    usable: globalThis.location !== undefined && location.protocol !== "about:",

    read() {
      const saved = new Map();
      if (!this.usable || !location.hash.startsWith(PREFIX)) return saved;
      for (const part of location.hash.slice(PREFIX.length).split(";")) {
        const [name, query] = part.split("?");
        saved.set(name, new URLSearchParams(query || ""));
      }
      return saved;
    },

    write(touched) {
      if (!this.usable) return;
      const others = KM.stages.filter((stage) => stage !== touched && stage.changed().length);
      const first = touched.changed().length || others.length ? [touched] : [];
      const hash = [...first, ...others].map(segment).join(";");
      this.go(location.href.split("#")[0] + (hash ? PREFIX + hash : ""));
    },

    address(stage) { return location.href.split("#")[0] + PREFIX + segment(stage); },

    go(address) { history.replaceState(null, "", address); },
  };

  /* A built page says light or dark on <html>. Alone in an iframe the notebook around it is asked, then the system. */
  function surroundings() {
    try {
      const { documentElement, body } = parent.document;
      if (body.dataset.jpThemeLight) return body.dataset.jpThemeLight === "true" ? "light" : "dark";
      if (body.classList.contains("vscode-dark") || documentElement.getAttribute("theme") === "dark") return "dark";
    } catch {
      // A notebook on another origin may not be asked.
    }
    return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  }

  /* The iframe grows with its visual where the front end lets it. */
  function growFrame() {
    const fit = () => { if (globalThis.frameElement) frameElement.style.height = `${document.body.offsetHeight + 16}px`; };
    new ResizeObserver(fit).observe(document.body);
  }

  KM.settle = function () {
    const root = document.documentElement;
    if (!root.dataset.theme) root.dataset.theme = surroundings();
    if (document.body.classList.contains("km-live")) growFrame();
  };

  KM.theme = {
    /* The colour behind a CSS variable, for canvas. */
    colour(name) { return getComputedStyle(document.documentElement).getPropertyValue(`--km-${name}`).trim(); },
    onChange(callback) {
      new MutationObserver(callback).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    },
    still() { return matchMedia("(prefers-reduced-motion: reduce)").matches; },
  };

  /* "32.9", "1,026.4": `digits` after the point, thousands by comma. The narrow space keeps number and unit together. */
  const number = (value, digits = 0) => value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const significant = (value) => number(value, value >= 100 ? 0 : value >= 10 ? 1 : 2);
  KM.format = {
    number,
    billions: (value) => `${number(value / 1e9, value >= 99.95e9 ? 0 : value >= 9.995e9 ? 1 : 2)}\u00a0billion`,
    percent: (share, digits = 1) => `${number(100 * share, digits)}\u00a0%`,
    gib: (bytes) => `${significant(bytes / 2 ** 30)}\u00a0GiB`,
    gb: (bytes) => `${significant(bytes / 1e9)}\u00a0GB`,
    gflop: (flops) => `${significant(flops / 1e9)}\u00a0GFLOP`,
  };
})();
