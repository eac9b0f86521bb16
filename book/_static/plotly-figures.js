/* Draws every plotly figure of the page in the theme's colours, and follows the reader's switch between light and dark. */
(function () {
  "use strict";

  function themeOf(layout) {
    var style = getComputedStyle(document.documentElement);
    var ink = style.getPropertyValue("--pst-color-text-base").trim();
    var line = style.getPropertyValue("--pst-color-border").trim();
    var change = { paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", "font.color": ink };
    Object.keys(layout).filter(function (key) { return /^[xy]axis\d*$/.test(key); }).forEach(function (axis) {
      ["gridcolor", "zerolinecolor", "linecolor"].forEach(function (part) { change[axis + "." + part] = line; });
    });
    return change;
  }

  function draw(element) {
    var figure = JSON.parse(element.querySelector("script").textContent);
    var title = element.appendChild(document.createElement("p"));
    title.className = "km-title";
    var words = figure.layout.meta || {};
    title.textContent = words.title || "";
    title.hidden = !words.title;
    var target = element.appendChild(document.createElement("div"));
    var defaults = { xaxis: {}, yaxis: {}, margin: { l: 56, r: 16, t: 48, b: 48 } };  // plotly's margins fill half a phone
    var layout = Object.assign(defaults, figure.layout, { autosize: true });
    delete layout.width;
    function follow() { return Plotly.relayout(target, themeOf(layout)); }
    Plotly.newPlot(target, figure.data, layout, figure.config)
      .then(function () { return figure.frames && Plotly.addFrames(target, figure.frames); })
      .then(follow)
      .then(function () {
        target.on("plotly_sliderchange", function (event) { title.textContent = (words.titles || {})[event.step.args[0][0]] || title.textContent; });
      });
    new MutationObserver(follow).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  }

  document.addEventListener("DOMContentLoaded", function () { document.querySelectorAll(".km-plotly").forEach(draw); });
})();
