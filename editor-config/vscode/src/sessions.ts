import * as vscode from "vscode";

import { isOwnedBy } from "./client.ts";
import { documents, WORKSPACE_MARKS } from "./files.ts";
import { change, NO_FOLDER, wanted } from "./folders.ts";
import { Session, wantsTestLenses } from "./session.ts";
import { combined, type State } from "./state.ts";
import type { Status } from "./status.ts";

interface Held {
  readonly folder: vscode.WorkspaceFolder | undefined;
  readonly session: Session;
}

/**
 * The sidecars of a window: one for each folder, so that agents in a folder see what is typed there.
 *
 * A folder gets its sidecar when it holds an agent's files, or when one of them is opened.
 */
export class Sessions implements vscode.Disposable {
  private readonly held = new Map<string, Held>();
  private readonly states = new Map<string, State>();
  /** Each trouble is said once, not once for each folder. */
  private readonly told = new Set<string>();

  constructor(
    private readonly home: string,
    private readonly output: vscode.LogOutputChannel,
    private readonly status: Status,
  ) {}

  /** Follows the folders that are open now. */
  async follow(): Promise<void> {
    const folders = new Map(foldersOnDisk().map((folder) => [folder.uri.toString(), folder]));
    const { ended, begun, resized } = change([...this.held.keys()], wanted([...folders.keys()]));
    const ending = ended.map((key) => this.end(key));
    for (const key of begun) {
      this.held.set(key, { folder: folders.get(key), session: this.session(key, folders.get(key)) });
    }
    const around = resized.map(async (key) => {
      const session = this.held.get(key)?.session;
      await (session?.started ? session.restart() : undefined);
    });
    for (const document of vscode.workspace.textDocuments) {
      this.startFor(document);
    }
    await Promise.all([...ending, ...around, ...begun.map((key) => this.startWhereAgentsWork(key))]);
  }

  /** Starts the sidecar of a document's folder, if it is one of its files. */
  startFor(document: vscode.TextDocument): void {
    const selector = documents(wantsTestLenses()) as vscode.DocumentSelector;
    if (vscode.languages.match(selector, document) > 0) {
      void this.owner(document.uri)?.start();
    }
  }

  /** Starts all anew that were started; where none was, a person who asks for it starts all. */
  async restart({ asked = false } = {}): Promise<void> {
    this.told.clear();
    const sessions = [...this.held.values()].map(({ session }) => session);
    const started = sessions.filter((session) => session.started);
    const meant = asked && started.length === 0 ? sessions : started;
    await Promise.all(meant.map((session) => session.restart()));
  }

  /** Lets the sidecar of a file's folder execute a command about it. */
  async execute(command: string, words: unknown[]): Promise<unknown> {
    const [address] = words;
    const uri = typeof address === "string" ? vscode.Uri.parse(address) : undefined;
    return uri === undefined ? undefined : this.owner(uri)?.execute(command, words);
  }

  async stop(): Promise<void> {
    await Promise.all([...this.held.values()].map(({ session }) => session.stop()));
  }

  dispose(): void {
    void this.stop();
  }

  private owner(uri: vscode.Uri): Session | undefined {
    return [...this.held.values()].find(({ folder }) => isOwnedBy(folder, uri))?.session;
  }

  private session(key: string, folder: vscode.WorkspaceFolder | undefined): Session {
    const { home, output } = this;
    const show = (state: State): void => {
      // A folder that has gone says nothing more.
      if (this.held.get(key)?.session === session) {
        this.states.set(key, state);
        this.status.show(combined([...this.states.values()]));
      }
    };
    const session = new Session({ home, output, show, fail: (reason) => this.fail(reason) }, folder);
    return session;
  }

  private async end(key: string): Promise<void> {
    const session = this.held.get(key)?.session;
    this.held.delete(key);
    this.states.delete(key);
    this.status.show(combined([...this.states.values()]));
    await session?.stop();
  }

  private async startWhereAgentsWork(key: string): Promise<void> {
    const held = this.held.get(key);
    if (held?.folder === undefined || key === NO_FOLDER) {
      return;
    }
    const pattern = new vscode.RelativePattern(held.folder, WORKSPACE_MARKS);
    if ((await vscode.workspace.findFiles(pattern, null, 1)).length > 0) {
      await this.held.get(key)?.session.start();
    }
  }

  private fail(reason: string): void {
    if (this.told.has(reason)) {
      return;
    }
    this.told.add(reason);
    const settings = "Open Settings";
    const output = "Show Output";
    void vscode.window.showErrorMessage(reason, settings, output).then((choice) => {
      if (choice === settings) {
        void vscode.commands.executeCommand("workbench.action.openSettings", "sidecar.command");
      } else if (choice === output) {
        this.output.show(true);
      }
    });
  }
}

function foldersOnDisk(): readonly vscode.WorkspaceFolder[] {
  return (vscode.workspace.workspaceFolders ?? []).filter(({ uri }) => uri.scheme === "file");
}
