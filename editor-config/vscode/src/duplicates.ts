import * as vscode from "vscode";
import type { Middleware, vsdiag } from "vscode-languageclient/node";

/** The sidecar's code for "not the JSON that the product accepts". */
const JSON_SYNTAX = "SC003";

/**
 * Leaves to VS Code what its own JSON support underlines at the same places.
 *
 * Only in an open editor, where that support looks; the quick fixes are offered all the same.
 */
export const leaveJsonToVSCode: NonNullable<Middleware["provideDiagnostics"]> = async (
  document,
  previousResultId,
  token,
  next,
) => {
  const report = await next(document, previousResultId, token);
  if (!isFull(report) || !checkedByVSCode(document)) {
    return report;
  }
  return { ...report, items: report.items.filter((item) => codeOf(item) !== JSON_SYNTAX) };
};

function isFull(
  report: vsdiag.DocumentDiagnosticReport | null | undefined,
): report is vsdiag.RelatedFullDocumentDiagnosticReport {
  return report?.kind === "full";
}

function checkedByVSCode(subject: vscode.TextDocument | vscode.Uri): boolean {
  const document =
    subject instanceof vscode.Uri
      ? vscode.workspace.textDocuments.find(({ uri }) => uri.toString() === subject.toString())
      : subject;
  // As JSON with comments, VS Code accepts what the product does not.
  if (document?.languageId !== "json") {
    return false;
  }
  const wanted = vscode.workspace.getConfiguration("sidecar", document.uri);
  const validated = vscode.workspace.getConfiguration("json.validate", document.uri);
  return !wanted.get("reportJsonSyntax", false) && validated.get("enable", true);
}

function codeOf({ code }: vscode.Diagnostic): string | number | undefined {
  return typeof code === "object" ? code.value : code;
}
