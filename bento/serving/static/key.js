// The dialog that asks for the API key, which is kept in this tab only.

import { forgetKey, hasKey, onKeyNeeded } from "./api.js";
import { byId } from "./dom.js";

/** Open the dialog whenever the service requires a key. */
export function askByDialog() {
  const dialog = byId("key-dialog");
  byId("key-cancel").addEventListener("click", () => dialog.close(""));
  byId("forget").addEventListener("click", () => {
    forgetKey();
    location.reload();
  });
  onKeyNeeded((again) => new Promise((resolve) => {
    byId("key-told").textContent = again
      ? "This key is not known, or it was revoked. Try another one."
      : "You get one from the operator of this service. It is kept in this tab only, until you close it.";
    byId("key").value = "";
    dialog.returnValue = "";
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "ok" ? byId("key").value.trim() || null : null), { once: true });
    dialog.showModal();
  }));
}

/** Show the button that forgets the key if there is one. */
export function showKeyState() {
  byId("forget").hidden = !hasKey();
}
