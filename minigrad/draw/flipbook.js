// <mg-flipbook>: shows one of its frames, and the caption that belongs to it.
//
// A flipbook has one slider or several; their places together say which frame, as digits say a number.
// Everything is in the HTML already (flipbook.py): this file only moves the attribute `hidden`.

class Flipbook extends HTMLElement {
  connectedCallback() {
    if (this.turns) return; // moved to another place, not made
    this.frames = [...this.querySelector(".mg-frames").children];
    this.captions = [...this.querySelector("figcaption").children];
    this.turns = [...this.querySelectorAll(".mg-turn")].map((turn) => this.prepare(turn));
    this.show();
  }

  // Connect the two buttons and the slider of one row.
  prepare(turn) {
    const slider = turn.querySelector("input");
    const [back, on] = turn.querySelectorAll("button");
    const readout = turn.querySelector("span");
    const texts = JSON.parse(slider.dataset.texts);
    const move = (step) => {
      slider.valueAsNumber += step; // the slider stops at its ends by itself
      this.show();
    };
    slider.addEventListener("input", () => this.show());
    back.addEventListener("click", () => move(-1));
    on.addEventListener("click", () => move(1));
    turn.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault(); // the slider would do the same, but JupyterLab doesn't let it
      event.stopPropagation();
      move(step);
    });
    slider.value = 0;
    readout.style.minWidth = Math.max(...texts.map((text) => text.length)) + "ch"; // so that nothing moves
    turn.hidden = false;
    return { slider, back, on, readout, texts };
  }

  show() {
    let index = 0;
    for (const { slider, back, on, readout, texts } of this.turns) {
      const place = slider.valueAsNumber;
      index = index * texts.length + place;
      readout.textContent = texts[place];
      slider.setAttribute("aria-valuetext", texts[place]);
      back.setAttribute("aria-disabled", place === 0); // not `disabled`, which would lose the focus
      on.setAttribute("aria-disabled", place === texts.length - 1);
    }
    for (const pile of [this.frames, this.captions]) {
      pile.forEach((page, k) => (page.hidden = k !== index));
    }
  }
}

if (!customElements.get("mg-flipbook")) customElements.define("mg-flipbook", Flipbook);
