// SPDX-License-Identifier: Apache-2.0
// Keeps live parts of a page fresh. Without it, the page reloads itself (meta refresh) or is reloaded by hand.
"use strict";
(() => {
  const wait = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));
  const visible = () => document.visibilityState === "visible"
    || new Promise((done) => document.addEventListener("visibilitychange", done, { once: true }));

  async function refresh(part) {
    for (let failures = 0; failures < 5;) {
      await wait(Number(part.dataset.every) * (1 + failures));
      await visible();
      // Whoever is typing, or has the focus on a button in here, must not lose it under their hands.
      if (part.contains(document.activeElement)) continue;
      try {
        const answer = await fetch(part.dataset.refresh, { headers: { "X-Refresh": "1" }, redirect: "error" });
        if (!answer.ok) throw new Error(String(answer.status));
        const text = await answer.text();
        const fresh = new DOMParser().parseFromString(text, "text/html").querySelector("[data-refresh]");
        if (!fresh) { location.reload(); return; }
        failures = 0;
        if (fresh.innerHTML !== part.innerHTML) part.replaceChildren(...fresh.childNodes);
        const say = document.getElementById("say");
        if (say && fresh.dataset.say && say.textContent !== fresh.dataset.say) say.textContent = fresh.dataset.say;
        if (fresh.dataset.end !== undefined) return;
        part.dataset.every = fresh.dataset.every;
      } catch {
        failures += 1;
      }
    }
  }

  for (const part of document.querySelectorAll("[data-refresh]")) {
    if (part.dataset.end === undefined) refresh(part);
  }
  for (const form of document.querySelectorAll("form[data-upload]")) {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const shown = form.querySelector("[data-progress]"), send = new XMLHttpRequest();
      shown.hidden = false;
      send.upload.onprogress = (e) => { shown.firstElementChild.value = e.total ? 100 * e.loaded / e.total : 0; };
      send.onload = () => {
        if (send.status < 300) { location.assign(send.responseURL); return; }
        const told = new DOMParser().parseFromString(send.responseText, "text/html").querySelector("main");
        if (told) { document.querySelector("main").replaceChildren(...told.childNodes); scrollTo(0, 0); }
      };
      send.onerror = () => location.reload();
      send.open("POST", form.action);
      send.send(new FormData(form));
    });
  }
  for (const form of document.querySelectorAll("form[method=post]:not([data-upload])")) {
    form.addEventListener("submit", (event) => {
      if (form.dataset.sent) event.preventDefault();
      form.dataset.sent = "yes";
      setTimeout(() => delete form.dataset.sent, 8000);
    });
  }
})();
