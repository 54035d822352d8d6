// The dialog that asks for the API key, which stays in this tab.

import { forgetKey, hasKey, onKeyNeeded } from "./api.js";
import { byId } from "./dom.js";

/** Ask by a dialog whenever the service wants a key. */
export function askByDialog() {
  const dialog = byId("key-dialog");
  byId("key-cancel").addEventListener("click", () => dialog.close(""));
  byId("forget").addEventListener("click", () => {
    forgetKey();
    location.reload();
  });
  onKeyNeeded((again) => new Promise((resolve) => {
    byId("key-told").textContent = again
      ? "That key is not known here, or it was revoked. Try another."
      : "The operator of this service gives you one. It is kept in this tab only, until you close it.";
    byId("key").value = "";
    dialog.returnValue = "";
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "ok" ? byId("key").value.trim() || null : null), { once: true });
    dialog.showModal();
  }));
}

/** Offer to forget the key if there is one. */
export function showKeyState() {
  byId("forget").hidden = !hasKey();
}
