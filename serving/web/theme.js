// Light, dark or as the system has it, kept from visit to visit.

const THEMES = ["auto", "light", "dark"];
const root = document.documentElement;

function setTheme(name) {
  root.dataset.theme = name;
  document.getElementById("theme").textContent = `Theme: ${name}`;
  localStorage.setItem("theme", name);
}

export const keptTheme = () => setTheme(localStorage.getItem("theme") ?? "auto");
export const nextTheme = () => setTheme(THEMES[(THEMES.indexOf(root.dataset.theme) + 1) % THEMES.length]);
