// What a file is, its content decides. Gradio's image and sound look at its name before, so each is passed to them as one of
// their kind: `.HEIC` or a name without a suffix as well, and a video as a sound.

const KINDS = { image: "image", sound: "audio" }; // by the ids of the elements

function fieldOf(target) {
  return target instanceof Element ? target.closest(Object.keys(KINDS).map((id) => `#${id}`).join()) : null;
}

function asKind(files, kind) {
  const passed = new DataTransfer();
  for (const file of files) {
    const isOne = file.type.startsWith(`${kind}/`);
    passed.items.add(isOne ? file : new File([file], file.name, { type: `${kind}/unknown` }));
  }
  return passed.files;
}

// The browser's dialog would show files of some names only.
document.addEventListener("click", ({ target }) => {
  if (fieldOf(target) && target.type === "file") target.removeAttribute("accept");
}, true);

document.addEventListener("change", ({ target }) => {
  const field = fieldOf(target);
  if (field && target.type === "file") target.files = asKind(target.files, KINDS[field.id]);
}, true);

// Files that are dropped cannot be exchanged: they go the way of those that are chosen.
document.addEventListener("drop", (event) => {
  const input = fieldOf(event.target)?.querySelector("input[type=file]");
  if (!input || !event.dataTransfer.files.length) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  event.target.dispatchEvent(new DragEvent("dragleave", { bubbles: true }));
  input.files = event.dataTransfer.files;
  input.dispatchEvent(new Event("change", { bubbles: true }));
}, true);
