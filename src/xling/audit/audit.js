"use strict";
// Draws the charts, and each heat map with its slider of layers.
{
  const data = JSON.parse(document.getElementById("charts").textContent);
  const options = {
    renderer: "svg",
    ast: true, // no eval: the page's security policy forbids it
    config: data.config,
    logLevel: 1,
    actions: { export: true, source: false, compiled: false, editor: false },
  };
  for (const [id, spec] of Object.entries(data.panels)) {
    const place = document.getElementById(id);
    place.textContent = "";
    window.vegaEmbed(place, spec, { ...options, downloadFileName: id }).catch((problem) => {
      place.textContent = `This chart could not be drawn (${problem.message}); scores.csv has its numbers.`;
    });
  }

  // From white (0) through blue to dark (100 %), readable in light and dark.
  const shade = (percent) => {
    const t = percent / 100;
    return `hsl(${210 - 10 * t} ${30 + 60 * t}% ${96 - 66 * t}%)`;
  };

  const heat = (root, facts) => {
    const { languages, layers } = facts;
    const count = languages.length;
    const tables = Object.fromEntries(
      Object.entries(facts.metrics).map(([name, text]) => [
        name,
        Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)),
      ]),
    );
    const canvas = root.querySelector("canvas");
    const slider = root.querySelector("input[type=range]");
    const choice = root.querySelector("select");
    const label = root.querySelector("[data-layer]");
    const output = root.querySelector("output");
    const named = count <= 40;
    const cell = named ? Math.max(16, Math.min(44, Math.floor(640 / count))) : 4;
    const left = named ? 12 + 7.5 * Math.max(...languages.map((code) => code.length)) : 0;
    canvas.width = 2 * (left + count * cell);
    canvas.height = 2 * (left + count * cell);
    canvas.style.maxWidth = `${canvas.width / 2}px`;
    slider.max = layers.length - 1;
    slider.value = facts.best;
    for (const name of Object.keys(tables)) {
      const text = name === "p@1" ? "cosine" : "means subtracted";
      choice.add(new Option(text, name));
    }
    const at = (row, column) =>
      tables[choice.value][(Number(slider.value) * count + row) * count + column];

    const draw = () => {
      const pen = canvas.getContext("2d");
      pen.setTransform(2, 0, 0, 2, 0, 0);
      pen.clearRect(0, 0, canvas.width, canvas.height);
      const ink = getComputedStyle(canvas).color;
      pen.font = "12px system-ui, sans-serif";
      pen.textBaseline = "middle";
      for (let row = 0; row < count; row++) {
        for (let column = 0; column < count; column++) {
          const value = at(row, column);
          pen.fillStyle = shade(value);
          pen.fillRect(left + column * cell, left + row * cell, cell, cell);
          if (cell >= 28 && row !== column) {
            pen.fillStyle = value > 55 ? "#fff" : "#1b1f24";
            pen.textAlign = "center";
            pen.fillText(value, left + (column + 0.5) * cell, left + (row + 0.5) * cell);
          }
        }
        if (named) {
          pen.fillStyle = ink;
          pen.textAlign = "right";
          pen.fillText(languages[row], left - 6, left + (row + 0.5) * cell);
          pen.save();
          pen.translate(left + (row + 0.5) * cell, left - 6);
          pen.rotate(-Math.PI / 2);
          pen.textAlign = "left";
          pen.fillText(languages[row], 0, 0);
          pen.restore();
        }
      }
      label.textContent = layers[slider.value] === "output" ? "own output" : `layer ${layers[slider.value]}`;
    };
    canvas.addEventListener("pointermove", (event) => {
      const box = canvas.getBoundingClientRect();
      const scale = canvas.width / 2 / box.width;
      const column = Math.floor(((event.clientX - box.left) * scale - left) / cell);
      const row = Math.floor(((event.clientY - box.top) * scale - left) / cell);
      const inside = row >= 0 && column >= 0 && row < count && column < count;
      output.textContent = inside
        ? `from ${languages[row]} into ${languages[column]}: ${at(row, column)} %`
        : "";
    });
    for (const control of [slider, choice]) control.addEventListener("input", draw);
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
    draw();
  };
  for (const [id, facts] of Object.entries(data.matrices)) {
    const root = document.getElementById(id);
    if (root) heat(root, facts);
  }
}
