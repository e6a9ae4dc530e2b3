// A conversation: the index of turns, and the next turn that went badly by key.
const turns = [...document.querySelectorAll("li.turn")];
const bad = turns.filter((turn) => turn.dataset.state === "bad");
function go(step) {
  if (!bad.length) return;
  const line = innerHeight * 0.3;
  const at = step > 0 ? bad.find((turn) => turn.getBoundingClientRect().top > line + 8) ?? bad[0]
    : bad.findLast((turn) => turn.getBoundingClientRect().top < line - 80) ?? bad.at(-1);
  location.hash = at.id;
  for (const turn of turns) turn.classList.toggle("chosen", turn === at);
}
document.querySelector("[data-next-bad]")?.addEventListener("click", () => go(1));
document.addEventListener("keydown", (event) => { if (event.key === "N" && !event.target.closest("input, textarea, select")) go(-1); });
