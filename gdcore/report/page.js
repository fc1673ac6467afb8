// Sorts and searches the samples; without it the page shows them all, as they were drawn.
(() => {
  const tools = document.getElementById("tools");
  if (!tools) return;
  const { query, order, near, found } = tools.elements;
  const columns = [...document.querySelectorAll("ol.texts")].map((list) => ({ list, items: [...list.children] }));

  const update = () => {
    const words = query.value.toLocaleLowerCase().split(/\s+/).filter(Boolean);
    const [key, sign] = order.value.split(" ");
    const rank = (item) => sign * item.dataset[key];
    const counts = columns.map(({ list, items }) => {
      items.sort((a, b) => rank(a) - rank(b) || a.dataset.order - b.dataset.order);
      for (const item of items) {
        const text = item.querySelector(".text").textContent.toLocaleLowerCase();
        item.hidden = !words.every((word) => text.includes(word));
      }
      list.append(...items);
      list.scrollTop = 0;
      return items.filter((item) => !item.hidden).length;
    });
    found.value = words.length ? `${counts.join(" · ")} of ${columns.map(({ items }) => items.length).join(" · ")}` : "";
    for (const { list } of columns) list.classList.toggle("brief", !near.checked);
  };

  tools.addEventListener("input", update);
  tools.addEventListener("submit", (event) => event.preventDefault());
  tools.hidden = false;
})();
