// "Start the notebook over": deletes what JupyterLite keeps of it in this browser, so that it opens as the site has it.

const STORE = "minigrad course"; // contentsStorageName of build.py
const bar = document.querySelector(".run-bar");

bar.querySelector(".run-forget").onclick = (event) => {
  const path = event.target.dataset.notebook;
  if (!confirm(`Delete your work on ${path} from this browser?`)) return;
  const opening = indexedDB.open(STORE);
  opening.onsuccess = () => {
    const base = opening.result;
    const say = (text) => (bar.querySelector(".run-status").textContent = text);
    const done = () => say("The notebook opens as it was at first. If it is open now, close it without saving.");
    if (!base.objectStoreNames.contains("files")) {
      base.close();
      indexedDB.deleteDatabase(STORE).onsuccess = done; // we have just made an empty one
      return;
    }
    const change = base.transaction(["files", "checkpoints"], "readwrite");
    change.objectStore("files").delete(path);
    change.objectStore("checkpoints").delete(path);
    change.oncomplete = () => (base.close(), done());
  };
};
