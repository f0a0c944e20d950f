
// The text of `nbrnn explain`: each character is coloured by a unit's state, its loss or its probability.
{  // whose names are not those of page.js, which stands before it
const data = JSON.parse(document.getElementById("data").textContent);
const states = Uint8Array.from(atob(data.states), character => character.charCodeAt(0));
const characters = [...data.text], N = characters.length;
const [about, legend, place] = ["about", "legend", "text"].map(id => document.getElementById(id));
const stateOf = (unit, n) => (states[unit * N + n] - 128) / 127;
const lossOf = n => data.probability[n] === null ? null : -Math.log(data.probability[n]);
const tint = (name, share) => `color-mix(in srgb, var(--${name}) ${Math.round(85 * Math.min(1, share))}%, transparent)`;
const signed = value => tint(value < 0 ? "low" : "high", Math.abs(value));
const colours = {
  unit: n => signed(stateOf(unit, n)),
  loss: n => n && tint("low", lossOf(n) / data.maxLoss),
  probability: n => n && tint("high", data.probability[n]),
};
const ends = {unit: ["-1", "1"], loss: ["0", `${data.maxLoss.toFixed(1)} nats or more`], probability: ["0", "1"]};
const escapes = {"\n": "newline", "\t": "tab", " ": "space"};
const code = character => character < " " ? JSON.stringify(character).slice(1, -1)  // as \r
  : "U+" + character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
const isHidden = character => /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/u.test(character) && !"\n\t".includes(character);

let by = "unit", unit = 0, chosen = 0;
const spans = characters.map(character => {
  const shown = character === "\n" ? "↵\n" : isHidden(character) ? code(character) : character;
  return add(place, "span", {textContent: shown});
});
const buttons = [...document.querySelectorAll("[data-by]")];
const rows = () => [...document.querySelectorAll("#units tbody tr")].filter(row => !row.hidden);
const unitOf = row => data.labels.indexOf(row.cells[0].textContent);

const describe = () => {
  const character = characters[chosen], p = data.probability[chosen];
  const name = escapes[character] ?? (isHidden(character) ? code(character) : character);
  const given = p === null ? "the first one" : `probability ${p.toPrecision(2)}, loss ${lossOf(chosen).toFixed(2)} nats`;
  about.textContent = `Unit ${data.labels[unit]}. Character ${chosen + 1}, ${name}: ` +
    `state ${stateOf(unit, chosen).toFixed(2)}, ${given}.`;
};
const paint = () => {
  spans.forEach((span, n) => { span.style.background = colours[by](n) || ""; });
  for (const button of buttons) button.setAttribute("aria-pressed", button.dataset.by === by);
  for (const row of document.querySelectorAll("#units tbody tr"))
    row.ariaSelected = by === "unit" && unitOf(row) === unit;
  const shares = [0, 1, 2, 3, 4].map(step => by === "unit" ? signed(step / 2 - 1)
    : tint(by === "loss" ? "low" : "high", step / 4));
  legend.replaceChildren(ends[by][0], ...shares.map(colour => {
    const box = document.createElement("i");
    box.style.background = colour;
    return box;
  }), ends[by][1]);
  describe();
};
const choose = n => {
  spans[chosen].className = "";
  chosen = Math.max(0, Math.min(N - 1, n));
  spans[chosen].className = "chosen";
  describe();
};
const showUnit = number => { unit = number; by = "unit"; paint(); };

for (const button of buttons) button.onclick = () => { by = button.dataset.by; paint(); };
for (const row of rows()) {
  const label = row.cells[0].textContent, number = unitOf(row);
  row.cells[0].replaceChildren();
  add(row.cells[0], "button", {textContent: label, onclick: () => showUnit(number)});
}
place.onclick = event => { const n = spans.indexOf(event.target); if (n >= 0) choose(n); };
place.onkeydown = event => {
  const side = {ArrowLeft: -1, ArrowRight: 1}[event.key], step = {ArrowUp: -1, ArrowDown: 1}[event.key];
  if (!side && !step) return;
  event.preventDefault();
  if (side) {
    choose(chosen + side);
    spans[chosen].scrollIntoView({block: "nearest"});
    return;
  }
  const all = rows(), next = all[all.findIndex(row => unitOf(row) === unit) + step];
  if (next) showUnit(unitOf(next));
};
choose(0);
showUnit(unitOf(rows()[0]));
}
