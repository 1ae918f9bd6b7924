// Keeps a page true: each panel is fetched again; what cannot be fetched, or is too old, is said to be unknown.
"use strict";

const body = document.body;
const refresh = Number(body.dataset.refresh) * 1000;
const limit = Number(body.dataset.limit) * 1000;
// When the newest data were made, by this machine's own clock; what the server says is an age, never a time.
let made = body.dataset.age === "" ? -Infinity : performance.now() - Number(body.dataset.age) * 1000;

function forget(panel) {
  if (panel.dataset.state === "nodata") return;
  panel.dataset.state = "nodata";
  const note = document.createElement("p");
  note.className = "nodata";
  const shape = document.createElement("span");
  shape.className = "shape tone-unknown";
  shape.setAttribute("aria-hidden", "true");
  shape.textContent = "?";
  const word = document.createElement("b");
  word.textContent = body.dataset.nodata;
  note.append(shape, " ", word);
  panel.replaceChildren(panel.querySelector("h2"), note);
}

async function renew(panel) {
  // Not by the page's own address, which may hold a user and a password: fetch() takes none that does.
  const answer = await fetch(location.origin + panel.dataset.address, { signal: AbortSignal.timeout(Math.max(refresh, 12000)) });
  if (!answer.ok) throw new Error(String(answer.status));
  const text = await answer.text();
  const fresh = new DOMParser().parseFromString(text, "text/html").querySelector("section");
  if (fresh === null || fresh.id !== panel.id) throw new Error("not a panel");
  const scrolled = panel.querySelector(".scroll")?.scrollTop ?? 0;
  const focused = panel.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  panel.replaceWith(fresh);
  if (scrolled > 0 && fresh.querySelector(".scroll")) fresh.querySelector(".scroll").scrollTop = scrolled;
  if (focused) fresh.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  const age = answer.headers.get("X-Data-Age");
  made = age === null ? -Infinity : performance.now() - Number(age) * 1000;
}

function tick() {
  const age = performance.now() - made;
  const text = Number.isFinite(age) ? `${Math.max(0, Math.round(age / 1000))} ${body.dataset.second}` : body.dataset.nodata;
  for (const place of document.querySelectorAll("#age, [data-is-age]")) place.textContent = text;
  const old = !(age <= limit);
  body.classList.toggle("old", old);
  if (old) document.querySelectorAll("section.panel").forEach(forget);
}

async function round() {
  await Promise.allSettled([...document.querySelectorAll("section.panel")].map(renew));
  tick();
  setTimeout(round, refresh);
}

if (document.querySelector("section.panel") !== null) {
  setTimeout(round, refresh);
  setInterval(tick, 1000);
  if (body.dataset.kiosk) {
    setTimeout(async () => {
      // A server that does not answer leaves this page where it is, saying so, instead of a browser's error page.
      for (;;) {
        try {
          if ((await fetch(location.origin + body.dataset.next)).ok) break;
        } catch { /* it is asked again */ }
        await new Promise((done) => setTimeout(done, 2000));
      }
      location.replace(body.dataset.next);
    }, Number(body.dataset.kiosk) * 1000);
  }
}
