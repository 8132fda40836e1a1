// Reading without a network (worker.js): keep the page that is open, and the whole book for those who ask.

const root = new URL(document.documentElement.dataset.content_root, location.href);

// The first page was loaded before there was a worker that could keep it.
async function keepThisPage() {
  const cache = await caches.open("book");
  const loaded = [location.pathname, ...performance.getEntriesByType("resource").map(({ name }) => name)];
  for (const address of new Set(loaded)) {
    const url = new URL(address, location.href);
    if (!url.href.startsWith(root.href) || url.href.startsWith(new URL("lite/", root).href)) continue;
    const response = await fetch(url, { cache: "force-cache" });
    if (response.status === 200 && !response.redirected) await cache.put(url, response);
  }
  document.documentElement.dataset.kept = "page";
}

async function keepBook(button, says) {
  const { bytes, files } = await (await fetch(new URL("offline.json", root))).json();
  const cache = await caches.open("book");
  button.ariaDisabled = "true"; // not `disabled`, which would lose the focus
  for (let k = 0; k < files.length; k += 12) {
    says.textContent = `${Math.round((100 * k) / files.length)} % of ${Math.ceil(bytes / 1e6)} MB …`;
    await cache.addAll(files.slice(k, k + 12).map((file) => new URL(file, root).href));
  }
  says.textContent = "The whole book is kept on this device.";
}

async function offer() {
  const isFirst = !navigator.serviceWorker.controller;
  await navigator.serviceWorker.register(new URL("worker.js", root));
  await navigator.serviceWorker.ready;
  if (isFirst) await keepThisPage();
  const place = document.querySelector("#offline");
  if (!place) return;
  const [button, says] = [document.createElement("button"), document.createElement("span")];
  button.type = "button";
  button.textContent = "Keep the whole book for reading offline";
  says.role = "status";
  button.addEventListener("click", () => {
    if (button.ariaDisabled) return;
    keepBook(button, says).catch(() => {
      button.ariaDisabled = null;
      says.textContent = "Not all of it could be kept: is there a network, and room on this device?";
    });
  });
  place.append(button, " ", says);
}

if ("serviceWorker" in navigator && isSecureContext) {
  addEventListener("load", () => (window.requestIdleCallback ?? setTimeout)(() => offer().catch(console.warn)));
}
