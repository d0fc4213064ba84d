// Refreshes parts of pages and focuses the search on "/". Every page also works without it.
"use strict";

// Poll a part until it has data-done; then reload the page if the part has data-reload-when-done.
async function follow(part) {
  const pause = Number(part.dataset.everyMs);
  while (!("done" in part.dataset)) {
    await new Promise((resolve) => setTimeout(resolve, pause));
    if (document.hidden) continue;
    try {
      const answer = await fetch(part.dataset.poll, { headers: { accept: "text/html" } });
      if (answer.redirected) return location.reload(); // the session has ended
      if (!answer.ok) continue;
      const text = await answer.text();
      if (text !== part.dataset.shown && !part.contains(document.activeElement)) {
        part.innerHTML = text;
        part.dataset.shown = text;
      }
    } catch {
      continue; // the console does not answer; try again
    }
    if (part.querySelector("[data-done]")) {
      part.dataset.done = "";
      if ("reloadWhenDone" in part.dataset) location.reload();
    }
  }
}

document.querySelectorAll("[data-poll]").forEach(follow);

document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("input, select, textarea");
  if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const field = document.querySelector('[data-key="/"]');
  if (field) {
    event.preventDefault();
    field.select();
    field.focus();
  }
});
