"use strict";
// The slider of the search, small notes at what is pointed at, and everything open when printed. Without script all
// is on the page, one below the other.
(function () {
  for (const box of document.querySelectorAll(".views")) {
    const views = Array.from(box.querySelectorAll(".view"));
    const slider = document.getElementById(box.dataset.slider);
    if (!slider || views.length < 2) continue;
    const bar = slider.querySelector("input");
    const said = slider.querySelector("output");
    const show = function (at) {
      at = Math.max(0, Math.min(views.length - 1, at));
      views.forEach(function (view, i) { view.hidden = i !== at; });
      bar.value = String(at);
      const words = views[at].dataset.title;
      bar.setAttribute("aria-valuetext", (at + 1) + " of " + views.length + ": " + words);
      said.textContent = (at + 1) + " of " + views.length;
    };
    bar.max = String(views.length - 1);
    bar.addEventListener("input", function () { show(Number(bar.value)); });
    for (const button of slider.querySelectorAll("button")) {
      button.addEventListener("click", function () { show(Number(bar.value) + Number(button.dataset.step)); });
    }
    slider.hidden = false;
    show(views.length - 1);
  }

  const tip = document.createElement("div");
  tip.id = "tip";
  tip.hidden = true;
  tip.setAttribute("aria-hidden", "true"); // the tables say the same
  document.body.appendChild(tip);
  const point = function (event) {
    const at = event.target.closest ? event.target.closest("[data-tip]") : null;
    tip.hidden = !at;
    if (!at) return;
    tip.textContent = at.dataset.tip;
    const wide = document.documentElement.clientWidth;
    const x = Math.min(event.pageX + 12, wide - tip.offsetWidth - 4);
    tip.style.left = Math.max(4, x) + "px";
    tip.style.top = event.pageY + 14 + "px";
  };
  document.addEventListener("pointerover", point);
  document.addEventListener("pointerdown", point);
  document.addEventListener("keydown", function (event) { if (event.key === "Escape") tip.hidden = true; });

  let closed = [];
  window.addEventListener("beforeprint", function () {
    closed = Array.from(document.querySelectorAll("details:not([open]):not(.long)"));
    closed.forEach(function (one) { one.open = true; });
  });
  window.addEventListener("afterprint", function () { closed.forEach(function (one) { one.open = false; }); });
})();
