// Reading without a network: each page that was seen is kept, with all that it loaded; the footer offers the whole book.
// The network comes first, so nobody reads an old edition.  What lies under lite/ has a worker of its own.

const CACHE = "book"; // offline.js fills the same
const OURS = new URL("./", location).pathname;

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("fetch", (event) => {
  const { origin, pathname } = new URL(event.request.url);
  const isOurs = origin === location.origin && pathname.startsWith(OURS) && !pathname.startsWith(OURS + "lite/");
  if (event.request.method === "GET" && isOurs) event.respondWith(answer(event));
});

async function answer(event) {
  try {
    const response = await fetch(event.request);
    if (response.status === 200 && !response.redirected) event.waitUntil(keep(event.request, response.clone()));
    return response;
  } catch (error) {
    const kept = await caches.match(event.request, { ignoreSearch: true });
    if (kept) return kept;
    if (event.request.mode === "navigate") return new Response(SORRY, { headers: { "Content-Type": "text/html" } });
    throw error;
  }
}

// One copy of each file, whatever the version in its address.
async function keep(request, response) {
  const cache = await caches.open(CACHE);
  await cache.delete(request, { ignoreSearch: true });
  await cache.put(request, response);
}

const SORRY = `<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>No network</title>
<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<body style="max-width: 34rem; margin: 12vh auto; padding: 0 1rem; font: 1.1rem/1.6 system-ui, sans-serif">
<main><h1>No network</h1><p>This page was not kept on this device. Those that you have read are.</p>
<p><a href="${OURS}book/index.html">To the first page</a></p></main></body></html>`;
