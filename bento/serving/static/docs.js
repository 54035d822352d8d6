// Interactive API documentation: Swagger UI for the service's OpenAPI document.

import { KEY } from "./api.js";

const dark = matchMedia("(prefers-color-scheme: dark)");
const paint = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", paint);
paint();

// Accessibility attributes that Swagger UI's markup lacks, for screen readers and keyboard users.
const REPAIRS = {
  "select:not([aria-label]), textarea:not([aria-label]), input[type=file]:not([aria-label])": (control) => {
    const row = control.closest("[data-property-name], [data-param-name]");
    const title = control.closest(".opblock-section-header, .response-control-media-type") ? "Media type" : "Request body";
    control.setAttribute("aria-label", row?.dataset.paramName ?? row?.dataset.propertyName ?? title);
  },
  "pre:not([tabindex])": (block) => block.setAttribute("tabindex", "0"),
  "[role=region]": (region) => region.removeAttribute("role"),
  "h3.opblock-tag:not([aria-level])": (heading) => heading.setAttribute("aria-level", "2"),
  "h4:not([aria-level])": (heading) => heading.setAttribute("aria-level", "3"),
  "h5:not([aria-level])": (heading) => heading.setAttribute("aria-level", "4"),
  ".information-container:not([role])": (information) => information.setAttribute("role", "banner"),
};

function repair() {
  for (const [selector, mend] of Object.entries(REPAIRS)) document.querySelectorAll(selector).forEach(mend);
}

new MutationObserver(repair).observe(document.getElementById("api"), { childList: true, subtree: true });

const ui = window.SwaggerUIBundle({
  url: "/docs.json",
  dom_id: "#api",
  presets: [window.SwaggerUIBundle.presets.apis],
  tryItOutEnabled: true,
  syntaxHighlight: false,
  // no requests to other servers
  validatorUrl: null,
  onComplete: () => {
    // the key that was entered on the page in this tab
    const key = sessionStorage.getItem(KEY);
    if (key) ui.preauthorizeApiKey("key", key);
  },
});
