"use strict";
// Sorts and saves tables, filters decisions, enlarges pictures. The page says everything without it.
(() => {
  const all = (q, of = document) => [...of.querySelectorAll(q)];
  const make = (tag, of = {}) => Object.assign(document.createElement(tag), of);

  // A region that has nothing to scroll is no stop for the keyboard.
  const stops = () => all(".scroll, pre").forEach(e => {
    if (e.scrollWidth > e.clientWidth + 1) e.tabIndex = 0; else e.removeAttribute("tabindex");
  });
  addEventListener("resize", stops);
  document.addEventListener("toggle", stops, true);
  stops();

  const number = text => {
    const found = text.replace(/\u2212/g, "-").replace(/,(?=\d{3})/g, "").match(/^[^\w-]*(-?\d+(\.\d+)?)/);
    const unit = {"\u00b5s": 1e-6, ms: 1e-3, min: 60}[(text.match(/\d\s*(\u00b5s|ms|min)/) || [])[1]] || 1;
    return found ? found[1] * unit : NaN;
  };
  const value = cell => cell ? (cell.firstChild && cell.firstChild.nodeType === 3 ? cell.firstChild.data : cell.textContent).trim() : "";
  const sort = (table, column, head) => {
    const body = table.tBodies[0], up = head.ariaSort === "descending";
    const order = (a, b) => {  // What has no number comes last either way.
      const [x, y] = [a, b].map(row => value(row.cells[column])), [n, m] = [x, y].map(number);
      const words = x.localeCompare(y, "en", {numeric: true});
      return isNaN(n) - isNaN(m) || (up ? 1 : -1) * (isNaN(n) ? words : n - m);
    };
    all("th", table.tHead).forEach(th => th.ariaSort = null);
    head.ariaSort = up ? "ascending" : "descending";
    body.append(...[...body.rows].sort(order));
  };

  // What a spreadsheet would run as a formula is text there.
  const quote = text => `"${text.replace(/^([=@\t\r]|[+-](?![\d.,]+[^|!+*\/(=]*$))/, "'$1").replace(/"/g, '""')}"`;
  const save = (table, name) => {
    const rows = all("tr", table).map(row => [...row.cells].map(cell => {
      const plain = cell.cloneNode(true);
      all(".unseen", plain).forEach(e => e.remove());
      all("small", plain).forEach(e => e.prepend(" "));
      return quote(plain.textContent.replace(/\s+/g, " ").trim().replace(/\u2212/g, "-"));
    }).join(","));
    const link = make("a", {href: URL.createObjectURL(new Blob(["\ufeff" + rows.join("\r\n")], {type: "text/csv"})), download: name + ".csv"});
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  };
  all("main table").forEach((table, n) => {
    const caption = table.caption ? table.caption.textContent.trim() : `table ${n + 1}`;
    const name = caption.toLowerCase().replace(/[^a-z0-9@]+/g, "-").replace(/^-|-$/g, "").slice(0, 60) || "table";
    const button = make("button", {type: "button", className: "csv", textContent: "Download as CSV"});
    button.setAttribute("aria-label", `Download as CSV: ${caption}`);
    button.onclick = () => save(table, name);
    (table.closest(".scroll") || table).after(button);
    if (table.tBodies.length === 1 && table.tBodies[0].rows.length > 2)
      all("thead th", table).forEach((head, column) => {
        const sorter = make("button", {type: "button", className: "sorter"});
        sorter.append(...head.childNodes);
        sorter.onclick = () => sort(table, column, head);
        head.append(sorter);
      });
  });

  const tools = document.querySelector(".tools");
  if (tools) {
    const cards = all("#decisions .card"), count = tools.querySelector("output");
    const filter = () => {
      const {outcome, user} = tools.elements, text = user.value.trim().toLowerCase();
      cards.forEach(card => {
        const title = card.querySelector("h4").textContent.toLowerCase();
        card.hidden = (outcome.value && !card.classList.contains(outcome.value)) || !title.includes(text);
        if (text && !card.hidden) card.querySelector("details").open = true;
      });
      count.textContent = `${cards.filter(card => !card.hidden).length} of ${cards.length} shown`;
    };
    tools.hidden = false;
    tools.oninput = filter;
    tools.onsubmit = event => event.preventDefault();
  }

  const pictures = all(".picture");
  if (pictures.length && "HTMLDialogElement" in window) {
    const box = make("dialog", {className: "closer", onclick: () => box.close()});
    document.body.append(box);
    const open = picture => {
      const close = make("button", {type: "button", textContent: "Close"}), title = picture.getAttribute("aria-label");
      const large = picture.cloneNode(true);
      ["role", "tabindex"].forEach(each => large.removeAttribute(each));
      large.setAttribute("role", "img");
      box.setAttribute("aria-label", title);
      box.replaceChildren(large, make("p", {textContent: title.replace(/^Picture of /, "")}), close);
      box.showModal();
    };
    pictures.forEach(picture => {
      picture.setAttribute("role", "button");
      picture.setAttribute("tabindex", "0");
      picture.addEventListener("click", () => open(picture));
      picture.addEventListener("keydown", event => {
        if (event.key === "Enter" || event.key === " ") { event.preventDefault(); open(picture); }
      });
    });
  }

  const reveal = () => {
    const target = location.hash && document.getElementById(location.hash.slice(1));
    const fold = target && target.querySelector("details");
    if (fold) fold.open = true;
  };
  addEventListener("hashchange", reveal);
  reveal();
  addEventListener("beforeprint", () => all("details").forEach(fold => fold.open = true));
})();
