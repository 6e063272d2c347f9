"use strict";
// Draws the page's charts and connects them with the controls above them.
{
  const data = JSON.parse(document.getElementById("charts").textContent);
  const controls = document.getElementById("controls");
  const views = [];
  const options = {
    renderer: "svg",
    ast: true, // no eval: the page's security policy forbids it
    config: data.config,
    logLevel: 1, // errors only: hiding every variant is no reason to warn
    actions: { export: true, source: false, compiled: false, editor: false },
  };

  for (const [id, spec] of Object.entries(data.panels)) {
    const place = document.getElementById(id);
    place.textContent = "";
    window.vegaEmbed(place, spec, { ...options, downloadFileName: id }).then(
      (result) => views.push({ view: result.view, place, parameters: spec.params.map((p) => p.name) }),
      (problem) => {
        place.textContent = `This chart could not be drawn (${problem.message}); its numbers are in the tables below.`;
      },
    );
  }

  const chosen = (name, ticked) =>
    [...controls.querySelectorAll(`input[name="${name}"]`)]
      .filter((input) => input.checked === ticked)
      .map((input) => input.value);

  const apply = () => {
    const values = { hidden: chosen("variant", false), measure: chosen("measure", true)[0] };
    for (const { view, place, parameters } of views) {
      for (const [name, value] of Object.entries(values)) {
        const applies = name !== "measure" || place.closest("[data-centring]");
        if (value !== undefined && applies && parameters.includes(name)) view.signal(name, value);
      }
      view.runAsync();
    }
    const hiddenPairs = chosen("pair", false);
    for (const figure of document.querySelectorAll("[data-pair]")) {
      figure.hidden = hiddenPairs.includes(figure.dataset.pair);
    }
    for (const panel of document.querySelectorAll("[data-variant]")) {
      panel.hidden = values.hidden.includes(panel.dataset.variant);
    }
    window.dispatchEvent(new Event("resize")); // charts that were hidden have no width yet
  };

  // Pointing at a variant's name, or reaching it by keyboard, fades the others.
  const focus = (variant) => {
    for (const { view, parameters } of views) {
      if (parameters.includes("focus")) view.signal("focus", variant).runAsync();
    }
  };
  for (const input of controls.querySelectorAll('input[name="variant"]')) {
    const label = input.closest("label");
    label.addEventListener("pointerenter", () => focus(input.value));
    label.addEventListener("pointerleave", () => focus(""));
    input.addEventListener("focus", () => input.matches(":focus-visible") && focus(input.value));
    input.addEventListener("blur", () => focus(""));
  }
  for (const button of controls.querySelectorAll("button[data-tick]")) {
    button.addEventListener("click", () => {
      for (const input of controls.querySelectorAll('input[name="variant"]')) {
        input.checked = button.dataset.tick === "all";
      }
      apply();
    });
  }

  controls.hidden = false;
  controls.addEventListener("change", apply);

  // On paper nothing can be opened, so everything is.
  const closed = new Set();
  window.addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("main details:not([open])")) {
      closed.add(details);
      details.open = true;
    }
  });
  window.addEventListener("afterprint", () => {
    for (const details of closed) details.open = false;
    closed.clear();
  });
}
