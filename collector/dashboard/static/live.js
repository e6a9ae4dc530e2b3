// The live list: new rows arrive by server-sent events, wait while the reader hovers, ticks, scrolls or pauses.
const button = document.querySelector("[data-live]");
const rows = document.querySelector("#rows");
const says = button.querySelector("[data-live-says]");
const dot = button.querySelector(".dot");
const held = [];
let paused = false, hovering = false, source = null;

const ticked = () => rows?.querySelector("input:checked") ?? false;
const holding = () => paused || hovering || scrollY > 120 || ticked();

function show() {
  dot.className = `dot ${paused ? "idle" : source?.readyState === EventSource.OPEN ? "good" : "warn"}`;
  says.textContent = held.length ? `${held.length} new` : paused ? "paused" : "live";
  button.setAttribute("aria-pressed", String(!paused));
}

function release() {
  while (!holding() && held.length) insert(held.shift());
  show();
}

function insert(html) {
  if (!rows) return location.reload();
  const template = document.createElement("template");
  template.innerHTML = html;
  const row = template.content.querySelector("tr");
  if (!row) return;
  const before = document.getElementById(row.id);
  if (before?.querySelector("input:checked")) row.querySelector("input").checked = true;
  before?.remove();
  row.classList.add("arrived");
  rows.prepend(row);
}

function listen() {
  source = new EventSource(button.dataset.live);
  source.onmessage = (event) => { held.push(event.data); release(); };
  source.onopen = source.onerror = show;
}

button.addEventListener("click", () => {
  if (held.length) {
    paused = hovering = false;
    scrollTo(0, 0);
    while (held.length) insert(held.shift()); // whoever asks for them gets them, ticks or not
    show();
  } else paused = !paused;
  release();
});
rows?.addEventListener("pointerenter", () => { hovering = true; });
rows?.addEventListener("pointerleave", () => { hovering = false; release(); });
addEventListener("scroll", release, { passive: true });
addEventListener("pagehide", () => {
  source?.close();
  // A trace that is opened from here offers its neighbours of this list.
  const ids = [...document.querySelectorAll("#rows tr")].map((row) => row.id.slice(1));
  if (ids.length) sessionStorage.setItem("traces", JSON.stringify({ address: location.pathname + location.search, ids }));
});
listen();

// How many rows are ticked; two can be compared.
const bar = document.querySelector("[data-picked]");
function count() {
  const many = document.querySelectorAll("#rows input:checked").length;
  bar.querySelector("[data-picked-count]").textContent = many;
  bar.toggleAttribute("data-some", many > 0); // then it stays in sight
  bar.querySelector("[data-picked-two]").disabled = many !== 2;
  release(); // the last tick that was taken away lets new rows in
}
if (bar) {
  document.addEventListener("change", count);
  count();
}
