// Asks the browser for a passkey and sends its answer by the page's own form.
"use strict";

(() => {
  const form = document.getElementById("passkey");
  if (!form) return;
  const show = (id, shown) => { document.getElementById(id).hidden = !shown; };
  if (!window.PublicKeyCredential || !navigator.credentials) {
    show("passkey-missing", true);
    return;
  }

  const bytes = (text) =>
    Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0)).buffer;
  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const listed = (list) => (list || []).map((one) => ({ ...one, id: bytes(one.id) }));

  const options = () => {
    const given = JSON.parse(form.dataset.options).publicKey;
    given.challenge = bytes(given.challenge);
    if (given.user) given.user.id = bytes(given.user.id);
    if (given.allowCredentials) given.allowCredentials = listed(given.allowCredentials);
    if (given.excludeCredentials) given.excludeCredentials = listed(given.excludeCredentials);
    return { publicKey: given };
  };

  const described = (credential) => {
    const response = { clientDataJSON: text(credential.response.clientDataJSON) };
    for (const name of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (credential.response[name]) response[name] = text(credential.response[name]);
    }
    if (credential.response.getTransports) response.transports = credential.response.getTransports();
    return JSON.stringify({
      id: credential.id,
      rawId: text(credential.rawId),
      type: credential.type,
      extensions: credential.getClientExtensionResults(),
      response,
    });
  };

  // A challenge lives five minutes: an older page gets a new one, without losing what was pressed.
  const born = performance.now();
  const old = () => performance.now() - born > 240000;
  const again = (start) => {
    const place = new URL(form.dataset.renew, location.href);
    if (start) place.searchParams.set("start", "1");
    location.replace(place);
  };

  let busy = false;
  const ask = async () => {
    if (busy) return;
    if (old()) {
      again(true);
      return;
    }
    busy = true;
    show("passkey-failed", false);
    show("passkey-waiting", true);
    try {
      const credential = form.dataset.kind === "create"
        ? await navigator.credentials.create(options())
        : await navigator.credentials.get(options());
      form.elements.credential.value = described(credential);
      form.requestSubmit();
    } catch {
      show("passkey-failed", true);
    } finally {
      show("passkey-waiting", false);
      busy = false;
    }
  };

  // Capturing, so that a press without an answer yet isn't sent and gets no turning mark.
  form.addEventListener("submit", (event) => {
    if (form.elements.credential.value) return;
    event.preventDefault();
    event.stopPropagation();
    ask();
  }, true);
  // Pressed before somebody listens, the form would go without an answer in it.
  form.querySelector("button.main").disabled = false;
  addEventListener("pageshow", () => { form.elements.credential.value = ""; });
  if ("start" in form.dataset) ask();
  if ("keep" in form.dataset) setInterval(() => { if (old() && !busy) again(false); }, 15000);
})();
