// Tables sort by a click on a head, and filter by words; tables and commands can be copied.
const number = text => parseFloat(text.replace(/^< /, "").replaceAll(",", ""));
const add = (place, tag, values) => place.appendChild(Object.assign(document.createElement(tag), values));
const copyButton = (place, text) => navigator.clipboard && add(place, "button",
  {textContent: "Copy", onclick() { navigator.clipboard.writeText(text()); this.textContent = "Copied"; }});

const compare = (column, isNumber, sign) => (a, b) => {
  const [x, y] = [a, b].map(row => row.cells[column].textContent);
  if (!isNumber) return sign * x.localeCompare(y, undefined, {numeric: true});
  const [p, q] = [number(x), number(y)];
  return isNaN(p) || isNaN(q) ? isNaN(p) - isNaN(q) : sign * (p - q);  // what is no number comes last
};

for (const place of document.querySelectorAll(".command"))
  copyButton(place, () => place.firstChild.textContent);

// A page that loads itself again keeps what its reader has sorted, filtered, opened.
const kept = document.querySelector("meta[http-equiv=refresh]") && sessionStorage;
const states = JSON.parse(kept?.getItem("states") ?? "{}");
const keep = (key, value) => { states[key] = value; kept?.setItem("states", JSON.stringify(states)); };

document.querySelectorAll("table.sortable").forEach((table, index) => {
  const heads = [...table.tHead.rows[0].cells], rows = [...table.tBodies[0].rows];
  const tools = document.createElement("div");
  tools.className = "tools";
  table.closest("figure").prepend(tools);
  const search = add(tools, "input", {type: "search", placeholder: "Filter rows"});
  search.ariaLabel = search.placeholder;
  copyButton(tools, () => [table.tHead.rows[0], ...table.tBodies[0].rows].filter(row => !row.hidden)
    .map(row => [...row.cells].map(cell => cell.textContent).join("\t")).join("\n"));
  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/);
    for (const row of rows) row.hidden = !words.every(word => row.textContent.toLowerCase().includes(word));
    keep("filter" + index, search.value);
  };
  const sort = (column, sign) => {
    heads.forEach((head, i) => i === column
      ? head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending") : head.removeAttribute("aria-sort"));
    const isNumber = heads[column].classList.contains("number");
    table.tBodies[0].append(...rows.sort(compare(column, isNumber, sign)));
    keep("sort" + index, [column, sign]);
  };
  heads.forEach((head, column) => {
    const click = () => sort(column, head.getAttribute("aria-sort") === "ascending" ? -1 : 1);
    Object.assign(head, {tabIndex: 0, onclick: click, onkeydown: event => event.key === "Enter" && click()});
  });
  search.oninput = filter;
  if (states["sort" + index]) sort(...states["sort" + index]);
  if (states["filter" + index]) { search.value = states["filter" + index]; filter(); }
});

const folds = [...document.querySelectorAll("details")];
folds.forEach((fold, index) => {
  fold.open = states["open" + index] ?? fold.open;
  fold.ontoggle = () => keep("open" + index, fold.open);
});
let closed = [];
addEventListener("beforeprint", () => { for (const fold of closed = folds.filter(one => !one.open)) fold.open = true; });
addEventListener("afterprint", () => closed.forEach(fold => (fold.open = false)));
