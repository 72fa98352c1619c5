/** Light and dark: as the reader's system has it, or as its button says. */

import { bytesFromBase64 } from "./weights.mjs";

/** @param colours the colour scale of each theme in base64 @param onChange draws everything again */
export function themes(button, colours, onChange) {
  const tables = { light: bytesFromBase64(colours.light), dark: bytesFromBase64(colours.dark) };
  const prefersDark = matchMedia("(prefers-color-scheme: dark)");
  let printing = false;

  function name() {
    if (printing) return "light";
    return document.documentElement.dataset.theme ?? (prefersDark.matches ? "dark" : "light");
  }

  function print(now) {
    printing = now;
    onChange();
  }

  button.addEventListener("click", () => {
    document.documentElement.dataset.theme = name() === "dark" ? "light" : "dark";
    onChange();
  });
  prefersDark.addEventListener("change", onChange);
  addEventListener("beforeprint", () => print(true));
  addEventListener("afterprint", () => print(false));
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth !== width) onChange();
    width = innerWidth;
  });

  return { name, colours: () => tables[name()] };
}
