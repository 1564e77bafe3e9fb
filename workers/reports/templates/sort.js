for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.querySelectorAll("tr.heads th")];
  const compare = (a, b, up) => {
    if (a === b) return 0;
    if (a === "") return 1;
    if (b === "") return -1;
    const numbers = [Number(a), Number(b)];
    const order = numbers.some(Number.isNaN)
      ? a.localeCompare(b, "en", { numeric: true })
      : numbers[0] - numbers[1];
    return up ? order : -order;
  };
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const keyed = [...table.tBodies].map((body) => [body.rows[0].cells[column].dataset.key ?? "", body]);
      keyed.sort((a, b) => compare(a[0], b[0], up));
      table.append(...keyed.map(([, body]) => body));
    });
  });
}
