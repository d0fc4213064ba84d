// The page of a replica: it searches while you type and shows each item's path word by word.

const $ = (id) => document.getElementById(id);
const STATUS_EVERY_MS = 2000;
const LIMIT = 20;
let groups = [];
let searches = 0;

function make(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

async function get(path) {
  const response = await fetch(path);
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error ?? answer.reasons?.join("; "));
  return answer;
}

const count = (number, noun) =>
  `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

// Words

function chip(word, kind, label, replaced) {
  const node = make("span", `chip ${kind}`);
  if (label) node.append(make("small", "", label));
  node.append(word);
  if (replaced) node.append(make("s", "", replaced));
  return node;
}

function pathOf(words, own, term, covers) {
  const chips = words.map((word, position) => {
    const label = groups[position] ?? String(position);
    if (term !== null && word === term && own[position] !== word) {
      return chip(word, "term", label, own[position]);
    }
    if (word === null) return chip("–", "empty", label);
    return chip(word, covers.includes(position) ? "hit" : "", label);
  });
  return make("div", "path", ...chips);
}

// Results

function resultOf(item) {
  const badge = item.via === null ? null : make("span", "badge", `via ${item.via}`);
  const title = make("span", "", make("span", "title", item.title), badge);
  const score = make("span", "score", item.score.toFixed(2));
  score.title = `covers ${item.score} of the query; ` +
    `${Math.round(item.own_words * 100)} % of its words are the item's own`;
  const summary = make("summary", "",
    make("div", "top", title, score),
    pathOf(item.path, item.identifier, item.via, item.covers));
  const more = make("div", "more");
  const details = make("details", "item", summary, more);
  details.addEventListener("toggle", () => {
    if (details.open && !more.hasChildNodes()) explain(item.id, more);
  });
  return make("li", "", details);
}

async function explain(id, more) {
  try {
    more.replaceChildren(...explanation(await get(`items/${encodeURIComponent(id)}`)));
  } catch (error) {
    more.replaceChildren(make("p", "facts", error.message));
  }
}

function explanation(item) {
  const attributes = item.attributes.map((found) => make("tr", "",
    make("td", "", found.category),
    make("td", "", found.word),
    make("td", "", found.source),
    make("td", "code", found.score.toFixed(2)),
    make("td", "code", found.slot ? found.slot.join(":") : "no slot")));
  const head = make("tr", "",
    ...["category", "word", "from", "score", "slot"].map((name) => make("th", "", name)));
  const paths = item.paths.map((path) => pathOf(path.words, item.identifier, path.term, []));
  return [
    make("h3", "", count(item.paths.length, "path")), ...paths,
    make("h3", "", "attributes"),
    make("div", "scroll", make("table", "", head, ...attributes)),
    make("p", "facts",
      `id ${item.id} · shard ${item.shard} · ordinal ${item.ordinal} · revision ` +
      `${item.revision} · put ` + (item.put
        ? `by version ${item.put.version} at offset ${item.put.offset}`
        : "before the replica's snapshot")),
  ];
}

function show(found) {
  const none = found.items.length === 0;
  const more = found.items.length === LIMIT ? "the best " : "";
  $("summary").replaceChildren(
    make("b", "", none ? "0 results" : more + count(found.items.length, "item")),
    none ? ": nothing live can be reached by these words" : ` in ${found.took_ms.toFixed(1)} ms`);
  const known = found.query.slots.filter((slot) => slot.weight === 1);
  $("understood").hidden = known.length === 0;
  $("understood").replaceChildren(make("span", "label", "understood as"),
    ...known.map((slot) => chip(slot.word,
      found.query.terms.includes(slot.word) ? "term" : "hit", groups[slot.position])));
  $("results").replaceChildren(...found.items.map(resultOf));
  if (none) $("results").append(make("li", "hint", "To bind a word to items, now: ",
    make("code", "", `kae term bind ${found.query.text.split(/\s+/)[0]} --match TEXT`)));
  $("start").hidden = true;
}

// Searching

async function search() {
  const text = $("q").value.trim();
  const mine = ++searches;
  history.replaceState(null, "", text ? `?q=${encodeURIComponent(text)}` : "./");
  document.title = text ? `${text} · kae` : "kae";
  if (!text) {
    await start();
    return;
  }
  try {
    const found = await get(`search?q=${encodeURIComponent(text)}&limit=${LIMIT}`);
    // An answer is not shown if a later search has begun.
    if (mine === searches) show(found);
  } catch (error) {
    if (mine === searches) $("summary").textContent = error.message;
  }
}

async function start() {
  $("summary").replaceChildren();
  $("understood").hidden = true;
  $("results").replaceChildren();
  $("start").hidden = false;
  const bound = await get("bindings");
  const terms = bound.active.map((binding) => {
    const node = make("button", "chip", binding.term,
      make("small", "", count(binding.attached_items, "item")));
    node.type = "button";
    node.addEventListener("click", () => searchFor(binding.term));
    return node;
  });
  const hint = terms.length
    ? make("div", "path", ...terms)
    : make("p", "", "No word is bound yet: ", make("code", "", "kae term bind WORD --match TEXT"));
  $("start").replaceChildren(make("div", "start",
    make("h1", "", "Every item is six words"),
    make("p", "", "A query is decoded word by word, along paths that lead to live items. " +
      "A word that operations bind opens new paths while everything runs."),
    make("div", "path", ...groups.map((group) => chip(group, "", ""))),
    hint));
}

function searchFor(text) {
  $("q").value = text;
  search();
}

// The view that answers

function shardVersions(versions) {
  const [low, high] = [Math.min(...versions), Math.max(...versions)];
  return `${count(versions.length, "shard")} v${low === high ? low : `${low}–${high}`}`;
}

async function refreshStatus() {
  try {
    const status = await get("status");
    const fresh = status.freshness;
    $("fresh").className = `fresh ${fresh.ready ? "yes" : "no"}`;
    $("fresh").textContent = fresh.ready ? "fresh" : fresh.reasons.join("; ");
    $("versions").textContent =
      `generation ${status.version.generation} · view ${status.version.view} · bindings ` +
      `v${status.version.bindings} · ${shardVersions(status.version.shards)} · ` +
      `${count(status.items, "item")} · ${count(status.paths, "path")}`;
  } catch {
    $("fresh").className = "fresh no";
    $("fresh").textContent = "the replica does not answer";
  }
  setTimeout(refreshStatus, STATUS_EVERY_MS);
}

$("ask").addEventListener("submit", (event) => { event.preventDefault(); search(); });
$("q").addEventListener("input", search);
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && document.activeElement !== $("q")) {
    event.preventDefault();
    $("q").select();
  }
});

groups = (await get("bindings")).capacity.map((position) => position.group);
$("q").value = new URLSearchParams(location.search).get("q") ?? "";
search();
refreshStatus();
