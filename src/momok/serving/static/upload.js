// A picture that is dropped on the form or chosen there, and a look at it. Without this file it is chosen.
(() => {
  "use strict";
  const drop = document.getElementById("drop");
  if (!drop) return;
  const input = document.getElementById("new-picture");
  const preview = document.getElementById("new-preview");
  const SIDE = 160; // pixels

  const show = async () => {
    const file = input.files[0];
    preview.hidden = true;
    if (!file) return;
    try {
      const picture = await createImageBitmap(file); // an address of its own would need a wider policy
      const scale = Math.min(SIDE / Math.max(picture.width, picture.height), 1);
      preview.width = Math.max(Math.round(picture.width * scale), 1);
      preview.height = Math.max(Math.round(picture.height * scale), 1);
      preview.getContext("2d").drawImage(picture, 0, 0, preview.width, preview.height);
      preview.hidden = false;
    } catch {
      // the server says what is wrong with it
    }
  };

  const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");

  drop.querySelector(".drop-hint").hidden = false;
  input.addEventListener("change", show);
  document.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault(); // beside the form it would leave the page
    drop.classList.toggle("drop-over", drop.contains(event.target));
  });
  document.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    drop.classList.remove("drop-over");
    if (!drop.contains(event.target)) return;
    const one = new DataTransfer();
    one.items.add(event.dataTransfer.files[0]);
    input.files = one.files;
    show();
  });
  if (input.files.length) show();
})();
