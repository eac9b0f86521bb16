/* Last file: every component is registered, the page may start. */
(function () {
  "use strict";
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", KM.start);
  else KM.start();
})();
