// The live list: new rows arrive by server-sent events, wait while the reader hovers, ticks, scrolls or pauses.
// A row that the list has already (a stream that begins looks back a little) is drawn anew in its place: it is not new.
const button = document.querySelector("[data-live]");
const rows = document.querySelector("#rows");
const says = button.querySelector("[data-live-says]");
const dot = button.querySelector(".dot");
const held = new Map(); // by the row's id, oldest first
const MAX_ROWS = 200;
let paused = false, hovering = false, source = null;

const ticked = () => rows?.querySelector("input:checked") ?? false;
const holding = () => paused || hovering || scrollY > 120 || ticked();

function show() {
  dot.className = `dot ${paused ? "idle" : source?.readyState === EventSource.OPEN ? "good" : "warn"}`;
  says.textContent = held.size ? `${held.size} new` : paused ? "paused" : "live";
  button.setAttribute("aria-pressed", String(!paused));
}

function release() {
  if (!holding()) insertHeld();
  show();
}

function insertHeld() {
  if (held.size && !rows) return location.reload();
  for (const row of held.values()) rows.prepend(row);
  held.clear();
  // A list on a wall screen does not grow for ever; what is ticked stays.
  for (const row of [...rows.children].slice(MAX_ROWS)) if (!row.querySelector("input:checked")) row.remove();
}

function arrive(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  const row = template.content.querySelector("tr");
  if (!row) return;
  row.classList.add("arrived");
  const before = document.getElementById(row.id);
  if (before) redraw(before, row);
  else held.set(row.id, row);
  release();
}

// The box itself stays: its tick and the focus are the reader's.
function redraw(before, row) {
  const [box, ...cells] = row.cells;
  before.querySelector("input").value = box.querySelector("input").value;
  cells.forEach((cell, at) => before.cells[at + 1].replaceWith(cell));
}

function listen() {
  source = new EventSource(button.dataset.live);
  source.onmessage = (event) => arrive(event.data);
  source.onopen = source.onerror = show;
}

button.addEventListener("click", () => {
  if (held.size) {
    paused = hovering = false;
    scrollTo(0, 0);
    insertHeld(); // whoever asks for them gets them, ticks or not
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
