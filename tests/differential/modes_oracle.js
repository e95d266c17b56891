// The product's pipeline over the real packages `yaml` and `zod`; one JSON request and answer a line.
const { createInterface } = require("node:readline");
const YAML = require("yaml");
const { z } = require("zod");

const BROWSER = "browser";
const name = z.enum(["read", "edit", "command", "mcp", "modes"]);
const compiles = (pattern) => {
  try {
    return !pattern || Boolean(new RegExp(pattern));
  } catch {
    return false;
  }
};
const unique = (key) => (items) => new Set(items.map(key)).size === items.length;
const options = z.object({
  fileRegex: z.string().optional().refine(compiles, { message: "Invalid regular expression pattern" }),
  description: z.string().optional(),
});
const groupName = (group) => (Array.isArray(group) ? group[0] : group);
const groups = z.preprocess(
  (value) => (Array.isArray(value) ? value.filter((group) => groupName(group) !== BROWSER) : value),
  z
    .array(z.union([name, z.tuple([name, options])]))
    .refine(unique(groupName), { message: "Duplicate groups are not allowed" }),
);
const text = z.string().optional();
const mode = z.object({
  slug: z.string().regex(/^[a-zA-Z0-9-]+$/, "Slug must contain only letters numbers and dashes"),
  name: z.string().min(1, "Name is required"),
  roleDefinition: z.string().min(1, "Role definition is required"),
  whenToUse: text,
  description: text,
  customInstructions: text,
  groups,
  source: z.enum(["global", "project"]).optional(),
});
const file = z.object({
  customModes: z
    .array(mode)
    .refine(unique((one) => one.slug), { message: "Duplicate mode slugs are not allowed" }),
});

const clean = (given) =>
  given
    .replace(/^\uFEFF/, "")
    .replace(/\u00A0/g, " ")
    .replace(/[\u200B-\u200D]/g, "")
    .replace(/[\u2010-\u2015\u2212]/g, "-")
    .replace(/[\u2018\u2019]/g, "'")
    .replace(/[\u201C\u201D]/g, '"');

function read(given) {
  try {
    return { content: YAML.parse(clean(given)) };
  } catch (error) {
    try {
      return { content: JSON.parse(given) };
    } catch {
      return { line: /at line (\d+)/.exec(error.message)?.[1] ?? null };
    }
  }
}

function judge(given) {
  const { content, line } = read(given);
  if (line !== undefined) return { verdict: "yaml-error", line: line && Number(line) };
  if (!content?.customModes) return { verdict: "silent-empty" };
  const result = file.safeParse(content);
  if (!result.success)
    return { verdict: "schema-error", issues: result.error.issues.map((one) => [one.path, one.message]) };
  return { verdict: "valid", modes: result.data.customModes.map((one) => ({ ...one, source: "project" })) };
}

process.removeAllListeners("warning");
createInterface({ input: process.stdin }).on("line", (line) => {
  console.log(JSON.stringify(judge(JSON.parse(line))));
});
