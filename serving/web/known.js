// What a person knows of the picture, typed beside it: checked before it is sent, and not sent where it was left empty.

const at = (id) => document.getElementById(id);
const isNumber = (text) => /^\s*(\d+\.?\d*|\.\d+)\s*$/.test(text);

const FIELDS = {
  spacing: {
    name: "spacing_mm", unit: "mm per pixel", wanted: "row,column, both above 0, such as 0.08,0.08",
    fits: (text) => text.split(",").length === 2 && text.split(",").every((part) => isNumber(part) && Number(part) > 0),
    sent: (text) => text,
  },
  age: {
    name: "age_years", unit: "years", wanted: "a number from 0 to 130, such as 9.5",
    fits: (text) => isNumber(text) && Number(text) <= 130, sent: Number,
  },
  laterality: { name: "laterality", unit: "hip", fits: () => true, sent: (text) => text },
};

// {spacing_mm, age_years, laterality} as far as they are given; null where a field is wrong, which then says so.
export function known() {
  const told = {};
  let wrong = false;
  for (const [id, { name, wanted, fits, sent }] of Object.entries(FIELDS)) {
    const text = at(id).value.trim(), fine = !text || fits(text);
    at(id).setAttribute("aria-invalid", String(!fine));
    if (at(`${id}-wrong`)) at(`${id}-wrong`).textContent = fine ? "" : `not used: expected ${wanted}`;
    wrong ||= !fine;
    if (text && fine) told[name] = sent(text);
  }
  return wrong ? null : told;
}

export const inWords = (told) => Object.values(FIELDS).filter(({ name }) => name in told)
  .map(({ name, unit }) => `${told[name]} ${unit}`).join(", ") || "no scale, age or side of yours";

export function onKnown(changed) {
  for (const id of Object.keys(FIELDS)) at(id).addEventListener("change", changed);
}
