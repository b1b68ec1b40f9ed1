"use strict";
(() => {
  const form = document.querySelector("form.filters");
  if (!form) return;
  const items = [...document.querySelectorAll("li[data-text]")];
  const groups = [...document.querySelectorAll("section[data-group]")];
  const count = document.getElementById("count");
  const asked = new URLSearchParams(location.search);
  for (const field of form.elements) if (field.name && asked.has(field.name)) field.value = asked.get(field.name);

  function matches(item, chosen) {
    return chosen.every(([name, value]) => name === "q"
      ? value.toLowerCase().split(/\s+/).every((word) => item.dataset.text.includes(word))
      : ` ${item.dataset[name]} `.includes(` ${value} `));
  }
  function show() {
    const chosen = [...new FormData(form)].map(([name, value]) => [name, value.trim()]).filter(([, value]) => value);
    let left = 0;
    for (const item of items) left += !(item.hidden = !matches(item, chosen));
    for (const group of groups) group.hidden = !group.querySelector("li[data-text]:not([hidden])");
    count.textContent = left;
    document.getElementById("nothing").hidden = left > 0;
    return new URLSearchParams(chosen).toString();
  }
  form.addEventListener("input", () => {
    const query = show();
    history.replaceState(null, "", query ? `?${query}` : location.pathname);
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  show();
})();
