// What the browser does itself: the theme, and putting what the server pushes in its place.
(() => {
  const root = document.documentElement;
  root.lang = "en";
  const system = matchMedia("(prefers-color-scheme: dark)");
  const order = ["auto", "light", "dark"];
  let chosen = "auto";
  try { chosen = localStorage.getItem("wattstorm-theme") || "auto"; } catch { /* storage is off */ }
  const apply = () => {
    const dark = chosen === "dark" || (chosen === "auto" && system.matches);
    root.dataset.theme = dark ? "dark" : "light";
    root.dataset.choice = chosen;
  };
  system.addEventListener("change", apply);
  apply();
  document.addEventListener("click", (event) => {
    if (!event.target.closest || !event.target.closest("button.theme")) return;
    chosen = order[(order.indexOf(chosen) + 1) % order.length];
    try { localStorage.setItem("wattstorm-theme", chosen); } catch { /* storage is off */ }
    apply();
  });

  // Changes only what differs, so that focus, selection and scroll positions stay.
  const morph = (old, fresh) => {
    if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) {
      old.replaceWith(fresh);
      return;
    }
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.data !== fresh.data) old.data = fresh.data;
      return;
    }
    for (const { name } of [...old.attributes]) {
      if (!fresh.hasAttribute(name)) old.removeAttribute(name);
    }
    for (const { name, value } of [...fresh.attributes]) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    children(old, fresh);
  };
  const children = (old, fresh) => {
    const was = [...old.childNodes], is = [...fresh.childNodes];
    is.forEach((node, i) => (i < was.length ? morph(was[i], node) : old.append(node)));
    was.slice(is.length).forEach((node) => node.remove());
  };
  window.wattstorm = {
    show(parts) {
      for (const [id, html] of Object.entries(parts)) {
        const place = document.getElementById(id);
        if (!place) continue;
        const holder = document.createElement("template");
        holder.innerHTML = html;
        children(place, holder.content);
      }
    },
  };
})();
