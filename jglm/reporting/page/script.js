// Tables sort by the column whose head is pressed; what is folded is opened for printing.
for (const button of document.querySelectorAll("thead button")) {
  button.addEventListener("click", () => {
    const head = button.parentElement, body = head.closest("table").tBodies[0], at = head.cellIndex;
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of head.parentElement.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const value = (row) => row.cells[at].dataset.value ?? row.cells[at].textContent;
    const order = (a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x === "" || y === "") return (x === "") - (y === ""); // without a value: last
      const by = Number.isNaN(x - y) ? x.localeCompare(y, undefined, { numeric: true }) : x - y;
      return down ? -by : by;
    };
    body.append(...[...body.rows].sort(order));
  });
}
const opened = [];
addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details:not([open])")) opened.push(part), (part.open = true);
});
addEventListener("afterprint", () => {
  for (const part of opened.splice(0)) part.open = false;
});
