// Shows a report at several widths and judges what can be judged by a program: `report_images.mjs PLAN`.
import { createRequire } from "node:module";
import path from "node:path";

const plan = JSON.parse(process.argv[2]);
const { chromium } = createRequire(plan.modules)("playwright-core");
const SCREENS = [
  { name: "report-phone", width: 390, height: 844, shown: 2400, colorScheme: "light", scale: 1.5 },
  { name: "report-phone-dark", width: 390, height: 844, shown: 2400, colorScheme: "dark", scale: 1.5 },
  { name: "report-desktop", width: 1280, height: 900, shown: 1900, colorScheme: "light", scale: 1 },
  { name: "report-desktop-dark", width: 1280, height: 900, shown: 1900, colorScheme: "dark", scale: 1 },
];

// The contrast of each text with what is behind it, as WCAG 2 computes it; 4.5 is its AA.
function faint() {
  const channels = (colour) => colour.match(/[\d.]+/g).map(Number);
  const luminance = ([red, green, blue]) => {
    const [r, g, b] = [red, green, blue].map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = channels(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || element.tagName === "STYLE" || element.tagName === "title") continue;
    const style = getComputedStyle(element);
    const text = channels(element.closest("svg") ? style.fill : style.color);
    const pair = [luminance(text), luminance(behind(element))].sort((a, b) => b - a);
    const contrast = (pair[0] + 0.05) / (pair[1] + 0.05);
    if (contrast < 4.5) found.push(`${element.tagName} ${contrast.toFixed(1)}: ${element.textContent.slice(0, 30)}`);
  }
  return found;
}

const problems = [];
const browser = await chromium.launch({
  executablePath: plan.chromium,
  args: process.getuid?.() === 0 ? ["--no-sandbox"] : [],
});
for (const { name, width, height, shown, colorScheme, scale } of SCREENS) {
  const page = await browser.newPage({ viewport: { width, height }, colorScheme, deviceScaleFactor: scale });
  page.on("request", (request) => request.url() !== plan.page && problems.push(`${name} loads ${request.url()}`));
  page.on("console", (message) => problems.push(`${name} says ${message.text()}`));
  await page.goto(plan.page);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  if (wide > width) problems.push(`${name} is ${wide} px wide`);
  problems.push(...(await page.evaluate(faint)).map((text) => `${name}: too faint: ${text}`));
  await page.locator("details").first().evaluate((details) => { details.open = true; }).catch(() => {});
  const clip = { x: 0, y: 0, width, height: shown };
  await page.screenshot({ path: path.join(plan.pictures, `${name}.png`), fullPage: true, clip });
  console.log(`${name}: ${width} px, ${colorScheme}`);
  await page.close();
}
await browser.close();
problems.forEach((problem) => console.error(problem));
console.log(`${SCREENS.length} screens, ${problems.length} problems`);
process.exit(problems.length ? 1 : 0);
