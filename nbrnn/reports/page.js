// Tables are sorted by their numbers, those without one last; filtered, copied and saved.
const last = sign => (a, b) => {
  const [x, y] = [a, b].map(Number.isFinite);
  return x && y ? sign * (a - b) : y - x;
};
if (DataTable) Object.assign(DataTable.ext.type.order, {"num-asc": last(1), "num-desc": last(-1)});
const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark", dark.matches);
dark.addEventListener("change", follow);
follow();
for (const table of DataTable ? document.querySelectorAll("table.sortable") : [])
  new DataTable(table, {
    autoWidth: false,
    columnDefs: [{targets: "number", type: "num"}],
    columnControl: [["searchDropdown"]],
    layout: {topStart: "search", topEnd: {buttons: ["copy", "csv"]}, bottomStart: "info", bottomEnd: null},
    order: [],
    paging: false,
    stateDuration: -1,
    stateSave: document.querySelector("meta[http-equiv=refresh]") !== null,
  });
let closed = [];
addEventListener("beforeprint", () => {
  closed = [...document.querySelectorAll("details:not([open])")];
  for (const part of closed) part.open = true;
});
addEventListener("afterprint", () => closed.forEach(part => (part.open = false)));
