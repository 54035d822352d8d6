// The model card in a new tab: a plain link could not send the API key.

import { call } from "./api.js";
import { byId, showProblems } from "./dom.js";

const KEPT_MS = 60_000;

/** Open the model card when its button is clicked. */
export function openCardByButton() {
  byId("card").addEventListener("click", async () => {
    try {
      const { blob } = await call("GET", "/card");
      const url = URL.createObjectURL(new Blob([blob], { type: "text/html" }));
      window.open(url, "_blank", "noopener");
      setTimeout(() => URL.revokeObjectURL(url), KEPT_MS);
    } catch (error) {
      showProblems(byId("card-problem"), error);
    }
  });
}
