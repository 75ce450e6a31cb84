"use strict";
// Polls, speaks and uploads the way hospital apps do. Nothing here knows of the gateway; a refusal is shown as it came.

const byId = (id) => document.getElementById(id);

function poll(section) {
  const state = byId("vitals-state");
  const once = async () => {
    try {
      const answer = await fetch(section.dataset.source, { headers: { Accept: "application/json" } });
      if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
      const vitals = await answer.json();
      for (const field of section.querySelectorAll("[data-vital]")) field.textContent = vitals[field.dataset.vital];
      state.textContent = `更新 ${new Date(vitals.at).toLocaleTimeString("ja-JP")}`;
      state.dataset.polls = String(Number(state.dataset.polls || 0) + 1);
    } catch (error) {
      state.textContent = `更新できません (${error.message})`;
    }
  };
  once();
  setInterval(once, 5000);
}

function listen(list) {
  const state = byId("feed-state");
  const socket = new WebSocket(new URL(list.dataset.socket, location.href.replace(/^http/, "ws")));
  const add = (text) => {
    const item = document.createElement("li");
    item.textContent = text;
    list.prepend(item);
    while (list.children.length > 50) list.lastChild.remove();
  };
  socket.addEventListener("open", () => { state.textContent = "接続中 / connected"; });
  socket.addEventListener("close", (event) => { state.textContent = `切断 / closed (${event.code})`; });
  socket.addEventListener("message", (event) => {
    const told = JSON.parse(event.data);
    if (told.kind === "hello") state.textContent = `接続中 / connected: ${told.you}`;
    else if (told.kind === "message") add(`${told.from}: ${told.text}`);
    else add(`${told.bed} ${told.text}`);
  });
  byId("feed-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = byId("feed-text");
    if (socket.readyState === WebSocket.OPEN && text.value.trim()) socket.send(text.value);
    text.value = "";
  });
}

function submit(form, state, send) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    state.textContent = "…";
    try {
      const answer = await send(form);
      if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
      location.reload();
    } catch (error) {
      state.textContent = `保存できません (${error.message})`;
    }
  });
}

if (byId("vitals")) poll(byId("vitals"));
if (byId("feed")) listen(byId("feed"));
if (byId("note-form")) {
  submit(byId("note-form"), byId("note-state"), (form) => fetch(form.dataset.target, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ text: byId("note-text").value }),
  }));
}
if (byId("file-form")) {
  submit(byId("file-form"), byId("file-state"), (form) => {
    const file = byId("file").files[0];
    return fetch(form.dataset.target, {
      method: "POST",
      headers: { "Content-Type": "application/octet-stream", "X-File-Name": encodeURIComponent(file.name) },
      body: file,
    });
  });
}
