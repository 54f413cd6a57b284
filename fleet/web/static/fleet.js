// SPDX-License-Identifier: Apache-2.0
// Brings the page up to date without a reload. Everything works without it.
"use strict";
(() => {
  const EVERY_MS = 10000;
  const say = document.getElementById("say");
  const refresh = async () => {
    const main = document.getElementById("main");
    const busy = main.contains(document.activeElement) && document.activeElement !== main;
    if (document.hidden || busy || String(getSelection())) return;
    const response = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!response.ok) return;
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html").getElementById("main");
    if (!fresh || fresh.innerHTML === main.innerHTML) return;
    const before = main.querySelector(".head .light")?.textContent;
    const after = fresh.querySelector(".head .light")?.textContent;
    const scrolled = [...main.querySelectorAll(".scroll")].map((e) => e.scrollLeft);
    main.replaceChildren(...fresh.childNodes);
    main.querySelectorAll(".scroll").forEach((e, i) => { e.scrollLeft = scrolled[i] ?? 0; });
    if (after && after !== before) say.textContent = after;
  };
  setInterval(() => refresh().catch(() => {}), EVERY_MS);
})();
