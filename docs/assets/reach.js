/* What scrolls can be reached and scrolled by keyboard, and the search has a name for those who hear it. */
"use strict";

const scrolls = (each) => each.scrollWidth > each.clientWidth || each.scrollHeight > each.clientHeight;
const reach = () => {
  for (const each of document.querySelectorAll(".md-typeset__scrollwrap, pre > code")) {
    if (each.tabIndex !== 0 && scrolls(each)) each.tabIndex = 0;
  }
};

document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
// The theme takes the attribute away again where there is no mouse.
const watched = { childList: true, subtree: true, attributeFilter: ["tabindex"] };
new MutationObserver(reach).observe(document.body, watched);
addEventListener("resize", reach);
reach();
