// Example clips as buttons: an image, a name. Run by gradio's HTML component; a click tells which one it was.

const shelf = element.querySelector(".choices");

function button(choice, index) {
  const made = document.createElement("button");
  made.type = "button";
  if (choice.image) {
    const image = document.createElement("img");
    image.src = choice.image;
    image.alt = "";
    made.append(image);
  }
  const name = document.createElement("span");
  name.textContent = choice.name;
  made.append(name);
  made.addEventListener("click", (event) => {
    event.stopPropagation();
    trigger("click", { index });
  });
  return made;
}

shelf.replaceChildren(...(props.value || []).map(button));
