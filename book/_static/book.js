// For keyboards and screen readers, what the theme leaves out.

function formulas() {
  for (const formula of document.querySelectorAll(".katex-display")) {
    if (formula.scrollWidth > formula.clientWidth) formula.tabIndex = 0; // the arrow keys scroll it
    else formula.removeAttribute("tabindex");
  }
}

// The theme takes the focus from its buttons when they are clicked, for its tooltips: a keyboard would start all over.
function keepFocus(button) {
  button.blur = () => button.matches(":focus-visible") || HTMLElement.prototype.blur.call(button);
}

addEventListener("load", () => {
  formulas();
  document.querySelectorAll(".theme-switch-button, .search-button, .sidebar-toggle").forEach(keepFocus);
  const sidebar = document.querySelector("#pst-primary-sidebar");
  if (sidebar) [sidebar.role, sidebar.ariaLabel] = ["complementary", "The book"];
  addEventListener("resize", formulas);
  for (const summary of document.querySelectorAll(".bd-docs-nav summary")) {
    summary.ariaLabel = `Sections of ${summary.closest("li").querySelector("a").textContent.trim()}`;
  }
  for (const entry of document.querySelectorAll("[role=doc-biblioentry]")) entry.role = "listitem";
  // Labels that differ from what is seen
  for (const labelled of document.querySelectorAll(".search-button-field, .cell summary")) {
    labelled.removeAttribute("aria-label");
  }
});
