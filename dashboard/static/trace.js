// The waterfall: folding, choosing a span by click or by j and k, the address follows the chosen span.
const list = document.querySelector("#waterfall");
const rows = () => [...list.children];
const depth = (row) => Number(row.dataset.depth);

function below(row) {
  const all = rows(), from = all.indexOf(row) + 1;
  const end = all.findIndex((other, at) => at >= from && depth(other) <= depth(row));
  return all.slice(from, end < 0 ? all.length : end);
}

function fold(row, open) {
  const toggle = row.querySelector("button.toggle");
  if (!toggle) return;
  toggle.setAttribute("aria-expanded", String(open));
  let closedAt = Infinity;
  for (const other of below(row)) {
    if (depth(other) <= closedAt) closedAt = Infinity;
    other.hidden = !open || depth(other) > closedAt;
    if (open && closedAt === Infinity && other.querySelector('button.toggle[aria-expanded="false"]')) closedAt = depth(other);
  }
}

function choose(row) {
  for (const other of rows()) other.classList.toggle("chosen", other === row);
  const address = new URL(location);
  address.searchParams.set("span", new URL(row.querySelector("a").href).searchParams.get("span"));
  history.replaceState(null, "", address);
}

list.addEventListener("click", (event) => {
  const toggle = event.target.closest("button.toggle");
  const row = event.target.closest("li");
  if (toggle) fold(row, toggle.getAttribute("aria-expanded") === "false");
  else if (event.target.closest("a")) choose(row);
});
list.addEventListener("chosen", (event) => event.target.querySelector("a")?.click());
document.addEventListener("keydown", (event) => {
  if (event.target.closest("input, textarea, select")) return;
  const row = list.querySelector(".chosen");
  if (row && event.key === "ArrowLeft") fold(row, false);
  else if (row && event.key === "ArrowRight") fold(row, true);
});
list.querySelector(".chosen")?.scrollIntoView({ block: "nearest" });

// Coming from a list, newer and older are its neighbours, with its search and facets.
const kept = JSON.parse(sessionStorage.getItem("traces") || "null");
const at = kept ? kept.ids.indexOf(location.pathname.split("/").pop()) : -1;
if (at >= 0) {
  for (const [key, id] of [["n", kept.ids[at - 1]], ["o", kept.ids[at + 1]]]) {
    const link = document.querySelector(`a[data-key="${key}"]`);
    link.hidden = !id;
    if (id) link.href = `/traces/${id}${location.search.replace(/([?&])span=[^&]*&?/, "$1")}`;
  }
  const back = document.querySelector("[data-list]");
  back.hidden = false;
  back.href = kept.address;
  back.textContent = `${at + 1} of ${kept.ids.length} in the list`;
}
