// Makes pages nicer to use where scripts run. Everything works without it.
"use strict";

// Turns the gallery to a picture without moving the page.
const track = document.querySelector(".gallery-track");
const turnTo = (picture) => track.scrollTo({ left: picture.offsetLeft - track.offsetLeft });

// Menus close with Escape and with a click beside them.
const menus = document.querySelectorAll(".site-menu details, .switcher, .sort, .drawer");
document.addEventListener("click", (event) => {
  for (const menu of menus) {
    if (menu.open && !menu.contains(event.target)) menu.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of menus) {
    if (!menu.open) continue;
    const heldFocus = menu.contains(document.activeElement);
    menu.open = false;
    if (heldFocus) menu.querySelector("summary").focus();
  }
});

// A chosen variant shows its price, its availability and its picture.
for (const input of document.querySelectorAll("input[data-facts]")) {
  const choose = () => {
    for (const facts of document.querySelectorAll(".facts > div")) facts.hidden = facts.id !== input.dataset.facts;
    const picture = input.dataset.picture && document.getElementById(input.dataset.picture);
    if (picture) turnTo(picture);
    const isOut = input.closest(".option").classList.contains("out");
    for (const part of document.querySelectorAll(".purchase-row > :is(input, button)")) {
      part.disabled = isOut;
      if (part.type === "submit") part.textContent = isOut ? part.dataset.out : part.dataset.in;
    }
  };
  input.addEventListener("change", choose);
  // A browser that comes back to a page keeps the choice that was made there.
  if (input.checked) addEventListener("pageshow", () => input.checked && choose());
}

// Thumbnails turn the gallery, and show where it stands.
const thumbnails = [...document.querySelectorAll(".gallery-thumbs a")];
if (track && thumbnails.length > 0) {
  for (const thumbnail of thumbnails) {
    thumbnail.addEventListener("click", (event) => {
      const picture = document.querySelector(thumbnail.hash);
      if (!picture) return;
      event.preventDefault();
      turnTo(picture);
    });
  }
  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      for (const thumbnail of thumbnails) {
        if (thumbnail.hash === "#" + entry.target.id) thumbnail.setAttribute("aria-current", "true");
        else thumbnail.removeAttribute("aria-current");
      }
    }
  }, { root: track, threshold: 0.6 });
  for (const picture of track.children) observer.observe(picture);
}

// Fields that were left empty do not lengthen the address.
for (const form of document.querySelectorAll("form[data-omit-empty]")) {
  form.addEventListener("formdata", (event) => {
    for (const [name, value] of [...event.formData]) {
      if (value === "") event.formData.delete(name);
    }
  });
}

// A quantity that was changed in the cart counts at once.
for (const form of document.querySelectorAll(".cart-form")) {
  form.addEventListener("change", (event) => {
    if (event.target.type === "number" && form.reportValidity()) form.requestSubmit();
  });
}

// What belongs to one visitor is asked for after the page, once. The page is whole without it.
const slot = document.querySelector("[data-slot=session]");
if (slot) {
  fetch("/api/v1/session")
    .then((answer) => (answer.ok ? answer.json() : null))
    .then((session) => {
      if (!session) return;
      const pieces = session.cart ? session.cart.pieces : 0;
      const count = document.querySelector("[data-cart-count]");
      if (count) {
        count.textContent = pieces > 99 ? "99+" : String(pieces);
        count.hidden = pieces === 0;
      }
      const customer = session.customer;
      if (customer) slot.querySelector("[data-greeting]").textContent = customer.name || customer.email;
    })
    .catch(() => {});
}
