import * as vscode from "vscode";

import { documents, WORKSPACE_MARKS } from "./files.ts";
import { Session, wantsTestLenses } from "./session.ts";
import { Status } from "./status.ts";

let session: Session | undefined;

/** Starts the sidecar in an agent's workspace, or as soon as one of its files is opened. */
export async function activate(context: vscode.ExtensionContext): Promise<void> {
  const output = vscode.window.createOutputChannel("Sidecar", { log: true });
  const status = new Status();
  const started = new Session(context.extensionPath, output, status);
  session = started;
  context.subscriptions.push(
    output,
    status,
    started,
    vscode.commands.registerCommand("sidecar.restart", () => started.restart()),
    vscode.commands.registerCommand("sidecar.showOutput", () => output.show()),
    vscode.workspace.onDidOpenTextDocument((document) => startFor(started, document)),
    vscode.workspace.onDidChangeWorkspaceFolders(() => startInAgentWorkspace(started)),
    vscode.workspace.onDidChangeConfiguration((change) => {
      const ours = ["sidecar.command", "sidecar.reportJsonSyntax", "sidecar.testLenses"];
      if (started.started && ours.some((name) => change.affectsConfiguration(name))) {
        void started.restart();
      }
    }),
  );
  for (const document of vscode.workspace.textDocuments) {
    startFor(started, document);
  }
  await startInAgentWorkspace(started);
}

export async function deactivate(): Promise<void> {
  await session?.stop();
}

function startFor(session: Session, document: vscode.TextDocument): void {
  const wanted = documents(wantsTestLenses()) as vscode.DocumentSelector;
  if (!session.started && vscode.languages.match(wanted, document) > 0) {
    void session.start();
  }
}

async function startInAgentWorkspace(session: Session): Promise<void> {
  if (!session.started && (await hasAgentFiles())) {
    await session.start();
  }
}

async function hasAgentFiles(): Promise<boolean> {
  for (const folder of vscode.workspace.workspaceFolders ?? []) {
    const pattern = new vscode.RelativePattern(folder, WORKSPACE_MARKS);
    if ((await vscode.workspace.findFiles(pattern, null, 1)).length > 0) {
      return true;
    }
  }
  return false;
}
